"""Previews: what can be said about a graph without running it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from workglow.errors import TaskConfigurationError, TaskFailedError, TaskInputError, TaskOutputError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.map import MapTask
from workglow.graph.graph import TaskGraph
from workglow.graph.previews.preview import Preview
from workglow.tasks import Task, TaskContext, task


class Value(BaseModel):
    value: int


class Shown(Task):
    """Adds one, in a preview; a run is not allowed."""

    paths: ClassVar[list[str]] = []
    Input = Value
    Output = Value

    def execute(self, inputs: Value) -> dict[str, Any]:
        raise AssertionError("a preview runs nothing")

    async def execute_preview(self, inputs: Value, context: TaskContext) -> dict[str, Any]:
        self.paths.append(context.path)
        return {"value": inputs.value + 1}


class Hidden(Task):
    Input = Value
    Output = Value

    def execute(self, inputs: Value) -> dict[str, Any]:
        raise AssertionError("a preview runs nothing")


class Wrong(Shown):
    class Config(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        gives: Any

    def execute_preview(self, inputs: Value) -> Any:  # type: ignore[override]
        if isinstance(self.config["gives"], Exception):
            raise self.config["gives"]
        return self.config["gives"]


def chain(*tasks: Any) -> TaskGraph:
    graph = TaskGraph()
    for one in tasks:
        graph.add_task(one)
    ids = list(graph.tasks)
    for source, target in pairwise(ids):
        graph.add_dataflow(source, "value", target, "value")
    return graph


def shown(preview: Preview) -> dict[str, Any]:
    """What is known, by path."""
    return {path: dict(task.outputs) for path, task in preview.tasks.items() if task.state == "previewed"}


def test_each_task_is_asked_after_those_before_it() -> None:
    Shown.paths.clear()
    graph = TaskGraph()
    graph.add_task(Shown(id="b"))
    graph.add_task(Shown(id="a"))
    graph.add_dataflow("a", "value", "b", "value")
    result = Preview(graph, {"value": 1})
    assert Shown.paths == ["a", "b"]
    assert shown(result) == {"a": {"value": 2}, "b": {"value": 3}}
    assert result.outputs == {"value": 3}
    assert result.errors == {}


def test_what_waits_for_a_task_without_a_preview_has_none_and_is_no_error() -> None:
    result = Preview(chain(Shown(id="a"), Hidden(id="b"), Shown(id="c")), {"value": 1})
    assert shown(result) == {"a": {"value": 2}}
    assert (result.outputs, result.errors) == ({}, {})


class Sum(Task):
    class Input(BaseModel):
        value: int
        other: int

    def execute_preview(self, inputs: Input) -> dict[str, Any]:
        return {"value": inputs.value + inputs.other}


def test_what_waits_for_one_of_two_has_none_and_is_no_error() -> None:
    graph = chain(Shown(id="a"), Sum(id="sum"))
    graph.add_task(Hidden(id="b"))
    graph.add_dataflow("b", "value", "sum", "other")
    result = Preview(graph, {"value": 1})
    assert (list(shown(result)), result.errors) == (["a"], {})
    graph.remove_task("b")
    assert list(Preview(graph, {"value": 1}).errors) == ["sum"]


def test_an_error_is_kept_with_its_task_and_the_others_go_on() -> None:
    graph = chain(Wrong(id="bad", gives=ValueError("no")), Shown(id="behind"))
    graph.add_task(Shown(id="beside"))
    result = Preview(graph, {"value": 1})
    assert list(result.errors) == ["bad"]
    assert isinstance(result.errors["bad"], TaskFailedError)
    assert isinstance(result.errors["bad"].__cause__, ValueError)
    assert shown(result) == {"beside": {"value": 2}}


@pytest.mark.parametrize("gives", [{"value": "x"}, {"unknown": 1}, 5])
def test_what_a_preview_gives_is_checked(gives: object) -> None:
    result = Preview(chain(Wrong(id="bad", gives=gives)), {"value": 1})
    assert isinstance(result.errors["bad"], TaskOutputError)


def test_a_missing_input_is_the_tasks_error() -> None:
    result = Preview(chain(Shown(id="a"), Shown(id="b")))
    assert list(result.errors) == ["a"]
    assert isinstance(result.errors["a"], TaskInputError)


def test_an_input_that_nobody_takes_is_the_callers_error() -> None:
    with pytest.raises(TaskInputError, match="valeu"):
        Preview(chain(Shown(id="a")), {"valeu": 1})


def test_a_group_previews_its_graph() -> None:
    graph = chain(GraphAsTask(chain(Shown(id="x"), Shown(id="y")), id="group"), Shown(id="z"))
    result = Preview(graph, {"value": 1})
    assert shown(result) == {
        "group/x": {"value": 2},
        "group/y": {"value": 3},
        "group": {"value": 3},
        "z": {"value": 4},
    }
    broken = Preview(chain(GraphAsTask(chain(Wrong(id="x", gives=5)), id="group")), {"value": 1})
    assert list(broken.errors) == ["group/x"]
    assert shown(broken) == {}


def test_a_map_does_not_iterate() -> None:
    Shown.paths.clear()
    graph = TaskGraph()
    graph.add_task(MapTask(chain(Shown(id="x")), id="map", max_iterations="unbounded"))
    result = Preview(graph, {"value": [1, 2, 3]})
    assert (shown(result), result.errors, Shown.paths) == ({}, {}, [])


def test_conditions_are_asked() -> None:
    graph = TaskGraph()
    big = {"field": "value", "operator": "greater_than", "value": 5}
    graph.add_task(ConditionalTask(id="if", branches=[{"id": "big", "condition": big}, {"id": "small"}]))
    for port in ("big", "small"):
        graph.add_task(Shown(id=port))
        graph.add_dataflow("if", port, port, "*")
    assert Preview(graph, {"value": 6}).outputs == {"value": 7}
    nothing = Preview(graph, {"value": 5})
    assert (list(shown(nothing)), nothing.errors) == (["if"], {})


def test_a_handler_has_no_preview() -> None:
    @task(name="preview_handler", inline=True)
    def handler(error: str = "", errorType: str = "") -> None: ...

    graph = chain(Wrong(id="bad", gives=ValueError("no")))
    graph.add_task(handler, id="h")
    graph.add_dataflow("bad", "[error]", "h", "*")
    result = Preview(graph, {"value": 1})
    assert (list(result.errors), shown(result)) == (["bad"], {})


def test_a_graph_that_is_too_large_is_refused() -> None:
    with pytest.raises(TaskConfigurationError, match="limit of 1"):
        Preview(chain(Shown(id="a"), Shown(id="b")), {"value": 1}, max_tasks=1)
