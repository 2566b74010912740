"""Graphs drawn from their JSON alone look as they do with the code of their tasks."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from workglow import Collect, Condition, Task, TaskGraph, Workflow
from workglow.errors import GraphFormatError, UnknownTaskTypeError
from workglow.graph.pictures.sketch import sketch


class Text(BaseModel):
    text: str


class Shout(Task):
    type = "SketchedShout"
    Input = Output = Text

    def execute(self, inputs: Text) -> Text:
        return Text(text=inputs.text.upper())


class Gather(Task):
    type = "SketchedGather"

    class Input(BaseModel):
        texts: Collect[str]

    Output = Text

    def execute(self, inputs: Input) -> Text:
        return Text(text=" ".join(inputs.texts))


def strange(graph: TaskGraph) -> None:
    """The name of a graph's JSON that no registry here knows."""
    with pytest.raises(UnknownTaskTypeError):
        TaskGraph.from_json(graph.to_json())


def collected() -> TaskGraph:
    graph = TaskGraph()
    for name in ("a", "b"):
        graph.add_task(Shout, id=name)
    graph.add_task(Gather, id="all")
    for name in ("a", "b"):
        graph.connect(name, "text", "all", "texts")
    return graph


def looped() -> TaskGraph:
    again = Condition(field="text", operator="is_empty")
    workflow = (
        Workflow().then(Shout).while_(again, Shout, max_iterations=2).if_(again).then(Shout).else_(Shout).end_if()
    )
    return workflow.group(Shout).to_graph()


@pytest.mark.parametrize("graph", [collected(), looped()])
def test_a_sketch_looks_like_the_graph(graph: TaskGraph) -> None:
    strange(graph)
    drawn = sketch(graph.to_json())
    assert drawn.to_mermaid() == graph.to_mermaid()
    assert drawn.to_svg() == graph.to_svg()
    assert drawn.order() == graph.order()
    assert all(isinstance(one, Task) for one in drawn.tasks.values())


def test_a_sketch_of_what_is_no_graph_is_refused_with_its_place() -> None:
    with pytest.raises(GraphFormatError, match=r"\$\.tasks\[0\]\.subgraph\.tasks\[0\]"):
        sketch({"tasks": [{"id": "a", "type": "X", "subgraph": {"tasks": [3], "dataflows": []}}], "dataflows": []})
