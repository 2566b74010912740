"""What names nothing: None, another type, and half a character are refused by name wherever a text is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import Project, Workflow, task
from workglow.errors import (
    FileError,
    RunStateError,
    TaskConfigurationError,
    UnknownGraphError,
    UnknownModelError,
    UnknownRunError,
    UnknownScheduleError,
    UnknownTaskError,
    UnstorableValueError,
)
from workglow.file import copy
from workglow.storage.policies import AnyOf, KeepLast, MaxAge, MaxSize

HALF = "caf\udce9"  # as Python gives the name of a file that is no UTF-8
NO_TEXT = pytest.mark.parametrize("given", [None, 3, b"x", ["a"], HALF], ids=repr)


@task(output="text")
def keep(text: str) -> str:
    return text


WORKFLOW = Workflow().then(keep)


@pytest.fixture
def project() -> Iterator[Project]:
    with wg.open(":memory:") as project:
        yield project


async def follow(project: Project, run: Any, task: Any = None) -> list[Any]:
    return [record async for record in project.follow(run, task)]


BY_RUN: list[Callable[[Project, Any], object]] = [
    lambda project, given: project.get(given),
    lambda project, given: project.why(given, "keep"),
    lambda project, given: project.answers(given, "keep"),
    lambda project, given: project.answer(given, "keep", 1),
    lambda project, given: project.fork_sync(given, "keep"),
    lambda project, given: project.rerun_failed_sync(given),
    lambda project, given: project.abort(given),
    lambda project, given: project.wait_sync(given),
    lambda project, given: project.graph_of(given),
    lambda project, given: project.preview(given),
    lambda project, given: project.set_budget(given, cost=1),
    lambda project, given: asyncio.run(follow(project, given)),
]


@NO_TEXT
@pytest.mark.parametrize("call", BY_RUN)
def test_no_run_has_such_an_id(project: Project, call: Callable[[Project, Any], object], given: Any) -> None:
    with pytest.raises(UnknownRunError, match=r"by its id, such as run\.id") as refused:
        call(project, given)
    assert str(refused.value).isascii()  # so that whoever prints it can


@NO_TEXT
def test_no_task_has_such_a_path(project: Project, given: Any) -> None:
    run = project.run_sync(WORKFLOW, {"text": "a"}).id
    with pytest.raises(UnknownTaskError, match="has no task at"):
        project.why(run, given)
    with pytest.raises(UnknownTaskError, match="has no task at"):
        project.answers(run, given)
    with pytest.raises(RunStateError, match="waits for no answer"):
        project.answer(run, given, 1)
    if given is not None:
        with pytest.raises(UnknownTaskError, match="has no task at"):
            project.fork_sync(run, given)
        with pytest.raises(UnknownTaskError, match="has no task at"):
            asyncio.run(follow(project, run, given))


@NO_TEXT
def test_no_event_has_such_a_name(project: Project, given: Any) -> None:
    project.begin(WORKFLOW, {"text": "a"})
    with pytest.raises(TaskConfigurationError, match="The name of an event is a text"):
        project.send_event(given)
    if given is not None:
        with pytest.raises(UnknownRunError, match="by its id"):
            project.send_event("paid", run=given)
    with pytest.raises(UnstorableValueError, match="lone surrogate"):
        project.send_event("paid", HALF)


@NO_TEXT
def test_no_entitlement_is_written_so(project: Project, given: Any) -> None:
    for call in (
        lambda: WORKFLOW.run_sync({"text": "a"}, entitlements=[given]),
        lambda: WORKFLOW.run_sync({"text": "a"}, deny=[given]),
        lambda: project.run_sync(WORKFLOW, {"text": "a"}, entitlements=[given]),
        lambda: project.grant(given),
        lambda: project.revoke(given),
    ):
        with pytest.raises(TaskConfigurationError, match=r"An entitlement is a text|is no entitlement"):
            call()
    with pytest.raises(TaskConfigurationError, match="Entitlements are a list"):
        WORKFLOW.run_sync({"text": "a"}, entitlements=3)  # type: ignore[arg-type]


def test_no_grant_is_kept_of_a_path_that_is_no_text(project: Project) -> None:
    path = f"files:read=/{HALF}"
    assert WORKFLOW.run_sync({"text": "a"}, entitlements=[path]).outputs == {"text": "a"}  # the path may be there
    with pytest.raises(TaskConfigurationError, match="Grant the folder around it"):
        project.grant(path)
    assert project.grants == []


@NO_TEXT
def test_no_queue_has_such_a_name(project: Project, given: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="a queue's name has 1 to 200 characters"):
        project.submit(WORKFLOW, {"text": "a"}, queue=given)


@pytest.mark.parametrize("given", [None, "x", True, -1, float("nan"), []], ids=repr)
@pytest.mark.parametrize("policy", [MaxSize, MaxAge, KeepLast])
def test_no_policy_keeps_so_much(policy: Callable[[Any], object], given: Any) -> None:
    with pytest.raises(TaskConfigurationError, match="can keep nothing; give a"):
        policy(given)


def test_a_policy_keeps_whole_outputs() -> None:
    with pytest.raises(TaskConfigurationError, match="give a whole number"):
        KeepLast(2.5)  # type: ignore[arg-type]
    with pytest.raises(TaskConfigurationError, match="takes policies"):
        AnyOf("KeepLast")  # type: ignore[arg-type]


@NO_TEXT
def test_nothing_is_kept_under_such_a_name(project: Project, given: Any) -> None:
    for no_graph in (
        lambda: project.graphs.get(given),
        lambda: project.graphs.history(given),
        lambda: project.graphs.remove(given),
        lambda: project.graphs.rename(given, "new"),
        lambda: project.graphs.restore(given, 1),
    ):
        with pytest.raises(UnknownGraphError, match="There is no graph called"):
            no_graph()
    with pytest.raises(UnknownScheduleError):
        project.unschedule(given)
    with pytest.raises(UnknownModelError):
        project.models.remove(given)
    assert not project.credentials.remove(given)


def test_no_file_has_such_a_name(tmp_path: Path) -> None:
    wg.open(tmp_path / "a.wg").close()
    for call in (
        lambda: wg.open(tmp_path / f"{HALF}.wg"),
        lambda: copy(tmp_path / "a.wg", tmp_path / f"{HALF}.wg"),
    ):
        with pytest.raises(FileError, match="is in UTF-8"):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wg"]
