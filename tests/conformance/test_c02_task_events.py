"""C02: what is told while a task runs.  A: events belong to the graph, and their kinds begin with `task_`."""

from __future__ import annotations

import asyncio

import pytest
from fixture_runs import graph_of, kinds, outcome, run_until
from fixture_tasks import IO, Dbl, EventTest

from workglow.errors import TaskAbortedError, TaskFailedError
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.events import Event, Events
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync


def heard(graph: TaskGraph) -> list[Event]:
    events: list[Event] = []
    outcome(graph, on_event=events.append)
    return events


def test_c02_a_success() -> None:
    assert kinds(heard(graph_of(EventTest(id="t", progress=0.5))), "t") == ["started", "progress", "completed"]


def test_c02_b_failure() -> None:
    graph = graph_of(EventTest(id="t", progress=0.5, raises=True))
    events = heard(graph)
    assert kinds(events, "t") == ["started", "progress", "failed"]
    failure = next(event.data for event in events if event.kind == "task_failed")
    assert isinstance(failure, TaskFailedError)
    assert str(failure) == "Test error"
    result = outcome(graph).tasks["t"]
    assert result.status == "failed"
    assert "Test error" in (result.error or "")


def test_c02_c_abort() -> None:
    runner, error, events = run_until(graph_of(EventTest(id="t", progress=0.5, waits=True)), "task_progress", "t")
    assert kinds(events, "t") == ["started", "progress", "aborted"]
    assert isinstance(error, TaskAbortedError)
    assert runner.status == "aborted"  # A: a status of its own
    assert [run.status for run in runner.task_runs] == ["aborted"]
    assert isinstance(next(event.data for event in events if event.kind == "task_aborted"), TaskAbortedError)


def test_c02_d_the_figure_of_a_progress() -> None:
    events = heard(graph_of(EventTest(id="t", progress=0.75)))
    assert [event.data for event in events if event.kind == "task_progress"] == [(0.75, "")]


def test_c02_e_once_and_off() -> None:
    graph = graph_of(IO(id="t"))
    once: list[Event] = []
    counts = {"one": 0, "ten": 0}

    def one(event: Event) -> None:
        counts["one"] += 1

    def ten(event: Event) -> None:
        counts["ten"] += 10

    graph.events.once("task_started", once.append)
    graph.events.on("task_started", one)
    graph.events.on("task_started", ten)
    run_in_memory_sync(graph)
    assert sum(counts.values()) == 11
    graph.events.off("task_started", one)
    counts.update(one=0, ten=0)
    run_in_memory_sync(graph)
    assert sum(counts.values()) == 10
    assert len(once) == 1


def test_c02_f_waiting_for_an_event() -> None:
    async def wait() -> tuple[object, object]:
        events = Events()
        progress = asyncio.ensure_future(events.wait_on("task_progress"))
        started = asyncio.ensure_future(events.wait_on("task_started"))
        await asyncio.sleep(0)
        events.emit(Event("task_progress", "", "t", 0, (0.42, "")))
        events.emit(Event("task_started", "", "t", 0))
        return (await progress).data, (await started).data

    assert asyncio.run(wait()) == ((0.42, ""), None)


def test_c02_g_disabled() -> None:
    # A: a task is disabled by the branch that is not taken, not by a call
    graph = graph_of(ConditionalTask(id="c", branches=[{"id": "never"}]), Dbl(id="t"))
    graph.add_dataflow("c", "never", "t", "input")
    events = heard(graph)
    assert kinds(events, "t") == ["disabled"]
    assert run_in_memory_sync(graph).tasks["t"].status == "disabled"


@pytest.mark.parametrize("inline", [True, False])
def test_c02_progress_is_heard_before_the_end_however_the_task_runs(inline: bool) -> None:
    from fixture_tasks import SimpleProcessing

    kind = type("Variant", (SimpleProcessing,), {"inline": inline})
    assert kinds(heard(graph_of(kind(id="t"))), "t") == ["started", "progress", "completed"]
