"""What a tracer is told of a run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from span_recorder import Recorder

import workglow as wg
from workglow import FallbackTask, HumanInputTask, MapTask, Retry, TaskContext, TaskGraph, Workflow, task
from workglow.errors import TaskFailedError, WorkglowError
from workglow.graph.environment import Environment
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.tracing import runner_for
from workglow.telemetry import Attributes
from workglow.testing import FakeClock


@task(name="traced_numbers", output="value")
def numbers(count: int) -> list[int]:
    return list(range(count))


@task(name="traced_double", output="value", inline=True)
def double(value: int) -> int:
    return 2 * value


@task(name="traced_flaky", output="value", retry=Retry(attempts=2))
def flaky(value: int, context: TaskContext) -> int:
    if context.attempt == 1:
        raise ValueError("only the first time")
    return value


@task(name="traced_broken", output="value")
def broken(value: int) -> int:
    raise ValueError(f"no {value}")


@task(name="traced_parts", output="value")
def parts(value: int, context: TaskContext) -> int:
    with context.span("outer", words=3), context.span("inner"):
        pass
    with pytest.raises(KeyError), context.span("failing"):
        raise KeyError("k")
    return value


@task(name="traced_slow", output="value", timeout=0.01)
async def slow(value: int) -> int:
    await asyncio.Event().wait()
    return value


Runs = Callable[..., wg.Run]


def _in_memory(graph: Any, inputs: Any, **settings: Any) -> wg.Run:
    return graph.run_sync(inputs, **settings)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(params=["memory", "project"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runs]:
    if request.param == "memory":
        yield _in_memory
        return
    with wg.open(tmp_path / "a.wg") as project:
        yield project.run_sync


def test_turns_are_inside_their_loop_and_tasks_inside_their_turn(run: Runs, recorder: Recorder) -> None:
    run(Workflow().then(numbers).map(Workflow().then(double).then(flaky)), {"count": 2}, tracer=recorder)
    tree = sorted(recorder.tree()[3:], key=lambda line: line.split()[-1].partition("]")[0])
    assert recorder.tree()[:3] == ["run", "  task traced_numbers traced_numbers", "  task MapTask map"]
    assert tree == [
        "    turn MapTask map[0]",
        "      task traced_double map[0]/traced_double",
        "      task traced_flaky map[0]/traced_flaky",
        "      task traced_flaky map[0]/traced_flaky",
        "    turn MapTask map[1]",
        "      task traced_double map[1]/traced_double",
        "      task traced_flaky map[1]/traced_flaky",
        "      task traced_flaky map[1]/traced_flaky",
    ]
    recorder.check_all_ended()


def test_each_attempt_has_a_span(run: Runs, recorder: Recorder) -> None:
    run(Workflow().then(flaky), {"value": 1}, tracer=recorder)
    first, second = recorder.at("traced_flaky")
    assert (first.status, first.attributes["workglow.task.attempt"]) == ("retried", 1)
    assert (first.error, first.attributes["error.type"]) == ("ValueError: only the first time", "ValueError")
    assert (second.status, second.attributes["workglow.task.attempt"], second.error) == ("completed", 2, None)


def test_a_failure_ends_every_span_around_it(run: Runs, recorder: Recorder) -> None:
    with pytest.raises(TaskFailedError):
        run(Workflow().then(numbers).map(Workflow().then(broken)), {"count": 3}, tracer=recorder)
    recorder.check_all_ended()
    (root,) = recorder.roots()
    (loop,) = recorder.at("map")
    assert (root.status, loop.status) == ("failed", "failed")
    assert root.error is not None
    assert "no " in root.error
    assert loop.error is not None
    assert {span.error for span in recorder.spans if span.name == "task traced_broken"} & {"ValueError: no 0"}


def test_a_timeout_is_an_error(run: Runs, recorder: Recorder) -> None:
    with pytest.raises(WorkglowError):
        run(Workflow().then(slow), {"value": 1}, tracer=recorder)
    (span,) = recorder.at("traced_slow")
    assert span.attributes["error.type"] == "TaskTimeoutError"
    recorder.check_all_ended()


def test_a_turn_that_came_to_nothing_says_so_though_its_task_went_on(run: Runs, recorder: Recorder) -> None:
    alternatives, graph = TaskGraph(), TaskGraph()
    alternatives.add_task(broken.task_type(id="a"))
    alternatives.add_task(double.task_type(id="b"))
    graph.add_task(FallbackTask(alternatives, id="try"))
    assert run(graph, {"value": 2}, tracer=recorder).outputs["value"] == 4
    recorder.check_all_ended()
    turns = [span for span in recorder.spans if span.name == "turn FallbackTask"]
    assert [turn.error is not None for turn in turns] == [True, False]
    assert recorder.at("try")[0].error is None


def test_what_was_found_takes_no_time_and_says_so(tmp_path: Path, recorder: Recorder) -> None:
    with wg.open(tmp_path / "a.wg") as project:
        project.run_sync(Workflow().then(double), {"value": 1})
        project.run_sync(Workflow().then(double), {"value": 1}, tracer=recorder)
    (span,) = recorder.at("traced_double")
    assert (span.status, span.attributes["workglow.task.cached"]) == ("completed", True)


def test_no_value_is_told(run: Runs, recorder: Recorder) -> None:
    run(Workflow().then(double), {"value": 123456}, tracer=recorder)
    told = str([span.attributes for span in recorder.spans])
    assert "123456" not in told
    assert "246912" not in told


def test_tasks_may_trace_their_parts(run: Runs, recorder: Recorder) -> None:
    run(Workflow().then(parts), {"value": 1}, tracer=recorder)
    assert recorder.tree() == [
        "run",
        "  task traced_parts traced_parts",
        "    outer",
        "      inner",
        "    failing",
    ]
    outer, _, failing = recorder.spans[-3:]
    assert outer.attributes == {"words": 3}
    assert failing.error == "KeyError: 'k'"
    run(Workflow().then(parts), {"value": 1})  # without a tracer nothing happens


def test_a_run_that_is_left_waiting_ends_its_spans_and_another_process_begins_others(tmp_path: Path) -> None:
    before, after = Recorder(), Recorder()
    body, graph = TaskGraph(), TaskGraph()
    body.add_task(HumanInputTask(id="ask", content_schema={"type": "object", "properties": {"name": {}}}))
    graph.add_task(MapTask(body, id="map", max_iterations=9))
    with wg.open(tmp_path / "a.wg", tracer=before) as project:
        run = project.run_sync(graph, {"prompt": ["Who?"]})
    assert run.status == "waiting"
    before.check_all_ended()
    assert [(span.path, span.status) for span in before.at("map[0]/ask")] == [("map[0]/ask", "waiting")]
    assert before.roots()[0].status == "waiting"
    with wg.open(tmp_path / "a.wg", tracer=after) as project:
        project.answer(run.id, "map[0]/ask", {})
        assert project.resume_sync(run.id).status == "completed"
    after.check_all_ended()
    assert after.tree() == [
        "run",
        "  task MapTask map",
        "    turn MapTask map[0]",
        "      task HumanInputTask map[0]/ask",
    ]
    assert after.roots()[0].attributes["workglow.run.resumed"] is True
    assert {span.attributes["workglow.run.id"] for span in (*before.roots(), *after.roots())} == {run.id}


def test_a_call_may_name_another_tracer_than_its_project(tmp_path: Path, recorder: Recorder) -> None:
    of_project = Recorder()
    with wg.open(tmp_path / "a.wg", tracer=of_project) as project:
        run = project.run_sync(Workflow().then(double), {"value": 1}, tracer=recorder)
        assert (len(of_project.spans), len(recorder.spans)) == (0, 2)
        project.fork_sync(run.id, inputs={"value": 2})
        asyncio.run(_streamed(project, recorder))
    assert [len(of_project.roots()), len(recorder.roots())] == [1, 2]


async def _streamed(project: wg.Project, recorder: Recorder) -> None:
    async for _ in project.stream(Workflow().then(double), {"value": 5}, tracer=recorder):
        pass


def test_a_run_inside_a_task_is_inside_its_span(recorder: Recorder) -> None:
    @task(name="traced_nested", output="value")
    async def nested(value: int) -> int:
        inside = Workflow().then(double).run_sync({"value": value}, tracer=recorder)  # another thread and loop
        return int(str(inside.outputs["value"]))

    Workflow().then(nested).run_sync({"value": 1}, tracer=recorder)
    assert recorder.tree() == [
        "run",
        "  task traced_nested traced_nested",
        "    run",
        "      task traced_double traced_double",
    ]


class Raising:
    def __init__(self) -> None:
        self.asked = 0

    def start(self, name: str, attributes: Attributes, parent: wg.Span | None, /) -> wg.Span:
        self.asked += 1
        raise RuntimeError("the collector is gone")


def test_a_tracer_that_raises_is_asked_no_more_and_the_run_goes_on(run: Runs, caplog: pytest.LogCaptureFixture) -> None:
    raising = Raising()
    result = run(Workflow().then(numbers).map(Workflow().then(parts)), {"count": 3}, tracer=raising)
    assert result.outputs == {"value": [0, 1, 2]}
    assert raising.asked == 1
    (said,) = caplog.records
    assert "Raising raised" in said.getMessage()
    assert said.exc_info is not None


def test_without_a_tracer_the_plain_runner_runs() -> None:
    async def kind() -> type:
        return type(runner_for(TaskGraph(), Environment()))

    assert asyncio.run(kind()) is TaskGraphRunner


def test_the_log_has_a_line_for_each_span(caplog: pytest.LogCaptureFixture, clock: FakeClock) -> None:
    caplog.set_level(logging.INFO, "workglow.trace")
    Workflow().then(flaky).run_sync({"value": 1}, tracer=wg.LoggingTracer(clock=clock))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            "  task traced_flaky 0.0 ms task.type=traced_flaky task.path=traced_flaky "
            "task.status=retried task.attempt=1 task.cached=False error.type=ValueError "
            "failed: ValueError: only the first time",
        ),
        (
            "INFO",
            "  task traced_flaky 0.0 ms task.type=traced_flaky task.path=traced_flaky "
            "task.status=completed task.attempt=2 task.cached=False",
        ),
        ("INFO", "run 0.0 ms run.resumed=False run.status=completed"),
    ]
