"""C20: what may be connected, and what edges make of values; the matrix is in `tests/tasks/test_task_compatibility`."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest
from fixture_runs import graph_of, outcome
from fixture_tasks import StreamAppend, Uncached
from pydantic import BaseModel

from workglow.errors import GraphError, IncompatiblePortsError, TaskInputError, UnknownPortError
from workglow.graph.graph import TaskGraph
from workglow.tasks import TaskRegistry


class Shop(Uncached):
    type = "ShopTask"

    class Config(BaseModel):
        number: float | int = 4

    class Output(BaseModel):
        customer: dict[str, Any]
        text: str
        whole: int
        number: float

    def execute(self, inputs: Any) -> dict[str, Any]:
        return {
            "customer": {"created_at": 1700000000},
            "text": "not-a-json",
            "whole": 3,
            "number": self.config["number"],
        }


class Label(Uncached):
    type = "LabelTask"
    ran: ClassVar[list[str]] = []

    class Input(BaseModel):
        text: str = ""
        number: float = 0
        whole: int = 0

    class Output(BaseModel):
        text: str
        number: float
        whole: int

    def execute(self, inputs: Input) -> dict[str, Any]:
        self.ran.append(inputs.text)
        return dict(inputs)


def shop_and_label() -> TaskGraph:
    Label.ran.clear()
    return graph_of(Shop(id="shop"), Label(id="label"))


def test_c20_a_port_that_is_not_there() -> None:
    with pytest.raises(UnknownPortError, match=r"'label' \(LabelTask\) has no input 'tex'.*'text'"):
        shop_and_label().add_dataflow("shop", "text", "label", "tex")
    with pytest.raises(UnknownPortError, match="has no output 'txt'"):
        shop_and_label().add_dataflow("shop", "txt", "label", "text")


class Strict(Uncached):
    class Input(BaseModel):
        text: int


class Needs(Uncached):
    class Input(BaseModel):
        missing: str


@pytest.mark.parametrize("target", [Strict, Needs])
def test_c20_all_ports_are_judged_together(target: type[Uncached]) -> None:
    graph = graph_of(Shop(id="shop"), target(id="t"))
    with pytest.raises(IncompatiblePortsError, match=r"shop\[\*\] ==> t\[\*\]"):
        graph.add_dataflow("shop", "*", "t", "*")


def test_c20_an_integer_is_a_number_and_a_number_may_be_an_integer() -> None:
    graph = shop_and_label()
    graph.add_dataflow("shop", "whole", "label", "number")
    graph.add_dataflow("shop", "number", "label", "whole")
    run = graph.run_sync()
    assert (run.outputs["number"], run.outputs["whole"]) == (3, 4)
    graph.replace_task("shop", Shop(number=4.5))
    with pytest.raises(TaskInputError, match=r"'label' \(LabelTask\): input 'whole' expected int, got float 4.5"):
        graph.run_sync()


def test_c20_a_path_and_a_date() -> None:
    graph = shop_and_label()
    steps = [{"id": "pick", "params": {"path": "created_at"}}, {"id": "unixToIsoDate", "params": {"unit": "s"}}]
    graph.add_dataflow("shop", "customer", "label", "text", steps)
    assert graph.run_sync().outputs["text"] == "2023-11-14T22:13:20.000Z"


def test_c20_transforms_in_json() -> None:
    graph = graph_of(Shop(id="shop"), Label(id="label"))
    steps = [{"id": "pick", "params": {"path": "x"}}, {"id": "uppercase"}]
    graph.add_dataflow("shop", "customer", "label", "text", steps)
    (edge,) = graph.to_json()["dataflows"]
    assert edge["transforms"] == steps
    again = TaskGraph.from_json(json.dumps(graph.to_json()), TaskRegistry([Shop, Label]))
    assert again.to_json() == graph.to_json()


def test_c20_a_reloaded_graph_transforms() -> None:
    graph = graph_of(Label(id="a", defaults={"text": "hello"}), Label(id="b"))
    graph.add_dataflow("a", "text", "b", "text", ["uppercase"])
    again = TaskGraph.from_json(graph.to_json(), TaskRegistry([Label]))
    assert again.run_sync().outputs["text"] == "HELLO"


def test_c20_an_unknown_transform_is_refused() -> None:
    graph = shop_and_label()
    with pytest.raises(GraphError, match=r"shop\[text\] ==> label\[text\]: There is no transform 'shout'"):
        graph.add_dataflow("shop", "text", "label", "text", ["shout"])
    assert graph.dataflows() == []


def test_c20_a_stream_is_transformed_when_it_is_whole() -> None:
    graph = graph_of(StreamAppend(id="s", defaults={"prompt": "x"}), Label(id="label"))
    graph.add_dataflow("s", "text", "label", "text", ["uppercase"])
    Label.ran.clear()
    assert graph.run_sync().outputs["text"] == "HELLO WORLD"
    assert Label.ran == ["HELLO WORLD"]


def test_c20_what_a_transform_cannot_use_fails_the_run_and_names_the_edge() -> None:
    graph = shop_and_label()
    graph.add_dataflow("shop", "text", "label", "text", ["parseJson", "stringify"])
    with pytest.raises(TaskInputError, match=r"shop\[text\] ==> label\[text\]"):
        graph.run_sync()
    assert Label.ran == []
    # A: an edge has no status of its own; the task that it leads to failed
    run = outcome(graph)
    assert (run.tasks["shop"].status, run.tasks["label"].status) == ("completed", "failed")
