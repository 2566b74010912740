"""C12: a graph run again for as long as a condition on its outputs holds.  A: the first turn is unconditional."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from fixture_runs import graph_of, outcome
from fixture_tasks import DoubleToResult, ProcessItem, Refine, Uncached
from pydantic import BaseModel

from workglow import TaskContext, TaskGraph
from workglow.errors import MaxIterationsError, TaskConfigurationError, TaskFailedError, TaskInputError
from workglow.graph.control.map import MapTask
from workglow.graph.control.while_task import WhileTask
from workglow.graph.events import Event
from workglow.tasks import task


class Stepped(TypedDict):
    value: int
    left: int


def refining(field: str, operator: str, value: object = None, **options: Any) -> WhileTask:
    chosen: dict[str, Any] = {"max_iterations": 20, **options}
    if value is not None:
        chosen["condition_value"] = value
    return WhileTask(
        graph_of(Refine(id="refine")), id="while", condition_field=field, condition_operator=operator, **chosen
    )


def outputs_of(task: WhileTask, inputs: dict[str, object]) -> dict[str, object]:
    outputs = dict(graph_of(task).run_sync(inputs).outputs)
    task.outputs.check(outputs)
    return outputs


@pytest.mark.parametrize(
    ("task", "quality", "value"),
    [
        (refining("quality", "less_than", "0.9"), 1, 5),
        (refining("quality", "not_equals", "1"), 1, 5),
        (refining("quality", "equals", "0.2"), 0.4, 2),
        (refining("quality", "less_than", "999", max_iterations=3), 0.6, 3),
        (refining("quality", "less_than", "999", max_iterations=3, chain_iterations=False), 0.2, 1),
        (refining("", "is_not_empty", max_iterations=3), 0.6, 3),
        (refining("quality", "less_than", 0), 0.2, 1),  # never holds, and the body ran all the same
    ],
)
def test_c12_1_conditions_as_data(task: WhileTask, quality: float, value: float) -> None:
    assert outputs_of(task, {"value": 0}) == {"quality": pytest.approx(quality), "value": value}


def test_c12_1_conditions_as_functions() -> None:
    seen: list[int] = []

    def goes_on(outputs: dict[str, Any], iteration: int) -> bool:
        seen.append(iteration)
        return outputs["quality"] < 0.5 and iteration < 10

    body = graph_of(Refine)
    found = outputs_of(WhileTask(body, condition=goes_on, max_iterations=20), {"value": 0})
    assert found["quality"] == pytest.approx(0.6)
    assert seen == [0, 1, 2]
    found = outputs_of(WhileTask(body, condition=lambda outputs: outputs["value"] < 4, max_iterations=20), {"value": 0})
    assert found["value"] == 4


def mapped(*body: Any) -> MapTask:
    graph = graph_of(*body)
    return MapTask(graph, id="map", max_iterations="unbounded")


def test_c12_2_a_while_in_a_map() -> None:
    graph = graph_of(mapped(refining("quality", "less_than", "0.9")))
    assert graph.run_sync({"value": [0, 1, 2]}).outputs == {"quality": [1, 1, 1], "value": [5, 6, 7]}
    graph = graph_of(mapped(WhileTask(graph_of(Refine), condition=lambda _: True, max_iterations=2)))
    assert graph.run_sync({"value": [0, 0]}).outputs == {"quality": [0.4, 0.4], "value": [2, 2]}


def test_c12_2_a_map_in_a_while() -> None:
    body = graph_of(mapped(ProcessItem))
    task = WhileTask(body, condition=lambda _, turn: turn < 2, chain_iterations=False, max_iterations=9)
    run = graph_of(task).run_sync({"item": [1, 2, 3]})
    assert run.outputs == {"processed": [2, 4, 6]}


def test_c12_2_a_while_and_what_follows_it_in_a_map() -> None:
    task = mapped(refining("quality", "less_than", "0.9"), DoubleToResult(id="double"))
    task.subgraph.add_dataflow("while", "value", "double", "value")
    assert graph_of(task).run_sync({"value": [0]}).outputs == {"result": [10]}


def test_c12_3_progress_grows_and_is_full_only_at_the_end() -> None:
    # A: the progress of what is inside has its own path, so the loop's own counts whole turns
    told: list[float] = []

    def listener(event: Event) -> None:
        if (event.kind, event.path) == ("task_progress", "while"):
            told.append(event.data[0])  # type: ignore[index]

    task = refining("quality", "less_than", 0.75, max_iterations=4)
    graph_of(task).run_sync({"value": 0}, on_event=listener)
    assert told == [0.25, 0.5, 0.75, 0.99]


def test_c12_4_what_is_missing_is_said_at_once() -> None:
    with pytest.raises(TaskConfigurationError, match="No condition function provided"):
        WhileTask(graph_of(Refine), max_iterations=3)
    with pytest.raises(TaskConfigurationError, match="maxIterations is required"):
        WhileTask(graph_of(Refine), condition=bool)
    with pytest.raises(TaskConfigurationError, match="not both"):
        refining("quality", "is_true", condition=bool)
    with pytest.raises(
        TaskConfigurationError, match=r"looks at 'goodness\.x', but its graph gives only quality, value"
    ):
        refining("goodness.x", "is_true")

    async def later(outputs: object) -> bool:
        return bool(outputs)

    with pytest.raises(TaskConfigurationError, match="condition is async"):
        WhileTask(graph_of(Refine), condition=later, max_iterations=3)


def test_c12_4_a_condition_that_raises_ends_the_task() -> None:
    def raises(_: object) -> bool:
        raise ValueError("c")

    graph = graph_of(WhileTask(graph_of(Refine(id="refine")), id="w", condition=raises, max_iterations=3))
    with pytest.raises(TaskFailedError, match="Condition function threw at iteration 0: c"):
        graph.run_sync({"value": 0})
    assert outcome(graph, {"value": 0}).tasks["w"].status == "failed"


def test_c12_5_the_limit_can_be_an_error() -> None:
    with pytest.raises(MaxIterationsError, match="has run 3 times"):
        outputs_of(refining("quality", "less_than", 9, max_iterations=3, on_limit="error"), {"value": 0})
    task = refining("quality", "less_than", 0.5, max_iterations=3, on_limit="error")
    assert outputs_of(task, {"value": 0})["value"] == 3


def test_c12_6_what_the_body_does_not_take_is_not_handed_on() -> None:
    @task(name="c12_step", cache=False)
    def step(value: int, by: int) -> Stepped:
        return {"value": value + by, "left": 10 - value}

    graph = graph_of(WhileTask(graph_of(step), condition_field="value", condition_operator="less_than",
                               condition_value=9, max_iterations=50))  # fmt: skip
    assert graph.run_sync({"value": 1, "by": 3}).outputs == {"value": 10, "left": 3}


def test_c12_7_each_turn_takes_the_next_item() -> None:
    @task(name="c12_take", output="total", cache=False)
    def take(item: int, total: int = 0) -> int:
        return total + item

    task_ = WhileTask(
        graph_of(take),
        id="w",
        condition_field="total",
        condition_operator="less_than",
        condition_value=5,
        max_iterations=9,
        iterate=("item",),
    )
    assert task_.input_schema()["properties"]["item"]["type"] == "array"
    assert graph_of(task_).run_sync({"item": [1, 3, 4, 100]}).outputs == {"total": 8}
    with pytest.raises(TaskInputError, match="'item' has 2 items, and turn 2 needs another"):
        graph_of(task_).run_sync({"item": [1, 1]})


def test_c12_8_the_body_is_told_which_turn_it_is_and_where() -> None:
    class Told(Uncached):
        class Input(BaseModel):
            iteration_index: int
            paths: list[str] = []

        class Output(BaseModel):
            paths: list[str]

        def execute(self, inputs: Input, context: TaskContext) -> dict[str, Any]:
            return {"paths": [*inputs.paths, f"{inputs.iteration_index} {context.path}"]}

    task_ = WhileTask(graph_of(Told(id="t")), id="w", condition=lambda _, turn: turn < 1, max_iterations=9)
    assert list(task_.inputs) == ["paths"]
    assert graph_of(task_).run_sync().outputs == {"paths": ["0 w[0]/t", "1 w[1]/t"]}


def test_c12_9_a_graph_with_names_of_its_own_is_chained_by_them() -> None:
    body = TaskGraph()
    body.add_task(DoubleToResult(id="double"))
    body.name_input("n", "double", "value")
    body.name_output("n", "double", "result")
    task_ = WhileTask(
        body,
        id="w",
        condition_field="n",
        condition_operator="less_than",
        condition_value=100,
        max_iterations="unbounded",
    )
    assert graph_of(task_).run_sync({"n": 3}).outputs == {"n": 192}
