"""JsonTask: a graph that arrives as JSON is a part of the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow.errors import GraphFormatError, TaskConfigurationError, TaskInputError, UnknownTaskTypeError
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.library.subgraph import JsonTask
from workglow.tasks import Entitlement, TaskRegistry, task_registry

ADD = '[{"id": "add", "type": "ScalarAddTask", "defaults": {"a": 40}}]'


def graph_of(*types: str) -> str:
    workflow = wg.Workflow()
    for name in types:
        workflow.then(task_registry.get(name))
    return json.dumps(workflow.to_graph().to_json())


def test_both_forms_of_a_graph_run(run: Any) -> None:
    assert run("JsonTask", {"json": ADD, "b": 2}) == {"output": {"result": 42}}
    assert run("JsonTask", {"json": graph_of("StringTrimTask", "StringUpperCaseTask"), "text": " a "}) == {
        "output": {"text": "A"}
    }


def test_the_graph_may_be_written_by_a_task_before() -> None:
    graph = TaskGraph()
    graph.add_task(task_registry.get("TemplateTask")(), id="write")
    graph.add_task(JsonTask(), id="run")
    graph.add_dataflow("write", "result", "run", "json")
    template = ADD.replace("40", '40, "b": {{b}}')
    inputs = {"template": template, "values": {"b": 1}}
    assert run_in_memory_sync(graph, inputs).outputs == {"output": {"result": 41}}


def test_its_tasks_are_tasks_of_the_run(project: wg.Project) -> None:
    run = project.run_sync(wg.Workflow().then(JsonTask), {"json": ADD, "b": 2})
    assert run.outputs == {"output": {"result": 42}}
    paths = list(run.tasks)
    assert [path.rpartition("/")[2] for path in paths] == [paths[0], "add"]


def test_a_run_goes_on_inside_the_graph(project_path: Path) -> None:
    """What is committed inside does not run again: only the task that failed does."""
    calls: list[str] = []

    @wg.task(name="subgraph_first", version="1", cache=False, output="value")
    def first() -> int:
        calls.append("first")
        return 1

    @wg.task(name="subgraph_second", version="1", cache=False)
    def second(value: int) -> int:
        calls.append("second")
        if calls.count("second") == 1:
            raise KeyError("not yet")
        return value + 1

    text = json.dumps(wg.Workflow().then(first).then(second).to_graph().to_json())
    with wg.open(project_path) as project:
        with pytest.raises(wg.WorkglowError) as failure:
            project.run_sync(wg.Workflow().then(JsonTask), {"json": text})
        uid: Any = failure.value.run
    with wg.open(project_path) as project:
        run = project.resume_sync(uid.id if hasattr(uid, "id") else uid)
        assert run.outputs == {"output": {"output": 2}}
    assert calls == ["first", "second", "second"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", GraphFormatError),
        ("", GraphFormatError),
        ("[1]", GraphFormatError),
        ('{"tasks": [], "dataflows": []}', TaskConfigurationError),
        ('[{"id": "a", "type": "os.system"}]', UnknownTaskTypeError),
        ('[{"id": "a", "type": "LambdaTask", "config": {"execute": "x"}}]', UnknownTaskTypeError),
        ("[" * 100_000, GraphFormatError),
        ("7", GraphFormatError),
    ],
)
def test_what_is_no_graph_is_refused(text: str, error: type[Exception], run: Any) -> None:
    with pytest.raises(error):
        run("JsonTask", {"json": text})
    with pytest.raises(TaskInputError):
        run("JsonTask", {"json": 7})


def test_only_types_of_the_runs_registry_are_made() -> None:
    registry = TaskRegistry([JsonTask])
    graph = TaskGraph()
    graph.add_task(JsonTask(), id="t")
    with pytest.raises(UnknownTaskTypeError):
        run_in_memory_sync(graph, {"json": ADD, "b": 1}, registry=registry)


def test_a_graph_that_writes_itself_without_end_is_stopped(run: Any) -> None:
    again = json.dumps(
        [
            {"id": "text", "type": "subgraph_again"},
            {"id": "run", "type": "JsonTask", "dependencies": {"json": {"id": "text", "output": "output"}}},
        ]
    )

    @wg.task(name="subgraph_again", version="1", inline=True)
    def text() -> str:
        return again

    with pytest.raises(GraphFormatError, match="more than 32 graphs deep"):
        run("JsonTask", {"json": again})


def test_the_limit_of_tasks_holds_inside() -> None:
    graph = TaskGraph()
    graph.add_task(JsonTask(), id="t")
    text = graph_of("StringTrimTask", "StringTrimTask", "StringTrimTask")
    with pytest.raises(TaskConfigurationError, match="exceeding the limit of 2"):
        run_in_memory_sync(graph, {"json": text, "text": ""}, options=wg.RunOptions(max_tasks=2))


def test_what_the_tasks_inside_need_is_what_it_needs() -> None:
    assert JsonTask().required_entitlements() == (Entitlement("graph:json"),)
    text = graph_of("JavaScriptTask")
    needed = (Entitlement("graph:json"), Entitlement("code:javascript"))
    assert JsonTask().required_entitlements({"json": text}) == needed
    assert JsonTask(defaults={"json": text}).required_entitlements() == needed
