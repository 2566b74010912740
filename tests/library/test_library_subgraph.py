"""JsonTask: a graph that arrives as JSON is a part of the run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow.errors import (
    GraphFormatError,
    TaskConfigurationError,
    TaskEntitlementError,
    TaskInputError,
    UnknownTaskTypeError,
)
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


def test_a_graph_that_comes_in_may_do_only_what_was_granted_in_so_many_words(project: wg.Project, folder: Path) -> None:
    """That the program made the graph around it says nothing about it, also not when the run is resumed."""
    (folder / "secret.txt").write_text("told")
    text = json.dumps(wg.Workflow().file_loader(url="secret.txt").to_graph().to_json())
    graph = TaskGraph()
    graph.add_task(task_registry.get("TemplateTask")(), id="write")
    graph.add_task(JsonTask(), id="run")
    graph.add_dataflow("write", "result", "run", "json")
    inputs = {"template": text, "values": {}}
    with pytest.raises(TaskEntitlementError, match="files:read"):
        project.run_sync(graph, inputs)
    with pytest.raises(TaskEntitlementError, match="files:read"):
        graph.run_sync(inputs)
    begun = project.begin(graph, inputs)
    with pytest.raises(TaskEntitlementError, match="files:read"):
        project.resume_sync(begun.id)
    granted = ["graph:json", "files:read=secret.txt"]
    assert "told" in str(project.run_sync(graph, inputs, entitlements=granted).outputs)


def test_its_tasks_are_tasks_of_the_run(project: wg.Project) -> None:
    run = project.run_sync(wg.Workflow().then(JsonTask), {"json": ADD, "b": 2})
    assert run.outputs == {"output": {"result": 42}}
    paths = list(run.tasks)
    assert [path.rpartition("/")[2] for path in paths] == [paths[0], "add"]


def test_a_killed_run_goes_on_inside_the_graph(project_path: Path, tmp_path: Path) -> None:
    """What is committed inside does not run again; only the task in flight does."""
    ledger = tmp_path / "ledger"

    def note(name: str) -> list[str]:
        with ledger.open("a") as file:
            file.write(f"{name}\n")
        return ledger.read_text().split()

    @wg.task(name="subgraph_first", version="1", cache=False, output="value")
    def first() -> int:
        note("first")
        return 1

    @wg.task(name="subgraph_second", version="1", cache=False)
    def second(value: int) -> int:
        if note("second").count("second") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return value + 1

    text = json.dumps(wg.Workflow().then(first).then(second).to_graph().to_json())
    child = os.fork()
    if child == 0:
        with wg.open(project_path) as project:
            project.run_sync(wg.Workflow().then(JsonTask), {"json": text})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    with wg.open(project_path) as project:
        (run,) = project.resume_all_sync()
        assert run.outputs == {"output": {"output": 2}}
    assert ledger.read_text().split() == ["first", "second", "second"]


def test_a_failed_one_is_run_again_as_a_whole(project: wg.Project) -> None:
    tries: list[int] = []

    @wg.task(name="subgraph_moody", version="1")
    def moody() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise KeyError("not yet")
        return 5

    text = json.dumps(wg.Workflow().then(moody).to_graph().to_json())
    with pytest.raises(wg.WorkglowError) as failure:
        project.run_sync(wg.Workflow().then(JsonTask), {"json": text})
    run: Any = failure.value.run
    assert project.rerun_failed_sync(run.id).outputs == {"output": {"output": 5}}


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
