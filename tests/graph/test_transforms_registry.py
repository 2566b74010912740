"""Whose transforms an edge may name, what is said when it names others, and what an editor may propose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

import workglow as wg
from workglow.errors import GraphError, IncompatiblePortsError, TaskInputError, UnknownPortError
from workglow.graph.building.workflow import Workflow
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.control.map import MapTask
from workglow.graph.dataflow import Transform
from workglow.graph.graph import TaskGraph
from workglow.graph.transforms import Suggestion, TransformDefinition, TransformRegistry
from workglow.tasks import Task, TaskRegistry

REVERSE = TransformDefinition("reverse", "Reverse", lambda value, _: value[::-1], lambda schema, _: schema, "String")


class Customer(TypedDict):
    name: str
    created_at: int
    city: str | None


class Source(Task):
    inline = True
    cacheable = False

    class Output(BaseModel):
        customer: Customer
        orders: list[Customer]
        text: str
        number: float
        when: str

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        customer = Customer(name="Ada", created_at=1700000000, city=None)
        return {"customer": customer, "orders": [customer], "text": "abc", "number": 5, "when": "2023-11-14T22:13:20Z"}


class Target(Task):
    inline = True
    cacheable = False

    class Input(BaseModel):
        name: str = ""
        text: str = ""
        number: float = 0
        flag: bool = False
        customer: Customer | None = None

    class Output(BaseModel):
        text: str

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"text": inputs.text}


@pytest.fixture
def transforms() -> TransformRegistry:
    own = built_in_transforms.copy()
    own.register(REVERSE)
    return own


def ends(transforms: TransformRegistry = built_in_transforms) -> TaskGraph:
    graph = TaskGraph(transforms=transforms)
    graph.add_task(Source(id="s"))
    graph.add_task(Target(id="t"))
    return graph


class TestWhose:
    def test_the_built_in_ones_belong_to_everybody_and_stay(self) -> None:
        with pytest.raises(GraphError, match=r"built_in_transforms\.copy\(\)"):
            built_in_transforms.register(REVERSE)
        with pytest.raises(GraphError, match="cannot be changed"):
            built_in_transforms.unregister("pick")
        assert "reverse" not in built_in_transforms

    def test_a_graph_of_its_own(self, transforms: TransformRegistry) -> None:
        graph = ends(transforms)
        graph.add_dataflow("s", "text", "t", "text", ["reverse"])
        assert graph.run_sync().outputs == {"text": "cba"}
        assert graph.copy().run_sync().outputs == graph.subgraph_from("s").run_sync().outputs == {"text": "cba"}
        with pytest.raises(GraphError, match=r"s\[text\] ==> t\[text\]: There is no transform 'reverse'"):
            ends().add_dataflow("s", "text", "t", "text", ["reverse"])

    def test_json_is_read_with_them_and_refused_without(self, transforms: TransformRegistry) -> None:
        graph = ends(transforms)
        graph.add_dataflow("s", "text", "t", "text", ["reverse"])
        registry, data = TaskRegistry([Source, Target]), graph.to_json()
        assert TaskGraph.from_json(data, registry, transforms=transforms).run_sync().outputs == {"text": "cba"}
        assert Workflow.from_json(data, registry, transforms=transforms).run_sync().outputs == {"text": "cba"}
        with pytest.raises(GraphError, match=r"\$\.dataflows\[0\].*no transform 'reverse'"):
            TaskGraph.from_json(data, registry)
        listed = Workflow.from_json(data, registry, transforms=transforms).to_dependency_json()
        again = Workflow.from_dependency_json(listed, registry, transforms=transforms)
        assert again.run_sync().outputs == {"text": "cba"}

    def test_a_project_keeps_resumes_and_previews_with_them(
        self, transforms: TransformRegistry, project_path: Path
    ) -> None:
        registry = TaskRegistry([Source, Target])
        graph = ends(transforms)
        graph.add_dataflow("s", "text", "t", "text", ["reverse"])
        with wg.open(project_path, registry=registry, transforms=transforms) as project:
            project.graphs.save("mine", graph)
            run = project.begin(graph)
        with wg.open(project_path, registry=registry, transforms=transforms) as project:
            assert project.resume_sync(run.id).outputs == {"text": "cba"}
            assert project.graphs.get("mine").run_sync().outputs == {"text": "cba"}
            assert project.preview(run.id).outputs == {"text": "cba"}
        with wg.open(project_path, registry=registry) as project, pytest.raises(GraphError, match="reverse"):
            project.graphs.get("mine")

    def test_a_workflow_and_the_bodies_in_it(self, transforms: TransformRegistry) -> None:
        workflow = Workflow(transforms=transforms)
        body = workflow.map(id="m")
        body.then(Source, id="s").rename("text", "text", transforms=["reverse"]).then(Target, id="t")
        body.end_map()
        inside = workflow.graph.tasks["m"]
        assert isinstance(inside, MapTask)
        assert inside.subgraph.transforms is transforms
        assert workflow.reset().graph.transforms is transforms


class TestErrors:
    def test_at_the_edge_that_is_added(self) -> None:
        with pytest.raises(GraphError, match=r"s\[text\] ==> t\[text\]: There is no transform 'upercase'.*'uppercase'"):
            ends().add_dataflow("s", "text", "t", "text", ["upercase"])
        with pytest.raises(GraphError, match=r"s\[text\] ==> t\[text\]: The transform 'truncate'.*'max' is required"):
            ends().add_dataflow("s", "text", "t", "text", ["truncate"])

    def test_what_comes_out_is_judged(self) -> None:
        graph = ends()
        pick = {"id": "pick", "params": {"path": "created_at"}}
        with pytest.raises(IncompatiblePortsError, match="gives integer through pick, but Target takes string"):
            graph.add_dataflow("s", "customer", "t", "text", [pick])
        with pytest.raises(IncompatiblePortsError, match="gives nothing through pick"):
            graph.add_dataflow("s", "customer", "t", "text", [{"id": "pick", "params": {"path": "age"}}])
        graph.add_dataflow("s", "customer", "t", "text", [pick, {"id": "unixToIsoDate", "params": {"unit": "s"}}])
        assert graph.run_sync().outputs == {"text": "2023-11-14T22:13:20.000Z"}

    def test_an_own_transform_that_cannot_judge(self, transforms: TransformRegistry) -> None:
        transforms.register(TransformDefinition("odd", "Odd", lambda value, _: value, lambda schema, _: schema["no"]))  # type: ignore[index]
        graph = ends(transforms)
        with pytest.raises(GraphError, match=r"s\[text\] ==> t\[text\]: transform 'odd' cannot say .*KeyError"):
            graph.add_dataflow("s", "text", "t", "text", ["odd"])
        assert graph.dataflows() == []

    def test_what_would_help_is_said(self) -> None:
        with pytest.raises(IncompatiblePortsError, match=r"give the edge a transform such as 'numberToString'\."):
            ends().add_dataflow("s", "number", "t", "text")
        with pytest.raises(IncompatiblePortsError, match="put a task in between"):
            ends().add_dataflow("s", "text", "t", "number")

    def test_a_value_that_it_cannot_use_fails_the_target(self) -> None:
        graph = ends()
        graph.add_dataflow("s", "text", "t", "text", ["parseJson", "stringify"])
        with pytest.raises(TaskInputError, match=r"'parseJson' on s\[text\] ==> t\[text\] failed: .*Change its params"):
            graph.run_sync()
        assert "parseJson" in str(graph.preview().errors.get("t", "parseJson"))


TEXT, NUMBER, DATE = {"type": "string"}, {"type": "number"}, {"type": "string", "format": "date-time"}
OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {}, "c": {"type": "object", "properties": {"d": TEXT}}},
}


@pytest.mark.parametrize(
    ("source", "target", "found"),
    [
        (OBJECT, NUMBER, [(1.0, "pick", {"path": "a"}), (0.6, "pick", {"path": "b"})]),
        (OBJECT, TEXT, [(0.99, "pick", {"path": "c.d"}), (0.6, "pick", {"path": "b"}), (0.4, "stringify", {})]),
        ({"type": "array", "items": NUMBER}, NUMBER, [(0.9, "index", {"index": 0})]),
        ({"type": "array"}, NUMBER, [(0.5, "index", {"index": 0})]),
        ({"type": "array", "items": TEXT}, NUMBER, []),
        (NUMBER, DATE, [(0.85, "unixToIsoDate", {"unit": "s"}), (0.8, "unixToIsoDate", {"unit": "ms"})]),
        (DATE, NUMBER, [(0.9, "isoDateToUnix", {})]),
        (NUMBER, TEXT, [(0.8, "numberToString", {})]),
        (TEXT, {"type": "boolean"}, [(0.5, "toBoolean", {})]),
        (TEXT, {"type": "object"}, [(0.3, "parseJson", {})]),
        (TEXT, TEXT, []),
        (True, True, []),
        (False, TEXT, []),
    ],
)  # fmt: skip
def test_suggestions(source: Any, target: Any, found: list[Any]) -> None:
    expected = [Suggestion(score, Transform(id, params)) for score, id, params in found]
    assert built_in_transforms.suggest(source, target) == expected


def test_a_graph_suggests_for_its_ports_and_what_it_suggests_works() -> None:
    graph = ends()
    by_name = graph.suggest_transforms("s", "customer", "t", "name")
    assert [one.transform.params.get("path") for one in by_name[:2]] == ["name", "city"]
    for source_port in graph.tasks["s"].outputs:
        for target_port in graph.tasks["t"].inputs:
            for one in graph.suggest_transforms("s", source_port, "t", target_port):
                edge = graph.add_dataflow("s", source_port, "t", target_port, [one.transform])
                graph.remove_dataflow(edge)
    with pytest.raises(UnknownPortError, match="txt"):
        graph.suggest_transforms("s", "txt", "t", "text")


def test_an_own_transform_is_suggested_as_well(transforms: TransformRegistry) -> None:
    transforms.register(
        TransformDefinition("count", "Count", lambda value, _: len(value), lambda schema, _: {"type": "integer"},
                            suggest=lambda source, target: [(0.7, {})])
    )  # fmt: skip
    assert transforms.suggest(TEXT, NUMBER) == [Suggestion(0.7, Transform("count"))]
    assert transforms.suggest(TEXT, {"type": "array"}) == [Suggestion(0.3, Transform("parseJson"))]


def test_what_an_editor_is_told(transforms: TransformRegistry) -> None:
    facts = {one["id"]: one for one in transforms.describe()}
    assert len(facts) == 14
    assert facts["reverse"] == {
        "id": "reverse",
        "title": "Reverse",
        "category": "String",
        "params": {"type": "object", "properties": {}, "additionalProperties": False},
    }
    assert facts["truncate"]["params"]["properties"] == {"max": {"type": "integer", "minimum": 0}}
