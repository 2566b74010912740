"""W8: streams, against the bare queue that they cannot do without."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from measure import Row, compare

import workglow as wg
from workglow import Stream, TaskGraph
from workglow.tasks import task

__all__ = ["rows"]

CHUNKS = 10_000
MANY = 1_000_000
PIECE = "token "
_AHEAD = 64

latencies: list[float] = []


@task(name="bench_write", output="text", cache=False)
async def write(chunks: int) -> AsyncIterator[str]:
    for _ in range(chunks):
        yield PIECE


@task(name="bench_pass_on", output="text", cache=False)
async def pass_on(text: Stream[str]) -> AsyncIterator[str]:
    async for piece in text:
        yield piece


@task(name="bench_count", output="count", cache=False)
async def count(text: Stream[str]) -> int:
    return sum([len(piece) async for piece in text])


@task(name="bench_tally", output="count", cache=False)
async def tally(text: Stream[str]) -> int:
    size = 0
    async for piece in text:
        size += len(piece)
    return size


@task(name="bench_stamp", output="text", cache=False)
async def stamp(chunks: int) -> AsyncIterator[str]:
    for _ in range(chunks):
        yield f"{time.perf_counter()} "
        await asyncio.sleep(0.02)


@task(name="bench_arrive", output="count", cache=False)
async def arrive(text: Stream[str]) -> int:
    async for piece in text:
        latencies.append(time.perf_counter() - float(piece.split()[0]))
        break
    async for _ in text:
        pass
    return 1


def pipeline(first: Any, last: Any) -> TaskGraph:
    graph = TaskGraph()
    ids = [graph.add_task(made, id=id).id for made, id in ((first, "first"), (pass_on, "middle"), (last, "last"))]
    for source, target in pairwise(ids):
        graph.add_dataflow(source, "text", target, "text")
    return graph


async def bare(chunks: int) -> int:
    """The same three steps as coroutines with a bounded queue between them, and nothing kept."""
    one: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)
    two: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)

    async def begin() -> None:
        for _ in range(chunks):
            await one.put(PIECE)
        await one.put(None)

    async def hand_on() -> None:
        while (piece := await one.get()) is not None:
            await two.put(piece)
        await two.put(None)

    async def end() -> int:
        size = 0
        while (piece := await two.get()) is not None:
            size += len(piece)
        return size

    return (await asyncio.gather(begin(), hand_on(), end()))[2]


def first_chunk(graph: TaskGraph, project: wg.Project | None) -> float:
    """Seconds from the making of the first chunk to its reading at the end of the pipeline."""
    latencies.clear()
    (graph if project is None else project).run_sync(*([] if project is None else [graph]), {"chunks": 2})  # type: ignore[union-attr]
    return latencies[0]


def growth(chunks: int) -> float:
    """MB that a run of so many chunks needs at its highest, beyond the text itself and what a short run needs."""
    graph = pipeline(write, tally)
    graph.run_sync({"chunks": 10})
    gc.collect()
    tracemalloc.start()
    graph.run_sync({"chunks": chunks})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def rows(peers: bool) -> Iterator[Row]:
    """Measure throughput, latency and memory; nobody else streams through a graph, so there are no peers."""
    graph = pipeline(write, count)
    yield compare(
        "W11", "10,000 chunks, 3 tasks", lambda: graph.run_sync({"chunks": CHUNKS}),
        "bare queues", lambda: asyncio.run(bare(CHUNKS)), target=3.0, each=2 * CHUNKS, unit="µs/hop",
    )  # fmt: skip
    with TemporaryDirectory() as folder, wg.open(Path(folder) / "stream.wg") as project:
        yield compare(
            "W11", "the same in a file", lambda: project.run_sync(graph, {"chunks": CHUNKS}),
            "bare queues", lambda: asyncio.run(bare(CHUNKS)), target=None, each=2 * CHUNKS, unit="µs/hop",
        )  # fmt: skip
        timed = pipeline(stamp, arrive)
        for case, where in (("first chunk at the end", None), ("the same in a file", project)):
            found = sorted(first_chunk(timed, where) for _ in range(15))
            yield Row("W11", case, found[7] * 1e3, "ms", "the limit", 5.0, 1.0)
    text = len(PIECE) * MANY / 1e6
    yield Row("W11", "memory of 1,000,000 chunks", growth(MANY), "MB", "three texts", 3 * text, 1.5)
