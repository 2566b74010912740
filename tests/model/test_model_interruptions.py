"""Promise: an interrupted run ends with the same outputs as one that nobody interrupted, whatever its graph.

Random graphs with every kind of compound task, streams, and tasks that wait are run in one file, once as they are and
once with the process gone after a random number of commits, again and again until the run is finished, and with some
kinds of tasks done by the workers of two queues.  What a run
waits for comes to both in the same words, to the second one at any moment.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from random_graphs import EVENTS, random_graph, registry, run_count
from random_tasks import add, picky, slow_picky

from workglow.errors import WorkglowError
from workglow.file import File, doctor
from workglow.graph import runner
from workglow.graph.caller import Caller
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.engine import Engine
from workglow.graph.graph import TaskGraph
from workglow.graph.options import RunOptions
from workglow.graph.queued.handlers import ProjectHandlers
from workglow.graph.rights.permission import Permission
from workglow.graph.run import Run
from workglow.graph.stored import versions_of
from workglow.graph.waiting.answering import Answering
from workglow.limits import Limits, limiter_registry
from workglow.queue import HandlerRegistry, Queues
from workglow.storage.records import RunRecord, WaitingRow
from workglow.storage.sqlite import journal, sqlite_repositories
from workglow.storage.sqlite.jobs import SqliteJobs
from workglow.storage.sqlite.limits import SqliteLimits
from workglow.tasks import TaskFunction
from workglow.testing import FakeClock
from workglow.values import decode

ALONE = Caller(alone=True, permission=Permission.of(["graph:json"]))
GRAPHS = int(os.environ.get("WORKGLOW_RANDOM_GRAPHS", "200"))
PARTS = 8


class Crash(BaseException):
    """The process is gone: nothing after this happened."""


class Machine:
    """One file, and processes that come and go."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.file = File.open(path, durability="process", clock=self.clock)
        self._transaction = self.file.transaction
        self.left: int | None = None
        self.crashes = 0
        self.jobs = 0
        setattr(self.file, "transaction", self._or_crash)  # noqa: B010
        self.boot()

    def boot(self) -> None:
        """Begin a process that remembers nothing."""
        self.left = None
        self.engine = Engine(sqlite_repositories(self.file), registry(), self.clock)
        limits = SqliteLimits(self.file, limiter_registry.load)
        self.queues = Queues(
            self.file,
            SqliteJobs(self.file, limits.gates),
            self.engine.repositories.values,
            handlers=ProjectHandlers(HandlerRegistry(), self.engine),
            limits=Limits(self.file, limits, limiter_registry),
        )
        self.engine.queues = lambda: self.queues
        self.answering = Answering(self.engine.repositories)

    def _or_crash(self, **options: Any) -> Any:
        if self.left is not None:
            if self.left == 0:
                raise Crash
            self.left -= 1
        return self._transaction(**options)

    async def run(self, graph: TaskGraph, value: int) -> RunRecord:
        try:
            run = await self.engine.run(graph, {"value": value}, options=RunOptions(wait=False), caller=ALONE)
            while run.status == "waiting":
                if not self.bring(run.id):
                    self.let_time_pass(run.id)
                run = await self.engine.resume(run.id, caller=ALONE, wait=False)
        except WorkglowError as error:
            run = _failed(error)
        return self.engine.repositories.runs.get(run.id)

    async def run_interrupted(self, graph: TaskGraph, value: int, random: Random) -> RunRecord:
        types = [kind for kind in versions_of(graph) if self.engine.registry.get(kind).has_body]
        queued = {kind: random.choice(("fast", "slow")) for kind in types if random.random() < 0.3}
        uid = self.engine.begin(graph, {"value": value}, options=RunOptions(queues=queued)).id
        finished: dict[str, int] = {}
        while True:
            self.left = random.choice((1, 1, 2, 3, 5, 8, 13, 100))
            try:
                run = await self.engine.resume(uid, caller=ALONE, wait=False)
                self.left = None
                if run.status == "waiting" and not await self.work() and not self.bring(uid, random):
                    self.let_time_pass(uid)
            except Crash:
                self.crashes += 1
            except WorkglowError as error:
                _failed(error)
            self.boot()
            if random.random() < 0.6:
                await self.work()
            self.bring(uid, random)
            record = self.engine.repositories.runs.get(uid)
            assert all(run_count[path] == times for path, times in finished.items()), "it ran again"
            rows = self.engine.repositories.runs.rows(record)
            finished = {
                row.path: run_count[row.path] for row in rows if row.status == "completed" and row.path in run_count
            }
            if record.finished_at is not None:
                return record

    async def failed_after(self, graph: TaskGraph, value: int, commits: int, goes_on: bool) -> object:
        """The error of a run whose first process was gone after so many commits."""
        uid = self.engine.begin(graph, {"value": value}, options=RunOptions(continue_on_error=goes_on)).id
        self.left = commits
        for _ in range(2):
            try:
                await self.engine.resume(uid, caller=ALONE)
            except Crash:
                self.crashes += 1
            except WorkglowError as error:
                _failed(error)
            self.boot()
        run = self.engine.view(self.engine.repositories.runs.get(uid))
        assert run.status == "failed"
        return run.error

    def bring(self, uid: str, random: Random | None = None) -> bool:
        """Bring what the run waits for, or some of it; False when only the time can help."""
        waiting = self.engine.repositories.waiting
        left = False
        for row in waiting.rows(self.engine.repositories.runs.get(uid)):
            ours = self._words(row)
            if row.answered or ours is None:
                continue
            left = True
            if random is None or random.random() < 0.6:
                self._say(row, *ours)
        return left

    def _words(self, row: WaitingRow) -> tuple[Any, Any] | None:
        facts = decode(row.state, self.engine.repositories.values.load)
        if facts["waits_for"] == "event":
            return ("event", facts["event"]) if facts["event"] in EVENTS else None
        if facts["waits_for"] in ("time", "job"):
            return None
        number = zlib.crc32(row.path.encode())
        action = ("accept", "accept", "decline", None)[number % 4]
        if action is None:
            return None
        content = (
            {"approved": number % 8 < 4} if "approved" in facts["schema"]["properties"] else {"number": number % 50}
        )
        return action, content if action == "accept" else {}

    def _say(self, row: WaitingRow, action: Any, content: Any) -> None:
        if action == "event":
            self.answering.send_event(content, EVENTS[content], row.run)
        else:
            self.answering.answer(row.run, row.path, content, action)

    async def work(self) -> int:
        """Let a worker do the jobs there are; how many there were."""
        done = await self.queues.worker(concurrency=3).run(until_idle=True)
        self.jobs += done
        return done

    def let_time_pass(self, uid: str) -> None:
        """Go on to the moment at which something is due."""
        rows = self.engine.repositories.waiting.rows(self.engine.repositories.runs.get(uid))
        next_one = min(row.wake_at for row in rows if row.wake_at is not None)
        self.clock.advance(max(0, next_one - self.clock.now()) / 1000)

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
    report = doctor(tmp_path / "runs.wg")
    assert report.ok, [check for check in report.checks if not check.ok]


@pytest.fixture(params=["short", "long"])
def length(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run commits after each task, and does not look at its beginning again; so does any that takes its time."""
    if request.param == "long":
        monkeypatch.setattr(runner, "_SLICE", -1.0)
        monkeypatch.setattr(journal, "_NEW_ROWS", 1)


@pytest.mark.usefixtures("length")
@pytest.mark.parametrize("part", range(PARTS))
def test_an_interrupted_run_ends_like_any_other(machine: Machine, part: int) -> None:
    async def compare() -> dict[str, int]:
        found = {"completed": 0, "failed": 0}
        for seed in range(part, GRAPHS, PARTS):
            random = Random(seed)
            graph, value = random_graph(random, waits=seed % 2 == 0), random.randrange(50)
            plain = await machine.run(graph, value)
            run_count.clear()
            interrupted = await machine.run_interrupted(graph, value, random)
            assert machine.told(interrupted) == machine.told(plain), f"graph of seed {seed}"
            found[plain.status] += 1
        return found

    found = asyncio.run(compare())
    assert machine.crashes >= GRAPHS // PARTS
    assert machine.jobs >= GRAPHS // PARTS
    assert found["completed"] > found["failed"]


@pytest.mark.parametrize("goes_on", [False, True])
@pytest.mark.parametrize("kind", [picky, slow_picky])
def test_a_run_that_failed_has_failed_wherever_its_process_ends(
    machine: Machine, kind: TaskFunction[..., int], goes_on: bool
) -> None:
    graph = TaskGraph()
    graph.add_task(kind, id="fails", of=2)
    graph.add_task(GraphAsTask(one_of(add), id="group"))
    graph.add_task(add, id="behind")
    graph.add_dataflow("group", "value", "behind", "value")

    async def compare() -> set[object]:
        return {await machine.failed_after(graph, 3, commits, goes_on) for commits in range(12)}

    (error,) = asyncio.run(compare())
    assert error == "Task 'fails' failed: ValueError: 3 is not divisible by 2"
    assert machine.crashes >= 3


def one_of(kind: TaskFunction[..., int]) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(kind, id="only")
    return graph
