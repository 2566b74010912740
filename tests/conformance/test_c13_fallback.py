"""C13: alternatives, tried in order until one succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fixture_runs import graph_of, let_pass, outcome, run_until
from fixture_tasks import Open, StreamAppend, Uncached
from pydantic import BaseModel

from workglow import TaskContext, TaskGraph
from workglow.errors import TaskConfigurationError, TaskFailedError, TaskInputError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.fallback import FallbackTask
from workglow.testing import FakeClock


class _Value(Open):
    value: float = 0


class _Result(BaseModel):
    result: float


class Succeeding(Uncached):
    Input, Output = _Value, _Result

    def execute(self, inputs: _Value) -> dict[str, Any]:
        return {"result": inputs.value * 10}


class FailAlt(Uncached):
    Input, Output = _Value, _Result

    def execute(self, inputs: _Value) -> dict[str, Any]:
        raise TaskFailedError("Alternative failed")


class CondFail(Uncached):
    Input, Output = _Value, _Result

    def execute(self, inputs: _Value) -> dict[str, Any]:
        if inputs.value < 5:
            raise TaskFailedError(f"Value {inputs.value:g} is too low")
        return {"result": inputs.value * 100}


class Forever(Uncached):
    inline = False
    Input, Output = _Value, _Result

    async def execute(self, inputs: _Value) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}


def tried(*alternatives: Any, **options: Any) -> TaskGraph:
    return graph_of(FallbackTask(graph_of(*alternatives), id="fallback", **options))


def statuses(graph: TaskGraph, inputs: dict[str, object], **options: Any) -> dict[str, str]:
    return {path: task.status for path, task in outcome(graph, inputs, **options).tasks.items()}


def test_c13_1_the_first_that_succeeds_is_the_last_that_runs() -> None:
    graph = tried(Succeeding(id="a"), FailAlt(id="b"))
    assert graph.run_sync({"value": 5}).outputs == {"result": 50}
    assert statuses(graph, {"value": 5}) == {"fallback[0]/a": "completed", "fallback": "completed"}


def test_c13_2_a_failure_leads_to_the_next() -> None:
    graph = tried(FailAlt(id="a"), CondFail(id="b"), Succeeding(id="c"))
    assert graph.run_sync({"value": 3}).outputs == {"result": 30}
    assert graph.run_sync({"value": 7}).outputs == {"result": 700}
    assert statuses(graph, {"value": 3}) == {
        "fallback[0]/a": "failed",
        "fallback[1]/b": "failed",
        "fallback[2]/c": "completed",
        "fallback": "completed",
    }


def test_c13_3_when_all_fail_the_error_says_why_each_did() -> None:
    with pytest.raises(TaskFailedError) as caught:
        tried(FailAlt(id="a"), CondFail(id="b")).run_sync({"value": 1})
    assert str(caught.value) == (
        "All 2 alternatives failed:\n  alternative 1: Alternative failed\n  alternative 2: Value 1 is too low"
    )


def test_c13_4_other_inputs_instead_of_other_tasks() -> None:
    graph = tried(CondFail(id="a"), fallbackMode="data", alternatives=[{"value": 1}, {"value": 6}, {"value": 9}])
    assert graph.run_sync().outputs == {"result": 600}
    assert list(statuses(graph, {})) == ["fallback[0]/a", "fallback[1]/a", "fallback"]
    hopeless = tried(CondFail(id="a"), mode="data", alternatives=[{"value": 1}, {"value": 2}])
    with pytest.raises(
        TaskFailedError, match=r"All 2 data alternatives failed:\n  alternative 1: Value 1 is too low\n"
    ):
        hopeless.run_sync({"value": 9})


def test_c13_5_without_alternatives_there_is_nothing_to_try() -> None:
    with pytest.raises(TaskConfigurationError, match="has no alternatives to try"):
        FallbackTask(TaskGraph())
    with pytest.raises(TaskConfigurationError, match="has no data alternatives to try"):
        FallbackTask(graph_of(Succeeding), mode="data")
    with pytest.raises(TaskConfigurationError, match="alternatives are for mode='data'"):
        FallbackTask(graph_of(Succeeding), alternatives=[{"value": 1}])
    connected = graph_of(Succeeding(id="a"), Succeeding(id="b"))
    connected.add_dataflow("a", "result", "b", "value")
    with pytest.raises(TaskConfigurationError, match="what never runs together"):
        FallbackTask(connected)


def test_c13_6_a_time_out_leads_to_the_next() -> None:
    clock = FakeClock()
    graph = tried(Forever(id="a", timeout=1), Succeeding(id="b"))
    run = outcome(graph, {"value": 2}, clock=clock, on_event=let_pass(clock, 1))
    assert run.outputs == {"result": 20}
    clock = FakeClock()
    run = outcome(tried(Forever(id="a", timeout=1), FailAlt(id="b")), {}, clock=clock, on_event=let_pass(clock, 1))
    assert "alternative 1: [timeout] Task 'fallback[0]/a' timed out after 1000ms." in (
        run.tasks["fallback"].error or ""
    )


def test_c13_7_an_abort_does_not() -> None:
    graph = graph_of(FallbackTask(graph_of(Forever(id="a"), Succeeding(id="b")), id="fallback", defaults={"value": 1}))
    _, error, events = run_until(graph, "task_started", "fallback[0]/a")
    assert error is not None
    assert [event.path for event in events if event.kind == "task_started"] == ["fallback", "fallback[0]/a"]
    assert ("task_aborted", "fallback") in [(event.kind, event.path) for event in events]


class StreamFail(Uncached):
    Input, Output = StreamAppend.Input, StreamAppend.Output

    async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
        yield "A"
        raise TaskFailedError("the stream broke")


def test_c13_8_streams_are_tried_one_after_the_other() -> None:
    graph = tried(StreamFail(id="a"), StreamAppend(id="b"), StreamAppend(id="c"))
    assert graph.run_sync({"prompt": "?"}).outputs == {"text": "Hello world"}
    assert "fallback[2]/c" not in statuses(graph, {"prompt": "?"})


def test_c13_9_the_schemas_are_those_of_all_alternatives() -> None:
    class Words(Uncached):
        class Input(BaseModel):
            words: str

        class Output(BaseModel):
            result: str
            more: int = 0

        def execute(self, inputs: Input) -> dict[str, Any]:
            return {"result": inputs.words}

    class Number(Uncached):
        class Input(BaseModel):
            value: float

        Output = _Result

        def execute(self, inputs: Input) -> dict[str, Any]:
            raise TaskFailedError("no")

    task = FallbackTask(graph_of(Number(id="a"), Words(id="b")), id="fallback")
    assert list(task.inputs) == ["value", "words"]
    assert not any(port.required for port in task.inputs.values())
    assert set(task.outputs) == {"result", "more"}
    assert [name for name, port in task.outputs.items() if port.required] == ["result"]
    assert graph_of(task).run_sync({"value": 1, "words": "w"}).outputs == {"result": "w", "more": 0}
    # an alternative that lacks an input has failed like any other
    assert graph_of(task).run_sync({"words": "w"}).outputs == {"result": "w", "more": 0}
    with pytest.raises(TaskFailedError, match=r"alternative 2: Task 'b' .*'words' is required"):
        graph_of(task).run_sync({"value": 1})


def test_c13_9_what_every_set_of_inputs_gives_need_not_come_in() -> None:
    class Both(Uncached):
        class Input(BaseModel):
            left: float
            right: float

        Output = _Result

        def execute(self, inputs: Input) -> dict[str, Any]:
            return {"result": inputs.left / inputs.right}

    task = FallbackTask(
        graph_of(Both(id="a")), id="f", mode="data", alternatives=[{"right": 0}, {"right": 2, "left": 8}]
    )
    assert [name for name, port in task.inputs.items() if port.required] == ["left"]
    assert graph_of(task).run_sync({"left": 6}).outputs == {"result": 4}
    with pytest.raises(TaskInputError, match="'left' is required"):
        graph_of(task).run_sync()


def test_c13_10_an_alternative_can_be_a_whole_graph() -> None:
    failing = graph_of(Succeeding(id="first"), FailAlt(id="second"), Forever(id="third"))
    failing.add_dataflow("first", "result", "second", "value")
    graph = tried(GraphAsTask(failing, id="long"), Succeeding(id="short"))
    assert graph.run_sync({"value": 1}).outputs == {"result": 10}
    assert statuses(graph, {"value": 1}) == {
        "fallback[0]/long/first": "completed",
        "fallback[0]/long/second": "failed",
        "fallback[0]/long/third": "aborted",
        "fallback[0]/long": "failed",
        "fallback[1]/short": "completed",
        "fallback": "completed",
    }


def test_c13_10_one_failure_is_enough_also_when_a_run_goes_on_after_failures() -> None:
    graph = tried(GraphAsTask(graph_of(FailAlt(id="a")), id="g"), Succeeding(id="b"))
    run = graph.run_sync({"value": 1}, continue_on_error=True)
    assert (run.status, run.outputs) == ("completed", {"result": 10})


def test_c13_11_a_fallback_that_failed_can_be_handled() -> None:
    graph = tried(FailAlt(id="a"))
    graph.add_task(Inspect(id="handler"))
    graph.add_dataflow("fallback", "[error]", "handler", "*")
    run = graph.run_sync({"value": 1})
    assert run.outputs["seen"] == "All 1 alternatives failed:\n  alternative 1: Alternative failed"


class Inspect(Uncached):
    class Input(Open):
        error: str

    class Output(BaseModel):
        seen: str

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"seen": inputs.error}


def test_c13_12_retries_come_first() -> None:
    from workglow import Retry

    class Second(Uncached):
        Input, Output = _Value, _Result

        def execute(self, inputs: _Value, context: TaskContext) -> dict[str, Any]:
            if context.attempt < 2:
                raise TaskFailedError("not yet")
            return {"result": context.attempt}

    assert tried(Second(id="a", retry=Retry(attempts=2)), FailAlt(id="b")).run_sync().outputs == {"result": 2}
