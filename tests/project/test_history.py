"""Resume, fork and rerun as a user calls them, with the decisions about changed code and unknown side effects."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import Retry, TaskContext, TaskGraph, TaskRegistry, Workflow, task
from workglow.errors import (
    CodeChangedError,
    FileCorruptError,
    InterruptedTaskError,
    MaxIterationsError,
    RunStateError,
    TaskFailedError,
    TaskInputError,
    UnknownGraphError,
    UnknownTaskError,
)

begun: Counter[str] = Counter()
broken: set[str] = set()


class Killed(BaseException):
    """The process ends here, as far as the run can tell."""


def body(context: TaskContext) -> None:
    begun[context.path] += 1
    if context.path in broken:
        raise ValueError(f"{context.path} is broken")


@task(name="history_one", output="value", inline=True, version="1", cache=False)
def one(value: int, context: TaskContext) -> int:
    body(context)
    return value + 1


@task(name="history_two", output="value", inline=True, version="1", cache=False)
def two(value: int, context: TaskContext) -> int:
    body(context)
    return value * 10


@task(name="history_sum", output="value", inline=True, version="1", cache=False)
def add_up(value: list[int], context: TaskContext) -> int:
    body(context)
    return sum(value)


@pytest.fixture(autouse=True)
def _clean() -> None:
    begun.clear()
    broken.clear()


def flow() -> Workflow:
    return Workflow().map(one, id="each").map(two, id="again").then(add_up, id="sum")


def failed_run(project: wg.Project, graph: Any, inputs: dict[str, object], *at: str) -> wg.Run:
    broken.update(at)
    with pytest.raises(TaskFailedError) as caught:
        project.run_sync(graph, inputs)
    broken.clear()
    begun.clear()
    run = caught.value.run
    assert isinstance(run, wg.Run)
    return run


def test_rerun_failed_reuses_what_completed_also_inside_a_loop(project: wg.Project) -> None:
    run = failed_run(project, flow(), {"value": [1, 2, 3]}, "again[1]/history_two")
    rerun = project.rerun_failed_sync(run.id)
    assert rerun.outputs["value"] == 90
    assert rerun.forked_from == run.id
    assert set(begun) == {"again[1]/history_two", "again[2]/history_two", "sum"}  # the last two had not begun
    assert rerun.tasks["each"].cached
    assert project.get(run.id).status == "failed"


def test_fork_from_a_task_runs_it_and_what_is_behind_it(project: wg.Project) -> None:
    run = project.run_sync(flow(), {"value": [1, 2, 3]})
    begun.clear()
    fork = project.fork_sync(run.id, "again[2]/history_two")
    assert set(begun) == {"again[2]/history_two", "sum"}
    assert fork.outputs == run.outputs


def test_fork_with_new_inputs_runs_what_they_reach(project: wg.Project) -> None:
    graph = TaskGraph()
    graph.add_task(one, id="left")
    graph.add_task(two, id="right")
    graph.name_input("a", "left", "value")
    graph.name_input("b", "right", "value")
    run = project.run_sync(graph, {"a": 1, "b": 2})
    begun.clear()
    fork = project.fork_sync(run.id, inputs={"b": 5})
    assert set(begun) == {"right"}
    assert fork.outputs["value"] == [2, 50]


def test_a_fork_without_a_change_and_one_from_nowhere_are_refused(project: wg.Project) -> None:
    run = project.run_sync(flow(), {"value": [1]})
    with pytest.raises(RunStateError, match="needs a change"):
        project.fork_sync(run.id)
    with pytest.raises(RunStateError, match="nothing failed"):
        project.rerun_failed_sync(run.id)
    with pytest.raises(UnknownTaskError, match="nowhere"):
        project.fork_sync(run.id, "nowhere")


def interrupted(path: Path, graph: Any, inputs: dict[str, object], registry: TaskRegistry) -> str:
    with wg.open(path, registry=registry) as project:
        with pytest.raises(Killed):
            project.run_sync(graph, inputs)
        return project.runs()[-1].id


def changing(version: str) -> tuple[TaskGraph, TaskRegistry]:
    @task(name="history_changing", output="value", inline=True, version=version, cache=False)
    def changing(value: int, context: TaskContext) -> int:
        begun[f"{context.path} {version}"] += 1
        return value + int(version)

    @task(name="history_deadly", output="value", inline=True, version="1", cache=False)
    def deadly(value: int, context: TaskContext) -> int:
        begun[context.path] += 1
        if begun[context.path] == 1:
            raise Killed
        return value

    graph = TaskGraph()
    graph.add_task(one, id="before")
    graph.add_task(changing, id="changing")
    graph.add_task(deadly, id="deadly")
    graph.add_dataflow("before", "value", "changing", "value")
    graph.add_dataflow("changing", "value", "deadly", "value")
    return graph, TaskRegistry([one.task_type, changing.task_type, deadly.task_type])


@pytest.mark.parametrize(("choice", "value", "again"), [("keep", 12, 0), ("rerun", 22, 1)])
def test_changed_code_is_noticed_and_decided_about(project_path: Path, choice: Any, value: int, again: int) -> None:
    run = interrupted(project_path, changing("1")[0], {"value": 10}, changing("1")[1])
    _, registry = changing("11")
    with wg.open(project_path, registry=registry) as project:
        with pytest.raises(CodeChangedError, match="history_changing"):
            project.resume_sync(run)
        assert project.get(run).status == "running"
        resumed = project.resume_sync(run, on_change=choice)
        assert resumed.outputs["value"] == value
        assert begun["before"] == 1
        assert begun["changing 11"] == again
        assert [event.kind for event in resumed.events if event.kind.startswith("code")] == [f"code_changed_{choice}"]


def risky(policy: str) -> tuple[TaskGraph, TaskRegistry]:
    @task(name="history_risky", output="value", inline=True, version="1", side_effects=True, on_interrupt=policy)
    def risky(value: int, context: TaskContext) -> int:
        begun[context.idempotency_key] += 1
        if len(begun) == 1 and begun.total() == 1:
            raise Killed
        return value

    graph = TaskGraph()
    graph.add_task(risky, id="risky")
    return graph, TaskRegistry([risky.task_type])


def test_a_side_effect_is_repeated_with_the_same_key_by_default(project_path: Path) -> None:
    graph, registry = risky("retry")
    run = interrupted(project_path, graph, {"value": 1}, registry)
    with wg.open(project_path, registry=registry) as project:
        resumed = project.resume_sync(run)
    assert resumed.status == "completed"
    assert list(begun.values()) == [2]


def test_a_side_effect_may_fail_or_ask_instead(project_path: Path) -> None:
    graph, registry = risky("ask")
    run = interrupted(project_path, graph, {"value": 1}, registry)
    with wg.open(project_path, registry=registry) as project:
        with pytest.raises(InterruptedTaskError, match="interrupted='retry'"):
            project.resume_sync(run)
        assert project.get(run).finished_at is None
        with pytest.raises(InterruptedTaskError, match="not known"):
            project.resume_sync(run, interrupted="fail")
        assert project.get(run).status == "failed"
    assert list(begun.values()) == [1]


def test_resume_without_an_id_takes_the_newest_unfinished_run(project_path: Path) -> None:
    graph, registry = changing("1")
    run = interrupted(project_path, graph, {"value": 1}, registry)
    with wg.open(project_path, registry=registry) as project:
        assert "was in flight when its process stopped" in project.why(run, "deadly")
        assert project.resume_sync().id == run
        with pytest.raises(RunStateError, match="no unfinished run"):
            project.resume_sync()
        assert project.resume_all_sync() == []
        assert "was cut off when its process ended" in project.why(run, "deadly")


def test_events_stream_while_the_run_goes_on(project: wg.Project) -> None:
    async def go() -> list[tuple[str, str]]:
        return [(event.kind, event.path) async for event in project.stream(flow(), {"value": [1]})]

    events = asyncio.run(go())
    assert events[0] == ("run_started", "")
    assert events[-1] == ("run_finished", "")
    assert ("task_completed", "each[0]/history_one") in events


def test_a_workflow_tells_its_listeners_in_every_run(project: wg.Project) -> None:
    workflow = Workflow().then(one, id="only")
    told: list[str] = []
    workflow.events.on("task_completed", lambda event: told.append(event.path))
    end = workflow.events.subscribe(lambda event: told.append(event.kind))
    workflow.run_sync({"value": 1})
    end()
    project.run_sync(workflow, {"value": 1})
    assert told == ["run_started", "task_started", "only", "task_completed", "run_finished", "only"]


def test_a_run_that_was_only_begun_waits_for_whoever_resumes_it(project: wg.Project) -> None:
    run = project.begin(flow(), {"value": [1, 2]})
    assert run.status == "pending"
    assert begun.total() == 0
    assert project.resume_sync(run.id).outputs["value"] == 50
    with pytest.raises(TaskInputError):
        project.begin(flow(), {"valu": [1]})


def test_a_run_whose_open_tasks_the_file_does_not_know_is_never_called_completed(project: wg.Project) -> None:
    run = project.begin(Workflow().then(one).then(two), {"value": 1})
    with project.file.transaction() as db:
        db.execute("UPDATE run SET open_from = 1000000")
    with pytest.raises(FileCorruptError, match="'history_two' was never reached"):
        project.resume_sync(run.id)
    assert project.get(run.id).finished_at is None
    with project.file.transaction() as db:
        db.execute("UPDATE run SET open_from = 0")
    assert project.resume_sync(run.id).outputs == {"value": 20}


def test_graphs_have_movable_names(project: wg.Project) -> None:
    first, second = flow().graph, Workflow().then(one).graph
    project.graphs.save("mine", first)
    assert project.graphs.get("mine").content_hash() == first.content_hash()
    project.graphs.save("mine", second)
    assert project.graphs.get("mine").to_json() == second.to_json()
    assert project.graphs.list() == ["mine"]
    with pytest.raises(UnknownGraphError, match="there are: mine"):
        project.graphs.get("yours")


def test_too_many_items_are_an_error_and_nothing_runs(project: wg.Project) -> None:
    with pytest.raises(MaxIterationsError, match="3 items, but max_iterations is 2"):
        project.run_sync(Workflow().map(one, id="each", max_iterations=2), {"value": [1, 2, 3]})
    assert begun.total() == 0


def test_a_retry_waits_as_long_as_it_was_told_and_counts(project_path: Path) -> None:
    from workglow.testing import FakeClock

    @task(name="history_flaky", output="value", inline=True, version="1", cache=False, retry=Retry(3, delay=60))
    def flaky(value: int, context: TaskContext) -> int:
        if context.attempt < 3:
            raise ValueError("not yet")
        return value

    clock = FakeClock()

    async def go(project: wg.Project) -> wg.Run:
        running = asyncio.ensure_future(project.run(Workflow().then(flaky), {"value": 7}))
        for wait in (60, 120):
            while not clock.waiting():  # noqa: ASYNC110  # the clock stands still: nothing could set an event
                await asyncio.sleep(0)
            assert "waits until" in project.why(project.runs()[-1].id, "history_flaky")
            clock.advance(wait - 1)
            await asyncio.sleep(0)
            assert not running.done()
            clock.advance(1)
        return await running

    with wg.open(project_path, clock=clock) as project:
        run = asyncio.run(go(project))
        assert run.outputs["value"] == 7
        assert run.tasks["history_flaky"].attempt == 3
        assert [event.kind for event in run.events] == ["retried", "retried"]


def test_runs_and_graphs_show_themselves_in_a_notebook(project: wg.Project) -> None:
    run = failed_run(project, flow(), {"value": [1, 2]}, "sum")
    shown = run._repr_mimebundle_()
    assert "<td>sum</td><td>failed</td>" in shown["text/html"]
    assert run.id in shown["text/plain"]
    assert "text/html" in flow()._repr_mimebundle_()
