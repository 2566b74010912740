"""C11: a list folded into one result, each turn on what the one before it gave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fixture_runs import graph_of, outcome
from fixture_tasks import DoubleToResult, Open, ProcessItem, Uncached
from pydantic import BaseModel

from workglow import TaskContext, TaskGraph
from workglow.errors import MaxIterationsError, TaskConfigurationError
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.map import MapTask
from workglow.graph.control.reduce import ReduceTask
from workglow.tasks import task


class AddToSum(Uncached):
    type = "AddToSum"

    class Input(Open):
        accumulator: dict[str, float]
        currentItem: float = 0

    class Output(BaseModel):
        sum: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"sum": inputs.accumulator["sum"] + inputs.currentItem}


@task(name="c11_add", output="accumulator", cache=False)
def add(accumulator: float, item: float) -> float:
    return accumulator + item


@task(name="c11_told", output="accumulator", cache=False)
def told(accumulator: list[str], item: str, iteration_index: int, iteration_count: int) -> list[str]:
    return [*accumulator, f"{item} {iteration_index}/{iteration_count}"]


@task(name="c11_told_there", output="accumulator", cache=False)
def told_as_elsewhere(accumulator: list[int], item: str, _iterationIndex: int, _iterationCount: int) -> list[int]:
    return [*accumulator, _iterationIndex, _iterationCount]


def reduced(body: TaskGraph, inputs: dict[str, object], **options: Any) -> dict[str, object]:
    task = ReduceTask(body, id="reduce", **{"max_iterations": "unbounded", **options})
    outputs = dict(graph_of(task).run_sync(inputs).outputs)
    task.outputs.check(outputs)  # the schema agrees with what is returned
    return outputs


def test_c11_1_the_limit_has_to_be_given_and_holds() -> None:
    with pytest.raises(TaskConfigurationError, match="maxIterations"):
        ReduceTask(graph_of(add))
    with pytest.raises(MaxIterationsError, match="3 items, but max_iterations is 2"):
        reduced(graph_of(add), {"item": [1, 2, 3]}, initial_value=0, max_iterations=2)


def test_c11_2_a_sum() -> None:
    assert reduced(graph_of(AddToSum), {"currentItem": [1, 2, 3, 4]}, initialValue={"sum": 0}) == {"sum": 10}


def test_c11_2_a_sum_on_a_port_of_its_own() -> None:
    assert reduced(graph_of(add), {"item": [1, 2, 3, 4]}, initial_value=0) == {"accumulator": 10}


def test_c11_3_lists_go_in_step() -> None:
    @task(name="c11_both", output="accumulator", cache=False)
    def both(accumulator: int, left: int, right: int) -> int:
        return accumulator + left + right

    inputs: dict[str, object] = {"left": [1, 2, 3], "right": [10, 20, 30]}
    assert reduced(graph_of(both), inputs, initial_value=0) == {"accumulator": 66}


def test_c11_4_after_a_map() -> None:
    graph = graph_of(
        MapTask(graph_of(ProcessItem), id="map", max_iterations="unbounded"),
        ReduceTask(graph_of(add), id="reduce", initial_value=0, max_iterations="unbounded"),
    )
    graph.add_dataflow("map", "processed", "reduce", "item")
    assert graph.run_sync({"item": [1, 2, 3]}).outputs == {"accumulator": 12}


def test_c11_5_no_items_give_the_initial_value() -> None:
    assert reduced(graph_of(add), {"item": []}, initial_value=7) == {"accumulator": 7}
    assert reduced(graph_of(AddToSum), {"currentItem": []}, initial_value={"sum": 5}) == {"sum": 5}
    assert reduced(graph_of(AddToSum), {"currentItem": []}) == {}


def test_c11_5_an_initial_value_that_is_no_object_needs_a_port() -> None:
    with pytest.raises(TaskConfigurationError, match="initial_value is 3"):
        ReduceTask(graph_of(AddToSum), initial_value=3, max_iterations=5)


def test_c11_6_the_body_is_told_which_turn_it_is() -> None:
    task = ReduceTask(graph_of(told), id="reduce", initial_value=[], max_iterations=5)
    assert list(task.inputs) == ["item"]
    assert graph_of(task).run_sync({"item": ["a", "b"]}).outputs == {"accumulator": ["a 0/2", "b 1/2"]}
    assert reduced(graph_of(told_as_elsewhere), {"item": ["a", "b"]}, initial_value=[]) == {"accumulator": [0, 2, 1, 2]}


def test_c11_7_a_turn_that_gives_nothing_changes_nothing() -> None:
    odd = ConditionalTask(id="odd", branches=[{"id": "yes", "condition": lambda i: i["item"] % 2 == 1}])
    body = graph_of(odd, add)
    body.add_dataflow("odd", "yes", "c11_add", "*")
    assert reduced(body, {"item": [1, 2, 3, 4]}, initial_value=0) == {"accumulator": 4}
    assert reduced(body, {"item": [2, 4]}, initial_value=9) == {"accumulator": 9}


class StreamedSum(Uncached):
    class Input(BaseModel):
        accumulator: str
        item: str

    class Output(BaseModel):
        accumulator: str

    async def execute_stream(self, inputs: Input) -> AsyncIterator[str]:
        yield inputs.accumulator
        yield inputs.item


def test_c11_8_a_streaming_body_counts_like_any_other() -> None:
    assert reduced(graph_of(StreamedSum), {"item": ["a", "b", "c"]}, initial_value="") == {"accumulator": "abc"}


def test_c11_9_a_failure_ends_it_at_its_turn() -> None:
    @task(name="c11_fragile", output="accumulator", cache=False)
    def fragile(accumulator: int, item: int) -> int:
        return accumulator + 10 // item

    graph = graph_of(ReduceTask(graph_of(fragile), id="reduce", initial_value=0, max_iterations=9))
    run = outcome(graph, {"item": [1, 0, 5]})
    assert {path: found.status for path, found in run.tasks.items()} == {
        "reduce[0]/c11_fragile": "completed",
        "reduce[1]/c11_fragile": "failed",
        "reduce": "failed",
    }


def test_c11_10_what_surrounds_a_run_reaches_every_turn() -> None:
    @task(name="c11_where", output="accumulator", cache=False)
    def where(accumulator: list[str], item: int, context: TaskContext) -> list[str]:
        return [*accumulator, context.path]

    assert reduced(graph_of(where), {"item": [1, 2]}, initial_value=[]) == {
        "accumulator": ["reduce[0]/c11_where", "reduce[1]/c11_where"]
    }


def test_c11_11_what_the_body_does_to_the_initial_value_is_its_own() -> None:
    @task(name="c11_append", output="accumulator", cache=False)
    def append(accumulator: list[int], item: int) -> list[int]:
        accumulator.append(item)
        return accumulator

    task_ = ReduceTask(graph_of(append), id="reduce", initial_value=[], max_iterations=5)
    for _ in range(2):
        assert graph_of(task_).run_sync({"item": [1, 2]}).outputs == {"accumulator": [1, 2]}


def test_c11_12_a_chain_in_the_body() -> None:
    body = graph_of(add, DoubleToResult(id="double"))
    body.add_dataflow("c11_add", "accumulator", "double", "value")
    body.name_output("accumulator", "double", "result")
    assert reduced(body, {"item": [1, 2]}, initial_value=0) == {"accumulator": 8}
