"""Random graphs: every form of a graph is the graph, and drawing its boundary changes no run."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import TaskSerializationError
from workglow.graph.boundary import with_boundary_nodes
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.map import MapTask
from workglow.graph.graph import TaskGraph
from workglow.graph.json.dependency_codec import graph_from_dependency_json, graph_to_dependency_json
from workglow.graph.launch import run_in_memory_sync
from workglow.tasks import Collect, Ports, Task, TaskRegistry
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, **options)


SCHEMA = json.loads((Path(__file__).parents[2] / "schema" / "graph.schema.json").read_text("utf-8"))


@task(output="total", inline=True)
def add(a: int = 0, b: int = 0) -> int:
    return a + b


@task(output="total", inline=True)
def need(a: int) -> int:
    return a + 1


@task(output="total", inline=True)
def gather(parts: Collect[int]) -> int:
    return sum(parts)


class Echo(Task):
    inputs = Ports(open=True)
    outputs = Ports(open=True)
    inline = True

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in inputs.items() if name in ("total", "a")}


REGISTRY = TaskRegistry([add.task_type, need.task_type, gather.task_type, Echo])
KINDS = {"add": ("a", "b"), "need": ("a",), "gather": ("parts",)}

ids = st.text("abc xyz-_.é🙂", min_size=1, max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@st.composite
def graphs(draw: st.DrawFn, depth: int = 1, *, named: bool = True) -> TaskGraph:
    graph = TaskGraph()
    for task_id in draw(st.lists(ids, min_size=1, max_size=5, unique=True)):
        if depth and draw(st.integers(0, 5)) == 0:
            inner = draw(graphs(depth - 1, named=named))
            graph.add_task(
                MapTask(inner, id=task_id, max_iterations=9) if draw(st.booleans()) else GraphAsTask(inner, id=task_id)
            )
            continue
        kind = draw(st.sampled_from(sorted(KINDS)))
        literals = {} if kind == "gather" else draw(st.dictionaries(st.sampled_from(KINDS[kind]), st.integers(0, 9)))
        extras = draw(st.none() | st.fixed_dictionaries({"note": json_values}))
        graph.add_task(REGISTRY.get(kind)(id=task_id, defaults=literals, extras=extras))
    known = list(graph.tasks)
    for _ in range(draw(st.integers(0, 6))):
        source, target = (draw(st.sampled_from(known)) for _ in range(2))
        ports = KINDS.get(graph.tasks[target].type, ())
        if known.index(source) < known.index(target) and ports and graph.tasks[source].type in KINDS:
            port = draw(st.sampled_from(ports))
            taken = [edge for edge in graph.incoming[target] if edge.target_port == port]
            if not taken or (port == "parts" and all(edge.source != source for edge in taken)):
                graph.add_dataflow(source, "total", target, port)
    if named and draw(st.booleans()):
        end = draw(st.sampled_from(known))
        if graph.tasks[end].type in KINDS:
            graph.name_output("the end", end, "total")
    return graph


def shape(graph: TaskGraph) -> list[Any]:
    """Everything that makes the graph what it is, as plain data."""
    tasks: list[Any] = []
    for task_id, each in graph.tasks.items():
        inner = getattr(each, "subgraph", None)
        own = (task_id, type(each), dict(each.defaults), dict(each.extras), {**each.config})
        tasks.append((own, graph.incoming[task_id], inner and shape(inner)))
    return [tasks, graph.inputs, graph.outputs, graph.merge]


@settings(deadline=None)
@given(graphs())
def test_json_is_the_graph(graph: TaskGraph):
    written = graph.to_json()
    again = TaskGraph.from_json(json.dumps(written), REGISTRY)
    assert shape(again) == shape(graph)
    assert again.to_json() == written
    assert_valid(written, SCHEMA)


@settings(deadline=None)
@given(graphs(named=False))
def test_dependency_json_is_the_graph(graph: TaskGraph):
    written = graph_to_dependency_json(graph)
    again = graph_from_dependency_json(json.dumps(written), REGISTRY)
    assert graph_to_dependency_json(again) == written
    # within one task the edges are grouped by port
    assert [sorted(edge.id for edge in edges) for edges in again.incoming.values()] == [
        sorted(edge.id for edge in edges) for edges in graph.incoming.values()
    ]


def inputs_for(graph: TaskGraph) -> dict[str, Any]:
    return {name: [2, 3] if name == "parts" else 2 for name in graph.input_schema().get("required", ())}


@settings(deadline=None)
@given(graphs(depth=0), st.booleans())
def test_drawing_the_boundary_changes_no_run(graph: TaskGraph, through_json: bool):
    drawn = with_boundary_nodes(graph)
    if through_json:
        drawn = TaskGraph.from_json(graph.to_json(with_boundary_nodes=True), REGISTRY)
        assert_valid(drawn.to_json(), SCHEMA)
    inputs = inputs_for(graph)
    for word in ("required", "properties"):
        assert sorted(drawn.input_schema().get(word, ())) == sorted(graph.input_schema().get(word, ()))
    expected = run_in_memory_sync(graph, inputs).outputs
    assert run_in_memory_sync(drawn, inputs).outputs == expected
    assert drawn.output_schema()["properties"] == graph.output_schema()["properties"]


# ---------------------------------------------------------------------- the boundary


def test_a_linear_graph_has_its_boundary_at_both_ends():
    graph = TaskGraph()
    graph.add_task(add, id="first")
    graph.add_task(need, id="last")
    graph.add_dataflow("first", "total", "last", "a")
    drawn = graph.to_json(with_boundary_nodes=True)
    assert [item["type"] for item in drawn["tasks"]] == ["InputTask", "add", "need", "OutputTask"]
    assert [tuple(flow.values()) for flow in drawn["dataflows"]] == [
        ("input", "a", "first", "a"),
        ("input", "b", "first", "b"),
        ("first", "total", "last", "a"),
        ("last", "total", "output", "total"),
    ]
    assert drawn["tasks"][0]["config"]["inputSchema"] == drawn["tasks"][0]["config"]["outputSchema"]
    assert list(drawn["tasks"][0]["config"]["inputSchema"]["properties"]) == ["a", "b"]
    assert list(drawn["tasks"][3]["config"]["outputSchema"]["properties"]) == ["total"]
    assert "boundary" not in json.dumps(graph.to_json())
    assert len(graph.tasks) == 2


def test_two_leaves_both_come_back_from_drawn_json():
    graph = TaskGraph()
    for number in (1, 2):
        graph.add_task(add, id=f"leaf{number}", a=number)
    back = TaskGraph.from_json(graph.to_json(with_boundary_nodes=True), REGISTRY)
    assert list(back.tasks) == ["input", "leaf1", "leaf2", "output"]
    assert run_in_memory_sync(back).outputs == {"total": [1, 2]}
    assert run_in_memory_sync(back, {"b": 10}).outputs == {"total": [11, 12]}
    assert back.to_json(with_boundary_nodes=True) == back.to_json()


def test_graphs_inside_tasks_get_a_boundary_of_their_own():
    inner = TaskGraph()
    inner.add_task(add, id="one")
    inner.add_task(add, id="two")
    graph = TaskGraph()
    graph.add_task(GraphAsTask(inner, id="group"))
    drawn = with_boundary_nodes(graph)
    assert len(drawn.tasks["group"].subgraph.tasks) == 4  # type: ignore[attr-defined]
    assert len(inner.tasks) == 2
    assert run_in_memory_sync(drawn, {"a": 1}).outputs == {"total": [1, 1]}


def test_open_ends_are_connected_as_a_whole():
    graph = TaskGraph()
    graph.add_task(Echo, id="echo")
    drawn = with_boundary_nodes(graph)
    assert [edge.id for edge in drawn.dataflows()] == ["input[*] ==> echo[*]", "echo[*] ==> output[*]"]
    assert run_in_memory_sync(drawn, {"a": 1, "x": 2}).outputs == {"a": 1}


def test_a_handler_and_its_task_both_lead_to_the_output():
    @task(output="total", inline=True)
    def fails(a: int) -> int:
        if a > 1:
            raise ValueError(a)
        return a

    graph = TaskGraph()
    graph.add_task(fails)
    graph.add_task(Echo(id="handler", defaults={"total": -1}))
    graph.add_dataflow("fails", "[error]", "handler", "*")
    drawn = with_boundary_nodes(graph)
    for a, total in ((1, 1), (2, -1)):
        assert (
            run_in_memory_sync(drawn, {"a": a}).outputs
            == run_in_memory_sync(graph, {"a": a}).outputs
            == {"total": total}
        )


def test_a_result_that_no_output_task_can_give_is_left_to_the_leaves():
    graph = TaskGraph(merge="GRAPH_RESULT_ARRAY")
    graph.add_task(need)
    drawn = with_boundary_nodes(graph)
    assert [each.type for each in drawn.tasks.values()] == ["InputTask", "need"]
    assert run_in_memory_sync(drawn, {"a": 1}).outputs == run_in_memory_sync(graph, {"a": 1}).outputs


def test_ids_of_the_boundary_give_way():
    graph = TaskGraph()
    graph.add_task(add, id="input")
    graph.add_task(add, id="output")
    assert list(with_boundary_nodes(graph).tasks) == ["input_node", "input", "output", "output_node"]


# ---------------------------------------------------------------------- dependency JSON


def test_dependencies_stand_at_the_task_that_has_them():
    graph = TaskGraph()
    graph.add_task(add, id="a")
    graph.add_task(gather, id="g")
    graph.add_task(add, id="b")
    graph.add_dataflow("a", "total", "g", "parts")
    graph.add_dataflow("b", "total", "g", "parts")
    graph.add_dataflow("a", "total", "b", "a", ["stringify", "parseJson"])
    items = graph_to_dependency_json(graph)
    assert items[1]["dependencies"] == {"parts": [{"id": "a", "output": "total"}, {"id": "b", "output": "total"}]}
    assert items[2]["dependencies"] == {
        "a": {"id": "a", "output": "total", "transforms": [{"id": "stringify"}, {"id": "parseJson"}]}
    }
    back = graph_from_dependency_json(items, REGISTRY)
    assert [edge.id for edge in back.dataflows()] == [edge.id for edge in graph.dataflows()]
    assert len(back.incoming["b"][0].transforms) == 2


def test_names_of_the_graph_have_no_place_in_dependency_json():
    graph = TaskGraph()
    graph.add_task(add, id="a")
    graph.name_output("end", "a", "total")
    with pytest.raises(TaskSerializationError, match=r"\(end\); use to_json"):
        graph_to_dependency_json(graph)
    drawn = graph_to_dependency_json(graph, with_boundary_nodes=True)
    assert (drawn[0]["type"], drawn[-1]["type"]) == ("InputTask", "OutputTask")
    assert drawn[-1]["dependencies"] == {"end": {"id": "a", "output": "total"}}
    assert run_in_memory_sync(graph_from_dependency_json(drawn, REGISTRY), {"a": 3}).outputs == {"end": 3}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"a": 1}, r"^\$: has to be a list"),
        ([1], r"^\$\[0\]: has to be an object"),
        ([{"type": "add"}], r"^\$\[0\]: Task id required"),
        (
            [{"id": "a", "type": "add", "dependencies": {"a": {"id": "b"}}}],
            r"^\$\[0\]\.dependencies\.a: lacks 'output'",
        ),
        ([{"id": "a", "type": "add", "dependencies": {"a": {"id": "b", "output": "x"}}}], r"^\$\[0\]\.dependencies\.a"),
        (
            [{"id": "a", "type": "add", "dependencies": {"a": [3]}}],
            r"^\$\[0\]\.dependencies\.a\[0\]: has to be an object",
        ),
        ([{"id": "a", "type": "GraphAsTask", "subtasks": [3]}], r"^\$\[0\]\.subtasks\[0\]: has to be an object"),
    ],
)
def test_what_is_no_dependency_json_is_refused_with_its_place(data: Any, words: str):
    from workglow.errors import GraphFormatError

    with pytest.raises(GraphFormatError, match=words):
        graph_from_dependency_json(data, REGISTRY)


# ---------------------------------------------------------------------- the published schema

_TYPES = {"object": dict, "array": list, "string": str, "number": (int, float), "integer": int, "boolean": bool}


def assert_valid(value: Any, schema: Any, place: str = "$") -> None:
    """Check a value by the words of JSON Schema that graph.schema.json uses."""
    known = {"$schema", "$id", "$ref", "$defs", "title", "description", "type", "properties", "required", "items"}
    known |= {"additionalProperties", "const", "enum", "minimum", "minLength", "minItems", "maxItems"}
    assert schema.keys() <= known
    if "$ref" in schema:
        assert_valid(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], place)
    if "const" in schema:
        assert value == schema["const"], place
    if "enum" in schema:
        assert value in schema["enum"], place
    if "type" in schema:
        assert isinstance(value, _TYPES[schema["type"]]), place
        assert not (isinstance(value, bool) and schema["type"] in ("number", "integer")), place
    if isinstance(value, int | float):
        assert value >= schema.get("minimum", value), place
    if isinstance(value, str | list):
        low = schema.get("minLength", schema.get("minItems", 0))
        assert low <= len(value) <= schema.get("maxItems", len(value)), place
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        assert set(schema.get("required", ())) <= value.keys(), place
        for key, part in value.items():
            rest = schema.get("additionalProperties", True)
            assert key in properties or rest is not False, f"{place}.{key}"
            if key in properties or isinstance(rest, dict):
                assert_valid(part, properties.get(key, rest), f"{place}.{key}")
    if isinstance(value, list) and "items" in schema:
        for number, part in enumerate(value):
            assert_valid(part, schema["items"], f"{place}[{number}]")


@pytest.mark.parametrize(
    "wrong",
    [
        {"tasks": []},
        {"tasks": [], "dataflows": [], "format": "workglow/2"},
        {"tasks": [{"id": "", "type": "X"}], "dataflows": []},
        {"tasks": [{"id": "a", "type": "X", "colour": "red"}], "dataflows": []},
        {"tasks": [], "dataflows": [{"sourceTaskId": "a"}]},
        {"tasks": [{"id": "a", "type": "X", "config": {"timeout": -1}}], "dataflows": []},
    ],
)
def test_the_published_schema_refuses_what_the_loader_refuses(wrong: Any):
    with pytest.raises(AssertionError):
        assert_valid(wrong, SCHEMA)


def test_the_published_schema_knows_every_key_that_the_loader_knows():
    import workglow.graph.json.loading as loading

    assert set(SCHEMA["properties"]) == loading._GRAPH_KEYS
    assert set(SCHEMA["$defs"]["task"]["properties"]) == loading._TASK_KEYS
    assert set(SCHEMA["$defs"]["subgraph"]["properties"]) == loading._SUBGRAPH_KEYS
    assert set(SCHEMA["$defs"]["dataflow"]["properties"]) == loading._ALL_DATAFLOW_KEYS
    assert set(SCHEMA["$defs"]["config"]["properties"]["retry"]["properties"]) == loading._RETRY_KEYS
