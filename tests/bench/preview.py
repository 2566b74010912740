"""W9: previews, against the 100 µs a task that keep an editor fluent, and against doing all of it again."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from measure import Row, compare, seconds
from pydantic import BaseModel
from shapes import Edges, chain, fan_out, grid

from workglow.graph.graph import TaskGraph
from workglow.tasks import Task

__all__ = ["rows"]

SIZE = 1000


class One(BaseModel):
    value: int = 0


class Two(BaseModel):
    left: int
    up: int


class Shown(Task):
    Input = One
    Output = One

    def execute_preview(self, inputs: One) -> dict[str, Any]:
        return {"value": inputs.value + 1}


class Joined(Task):
    Input = Two
    Output = One

    def execute_preview(self, inputs: Two) -> dict[str, Any]:
        return {"value": inputs.left + inputs.up & 1023}


def to_graph(edges: Edges) -> TaskGraph:
    graph = TaskGraph()
    for number, sources in enumerate(edges):
        graph.add_task((Joined if len(sources) == 2 else Shown)(id=f"t{number}"))
        for source, port in zip(sources, ("left", "up") if len(sources) == 2 else ("value",), strict=False):
            graph.add_dataflow(f"t{source}", "value", f"t{number}", port)
    return graph


def rows(peers: bool) -> Iterator[Row]:
    del peers
    for name, edges in {"chain": chain(SIZE), "fan-out": fan_out(SIZE), "grid of 32 by 32": grid(32)}.items():
        graph = to_graph(edges)
        whole = min(seconds(lambda graph=graph: graph.preview({"value": 1})) for _ in range(5))
        yield Row("W9", name, whole * 1e6 / len(edges), "µs/task", "100 µs", 100, 1)
        preview, numbers = graph.preview({"value": 0}), count(1)
        again = min(seconds(lambda: preview.set({"value": next(numbers)})) for _ in range(5))  # noqa: B023
        yield Row("W9", f"{name}, all changed", again * 1e6 / len(edges), "µs/task", "100 µs", 100, 1)
    graph = to_graph(chain(10 * SIZE))
    preview, literals = graph.preview({"value": 0}), count(1)
    last = f"t{10 * SIZE - 1}"
    preview.graph.remove_dataflow(preview.graph.incoming[last][0])
    preview.refresh()
    yield compare(
        "W9", "one of 10,000 changed", lambda: preview.set(defaults={last: {"value": next(literals)}}),
        "a new preview", lambda: graph.preview({"value": 0}), target=0.2, unit="ms", scale=1e3, rounds=5,
    )  # fmt: skip
