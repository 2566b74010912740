"""W8: large graphs, from JSON and from the file, and the cost of one more edge."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from measure import Row, compare, seconds
from shapes import Edges, add_one, chain, fan_out, grid, to_graph

import workglow as wg
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.graph import TaskGraph
from workglow.tasks import Collect, task

__all__ = ["rows"]

SIZE = 10_000


@task(name="bench_gather", output="value", cache=False)
async def gather(values: Collect[int]) -> int:
    return sum(values)


def fan_in(size: int) -> TaskGraph:
    """Many tasks, each read by the one port of the last."""
    graph = TaskGraph()
    graph.add_task(gather, id="all")
    for number in range(size - 1):
        graph.add_task(add_one, id=f"t{number}")
        graph.add_dataflow(f"t{number}", "value", "all", "values")
    return graph


def groups(size: int) -> TaskGraph:
    """A chain of groups of nine, so that there are `size` tasks in all."""
    graph = TaskGraph()
    for number in range(size // 10):
        graph.add_task(GraphAsTask(to_graph(chain(9)), id=f"g{number}"))
        if number:
            graph.add_dataflow(f"g{number - 1}", "value", f"g{number}", "value")
    return graph


def rows(peers: bool) -> Iterator[Row]:
    del peers
    shapes: dict[str, Callable[[], TaskGraph]] = {
        "chain": lambda: to_graph(chain(SIZE)),
        "grid of 100 by 100": lambda: to_graph(grid(100)),
        "fan-out": lambda: to_graph(fan_out(SIZE)),
        "fan-in": lambda: fan_in(SIZE),
        "groups of nine": lambda: groups(SIZE),
    }
    for name, make in shapes.items():
        graph = make()
        text = json.dumps(graph.to_json())
        yield compare(
            "W8", f"JSON, {name}", lambda text=text: TaskGraph.from_json(text), "parsing it alone",
            lambda text=text: json.loads(text), target=None, unit="ms", scale=1e3, rounds=5,
        )  # fmt: skip
        took = min(seconds(lambda text=text: TaskGraph.from_json(text)) for _ in range(3))
        yield Row("W8", f"JSON, {name}", took, "s", "1 s", 1, 1)
        yield from _from_file(name, graph)
    yield from _one_more_edge("chain", chain)
    yield from _one_more_edge("fan-out", fan_out)


def _from_file(name: str, graph: TaskGraph) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder, wg.open(Path(folder) / "graphs.wg") as project:
        project.graphs.save("large", graph)
        took = min(seconds(lambda: project.graphs.get("large")) for _ in range(3))
        yield Row("W8", f"file, {name}", took, "s", "1 s", 1, 1)


def _one_more_edge(name: str, shape: Callable[[int], Edges]) -> Iterator[Row]:
    """The edges near the 10,000th against those near the 10th, the median of a hundred each, in one graph."""
    late: list[float] = []
    early: list[float] = []
    for _ in range(5):
        graph = TaskGraph()
        for number in range(SIZE + 100):
            graph.add_task(add_one, id=f"t{number}")
        for number, sources in enumerate(shape(SIZE + 100)):
            for source in sources:
                begun = time.perf_counter()
                graph.add_dataflow(f"t{source}", "value", f"t{number}", "value")
                took = time.perf_counter() - begun
                if 10 <= number < 110:
                    early.append(took)
                elif number >= SIZE:
                    late.append(took)
    mine, other = statistics.median(late), statistics.median(early)
    yield Row("W8", f"10,000th edge, {name}", mine * 1e6, "µs", "10th edge", other * 1e6, 1.5)
