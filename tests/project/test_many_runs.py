"""Going on with several runs at once, and answering what a run asks in whichever way it was begun."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import workglow as wg
from workglow import HumanApprovalTask, Project, Question, Run, TaskGraph, WaitForEventTask, task
from workglow.errors import ResumeError, TaskFailedError
from workglow.graph.events import Event

broken: set[str] = set()


@task(name="many_check", output="text", cache=False)
def check(text: str) -> str:
    if text in broken:
        raise ValueError(f"{text} is broken")
    return text


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    broken.clear()
    with wg.open(tmp_path / "many.wg") as opened:
        yield opened


def awaiting() -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(WaitForEventTask(id="go", event="go"))
    graph.add_task(check, id="check")
    graph.connect("go", "payload", "check", "text")
    return graph


@pytest.mark.parametrize("which", ["resume_due_sync", "resume_all_sync"])
def test_a_run_that_fails_holds_none_of_the_others_up(project: Project, which: str) -> None:
    begun = [project.run_sync(awaiting()) for _ in range(3)]
    assert {run.status for run in begun} == {"waiting"}
    broken.add("b")
    for run, text in zip(begun, "abc", strict=True):
        project.send_event("go", text, run=run.id)
    events: list[Event] = []
    with pytest.raises(ResumeError, match=r"1 of 3 runs (?s:.*)b is broken") as caught:
        getattr(project, which)(on_event=events.append)
    error = caught.value
    assert [run.id for run in error.runs if isinstance(run, Run)] == [begun[0].id, begun[2].id]
    assert list(error.errors) == [begun[1].id]
    failure = error.errors[begun[1].id]
    assert isinstance(failure, TaskFailedError)
    assert error.__cause__ is failure
    assert isinstance(failure.run, Run)
    assert [project.get(run.id).status for run in begun] == ["completed", "failed", "completed"]
    assert project.resume_due_sync() == []
    assert {event.run for event in events} == {run.id for run in begun}


def asking() -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(check, id="check")
    graph.add_task(HumanApprovalTask(id="ask", message="Well?"))
    return graph


def test_a_run_that_is_streamed_can_ask(project: Project) -> None:
    asked: list[str] = []

    def answer(question: Question) -> object:
        asked.append(question.task)
        return True

    async def stream() -> list[str]:
        return [event.kind async for event in project.stream(asking(), {"text": "a"}, on_question=answer)]

    assert asyncio.run(stream())[-1] == "run_finished"
    assert (asked, project.runs()[-1].status) == (["ask"], "completed")


def test_forks_reruns_and_resumes_can_ask(project: Project) -> None:
    asked: list[str] = []

    def answer(question: Question) -> object:
        asked.append(question.run)
        return True

    run = project.run_sync(asking(), {"text": "a"}, on_question=answer)
    fork = project.fork_sync(run.id, inputs={"text": "b"}, from_task="ask", on_question=answer)
    broken.add("a")
    with pytest.raises(TaskFailedError) as caught:
        project.run_sync(asking(), {"text": "a"})
    failed = caught.value.run
    assert isinstance(failed, Run)
    broken.clear()
    again = project.rerun_failed_sync(failed.id, on_question=answer)
    assert [one.status for one in (run, fork, again)] == ["completed"] * 3
    assert asked == [run.id, fork.id, again.id]
    waits = project.run_sync(asking(), {"text": "a"})
    assert waits.status == "waiting"
    assert [one.id for one in project.resume_all_sync(on_question=answer)] == [waits.id]
    assert asked[-1] == waits.id


def test_a_keyword_that_a_resume_does_not_know_is_refused(project: Project) -> None:
    run = project.run_sync(asking(), {"text": "a"})
    for call in (project.resume_sync, project.rerun_failed_sync):
        with pytest.raises(TypeError, match="'on_quetsion': no such keyword"):
            call(run.id, on_quetsion=print)  # pyright: ignore[reportCallIssue]
    for all_of_them in (project.resume_all_sync, project.resume_due_sync):
        with pytest.raises(TypeError, match="'timeout'"):
            all_of_them(timeout=3)  # pyright: ignore[reportCallIssue]
