"""What any task of a random graph gives is what its schema says, inside loops and branches too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from random import Random

import pytest
from random_graphs import random_graph, registry

from workglow.errors import TaskFailedError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.graph import TaskGraph
from workglow.graph.json.dependency_codec import graph_from_dependency_json, graph_to_dependency_json
from workglow.graph.launch import run_in_memory_sync
from workglow.library.subgraph import JsonTask
from workglow.tasks import Ports, Task

GRAPHS = 300


def task_at(graph: TaskGraph, path: str) -> Task:
    *above, id = re.sub(r"\[\d+\]", "", path).split("/")
    for step in above:
        graph = graph_in(graph.tasks[step])
    return graph.tasks[id]


def graph_in(task: Task) -> TaskGraph:
    if isinstance(task, JsonTask):
        return TaskGraph.from_json(json.loads(task.defaults["json"]), registry())
    assert isinstance(task, GraphAsTask)
    return task.subgraph


@pytest.mark.parametrize("part", range(3))
def test_outputs_are_as_the_schemas_say(part: int) -> None:
    checked = 0
    for seed in range(part, GRAPHS, 3):
        random = Random(seed)
        graph = random_graph(random)
        try:
            run = run_in_memory_sync(graph, {"value": random.randrange(50)}, entitlements=["graph:json"])
        except TaskFailedError:
            continue
        Ports.from_schema(graph.output_schema()).check(dict(run.outputs))
        for path, found in run.tasks.items():
            if found.status == "completed":
                task_at(graph, path).outputs.check(dict(found.outputs))
                checked += 1
    assert checked > GRAPHS


@pytest.mark.parametrize("seed", range(100))
def test_json_gives_the_same_graph_back(seed: int) -> None:
    graph = random_graph(Random(seed))
    data = graph.to_json()
    assert TaskGraph.from_json(data, registry()).to_json() == data
    whole = TaskGraph()
    whole.add_task(GraphAsTask(graph, id="whole"))
    assert graph_from_dependency_json(graph_to_dependency_json(whole), registry()).to_json() == whole.to_json()


@pytest.mark.parametrize("seed", range(60))
def test_a_drawn_boundary_changes_no_result(seed: int) -> None:
    random = Random(seed)
    graph, inputs = random_graph(random), {"value": random.randrange(50)}
    drawn = TaskGraph.from_json(graph.to_json(with_boundary_nodes=True), registry())
    listed = graph_from_dependency_json(graph_to_dependency_json(graph, with_boundary_nodes=True), registry())
    plain = outputs(graph, inputs)
    assert (outputs(drawn, inputs), outputs(listed, inputs)) == (plain, plain)


def outputs(graph: TaskGraph, inputs: Mapping[str, object]) -> object:
    try:
        return dict(run_in_memory_sync(graph, inputs, entitlements=["graph:json"]).outputs)
    except TaskFailedError:
        return "failed"
