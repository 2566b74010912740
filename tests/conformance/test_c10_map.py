"""C10: a graph for each item of a list.  A: the body is given when the task is made, so there is none without one."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from fixture_runs import graph_of, kinds, outcome
from fixture_tasks import DoubleToDoubled, DoubleToResult, Open, ProcessItem, Uncached
from pydantic import BaseModel, Field

from workglow import Retry
from workglow.errors import MaxIterationsError, TaskConfigurationError, TaskFailedError, TaskInputError
from workglow.graph.building.workflow import Workflow
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.map import ForEachTask, MapTask
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.tasks import TaskContext, TaskRegistry


def mapped(body: TaskGraph, **options: Any) -> TaskGraph:
    return graph_of(MapTask(body, id="map", **{"max_iterations": "unbounded", **options}))


def mapped_outputs(body: TaskGraph, inputs: dict[str, object], **options: Any) -> dict[str, object]:
    return dict(run_in_memory_sync(mapped(body, **options), inputs).outputs)


def test_c10_1_the_limit_has_to_be_given() -> None:
    with pytest.raises(TaskConfigurationError, match="maxIterations"):
        MapTask(graph_of(ProcessItem))
    with pytest.raises(TaskConfigurationError, match="give retry to the tasks inside it"):
        mapped(graph_of(ProcessItem), retry=Retry())
    unbounded = Workflow().map(ProcessItem).graph.tasks["map"]
    assert unbounded.config["max_iterations"] == "unbounded"
    assert Workflow().map(ProcessItem, max_iterations=5).graph.tasks["map"].config["max_iterations"] == 5


def test_c10_2_each_item_goes_through_the_body() -> None:
    workflow = Workflow().map().then(ProcessItem).end_map()
    assert workflow.run_sync({"item": [1, 2, 3]}).outputs == {"processed": [2, 4, 6]}
    assert mapped_outputs(graph_of(ProcessItem), {"item": [4, 5, 6]}) == {"processed": [8, 10, 12]}


class DelayedEcho(Uncached):
    """Later items are ready first."""

    class Input(BaseModel):
        item: float

    class Output(BaseModel):
        item: float

    async def execute(self, inputs: Input) -> dict[str, Any]:
        await asyncio.sleep((4 - inputs.item) * 0.005)
        return {"item": inputs.item}


def test_c10_3_order() -> None:
    body, items = graph_of(DelayedEcho), {"item": [1, 2, 3]}
    assert mapped_outputs(body, items, concurrency=3) == {"item": [1, 2, 3]}
    unordered = mapped_outputs(body, items, concurrency=3, preserve_order=False)
    assert sorted(unordered["item"]) == [1, 2, 3]  # type: ignore[call-overload]
    assert unordered != {"item": [1, 2, 3]}


def test_c10_4_batches() -> None:
    outputs = mapped_outputs(graph_of(ProcessItem), {"item": [1, 2, 3, 4, 5]}, concurrencyLimit=2, batchSize=2)
    assert outputs == {"processed": [2, 4, 6, 8, 10]}


def test_c10_5_no_items() -> None:
    assert mapped_outputs(graph_of(ProcessItem), {"item": []}) == {"processed": []}
    with pytest.raises(TaskConfigurationError, match="no tasks"):
        MapTask(TaskGraph(), max_iterations=5)


class Ports(Uncached):
    class Input(BaseModel):
        # A: the ports are those of the body, so a port of the map that is a list is any port of the body that is none
        forceArray: float | list[float] = Field(default=0, json_schema_extra={"x-ui-iteration": True})
        forceScalar: list[float] = Field(default=[], json_schema_extra={"x-ui-iteration": False})
        inferredArray: float = 0
        runtimeFlexible: float | list[float] = 0

    def execute(self, inputs: Any) -> dict[str, Any]:
        return {}


def test_c10_6_which_inputs_are_iterated() -> None:
    task = MapTask(graph_of(Ports), max_iterations="unbounded")
    plan = task.analyze(
        {"forceArray": [1, 2], "forceScalar": [100, 200], "inferredArray": [3, 4], "runtimeFlexible": [5, 6]}
    )
    assert sorted(plan.iterated) == ["forceArray", "inferredArray", "runtimeFlexible"]
    assert list(plan.whole) == ["forceScalar"]
    assert plan.item(0) == {"forceArray": 1, "inferredArray": 3, "runtimeFlexible": 5, "forceScalar": [100, 200]}
    with pytest.raises(TaskInputError, match="'forceArray' is configured for iteration"):
        task.analyze({"forceArray": 1})


class Times(Uncached):
    class Input(BaseModel):
        n: float
        k: float

    class Output(BaseModel):
        y: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"y": inputs.n * inputs.k}


def test_c10_7_what_is_no_list_goes_to_every_item() -> None:
    body = graph_of(Times)
    assert mapped_outputs(body, {"n": [1, 2, 3], "k": 10}) == {"y": [10, 20, 30]}
    with pytest.raises(TaskInputError, match=r"same length .*n=2, k=3"):
        mapped_outputs(body, {"n": [1, 2], "k": [1, 2, 3]})
    with pytest.raises(TaskInputError, match="At least one array input is required"):
        mapped_outputs(body, {"n": 1, "k": 2})


def test_c10_8_the_body_connects_itself() -> None:
    workflow = Workflow().map().then(ProcessItem).rename("processed", "value").then(DoubleToResult).end_map()
    assert workflow.run_sync({"item": [1, 2]}).outputs == {"result": [4, 8]}


class Early(Uncached):
    """Says at once that it is done."""

    inline = False
    Input = DelayedEcho.Input
    Output = DelayedEcho.Output

    async def execute(self, inputs: DelayedEcho.Input, context: TaskContext) -> dict[str, Any]:
        context.progress(1)
        return {"item": inputs.item}


class Late(Uncached):
    done: ClassVar[list[float]] = []
    Input = DelayedEcho.Input
    Output = DelayedEcho.Output

    async def execute(self, inputs: DelayedEcho.Input) -> dict[str, Any]:
        await asyncio.sleep(0.005 * inputs.item)
        self.done.append(inputs.item)
        return {"item": inputs.item}


def test_c10_9_progress_counts_what_is_finished() -> None:
    body = graph_of(Early(id="early"), Late(id="late"))
    body.add_dataflow("early", "item", "late", "item")
    Late.done.clear()
    told: list[tuple[float, str, int]] = []

    def listener(event: Event) -> None:
        if (event.kind, event.path) == ("task_progress", "map"):
            told.append((*event.data, len(Late.done)))  # type: ignore[misc]

    run_in_memory_sync(mapped(body), {"item": [1, 2, 3, 4]}, on_event=listener)
    assert [message for _, message, _ in told] == [f"Map {number}/4" for number in range(1, 5)]
    assert [fraction for fraction, _, _ in told] == [0.25, 0.5, 0.75, 1.0]
    assert all(fraction * 4 <= done for fraction, _, done in told)


def test_c10_10_for_each_keeps_no_results_unless_asked() -> None:
    def outputs(**options: Any) -> dict[str, object]:
        task = ForEachTask(graph_of(ProcessItem), max_iterations="unbounded", **options)
        return dict(run_in_memory_sync(graph_of(task), {"item": [1, 2]}).outputs)

    assert outputs() == {}
    assert outputs(discardResults=False) == {"processed": [2, 4]}


def test_c10_11_more_items_than_allowed() -> None:
    with pytest.raises(MaxIterationsError, match="3 items, but max_iterations is 2"):
        mapped_outputs(graph_of(ProcessItem), {"item": [1, 2, 3]}, max_iterations=2)


class Third(Uncached):
    """Fails at item 3; the others never end by themselves."""

    Input = DelayedEcho.Input

    async def execute(self, inputs: DelayedEcho.Input) -> dict[str, Any]:
        if inputs.item == 3:
            raise TaskFailedError("item 3 failed")
        await asyncio.Event().wait()
        return {}


def test_c10_11_an_item_that_fails_cancels_the_others() -> None:
    graph = mapped(graph_of(Third(id="t")))
    events: list[Event] = []
    run = outcome(graph, {"item": [1, 2, 3, 4]}, on_event=events.append)
    assert run.tasks["map"].error == "TaskFailedError: item 3 failed"
    assert [run.tasks[f"map[{index}]/t"].status for index in range(4)] == ["aborted", "aborted", "failed", "aborted"]
    assert kinds(events, "map[0]/t") == ["started", "aborted"]


def test_c10_11_transforms_inside_the_body_apply() -> None:
    body = graph_of(ProcessItem(id="p"), Upper(id="u"))
    body.add_dataflow("p", "processed", "u", "text", ["numberToString"])
    assert mapped_outputs(body, {"item": [1, 2]}) == {"text": ["2", "4"]}


class Upper(Uncached):
    class Input(BaseModel):
        text: str

    class Output(BaseModel):
        text: str

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"text": inputs.text.upper()}


def test_c10_11_a_disabled_leaf_keeps_the_others_in_their_places() -> None:
    odd = ConditionalTask(id="odd", branches=[{"id": "yes", "condition": lambda i: i["n"] % 2 == 1}])

    class TenTimes(Uncached):
        Input = Open

        class Output(BaseModel):
            y: float

        def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {"y": inputs["n"] * 10}

    body = graph_of(odd, TenTimes(id="ten"))
    body.add_dataflow("odd", "yes", "ten", "*")
    assert mapped_outputs(body, {"n": [1, 2, 3]}) == {"y": [10, None, 30]}


def test_c10_a_map_inside_a_map() -> None:
    inner = graph_of(MapTask(graph_of(DoubleToDoubled), max_iterations="unbounded"))
    assert mapped_outputs(inner, {"value": [[1, 2], [3]]}) == {"doubled": [[2, 4], [6]]}


def test_c10_a_for_each_that_keeps_results_does_so_after_json() -> None:
    task = ForEachTask(graph_of(ProcessItem), id="each", max_iterations="unbounded", discard_results=False)
    data = graph_of(task).to_json()
    assert data["tasks"][0]["config"] == {"maxIterations": "unbounded", "discardResults": False}
    read = TaskGraph.from_json(data, TaskRegistry([ProcessItem]))
    assert read.run_sync({"item": [1]}).outputs == {"processed": [2]}


def test_c10_what_a_body_asks_about_its_turn() -> None:
    class Told(Uncached):
        class Input(BaseModel):
            item: float
            iteration_index: int
            iteration_count: int

        class Output(BaseModel):
            told: str

        def execute(self, inputs: Input) -> dict[str, Any]:
            return {"told": f"{inputs.item:g}: {inputs.iteration_index} of {inputs.iteration_count}"}

    task = MapTask(graph_of(Told), id="map", max_iterations="unbounded")
    assert list(task.inputs) == ["item"]
    assert graph_of(task).run_sync({"item": [7, 8]}).outputs == {"told": ["7: 0 of 2", "8: 1 of 2"]}


def test_c10_flattened_lists_have_the_schema_of_their_items() -> None:
    class Twice(Uncached):
        Input = DelayedEcho.Input

        class Output(BaseModel):
            items: list[float]

        def execute(self, inputs: DelayedEcho.Input) -> dict[str, Any]:
            return {"items": [inputs.item] * 2}

    task = MapTask(graph_of(Twice), id="map", max_iterations="unbounded", flatten=True)
    assert task.output_schema()["properties"]["items"] == {"type": "array", "items": {"type": "number"}}
    assert graph_of(task).run_sync({"item": [1, 2]}).outputs == {"items": [1, 1, 2, 2]}


def test_c10_modes_of_inputs_as_other_systems_write_them() -> None:
    modes = {"n": {"mode": "array"}, "k": {"mode": "scalar"}}
    task = MapTask(graph_of(Times), max_iterations=9, iterationInputConfig=modes)
    assert task.input_schema()["properties"]["n"]["type"] == "array"
    with pytest.raises(TaskInputError, match="'n' is configured for iteration"):
        task.analyze({"n": 1, "k": [1]})
    assert list(task.analyze({"n": [1], "k": [1]}).whole) == ["k"]
