"""Graphs to measure, as ours and as plain data for whoever we are measured against."""

from __future__ import annotations

from workglow.graph.graph import TaskGraph
from workglow.tasks import task

__all__ = ["Edges", "add_one", "chain", "fan_out", "grid", "inline_one", "to_graph"]

Edges = list[list[int]]
"""For each task the tasks it reads."""


@task(name="bench_add", output="value", cache=False)
async def add_one(value: int) -> int:
    return value + 1


@task(name="bench_inline", output="value", cache=False, inline=True)
def inline_one(value: int) -> int:
    return value + 1


@task(name="bench_join", output="value", cache=False)
async def join(left: int, up: int) -> int:
    return left + up & 1023


def chain(size: int) -> Edges:
    return [[number - 1] if number else [] for number in range(size)]


def fan_out(size: int) -> Edges:
    return [[0] if number else [] for number in range(size)]


def grid(side: int) -> Edges:
    return [[number - side] * (number >= side) + [number - 1] * (number % side > 0) for number in range(side * side)]


def to_graph(edges: Edges, single: object = add_one) -> TaskGraph:
    """One task for each entry; a task that reads two is a join."""
    graph = TaskGraph()
    for number, sources in enumerate(edges):
        graph.add_task(join if len(sources) == 2 else single, id=f"t{number}")  # type: ignore[arg-type]
        for source, port in zip(sources, ("left", "up") if len(sources) == 2 else ("value",), strict=False):
            graph.add_dataflow(f"t{source}", "value", f"t{number}", port)
    return graph
