"""What any task of a random graph gives is what its schema says, inside loops and branches too."""

from __future__ import annotations

import re
from random import Random

import pytest
from random_graphs import random_graph, registry

from workglow.errors import TaskFailedError
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.tasks import Ports, Task

GRAPHS = 300


def task_at(graph: TaskGraph, path: str) -> Task:
    *above, id = re.sub(r"\[\d+\]", "", path).split("/")
    for step in above:
        graph = graph.tasks[step].subgraph  # type: ignore[attr-defined]
    return graph.tasks[id]


@pytest.mark.parametrize("part", range(3))
def test_outputs_are_as_the_schemas_say(part: int) -> None:
    checked = 0
    for seed in range(part, GRAPHS, 3):
        random = Random(seed)
        graph = random_graph(random)
        try:
            run = run_in_memory_sync(graph, {"value": random.randrange(50)})
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
