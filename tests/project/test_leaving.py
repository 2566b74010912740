"""What a task raises to end the program ends the run at once, reaches the caller, and leaves the run to be resumed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import workglow as wg
from workglow import HumanApprovalTask, Question, TaskGraph, Workflow, task

armed: list[type[BaseException]] = []
begun: Counter[str] = Counter()


class AlienError(BaseException):
    pass


def leave() -> None:
    if armed:
        raise armed.pop()


@task(name="leaving_first", output="text", cache=False)
def first(text: str) -> str:
    begun["first"] += 1
    return text


@task(name="leaving_suspended", output="text", cache=False)
async def suspended(text: str) -> str:
    await asyncio.sleep(0)
    leave()
    return text


@task(name="leaving_cleanup", output="text", cache=False)
async def raised_while_cleaning_up(text: str) -> str:
    try:
        await asyncio.sleep(0)
    finally:
        leave()
    return text


@task(name="leaving_step", output="text", cache=False)
async def stepped(text: str) -> str:
    leave()
    return text


@task(name="leaving_stream", output="text", cache=False)
async def streamed(text: str) -> AsyncIterator[str]:
    yield text
    leave()


@task(name="leaving_thread", output="text", cache=False)
def in_a_thread(text: str) -> str:
    leave()
    return text


@task(name="leaving_inline", output="text", cache=False, inline=True)
def in_place(text: str) -> str:
    leave()
    return text


BODIES = [suspended, raised_while_cleaning_up, stepped, streamed, in_a_thread, in_place]
KINDS: list[type[BaseException]] = [SystemExit, KeyboardInterrupt, AlienError]


@pytest.fixture(autouse=True)
def _disarmed() -> None:
    armed.clear()
    begun.clear()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", BODIES)
def test_what_ends_the_program_reaches_the_caller_and_the_run_can_go_on(
    tmp_path: Path, body: Callable[..., object], kind: type[BaseException]
) -> None:
    graph = Workflow().then(first).then(body)
    with wg.open(tmp_path / "leave.wg") as project:
        armed.append(kind)
        with pytest.raises(kind):
            project.run_sync(graph, {"text": "so"})
        (run,) = project.runs()
        assert run.status == "running"
        assert project.resume_sync().outputs == {"text": "so"}
        assert begun["first"] == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", BODIES)
def test_what_ends_the_program_leaves_a_run_in_memory_and_in_a_loop(
    body: Callable[..., object], kind: type[BaseException]
) -> None:
    armed.append(kind)
    with pytest.raises(kind):
        Workflow().map(body).run_sync({"text": ["a", "b"]})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_of_questions_can_end_the_program(tmp_path: Path, kind: type[BaseException], is_async: bool) -> None:
    def plain(question: Question) -> object:
        raise kind

    async def coroutine(question: Question) -> object:
        await asyncio.sleep(0)
        raise kind

    graph = TaskGraph()
    graph.add_task(HumanApprovalTask, id="ask", message="Well?")
    with wg.open(tmp_path / "ask.wg") as project:
        with pytest.raises(kind):
            project.run_sync(graph, on_question=coroutine if is_async else plain)
        (question,) = project.questions()
        project.answer(question.run, "ask", True)
        assert project.resume_sync(question.run).status == "completed"
