"""Promise: an interrupted run ends with the same outputs as one that nobody interrupted, whatever its graph.

Random graphs with every kind of compound task are run in one file, once as they are and once with the process gone
after a random number of commits, again and again until the run is finished.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from random_graphs import random_graph, registry, run_count

from workglow.errors import WorkglowError
from workglow.file import File, doctor
from workglow.graph.engine import Engine
from workglow.graph.graph import TaskGraph
from workglow.graph.options import RunOptions
from workglow.graph.run import Run
from workglow.storage.records import RunRecord
from workglow.storage.sqlite import sqlite_repositories

GRAPHS = int(os.environ.get("WORKGLOW_RANDOM_GRAPHS", "200"))
PARTS = 8


class Crash(BaseException):
    """The process is gone: nothing after this happened."""


class Machine:
    """One file, and processes that come and go."""

    def __init__(self, path: Path) -> None:
        self.file = File.open(path, durability="process")
        self._transaction = self.file.transaction
        self.left: int | None = None
        self.crashes = 0
        setattr(self.file, "transaction", self._or_crash)  # noqa: B010
        self.boot()

    def boot(self) -> None:
        """Begin a process that remembers nothing."""
        self.left = None
        self.engine = Engine(sqlite_repositories(self.file), registry())

    def _or_crash(self, **options: Any) -> Any:
        if self.left is not None:
            if self.left == 0:
                raise Crash
            self.left -= 1
        return self._transaction(**options)

    async def run(self, graph: TaskGraph, value: int) -> RunRecord:
        try:
            run = await self.engine.run(graph, {"value": value}, options=RunOptions(), alone=True)
        except WorkglowError as error:
            run = _failed(error)
        return self.engine.repositories.runs.get(run.id)

    async def run_interrupted(self, graph: TaskGraph, value: int, random: Random) -> RunRecord:
        uid = self.engine.begin(graph, {"value": value}, options=RunOptions()).id
        finished: dict[str, int] = {}
        while True:
            self.left = random.choice((1, 1, 2, 3, 5, 8, 13, 100))
            try:
                await self.engine.resume(uid, alone=True)
            except Crash:
                self.crashes += 1
            except WorkglowError as error:
                _failed(error)
            self.boot()
            record = self.engine.repositories.runs.get(uid)
            assert all(run_count[path] == times for path, times in finished.items()), "it ran again"
            rows = self.engine.repositories.runs.rows(record)
            finished = {
                row.path: run_count[row.path] for row in rows if row.status == "completed" and row.path in run_count
            }
            if record.finished_at is not None:
                return record

    def told(self, record: RunRecord) -> object:
        """All that a run left, except times; only that it failed if it did, for what was in flight then varies."""
        if record.status != "completed":
            return record.status
        rows = self.engine.repositories.runs.rows(record)
        return record.output, sorted((row.path, row.status, row.output) for row in rows)


def _failed(error: WorkglowError) -> Run:
    """The run that ended with this error; any other error is one that nobody expected."""
    if not isinstance(error.run, Run):
        raise error
    return error.run


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path / "runs.wg")
    yield machine
    machine.file.close()
    assert doctor(tmp_path / "runs.wg").ok


@pytest.mark.parametrize("part", range(PARTS))
def test_an_interrupted_run_ends_like_any_other(machine: Machine, part: int) -> None:
    async def compare() -> dict[str, int]:
        found = {"completed": 0, "failed": 0}
        for seed in range(part, GRAPHS, PARTS):
            random = Random(seed)
            graph, value = random_graph(random), random.randrange(50)
            plain = await machine.run(graph, value)
            run_count.clear()
            interrupted = await machine.run_interrupted(graph, value, random)
            assert machine.told(interrupted) == machine.told(plain), f"graph of seed {seed}"
            found[plain.status] += 1
        return found

    found = asyncio.run(compare())
    assert machine.crashes >= GRAPHS // PARTS
    assert found["completed"] > found["failed"]
