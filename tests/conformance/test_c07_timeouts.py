"""C07: timeouts and limits.  A: a task that is timed out ends as failed, with a TaskTimeoutError."""

from __future__ import annotations

import threading

import pytest
from fixture_runs import graph_of, kinds, let_pass, outcome, run_task
from fixture_tasks import IO, Add, LongRunning, Nothing, Slow, Uncached

from workglow.errors import GraphTimeoutError, TaskAbortedError, TaskConfigurationError, TaskTimeoutError
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.options import RunOptions
from workglow.graph.previews.preview import Preview
from workglow.testing import FakeClock


def test_c07_1_a_task_that_takes_too_long(clock: FakeClock) -> None:
    graph = graph_of(Slow(id="slow", sleep=0.5, timeout=0.05))
    events: list[Event] = []
    graph.events.subscribe(events.append)
    with pytest.raises(TaskTimeoutError, match="50ms") as caught:
        run_in_memory_sync(graph, clock=clock, on_event=let_pass(clock, 0.05))
    assert issubclass(TaskTimeoutError, TaskAbortedError)
    result = caught.value.run.tasks["slow"]  # type: ignore[union-attr]
    assert result.status == "failed"
    assert result.error == f"TaskTimeoutError: {caught.value}"
    assert [event.data for event in events if event.kind == "task_failed"] == [caught.value]


def test_c07_2_a_task_that_is_quick_enough() -> None:
    assert run_task(Slow(sleep=0.02, timeout=2), {"input": 5}).outputs == {"output": 10}
    assert run_task(Slow(sleep=0.02), {"input": 3}).outputs == {"output": 6}


def test_c07_2_a_timeout_of_zero_is_none() -> None:
    assert run_task(Slow(sleep=0.02, timeout=0), {"input": 4}).outputs == {"output": 8}


def test_c07_3_a_timeout_inside_a_graph_fails_the_graph(clock: FakeClock) -> None:
    graph = graph_of(IO(id="other"), Slow(id="slow", sleep=0.5, timeout=0.05))
    with pytest.raises(TaskTimeoutError) as caught:
        run_in_memory_sync(graph, clock=clock, on_event=let_pass(clock, 0.05))
    assert "TaskTimeoutError" in caught.value.run.tasks["slow"].error  # type: ignore[union-attr]


def test_c07_4_a_graph_that_takes_too_long(clock: FakeClock) -> None:
    graph = graph_of(LongRunning)
    with pytest.raises(GraphTimeoutError, match=r"Graph execution timed out after 50ms"):
        run_in_memory_sync(graph, options=RunOptions(timeout=0.05), clock=clock, on_event=let_pass(clock, 0.05))


@pytest.mark.parametrize("timeout", [5, 0, None])
def test_c07_4_a_graph_that_is_quick_enough(timeout: float | None) -> None:
    assert run_in_memory_sync(graph_of(IO), options=RunOptions(timeout=timeout)).status == "completed"


@pytest.mark.parametrize(("limit", "fits"), [(2, False), (5, True), (None, True)])
def test_c07_5_a_graph_that_is_too_large(limit: int | None, fits: bool) -> None:
    graph = graph_of(*(IO(id=id) for id in "abc"))
    options = RunOptions(max_tasks=limit)
    if fits:
        assert run_in_memory_sync(graph, options=options).status == "completed"
        return
    with pytest.raises(TaskConfigurationError, match="exceeding the limit of 2"):
        run_in_memory_sync(graph, options=options)
    with pytest.raises(TaskConfigurationError, match="exceeding the limit of 1"):
        Preview(graph, max_tasks=1)


def test_c07_6_a_timeout_is_not_remembered(clock: FakeClock) -> None:
    graph = graph_of(Slow(id="slow", sleep=0.02))
    with pytest.raises(GraphTimeoutError):
        run_in_memory_sync(graph, options=RunOptions(timeout=0.05), clock=clock, on_event=let_pass(clock, 0.05))
    assert run_in_memory_sync(graph).status == "completed"


class Deaf(Uncached):
    """Runs in a thread and looks at no signal; `released` lets it end."""

    inline = False
    released = threading.Event()
    Input = Nothing

    def execute(self, inputs: object) -> dict[str, object]:
        self.released.wait(10)
        return {"late": True}


def test_c07_6_a_task_that_ignores_its_timeout_is_timed_out_all_the_same(clock: FakeClock) -> None:
    graph = graph_of(Deaf(id="deaf", timeout=0.05))
    events: list[Event] = []
    graph.events.subscribe(events.append)
    run = outcome(graph, clock=clock, on_event=let_pass(clock, 0.05))
    Deaf.released.set()
    assert run.tasks["deaf"].status == "failed"
    assert run.tasks["deaf"].outputs == {}
    assert kinds(events, "deaf") == ["started", "failed"]


def test_c07_6_an_inline_task_that_took_too_long_is_timed_out(clock: FakeClock) -> None:
    class Hasty(Uncached):
        def execute(self, inputs: object) -> dict[str, object]:
            clock.advance(0.06)
            return {}

    assert "TaskTimeoutError" in (run_task(Hasty(timeout=0.05), clock=clock).error or "")


def test_c07_a_group_that_takes_too_long_takes_what_is_inside_with_it(clock: FakeClock) -> None:
    from workglow.graph.control.compound import GraphAsTask

    inner = graph_of(Slow(id="slow", sleep=0.5))
    graph = graph_of(GraphAsTask(inner, id="group", timeout=0.05), Add(id="sum", defaults={"a": 1, "b": 2}))
    run = outcome(graph, clock=clock, on_event=let_pass(clock, 0.05))
    assert run.tasks["group"].status == "failed"
    assert "50ms" in (run.tasks["group"].error or "")
    assert run.tasks["group/slow"].status == "aborted"
