"""Workflow: building, renaming, running, and what it refuses."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from workglow.errors import (
    AutoConnectError,
    GraphError,
    TaskConfigurationError,
    TaskFailedError,
    TaskInputError,
    UnknownPortError,
    UnknownTaskError,
)
from workglow.graph.building.workflow import Workflow
from workglow.graph.graph import TaskGraph
from workglow.storage.memory import MemoryTaskOutputRepository
from workglow.tasks import Ports, Task, TaskRegistry
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, **options)


@task(output="text", inline=True)
def clean(text: str) -> str:
    return " ".join(text.split())


@task(output="size", inline=True)
def count(text: str, factor: int = 1) -> int:
    return len(text) * factor


@task(output="value", inline=True)
def double(value: int) -> int:
    return value * 2


@task(output="value", inline=True)
def broken(value: int) -> int:
    raise ValueError("no luck")


class Recover(Task):
    """Gives -1 for whatever failed."""

    inputs = Ports(open=True)
    outputs = Ports.from_schema({"properties": {"value": {"type": "integer"}}, "additionalProperties": False})
    inline = True

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"value": -1}


def edges(workflow: Workflow) -> list[str]:
    return [edge.id for edge in workflow.graph.dataflows()]


def test_every_step_returns_the_workflow():
    workflow = Workflow()
    assert workflow.then(clean) is workflow
    assert workflow.add_task(count, id="n", factor=2) is workflow
    assert workflow.on_error(Recover) is workflow
    assert workflow.rename("size", "value").then(double) is workflow
    assert workflow.connect is not None
    assert workflow.pop() is workflow
    assert workflow.reset() is workflow
    assert repr(workflow) == "Workflow(0 tasks)"


def test_a_workflow_runs():
    workflow = Workflow().then(clean).then(count, factor=2)
    assert workflow.run_sync({"text": "a   b"}).outputs == {"size": 6}
    assert workflow.run_sync({"text": "a   b"}).outputs == {"size": 6}

    async def inside_a_loop() -> object:
        return (await workflow.run({"text": "a"})).outputs, workflow.run_sync({"text": "ab"}).outputs

    assert asyncio.run(inside_a_loop()) == ({"size": 2}, {"size": 4})


def test_options_of_a_run_are_those_of_run_options():
    with pytest.raises(TypeError, match="wrong"):
        Workflow().then(clean).run_sync({"text": "a"}, wrong=True)
    with pytest.raises(TaskConfigurationError, match=r"cache is 'of'; give 'use', 'refresh' or 'off'\.$"):
        Workflow().then(clean).run_sync({"text": "a"}, cache="of")
    with pytest.raises(TaskConfigurationError, match="given as output_cache"):
        Workflow().then(clean).run_sync({"text": "a"}, cache=MemoryTaskOutputRepository())
    seen: list[str] = []
    Workflow().then(clean).run_sync({"text": "a"}, concurrency=1, on_event=lambda event: seen.append(event.kind))
    assert seen[0] == "run_started"


def test_pop_takes_the_previous_task_and_its_handlers_away():
    workflow = Workflow().then(double).then(double).on_error(Recover)
    assert len(workflow.graph.tasks) == 3
    workflow.pop()
    assert list(workflow.graph.tasks) == ["double"]
    workflow.pop()
    assert list(workflow.graph.tasks) == []
    with pytest.raises(GraphError, match="No tasks to remove"):
        workflow.pop()


def test_pop_takes_ports_of_the_input_task_along():
    workflow = Workflow().input().then(clean).then(count)
    assert list(workflow.graph.tasks["input"].outputs) == ["text"]
    workflow.connect("input", "factor", "count", "factor")
    assert list(workflow.graph.tasks["input"].outputs) == ["text", "factor"]
    workflow.pop()
    assert list(workflow.graph.tasks["input"].outputs) == ["text"]


# ---------------------------------------------------------------------- rename and connect


def test_rename_reaches_back_by_index():
    workflow = (
        Workflow().then(double, id="a").then(double, id="b").rename("value", "factor", index=-2).then(count, text="t")
    )
    assert edges(workflow)[-1] == "a[value] ==> count[factor]"


def test_rename_refuses_what_is_not_there():
    workflow = Workflow().then(double)
    with pytest.raises(UnknownTaskError, match="Back index greater than number of tasks"):
        workflow.rename("value", "x", index=-2)
    with pytest.raises(UnknownTaskError, match="-1 is the previous task"):
        workflow.rename("value", "x", index=0)
    with pytest.raises(UnknownPortError, match="no output 'zz'"):
        workflow.rename("zz", "x")
    workflow.rename("value", "zz")
    with pytest.raises(UnknownPortError, match="no input 'zz'"):
        workflow.then(double)
    assert list(workflow.graph.tasks) == ["double"]


def test_a_rename_that_never_met_its_task_stops_the_run():
    workflow = Workflow().then(double).rename("value", "factor")
    with pytest.raises(GraphError, match=r"rename\('value', 'factor'\) of 'double' waits"):
        workflow.run_sync({"value": 1})
    with pytest.raises(GraphError, match="waits"):
        workflow.to_json()


def test_a_rename_may_transform():
    workflow = Workflow().then(double).rename("value", "text", transforms=["numberToString"]).then(count)
    assert workflow.run_sync({"value": 50}).outputs == {"size": 3}


def test_connect_joins_tasks_by_their_ids():
    workflow = Workflow().then(double, id="a").then(count, text="t", id="b")
    assert workflow.connect("a", "value", "b", "factor") is workflow
    assert edges(workflow) == ["a[value] ==> b[factor]"]
    with pytest.raises(UnknownTaskError, match="'c'"):
        workflow.connect("c", "value", "b", "factor")


# ---------------------------------------------------------------------- error handlers


def test_a_handler_runs_when_its_task_fails_and_the_builder_goes_on_behind_the_task():
    workflow = Workflow().then(broken).on_error(Recover).then(double)
    assert edges(workflow) == ["broken[[error]] ==> recover[*]", "broken[value] ==> double[value]"]
    assert workflow.run_sync({"value": 3}).outputs == {"value": -1}
    with pytest.raises(TaskFailedError):
        Workflow().then(broken).run_sync({"value": 3})


def test_a_handler_does_not_run_when_all_goes_well():
    run = Workflow().then(double).on_error(Recover).run_sync({"value": 3})
    assert run.outputs == {"value": 6}
    assert run.tasks["recover"].status == "disabled"


def test_a_handler_needs_a_task_to_guard():
    with pytest.raises(GraphError, match="requires a preceding task"):
        Workflow().on_error(Recover)


# ---------------------------------------------------------------------- parallel, pipe, map


def test_parallel_tasks_are_one_task():
    @task(inline=True)
    def first(input: str) -> str:
        return f"processed-{input}"

    workflow = Workflow().parallel([first.task(input="test1"), first.task(input="test2")])
    assert workflow.run_sync().outputs == {"output": ["processed-test1", "processed-test2"]}
    assert list(workflow.graph.tasks) == ["parallel"]
    assert list(Workflow().parallel([double]).parallel([double]).graph.tasks) == ["parallel", "parallel_2"]


def test_a_pipe_needs_no_names():
    workflow = Workflow().pipe(lambda: 3, lambda a: a * 2, lambda b: b + 5, lambda c: c * c)
    assert workflow.run_sync().outputs == {"output": 121}


def test_a_pipe_into_several_inputs_is_refused():
    with pytest.raises(AutoConnectError):
        Workflow().pipe(lambda: 3, lambda a, b: a)


def test_a_map_runs_its_body_for_each_item():
    assert Workflow().map(double).run_sync({"value": [1, 2, 3]}).outputs == {"value": [2, 4, 6]}
    body = Workflow().then(clean).then(count)
    assert Workflow().map(body).run_sync({"text": ["a  b", "c"]}).outputs == {"size": [3, 1]}
    assert Workflow().map(body.graph, concurrency=1).run_sync({"text": ["a"]}).outputs == {"size": [1]}


def test_a_map_can_be_built_in_place():
    workflow = Workflow()
    body = workflow.map(max_iterations=5)
    with pytest.raises(GraphError, match="still open"):
        body.then(double).run_sync({"value": [1]})
    with pytest.raises(GraphError, match="Cannot reset the body of a loop"):
        body.reset()
    assert body.end_map() is workflow
    assert workflow.run_sync({"value": [1, 2]}).outputs == {"value": [2, 4]}
    assert workflow.graph.tasks["map"].config["max_iterations"] == 5
    with pytest.raises(GraphError, match=r"end_map\(\) closes"):
        workflow.end_map()


def test_a_map_has_no_limit_unless_it_is_given():
    assert Workflow().map(double).graph.tasks["map"].config["max_iterations"] == "unbounded"


def test_a_map_is_connected_like_any_task():
    @task(output="text", inline=True)
    def lines(page: str) -> list[str]:
        return page.splitlines()

    workflow = Workflow().then(lines).map(count, inputs={"factor": 2})
    assert edges(workflow) == ["lines[text] ==> map[text]"]
    assert workflow.run_sync({"page": "a\nbb"}).outputs == {"size": [2, 4]}


def test_a_body_is_copied_when_the_map_is_made():
    body = Workflow().then(double)
    workflow = Workflow().map(body)
    body.pop()
    assert workflow.run_sync({"value": [1]}).outputs == {"value": [2]}


def test_a_workflow_is_a_task_of_another():
    workflow = Workflow().then(Workflow().then(clean).then(count), id="inner", text=" a ")
    assert workflow.run_sync().outputs == {"size": 1}
    assert workflow.run_sync({"text": "abc"}).outputs == {"size": 3}


# ---------------------------------------------------------------------- boundary tasks


def test_an_input_task_follows_the_edges():
    workflow = Workflow().input().then(clean).then(count)
    assert workflow.graph.input_schema()["required"] == ["text"]
    assert workflow.run_sync({"text": "a  b"}).outputs == {"size": 3}
    with pytest.raises(TaskInputError, match="no input 'txt'"):
        workflow.run_sync({"txt": "a"})


def test_a_schema_written_by_hand_is_left_alone():
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": False}
    workflow = Workflow().input(schema).then(clean)
    assert workflow.graph.input_schema()["properties"] == {"text": {"type": "string"}}
    with pytest.raises(AutoConnectError, match=r"\[value\]"):
        workflow.then(double)


def test_an_output_task_alone_says_what_comes_out():
    workflow = Workflow().then(clean).output().then(count)
    assert workflow.run_sync({"text": "a  b"}).outputs == {"size": 3}
    workflow.pop()
    assert workflow.run_sync({"text": "a  b"}).outputs == {"text": "a b"}


# ---------------------------------------------------------------------- failure leaves no trace


@pytest.mark.parametrize("boundary", [False, True])
def test_a_task_that_finds_no_match_changes_nothing(boundary: bool):
    workflow = Workflow().input() if boundary else Workflow()
    workflow.then(clean).rename("text", "text")
    before = (workflow.graph.copy(), edges(workflow))
    for wrong in (lambda a, b: a, double.task(id="clean")):
        with pytest.raises(GraphError):
            workflow.then(wrong)  # type: ignore[arg-type]
    assert (list(workflow.graph.tasks), edges(workflow)) == (list(before[0].tasks), before[1])
    assert workflow.graph.input_schema() == before[0].input_schema()
    workflow.then(count)
    assert edges(workflow)[-1] == "clean[text] ==> count[text]"


def test_a_literal_that_is_no_input_is_refused_at_the_call():
    with pytest.raises(TaskInputError, match="factr"):
        Workflow().then(count, factr=2)
    with pytest.raises(TaskInputError, match="text"):
        Workflow().then(count, text=2)


# ---------------------------------------------------------------------- task types as methods


def test_registered_types_are_methods():
    class TextShoutingTask(Task):
        inputs = Ports.from_schema({"properties": {"text": {"type": "string"}}, "additionalProperties": False})
        outputs = inputs

    registry = TaskRegistry([TextShoutingTask])
    workflow = Workflow(registry=registry).text_shouting(id="loud", text="a")
    assert workflow.graph.tasks["loud"].type == "TextShoutingTask"
    assert "text_shouting" in dir(workflow)
    assert "then" in dir(workflow)
    with pytest.raises(AttributeError, match="Did you mean 'text_shouting'"):
        workflow.text_shouting_task()
    with pytest.raises(AttributeError, match="Did you mean 'pipe'"):
        workflow.pip()
    with pytest.raises(AttributeError):
        workflow._repr_latex_()


def test_what_is_missing_is_not_taken_for_a_method():
    assert not hasattr(Workflow(registry=TaskRegistry()), "__array__")
    assert not hasattr(Workflow(registry=TaskRegistry()), "clean")


def test_a_graph_of_a_workflow_is_a_copy():
    workflow = Workflow().then(clean)
    graph = workflow.to_graph()
    workflow.then(count)
    assert isinstance(graph, TaskGraph)
    assert list(graph.tasks) == ["clean"]
