"""W1: graphs in memory, against a bare ready queue that steps coroutines in place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from measure import Row, alternate, compare, seconds
from shapes import Edges, chain, fan_out, grid, inline_one, to_graph

from workglow.graph.launch import run_in_memory

__all__ = ["bare_queue", "rows"]

SIZE = 1000


async def bare_step(value: int) -> int:
    return value + 1


async def bare_join(left: int, up: int) -> int:
    return left + up & 1023


def bare_queue(edges: Edges) -> Callable[[], dict[str, dict[str, int]]]:
    """The least that running a graph takes: dependency counts, a queue, and each coroutine stepped with its inputs."""
    names = [f"t{number}" for number in range(len(edges))]
    sources: dict[str, list[tuple[str, str]]] = {}
    successors: dict[str, list[str]] = {name: [] for name in names}
    for number, reads in enumerate(edges):
        ports = ("left", "up") if len(reads) == 2 else ("value",)
        sources[names[number]] = [(port, names[source]) for port, source in zip(ports, reads, strict=False)]
        for source in reads:
            successors[names[source]].append(names[number])

    def run() -> dict[str, dict[str, int]]:
        waiting = {name: len(reads) for name, reads in sources.items()}
        ready = deque(name for name, count in waiting.items() if not count)
        outputs: dict[str, dict[str, int]] = {}
        while ready:
            name = ready.popleft()
            inputs: Any = {port: outputs[source]["value"] for port, source in sources[name]} or {"value": 0}
            coroutine = bare_join(**inputs) if len(inputs) == 2 else bare_step(**inputs)
            try:
                coroutine.send(None)
            except StopIteration as stop:
                outputs[name] = {"value": stop.value}
            for successor in successors[name]:
                waiting[successor] -= 1
                if not waiting[successor]:
                    ready.append(successor)
        return outputs

    return run


def rows(peers: bool) -> Iterator[Row]:
    loop = asyncio.new_event_loop()
    count = 0

    def hook(_: object) -> None:
        nonlocal count
        count += 1

    def ours(edges: Edges, single: object | None = None) -> Callable[[], object]:
        graph = to_graph(edges) if single is None else to_graph(edges, single)
        return lambda: loop.run_until_complete(run_in_memory(graph, {"value": 0}, on_event=hook))

    shapes = {"chain": chain(SIZE), "fan-out": fan_out(SIZE), "grid of 32 by 32": grid(32)}
    for name, edges in shapes.items():
        yield compare("W1", name, ours(edges), "bare ready queue", bare_queue(edges), target=4, each=len(edges))
    edges = chain(SIZE)
    yield compare(
        "W1", "chain, inline", ours(edges, inline_one), "bare ready queue", bare_queue(edges), target=4, each=SIZE
    )
    if peers:
        from peers import hamilton

        for name, edges in shapes.items():
            yield compare("W1", name, ours(edges), "Hamilton", hamilton(edges), target=1, each=len(edges), rounds=5)
    large, small = ours(chain(100 * SIZE)), ours(chain(SIZE))
    mine, other = alternate(large, small, rounds=3)
    yield Row("W1", "chain of 100,000", mine * 1e6 / (100 * SIZE), "µs/task", "chain of 1,000", other * 1e6 / SIZE, 1.3)
    edges = chain(SIZE)
    built = min(seconds(lambda: to_graph(edges)) for _ in range(7))
    yield Row("W1", "building a chain", built * 1e6 / SIZE, "µs/task", "6 µs", 6, 1)
    loop.close()
