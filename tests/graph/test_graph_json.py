"""Graphs as JSON: written, read back, and refused when it is not a graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy
import pytest
from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import (
    CycleError,
    GraphFormatError,
    IncompatiblePortsError,
    TaskSerializationError,
    UnknownTaskTypeError,
)
from workglow.graph.building.workflow import Workflow
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.map import MapTask
from workglow.graph.graph import TaskGraph
from workglow.graph.json.codec import task_to_json
from workglow.graph.json.dependency_codec import graph_from_dependency_json
from workglow.graph.json.loading import task_from_json
from workglow.graph.launch import run_in_memory_sync
from workglow.retry import Retry
from workglow.tasks import Collect, Ports, Task, TaskRegistry
from workglow.tasks.function import task_function
from workglow.values import Secret


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, **options)


class DoubleToResultTask(Task):
    inputs = Ports.from_schema({"properties": {"value": {"type": "number"}}, "additionalProperties": False})
    outputs = Ports.from_schema({"properties": {"result": {"type": "number"}}, "additionalProperties": False})
    title = "Double"
    inline = True

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"result": inputs["value"] * 2}


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    chunk_size: int = Field(default=10, alias="chunkSize")
    callback: Callable[..., Any] | None = None
    anything: Any = None
    sizes: tuple[int, ...] = ()
    contentSchema: dict[str, Any] | None = None


class ConfiguredTask(Task):
    Config = Settings
    inputs = Ports(open=True)
    outputs = Ports(open=True)


class NetTask(Task):
    entitlements = ("network:http",)
    inputs = Ports(open=True)
    outputs = Ports(open=True)


class LimitedTask(NetTask):
    timeout = 5.0
    queue = "slow"


@task(output="text", inline=True)
def shout(text: str) -> str:
    return text.upper()


@task(output="total", inline=True)
def gather(values: Collect[float]) -> float:
    return sum(values)


REGISTRY = TaskRegistry([DoubleToResultTask, ConfiguredTask, NetTask, LimitedTask, shout.task_type, gather.task_type])


def read(data: Any, **options: Any) -> TaskGraph:
    return TaskGraph.from_json(data, REGISTRY, **options)


def same(graph: TaskGraph) -> TaskGraph:
    """Write, read and write again; both texts are equal."""
    written = json.loads(json.dumps(graph.to_json(), allow_nan=False))
    again = read(written)
    assert again.to_json() == written == graph.to_json()
    assert again.content_hash() == graph.content_hash()
    return again


def item(**fields: Any) -> dict[str, Any]:
    return {"id": "a", "type": "DoubleToResultTask", **fields}


def envelope(*tasks: Any, dataflows: Any = (), **more: Any) -> dict[str, Any]:
    return {"format": "workglow/1", "tasks": list(tasks), "dataflows": list(dataflows), **more}


def flow(
    source: str, target: str, source_port: str = "result", target_port: str = "value", **more: Any
) -> dict[str, Any]:
    return {
        "sourceTaskId": source,
        "sourceTaskPortId": source_port,
        "targetTaskId": target,
        "targetTaskPortId": target_port,
        **more,
    }


# ---------------------------------------------------------------------- the shape


def test_a_graph_has_the_envelope_that_graphs_are_exchanged_in():
    graph = TaskGraph()
    graph.add_task(DoubleToResultTask(id="a", title="First", cache=False, timeout=1.5, extras={"x": 1}), value=5)
    graph.add_task(DoubleToResultTask, id="b")
    graph.add_task(NetTask, id="n")
    graph.add_dataflow(
        "a", "result", "b", "value", [{"id": "pick", "params": {"path": "x"}}, "numberToString", "isoDateToUnix"]
    )
    assert graph.to_json() == {
        "format": "workglow/1",
        "tasks": [
            {
                "id": "a",
                "type": "DoubleToResultTask",
                "defaults": {"value": 5},
                "config": {"title": "First", "cacheable": False, "timeout": 1500, "extras": {"x": 1}},
            },
            {"id": "b", "type": "DoubleToResultTask", "defaults": {}},
            {
                "id": "n",
                "type": "NetTask",
                "defaults": {},
                "entitlements": {"entitlements": [{"id": "network:http"}]},
            },
        ],
        "dataflows": [
            {
                "sourceTaskId": "a",
                "sourceTaskPortId": "result",
                "targetTaskId": "b",
                "targetTaskPortId": "value",
                "transforms": [
                    {"id": "pick", "params": {"path": "x"}},
                    {"id": "numberToString"},
                    {"id": "isoDateToUnix"},
                ],
            }
        ],
    }


def test_a_title_that_is_the_types_own_is_left_out():
    graph = TaskGraph()
    graph.add_task(DoubleToResultTask(id="a", title="Double"))
    assert graph.to_json()["tasks"] == [{"id": "a", "type": "DoubleToResultTask", "defaults": {}}]


def test_settings_that_are_defaults_are_left_out_and_others_have_their_json_names():
    graph = TaskGraph()
    graph.add_task(ConfiguredTask, id="a", chunk_size=20, sizes=(1, 2))
    graph.add_task(ConfiguredTask, id="b", chunk_size=10)
    assert graph.to_json()["tasks"][0]["config"] == {"chunkSize": 20, "sizes": [1, 2]}
    assert "config" not in graph.to_json()["tasks"][1]
    assert same(graph).tasks["a"].config["sizes"] == (1, 2)


def test_the_hash_is_of_the_content():
    one, two = TaskGraph(), TaskGraph()
    for graph in (one, two):
        graph.add_task(DoubleToResultTask, id="a", value=1)
    assert one.content_hash() == two.content_hash()
    assert len(one.content_hash()) == 64
    two.add_task(DoubleToResultTask, id="b")
    assert one.content_hash() != two.content_hash()
    two.remove_task("b")
    assert one.content_hash() == two.content_hash()
    two.replace_task("a", DoubleToResultTask(defaults={"value": 2}))
    assert one.content_hash() != two.content_hash()


# ---------------------------------------------------------------------- there and back


def test_everything_about_a_task_comes_back():
    graph = TaskGraph()
    made = DoubleToResultTask(
        id="a",
        title="T",
        description="D",
        extras={"deep": {"x": [1, None]}},
        timeout=0.25,
        retry=Retry(5, 1.5, jitter=True),
        cache=False,
    )
    graph.add_task(made, value=2.5)
    back = same(graph).tasks["a"]
    assert (back.title, back.description, back.timeout, back.retry) == ("T", "D", 0.25, Retry(5, 1.5, jitter=True))
    assert back.extras == {"deep": {"x": [1, None]}}
    assert dict(back.defaults) == {"value": 2.5}
    assert back.cacheable is False


def test_names_of_inputs_and_outputs_and_the_order_of_edges_come_back():
    graph = TaskGraph()
    for task_id in "ba":
        graph.add_task(DoubleToResultTask, id=task_id)
    graph.add_task(gather, id="sum")
    graph.add_dataflow("a", "result", "sum", "values")
    graph.add_dataflow("b", "result", "sum", "values")
    graph.name_input("left", "a", "value")
    graph.name_input("left", "b", "value")
    graph.name_output("sum of all", "sum", "total")
    back = same(graph)
    assert list(back.tasks) == ["b", "a", "sum"]
    assert [edge.source for edge in back.incoming["sum"]] == ["a", "b"]
    assert back.inputs == {"left": [("a", "value"), ("b", "value")]}
    assert run_in_memory_sync(back, {"left": 3}).outputs == {"sum of all": 12}


def test_graphs_inside_graphs_come_back_with_their_ids_and_their_merge():
    inner = TaskGraph(merge="GRAPH_RESULT_ARRAY")
    inner.add_task(DoubleToResultTask, id="one")
    inner.add_task(DoubleToResultTask, id="two")
    graph = TaskGraph(merge="GRAPH_RESULT_ARRAY")
    graph.add_task(GraphAsTask(inner, id="group"), value=4)
    graph.add_task(MapTask(inner, id="map", concurrency=2, max_iterations=7))
    items = graph.to_json()["tasks"]
    assert items[0]["merge"] == "GRAPH_RESULT_ARRAY"
    assert items[1]["config"] == {"maxIterations": 7, "concurrencyLimit": 2}
    back = same(graph)
    assert list(back.tasks["group"].subgraph.tasks) == ["one", "two"]  # type: ignore[attr-defined]
    assert back.merge == "GRAPH_RESULT_ARRAY"


def test_transforms_come_back_and_work():
    graph = TaskGraph()
    graph.add_task(shout, id="a", text="x")
    graph.add_task(shout, id="b")
    graph.add_dataflow("a", "text", "b", "text", [{"id": "truncate", "params": {"max": 5}}])
    back = same(graph)
    assert back.incoming["b"][0].transforms == graph.incoming["b"][0].transforms
    assert run_in_memory_sync(back, {"text": "hello world"}).outputs == {"text": "HELLO"}


def test_a_condition_that_is_data_comes_back_and_code_is_refused():
    graph = TaskGraph()
    config = {"branches": [{"id": "a", "field": "x", "operator": "equals", "value": "1"}], "exclusive": True}
    graph.add_task(ConditionalTask(id="c", conditionConfig=config))
    assert graph.to_json()["tasks"][0]["config"]["conditionConfig"]["branches"] == config["branches"]
    same(graph)
    graph.add_task(ConditionalTask(id="d", branches=[{"id": "a", "condition": lambda inputs: True}]))
    with pytest.raises(TaskSerializationError, match='Task "ConditionalTask" cannot be serialized: config contains'):
        graph.to_json()


VALUES: list[Any] = [
    b"\x00\xff" * 5000,
    "x" * 10_000,
    datetime(2026, 1, 2, 3, tzinfo=UTC),
    (1, 2),
    {1, 2},
    float("inf"),
    2**80,
    {"$ref": "x"},
    {"deep": [{"$set": [1]}, "é"]},
    [[1.5, None, True], {}],
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_literals_and_settings_of_any_kind_come_back(value: Any):
    graph = TaskGraph()
    graph.add_task(ConfiguredTask(id="a", anything=value, extras={"e": value}, defaults={"x": value}))
    back = same(graph).tasks["a"]
    assert back.defaults["x"] == value
    assert type(back.defaults["x"]) is type(value)
    assert back.config["anything"] == value
    assert back.extras["e"] == value


def test_arrays_come_back_beside_the_literals_of_their_task():
    graph = TaskGraph()
    array = numpy.arange(1000, dtype="float32").reshape(10, 100)
    graph.add_task(ConfiguredTask(id="a", defaults={"x": array, "small": numpy.array([1, 2])}))
    written = task_to_json(graph.tasks["a"])
    assert list(written["values"]) == [written["defaults"]["x"]["$value"]]
    back = task_from_json(written, REGISTRY)
    numpy.testing.assert_array_equal(back.defaults["x"], array)
    numpy.testing.assert_array_equal(same(graph).tasks["a"].defaults["small"], [1, 2])


def test_a_json_schema_in_a_setting_is_no_tag():
    graph = TaskGraph()
    graph.add_task(ConfiguredTask(id="a", contentSchema={"$ref": "#/x"}))
    assert graph.to_json()["tasks"][0]["config"] == {"contentSchema": {"$ref": "#/x"}}
    assert same(graph).tasks["a"].config["contentSchema"] == {"$ref": "#/x"}


def test_json_of_the_other_system_has_no_tags_and_no_format():
    back = read({"tasks": [{"id": "a", "type": "ConfiguredTask", "defaults": {"x": {"$set": [1]}}}], "dataflows": []})
    assert back.tasks["a"].defaults["x"] == {"$set": [1]}


@pytest.mark.parametrize("value", [lambda: 1, Secret("key"), object()], ids=["function", "secret", "object"])
def test_code_objects_and_secrets_are_refused(value: Any):
    graph = TaskGraph()
    graph.add_task(ConfiguredTask(id="a", anything=value))
    with pytest.raises(TaskSerializationError, match='Task "ConfiguredTask" cannot be serialized: config contains'):
        graph.to_json()
    graph.replace_task("a", ConfiguredTask(defaults={"x": value}))
    with pytest.raises(TaskSerializationError, match=r"cannot be serialized.*task 'a'.*'x'"):
        graph.to_json()


def test_a_function_in_a_setting_is_refused():
    graph = TaskGraph()
    graph.add_task(ConfiguredTask(id="a", callback=len))
    with pytest.raises(TaskSerializationError, match="declarative config alternative"):
        graph.to_json()


def test_a_function_without_a_name_is_refused():
    graph = TaskGraph()
    graph.add_task(lambda value: value)
    with pytest.raises(TaskSerializationError, match="named function under @task"):
        graph.to_json()


def test_a_task_that_takes_the_limits_of_its_class_away_stays_without_them():
    graph = TaskGraph()
    graph.add_task(LimitedTask(id="plain"))
    graph.add_task(LimitedTask(id="unlimited", timeout=0, queue=""))
    back = same(graph)
    assert [(task.timeout, task.queue) for task in back.tasks.values()] == [(5.0, "slow"), (0, "")]


def test_exception_classes_of_a_retry_are_refused():
    graph = TaskGraph()
    graph.add_task(NetTask(id="a", retry=Retry(on=(ValueError,))))
    with pytest.raises(TaskSerializationError, match="exception classes"):
        graph.to_json()


# ---------------------------------------------------------------------- what is refused, and where


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "$: has to be an object"),
        (b"\xff\xfe\xfa", "is not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"tasks": [], "dataflows": [], "x": NaN}', "NaN is no number in JSON"),
        ({"tasks": []}, "$.dataflows: has to be a list"),
        ({"dataflows": []}, "$.tasks: has to be a list"),
        (envelope(format="workglow/2"), "$.format: is 'workglow/2', but this workglow reads 'workglow/1'"),
        (envelope(taks=[]), "$.taks: is not known here"),
        (envelope(merge="SUM"), "$.merge: Unknown compound merge strategy: 'SUM'"),
        (envelope("a"), "$.tasks[0]: has to be an object"),
        (envelope({"type": "X"}), "$.tasks[0]: Task id required"),
        (envelope({"id": "", "type": "X"}), "$.tasks[0]: Task id required"),
        (envelope({"id": 3, "type": "X"}), "$.tasks[0].id: has to be a text"),
        (envelope({"id": "a"}), "$.tasks[0]: Task type required"),
        (envelope({"id": "a", "type": ["X"]}), "$.tasks[0].type: has to be a text"),
        (envelope(item(defaults=[1])), "$.tasks[0].defaults: Task defaults must be an object"),
        (envelope(item(defaults={"value": float("nan")})), "$.tasks[0].defaults.value: is no plain JSON"),
        (envelope(item(defaults={"value": {1: 2}})), "$.tasks[0].defaults.value: is no plain JSON"),
        (envelope(item(defaults={"value": "x"})), "$.tasks[0]: Task 'a' (DoubleToResultTask): default 'value'"),
        (envelope(item(defaults={"other": 1})), "$.tasks[0]: Task 'a' (DoubleToResultTask): default 'other'"),
        (envelope(item(defaults={"value": {"$float": "x"}})), "$.tasks[0].defaults:"),
        (envelope(item(defaults={"value": {"$value": "00"}})), "$.tasks[0].defaults:"),
        (envelope(item(config=[])), "$.tasks[0].config: has to be an object"),
        (envelope(item(config={"titel": "x"})), "$.tasks[0].config.titel: is not known"),
        (envelope(item(config={"title": 3})), "$.tasks[0]: [DoubleToResultTask] Configuration Error: title"),
        (envelope(item(config={"cacheable": "yes"})), "$.tasks[0].config.cacheable: has to be true or false"),
        (envelope(item(config={"timeout": "1s"})), "$.tasks[0].config.timeout: has to be a number of milliseconds"),
        (envelope(item(config={"timeout": True})), "$.tasks[0].config.timeout"),
        (envelope(item(config={"retry": {"attempts": 0}})), "$.tasks[0].config.retry: Retry(attempts=0)"),
        (envelope(item(config={"retry": {"attempts": 1.5}})), "$.tasks[0].config.retry.attempts"),
        (envelope(item(config={"retry": {"jitter": 1}})), "$.tasks[0].config.retry.jitter: has to be true or false"),
        (envelope(item(config={"retry": {"on": []}})), "$.tasks[0].config.retry.on"),
        (envelope(item(subgraph={})), "$.tasks[0]: Subgraph is only supported for GraphAsTask"),
        (envelope(item(extra=1)), "$.tasks[0].extra: is not known here"),
        (envelope(item(id="a/b")), "$.tasks[0].id: 'a/b' cannot be a task's id"),
        (envelope(item(), item()), "$.tasks[1].id: is 'a', the id of an earlier task"),
        (
            envelope(item(type="ConfiguredTask", config={"chunkSize": "x"})),
            "$.tasks[0]: [ConfiguredTask] Configuration Error",
        ),
        (envelope(item(type="GraphAsTask")), "$.tasks[0].subgraph: has to be an object"),
        (
            envelope(item(type="GraphAsTask", subgraph={"tasks": [item(x=1)], "dataflows": []})),
            "$.tasks[0].subgraph.tasks[0].x",
        ),
        (
            envelope(item(type="GraphAsTask", subgraph={"tasks": [], "dataflows": []})),
            "$.tasks[0]: GraphAsTask: its graph",
        ),
        (envelope(dataflows=["x"]), "$.dataflows[0]: has to be an object"),
        (envelope(item(), dataflows=[{"sourceTaskId": "a"}]), "$.dataflows[0]: lacks 'sourceTaskPortId'"),
        (envelope(item(), dataflows=[flow("a", "a", x=1)]), "$.dataflows[0].x: is not known here"),
        (
            envelope(item(), dataflows=[flow("a", "b")]),
            "$.dataflows[0].targetTaskId: is 'b', which is none of the tasks",
        ),
        (envelope(item(), dataflows=[flow("a", 3)]), "$.dataflows[0].targetTaskId: has to be a text"),  # type: ignore[arg-type]
        (envelope(item(), item(id="b"), dataflows=[flow("a", "b", transforms="x")]), "$.dataflows[0].transforms"),
        (
            envelope(item(), item(id="b"), dataflows=[flow("a", "b", transforms=[{"i": 1}])]),
            "$.dataflows[0].transforms",
        ),
        (envelope(item(), inputs={"x": [{"taskId": "a"}]}), "$.inputs.x[0]: lacks 'portId'"),
        (envelope(item(), inputs={"x": [{"taskId": "a", "portId": "z"}]}), "$.inputs.x[0]: Task 'a'"),
        (envelope(item(), outputs={"x": {"taskId": "b", "portId": "z"}}), "$.outputs.x: The graph has no task 'b'"),
        (envelope(item(), outputs=[]), "$.outputs: has to be an object"),
    ],
)
def test_what_is_no_graph_is_refused_with_its_place(data: Any, words: str):
    with pytest.raises(GraphFormatError) as caught:
        read(data)
    assert words in str(caught.value)


def test_edges_that_no_graph_takes_are_refused_with_their_place():
    two = (item(), item(id="b"))
    with pytest.raises(CycleError, match=r"^\$\.dataflows\[1\]"):
        read(envelope(*two, dataflows=[flow("a", "b"), flow("b", "a")]))
    text = {"id": "t", "type": "shout"}
    with pytest.raises(IncompatiblePortsError, match=r"^\$\.dataflows\[1\]: t\[text\] ==> b\[value\] can never work"):
        read(envelope(*two, text, dataflows=[flow("b", "a"), flow("t", "b", "text")]))


def test_an_unknown_type_is_named():
    with pytest.raises(UnknownTaskTypeError, match=r"\$\.tasks\[0\]\.type: Task type NonExistentTask not found"):
        read(envelope({"id": "a", "type": "NonExistentTask"}))
    with pytest.raises(UnknownTaskTypeError, match="Task type DoubleToResultTask not found"):
        TaskGraph.from_json(envelope(item()), TaskRegistry())
    with pytest.raises(UnknownTaskTypeError) as caught:
        TaskGraph.from_json(envelope({"id": "a", "type": "TemplatTask"}))
    assert str(caught.value).count("TemplatTask") == 1
    assert "Did you mean TemplateTask" in str(caught.value)


def test_only_allowed_types_are_made():
    nested = envelope(item(id="g", type="GraphAsTask", subgraph={"tasks": [item()], "dataflows": []}))
    for allowed in ({"GraphAsTask"}, ["GraphAsTask", "NetTask"]):
        with pytest.raises(GraphFormatError, match='"DoubleToResultTask" is not in the allowed types list'):
            read(nested, allowed_types=allowed)
    assert list(read(nested, allowed_types=["GraphAsTask", "DoubleToResultTask"]).tasks) == ["g"]
    with pytest.raises(GraphFormatError, match=r"^\$\.tasks\[0\]\.type"):
        Workflow.from_json(envelope(item()), REGISTRY, allowed_types=())


def test_graphs_inside_graphs_have_an_end():
    data: dict[str, Any] = {"tasks": [item()], "dataflows": []}
    for _ in range(40):
        data = {"tasks": [item(id="g", type="GraphAsTask", subgraph=data)], "dataflows": []}
    with pytest.raises(GraphFormatError, match="graphs deep"):
        read(data)


def nested_places(depth: int) -> tuple[str, str]:
    """Where a graph of that depth has its mistake, as both forms tell it."""
    data: dict[str, Any] = {"tasks": [item(), 3], "dataflows": []}
    listed: list[Any] = [item(), 3]
    for _ in range(depth):
        data = {"tasks": [item(id="g", type="GraphAsTask", subgraph=data)], "dataflows": []}
        listed = [item(id="g", type="GraphAsTask", subtasks=listed)]
    with pytest.raises(GraphFormatError) as envelope_refused:
        read(data)
    with pytest.raises(GraphFormatError) as list_refused:
        graph_from_dependency_json(listed, REGISTRY)
    return str(envelope_refused.value), str(list_refused.value)


def test_of_a_place_deep_inside_the_middle_is_left_out():
    step = ".subgraph.tasks[0]"
    near, _ = nested_places(4)
    assert near == f"$.tasks[0]{step * 3}.subgraph.tasks[1]: has to be an object."
    far, listed = nested_places(30)
    assert far == f"$.tasks[0]{step * 2}.subgraph….subgraph.tasks[0]{step * 2}.subgraph.tasks[1]: has to be an object."
    step = ".subtasks[0]"
    assert listed == f"$[0]{step * 2}.subtasks….subtasks[0]{step * 2}.subtasks[1]: has to be an object."


def test_graphs_that_nothing_could_read_are_not_written():
    graph = TaskGraph()
    graph.add_task(DoubleToResultTask, id="a")
    for _ in range(33):
        outer = TaskGraph()
        outer.add_task(GraphAsTask(graph, id="g"))
        graph = outer
    with pytest.raises(GraphFormatError, match="More than 32 graphs"):
        graph.to_json()
    same(graph.tasks["g"].subgraph)  # type: ignore[attr-defined]


def test_a_value_that_was_changed_by_hand_is_refused():
    graph = TaskGraph()
    graph.add_task(ConfiguredTask(id="a", defaults={"x": b"x" * 1000}))
    written = graph.to_json()
    (stored,) = written["tasks"][0]["values"].values()
    for change in (["bytes", "raw", "AAAA"], ["bytes", "raw"], "AAAA", ["bytes", "raw", "?"], [1, 2, 3]):
        stored_before = list(stored)
        written["tasks"][0]["values"] = dict.fromkeys(written["tasks"][0]["values"], change)
        with pytest.raises(GraphFormatError, match=r"^\$\.tasks\[0\]\.defaults: The value"):
            read(written)
        written["tasks"][0]["values"] = dict.fromkeys(written["tasks"][0]["values"], stored_before)
    read(written)


def test_a_timeout_of_zero_is_no_limit():
    assert read(envelope(item(config={"timeout": 0}))).tasks["a"].timeout == 0


def test_tasks_may_be_listed_in_any_order():
    count = 3000
    tasks = [item(id=f"t{number}") for number in reversed(range(count))]
    graph = read(envelope(*tasks, dataflows=[flow(f"t{number}", f"t{number + 1}") for number in range(count - 1)]))
    assert graph.order()[0] == "t0"
    assert len(graph.layers()) == count


def test_the_place_of_an_unknown_type_is_said_once_however_deep_it_is():
    deep: dict[str, Any] = {"id": "x", "type": "NobodyTask"}
    for id in ("inner", "outer"):
        deep = {"id": id, "type": "GraphAsTask", "subgraph": {"tasks": [deep], "dataflows": []}}
    with pytest.raises(UnknownTaskTypeError) as caught:
        TaskGraph.from_json({"tasks": [deep], "dataflows": []})
    assert str(caught.value).startswith("$.tasks[0].subgraph.tasks[0].subgraph.tasks[0].type: Task type NobodyTask")
    assert str(caught.value).count("$") == 1
