"""C17: graphs as JSON and back, and what is refused on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fixture_runs import graph_of
from fixture_tasks import Dbl, DoubleToResult, GraphUpper, ProcessItem, SimpleProcessing

from workglow.errors import GraphFormatError, TaskSerializationError, UnknownGraphError, UnknownTaskTypeError
from workglow.graph.boundary import InputTask, OutputTask
from workglow.graph.building.workflow import Workflow
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.map import ForEachTask, MapTask
from workglow.graph.graph import TaskGraph
from workglow.graph.json.dependency_codec import graph_from_dependency_json, graph_to_dependency_json
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.named import TaskGraphRepository
from workglow.library import LambdaTask
from workglow.storage.memory import MemoryGraphs
from workglow.tasks import TaskRegistry

REGISTRY = TaskRegistry(
    [
        Dbl,
        DoubleToResult,
        GraphUpper,
        ProcessItem,
        SimpleProcessing,
        InputTask,
        OutputTask,
        GraphAsTask,
        MapTask,
        ForEachTask,
        ConditionalTask,
        LambdaTask,
    ]
)


def reload(graph: TaskGraph, **options: Any) -> TaskGraph:
    text = json.dumps(graph.to_json(), allow_nan=False)
    return TaskGraph.from_json(text, REGISTRY, **options)


def item(task: Any) -> dict[str, Any]:
    return graph_of(task).to_json()["tasks"][0]


def chain() -> TaskGraph:
    graph = graph_of(DoubleToResult(id="a", defaults={"value": 3}), DoubleToResult(id="b"))
    graph.add_dataflow("a", "result", "b", "value")
    return graph


def nested() -> TaskGraph:
    return graph_of(GraphAsTask(chain(), id="group"))


def test_c17_1_a_task() -> None:
    extras = {"x": [1]}
    task = SimpleProcessing(id="t", title="T", defaults={"value": "v"}, extras=extras)
    assert item(task) == {
        "id": "t",
        "type": "SimpleProcessingTask",
        "defaults": {"value": "v"},
        "config": {"title": "T", "extras": {"x": [1]}},
    }
    assert "config" not in item(SimpleProcessing(id="t"))
    extras["x"].append(2)  # A: a definition cannot be changed, so nothing can leak from a run; this is what is left
    assert item(task)["config"]["extras"] == {"x": [1]}


def test_c17_2_an_edge() -> None:
    graph = graph_of(*(DoubleToResult(id=id) for id in "abc"))
    graph.add_dataflow("a", "result", "b", "value")
    graph.add_dataflow("b", "result", "c", "value", [{"id": "coalesce", "params": {"defaultValue": 1}}])
    data = graph.to_json()
    plain = {"sourceTaskId": "a", "sourceTaskPortId": "result", "targetTaskId": "b", "targetTaskPortId": "value"}
    assert len(data["tasks"]) == 3
    assert data["dataflows"] == [
        plain,
        {
            **plain,
            "sourceTaskId": "b",
            "targetTaskId": "c",
            "transforms": [{"id": "coalesce", "params": {"defaultValue": 1}}],
        },
    ]


def test_c17_3_a_task_is_restored() -> None:
    task = reload(graph_of(SimpleProcessing(id="t", title="T", defaults={"value": "v"}, extras={"x": 1}))).tasks["t"]
    assert (task.id, task.type, task.title) == ("t", "SimpleProcessingTask", "T")
    assert (dict(task.defaults), dict(task.extras)) == ({"value": "v"}, {"x": 1})


@pytest.mark.parametrize(
    ("task", "error", "text"),
    [
        ({"type": "DblTask"}, GraphFormatError, "Task id required"),
        ({"id": "t"}, GraphFormatError, "Task type required"),
        ({"id": "t", "type": "NonExistentTask"}, UnknownTaskTypeError, "Task type NonExistentTask not found"),
    ],
)
def test_c17_3_what_is_no_task_is_refused(task: dict[str, str], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        TaskGraph.from_json({"tasks": [task], "dataflows": []}, REGISTRY)


def test_c17_3_an_empty_registry_knows_nothing() -> None:
    with pytest.raises(UnknownTaskTypeError):
        TaskGraph.from_json(graph_of(Dbl(id="t")).to_json(), TaskRegistry())


def transformed() -> TaskGraph:
    graph = graph_of(SimpleProcessing(id="a", defaults={"value": "hello"}), GraphUpper(id="b"))
    graph.add_dataflow("a", "result", "b", "text", [{"id": "substring", "params": {"start": 11}}, {"id": "uppercase"}])
    return graph


@pytest.mark.parametrize(
    "graph",
    [
        chain(),
        graph_of(SimpleProcessing(id="t", defaults={"value": "v"}, extras={"x": {"y": [1, None]}})),
        nested(),
        transformed(),
        graph_of(MapTask(chain(), id="map", max_iterations=5), ForEachTask(chain(), id="each", max_iterations=7)),
    ],
    ids=["edge", "extras", "nested", "transforms", "loops"],
)
def test_c17_4_back_and_forth(graph: TaskGraph) -> None:
    again = reload(graph)
    assert again.to_json() == graph.to_json()
    assert again.content_hash() == graph.content_hash()


def test_c17_4_a_reloaded_graph_runs() -> None:
    assert run_in_memory_sync(reload(nested())).outputs == {"result": 12}
    assert run_in_memory_sync(reload(transformed())).outputs == {"text": "HELLO"}


@pytest.mark.parametrize("allowed", [{"SimpleProcessingTask"}, ["SimpleProcessingTask", "GraphAsTask"]])
def test_c17_5_only_allowed_types_are_made(allowed: Any) -> None:
    message = '"DoubleToResultTask" is not in the allowed types list'
    with pytest.raises(GraphFormatError, match=message):
        reload(chain(), allowed_types=allowed)
    with pytest.raises(GraphFormatError, match=message if "GraphAsTask" in allowed else '"GraphAsTask" is not in'):
        reload(nested(), allowed_types=allowed)
    assert len(reload(nested(), allowed_types=["GraphAsTask", "DoubleToResultTask"]).tasks) == 1


@pytest.mark.parametrize(
    "task",
    [
        LambdaTask(id="t", execute=lambda inputs: inputs),
        ConditionalTask(id="t", branches=[{"id": "a", "condition": lambda inputs: True}]),
    ],
    ids=["lambda", "conditional"],
)
def test_c17_6_functions_cannot_be_written(task: Any) -> None:
    with pytest.raises(TaskSerializationError, match=task.type):
        graph_of(task).to_json()


@pytest.mark.parametrize(
    "config",
    [
        {
            "conditionConfig": {
                "branches": [{"id": "a", "field": "x", "operator": "equals", "value": "1"}],
                "exclusive": False,
                "defaultBranch": "a",
            }
        },
        {"branches": [{"id": "a", "condition": {"field": "x", "operator": "is_true"}, "outputPort": "p"}]},
    ],
    ids=["editor", "branches"],
)
def test_c17_6_conditions_as_data_can(config: dict[str, Any]) -> None:
    graph = graph_of(ConditionalTask(id="t", **config))
    assert item(ConditionalTask(id="t", **config))["config"] == config
    assert reload(graph).to_json() == graph.to_json()


def boundary(graph: TaskGraph) -> dict[str, Any]:
    return graph.to_json(with_boundary_nodes=True)


def edges(data: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    keys = ("sourceTaskId", "sourceTaskPortId", "targetTaskId", "targetTaskPortId")
    return {tuple(flow[key] for key in keys) for flow in data["dataflows"]}  # type: ignore[misc]


def test_c17_7_the_boundary_of_a_line() -> None:
    graph = graph_of(DoubleToResult(id="a"), DoubleToResult(id="b"))
    graph.add_dataflow("a", "result", "b", "value")
    data = boundary(graph)
    assert [task["type"] for task in data["tasks"]] == [
        "InputTask",
        "DoubleToResultTask",
        "DoubleToResultTask",
        "OutputTask",
    ]
    first, last = data["tasks"][0], data["tasks"][-1]
    assert edges(data) == {
        (first["id"], "value", "a", "value"),
        ("a", "result", "b", "value"),
        ("b", "result", last["id"], "result"),
    }
    assert list(first["config"]["outputSchema"]["properties"]) == ["value"]
    assert list(last["config"]["outputSchema"]["properties"]) == ["result"]
    assert "x-source-task-id" not in json.dumps(data)


def test_c17_7_the_boundary_feeds_every_root() -> None:
    data = boundary(graph_of(DoubleToResult(id="a"), DoubleToResult(id="b")))
    first = data["tasks"][0]["id"]
    assert {(first, "value", "a", "value"), (first, "value", "b", "value")} <= edges(data)


def test_c17_7_graphs_inside_have_boundaries_of_their_own() -> None:
    data = boundary(nested())
    inside = next(task for task in data["tasks"] if task["type"] == "GraphAsTask")["subgraph"]
    assert len(inside["tasks"]) == 4


def test_c17_7_a_workflow() -> None:
    workflow = Workflow().then(DoubleToResult)
    assert len(workflow.to_json()["tasks"]) == 3
    assert len(workflow.to_json(with_boundary_nodes=False)["tasks"]) == 1


def test_c17_7_the_list_of_dependencies() -> None:
    graph = graph_of(DoubleToResult(id="a"), DoubleToResult(id="b"))
    graph.add_dataflow("a", "result", "b", "value")
    items = graph_to_dependency_json(graph, with_boundary_nodes=True)
    assert (items[0]["type"], items[-1]["type"]) == ("InputTask", "OutputTask")
    assert items[1]["dependencies"]["value"] == {"id": items[0]["id"], "output": "value"}
    assert items[-1]["dependencies"]["result"] == {"id": "b", "output": "result"}


def test_c17_8_graphs_by_name() -> None:
    # A: a missing name is an error of its own, and `in` asks without one
    store = MemoryGraphs()
    graphs = TaskGraphRepository(store, registry=REGISTRY)
    graphs.save("nested", nested())
    graphs.save("chain", chain())
    assert graphs.get("nested").to_json() == nested().to_json()
    with pytest.raises(UnknownTaskTypeError):
        TaskGraphRepository(store, registry=TaskRegistry()).get("chain")
    assert "missing" not in graphs
    with pytest.raises(UnknownGraphError):
        graphs.get("missing")


def test_c17_9_both_ends_of_a_drawn_graph_give_their_outputs() -> None:
    graph = graph_of(DoubleToResult(id="a"), DoubleToResult(id="b", defaults={"value": 5}))
    again = TaskGraph.from_json(boundary(graph), REGISTRY)
    assert run_in_memory_sync(graph, {"value": 1}).outputs == run_in_memory_sync(again, {"value": 1}).outputs


def test_c17_9_the_list_of_dependencies_keeps_edges_and_transforms() -> None:
    graph = transformed()
    again = graph_from_dependency_json(graph_to_dependency_json(graph), REGISTRY)
    assert again.to_json() == graph.to_json()


def test_c17_9_the_merge_is_kept() -> None:
    inner = TaskGraph(merge="GRAPH_RESULT_ARRAY")
    inner.add_task(DoubleToResult(id="a"))
    graph = reload(graph_of(GraphAsTask(inner, id="group")))
    assert run_in_memory_sync(graph, {"value": 1}).outputs == {
        "results": [{"id": "a", "type": "DoubleToResultTask", "data": {"result": 2}}]
    }
