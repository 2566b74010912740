"""C08: a failure that goes along an `[error]` edge instead of ending the run."""

from __future__ import annotations

from typing import Any

import pytest
from fixture_runs import graph_of, let_pass
from fixture_tasks import AlwaysFail, BadRecovery, Dbl, Inspect, Recovery, Slow

from workglow.errors import GraphError, TaskFailedError, TaskTimeoutError
from workglow.graph.building.workflow import Workflow
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.testing import FakeClock


def guarded(fails: Any, handler: Any, *others: Any) -> TaskGraph:
    graph = graph_of(fails, handler, *others)
    first, second = list(graph.tasks)[:2]
    graph.add_dataflow(first, "[error]", second, "*")
    return graph


def test_c08_1_a_handled_failure_is_no_failure() -> None:
    run = run_in_memory_sync(guarded(AlwaysFail, Recovery))
    assert run.status == "completed"
    assert run.outputs == {"output": -1}


def test_c08_2_what_needed_the_output_is_disabled() -> None:
    # A: an edge is judged by its target
    graph = guarded(AlwaysFail(id="fail"), Recovery(id="recovery"), Dbl(id="normal"))
    graph.add_dataflow("fail", "output", "normal", "input")
    run = run_in_memory_sync(graph)
    assert {path: result.status for path, result in run.tasks.items()} == {
        "fail": "failed",
        "recovery": "completed",
        "normal": "disabled",
    }


def test_c08_3_without_an_error_edge_the_run_fails() -> None:
    with pytest.raises(TaskFailedError, match="Intentional failure"):
        run_in_memory_sync(graph_of(AlwaysFail))


def test_c08_4_what_the_handler_is_given() -> None:
    run = run_in_memory_sync(guarded(AlwaysFail, Inspect(id="inspect")))
    assert run.tasks["inspect"].outputs["received"] == {
        "error": "Intentional failure",
        "errorType": "TaskFailedError",
    }


def test_c08_5_a_chain_goes_on_behind_the_handler() -> None:
    graph = guarded(AlwaysFail(id="a"), Recovery(id="b"), Dbl(id="c"), Dbl(id="d"))
    graph.add_dataflow("b", "output", "c", "input")
    graph.add_dataflow("c", "output", "d", "input")
    run = run_in_memory_sync(graph)
    assert [run.tasks[id].outputs["output"] for id in "bcd"] == [-1, -2, -4]


def test_c08_6_a_handler_that_fails_fails_the_run() -> None:
    with pytest.raises(TaskFailedError, match="Recovery also failed"):
        run_in_memory_sync(guarded(AlwaysFail, BadRecovery))


def test_c08_7_the_others_are_not_touched() -> None:
    run = run_in_memory_sync(guarded(AlwaysFail, Recovery, Dbl(id="dbl", defaults={"input": 7})))
    assert run.tasks["dbl"].outputs == {"output": 14}


def test_c08_8_a_timeout_can_be_handled(clock: FakeClock) -> None:
    graph = guarded(Slow(id="slow", sleep=0.5, timeout=0.03), Inspect(id="inspect"))
    run = run_in_memory_sync(graph, clock=clock, on_event=let_pass(clock, 0.03))
    received = run.tasks["inspect"].outputs["received"]
    assert received["errorType"] == "TaskTimeoutError"  # type: ignore[index]
    assert "timed out" in received["error"]  # type: ignore[index]
    with pytest.raises(TaskTimeoutError):
        run_in_memory_sync(graph_of(Slow(sleep=0.5, timeout=0.03)), clock=clock, on_event=let_pass(clock, 0.03))


def test_c08_9_the_builder_adds_the_edge() -> None:
    workflow = Workflow().then(AlwaysFail, id="a")
    assert workflow.on_error(Recovery, id="h") is workflow
    assert [edge.id for edge in workflow.graph.dataflows()] == ["a[[error]] ==> h[*]"]
    with pytest.raises(GraphError, match=r"on_error\(\) requires a preceding task"):
        Workflow().on_error(Recovery)
    whole = Workflow().then(AlwaysFail, id="a").on_error(Recovery, id="h").then(Dbl, id="d")
    whole.graph.remove_dataflow("a[output] ==> d[input]")
    whole.connect("h", "output", "d", "input")
    assert whole.run_sync().outputs == {"output": -2}


def test_c08_10_a_success_does_not_run_the_handler() -> None:
    run = run_in_memory_sync(guarded(Dbl(id="a", defaults={"input": 1}), Inspect(id="h")))
    assert run.tasks["h"].status == "disabled"
    assert run.outputs == {"output": 2}
