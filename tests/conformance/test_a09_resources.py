"""A9: what a task owns is released when the task ends, wherever in the graph it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workglow import TaskContext, Workflow, task

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASED: list[str] = []


class Resource:
    def __init__(self, name: str, *, breaks: bool = False) -> None:
        self.name = name
        self.breaks = breaks

    def close(self) -> None:
        RELEASED.append(self.name)
        if self.breaks:
            raise OSError("it does not close")


@task(output="text", name="a9_owner", cache=False)
async def owner(text: str, context: TaskContext) -> str:
    first = context.own(Resource(f"{text} first"))
    assert context.own(first) is first
    context.own(Resource(f"{text} last"))
    RELEASED.append(f"{text} works")
    return text


@task(output="text", name="a9_failing", cache=False)
async def failing(text: str, context: TaskContext) -> str:
    context.own(Resource(f"{text} kept"))
    context.own(Resource(f"{text} broken", breaks=True))
    return text


def single() -> Workflow:
    return Workflow().then(owner)


def group() -> Workflow:
    return Workflow().group(Workflow().then(owner))


@pytest.fixture(autouse=True)
def nothing_released() -> None:
    RELEASED.clear()


@pytest.mark.parametrize("build", [single, group])
def test_a9_what_is_owned_is_released_at_the_end_of_its_task_last_first(build: Callable[[], Workflow]) -> None:
    build().run_sync({"text": "a"})
    assert RELEASED == ["a works", "a last", "a first"]


def test_a9_each_turn_of_a_loop_releases_its_own() -> None:
    Workflow().map(owner, concurrency=1).run_sync({"text": ["a", "b"]})
    assert RELEASED == ["a works", "a last", "a first", "b works", "b last", "b first"]


def test_a9_one_that_cannot_be_released_does_not_keep_the_others() -> None:
    with pytest.raises(Exception, match="could not be released"):
        Workflow().then(failing).run_sync({"text": "a"})
    assert RELEASED == ["a broken", "a kept"]
