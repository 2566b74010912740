"""The runner with its journal against a small model of what a run is, with crashes anywhere in between.

Every task body waits until the machine lets it finish or fail.  A crash takes the file away from the runner at once:
whatever was not committed is lost, and a new runner resumes from the file.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from workglow.clock import SystemClock
from workglow.file import File, doctor
from workglow.graph.engine import Engine
from workglow.graph.graph import TaskGraph
from workglow.graph.options import RunOptions
from workglow.retry import Retry
from workglow.storage.sqlite import sqlite_repositories
from workglow.tasks import TaskContext, TaskRegistry, task

FINAL = ("completed", "failed", "aborted", "disabled")
bodies: dict[str, asyncio.Future[int]] = {}
begun: Counter[str] = Counter()


class Crash(BaseException):
    """The process is gone: nothing after this line happened."""


@task(name="gate", output="value", cache=False)
async def gate(context: TaskContext, **inputs: object) -> int:
    begun[context.path] += 1
    bodies[context.path] = asyncio.get_running_loop().create_future()
    return await bodies[context.path] + len(inputs)


@task(name="stubborn", output="value", cache=False, retry=Retry(attempts=1_000))
async def stubborn(context: TaskContext, **inputs: object) -> int:
    return await gate(context, **inputs)


@dataclass
class Model:
    """What a run is: edges, and what came of each task."""

    size: int
    edges: list[tuple[int, int]]
    handlers: list[tuple[int, int]]
    stubborn: set[int]
    completed: set[int] = field(default_factory=set)
    failed: set[int] = field(default_factory=set)

    def fate(self, number: int) -> str:
        """'waiting', 'enabled', 'disabled', or final; edges go from smaller to larger numbers, so this ends."""
        if number in self.completed:
            return "completed"
        if number in self.failed:
            return "failed"
        incoming = [(s, False) for s, t in self.edges if t == number] + [
            (s, True) for s, t in self.handlers if t == number
        ]
        fates = [(self.fate(source), routed) for source, routed in incoming]
        if any(fate in ("waiting", "enabled") for fate, _ in fates):
            return "waiting"
        delivering = [fate for fate, routed in fates if fate == ("failed" if routed else "completed")]
        return "enabled" if delivering or not incoming else "disabled"

    def enabled(self) -> set[int]:
        return {number for number in range(self.size) if self.fate(number) == "enabled"}

    def is_routed(self, number: int) -> bool:
        return any(source == number for source, _ in self.handlers)


@st.composite
def models(draw: st.DrawFn) -> Model:
    size = draw(st.integers(1, 7))
    pairs = [(source, target) for target in range(size) for source in range(target)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=9)) if pairs else []
    rest = [pair for pair in pairs if pair not in edges]
    handlers = draw(st.lists(st.sampled_from(rest), unique=True, max_size=2)) if rest else []
    return Model(size, edges, handlers, draw(st.sets(st.integers(0, size - 1), max_size=2)))


def build(model: Model) -> TaskGraph:
    graph = TaskGraph()
    for number in range(model.size):
        graph.add_task(stubborn if number in model.stubborn else gate, id=f"t{number}")
    for source, target in model.edges:
        graph.add_dataflow(f"t{source}", "value", f"t{target}", f"from_{source}")
    for source, target in model.handlers:
        graph.add_dataflow(f"t{source}", "[error]", f"t{target}", f"error_{source}")
    return graph


class RunMachine(RuleBasedStateMachine):
    """One run, from its beginning to its end, over any number of processes."""

    def __init__(self) -> None:
        super().__init__()
        bodies.clear()
        begun.clear()
        self.folder = Path(tempfile.mkdtemp(prefix="workglow-model-"))
        self.path = self.folder / "run.wg"
        self.loop = asyncio.new_event_loop()
        self.crashes = 0
        self.finished_at_crash: dict[str, int] = {}

    @initialize(model=models(), limit=st.sampled_from([None, 1, 2, 3]))
    def begin(self, model: Model, limit: int | None) -> None:
        self.model = model
        self.limit = limit or model.size
        self._open()
        graph = build(model)
        self.driver = self.loop.create_task(self.engine.run(graph, {}, options=RunOptions(concurrency=limit)))
        self._settle()

    def _open(self) -> None:
        self.file = File.open(self.path, durability="process")
        registry = TaskRegistry([gate.task_type, stubborn.task_type])
        self.engine = Engine(sqlite_repositories(self.file), registry, SystemClock())

    def _settle(self) -> None:
        """Let the runner do all that it can do without a task body's help."""

        async def turn() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())

    def _running(self) -> list[int]:
        if self.driver.done():
            return []
        return sorted(int(path[1:]) for path, body in bodies.items() if not body.done())

    @precondition(lambda self: self._running())
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self._running()))
        bodies[f"t{number}"].set_result(number)
        self.model.completed.add(number)
        self._settle()

    @precondition(lambda self: any(self.model.is_routed(n) or n in self.model.stubborn for n in self._running()))
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        able = [n for n in self._running() if self.model.is_routed(n) or n in self.model.stubborn]
        number = data.draw(st.sampled_from(able))
        bodies[f"t{number}"].set_exception(ValueError("on purpose"))
        if number not in self.model.stubborn:
            self.model.failed.add(number)
        self._settle()

    @precondition(lambda self: not self.driver.done())
    @rule()
    def crash_and_resume(self) -> None:
        self.crashes += 1
        self.finished_at_crash = {f"t{n}": begun[f"t{n}"] for n in self.model.completed | self.model.failed}
        self._crash()
        self._open()
        (record,) = self.engine.repositories.runs.all()
        self.driver = self.loop.create_task(self.engine.resume(record.uid))
        self._settle()

    @precondition(lambda self: self.driver.done())
    @rule()
    def resume_what_is_finished(self) -> None:
        before = sum(begun.values())
        (record,) = self.engine.repositories.runs.all()
        run = self.loop.run_until_complete(self.engine.resume(record.uid))
        assert run.status == "completed"
        assert sum(begun.values()) == before

    def _crash(self) -> None:
        def gone(*_: object, **__: object) -> Any:
            raise Crash

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.file, "transaction", gone)
            patch.setattr(self.file, "submit", gone)
            self.driver.cancel()
            with pytest.raises((Crash, asyncio.CancelledError)):
                self.loop.run_until_complete(self.driver)
        bodies.clear()
        self.file.close()

    @invariant()
    def the_file_agrees_with_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        (record,) = self.engine.repositories.runs.all()
        rows = {row.path: row for row in self.engine.repositories.runs.rows(record)}
        for number in range(self.model.size):
            fate = self.model.fate(number)
            row = rows.get(f"t{number}")
            if fate == "waiting":
                assert row is None
            elif fate == "enabled":
                assert row is not None
                assert row.status in ("pending", "running")
                assert row.attempt >= (row.status == "running")
            else:
                assert row is not None
                assert row.status == fate

    @invariant()
    def the_runner_does_as_much_as_it_may(self) -> None:
        if not hasattr(self, "model"):
            return
        running, enabled = set(self._running()), self.model.enabled()
        assert running <= enabled
        assert len(running) == min(self.limit, len(enabled))
        assert self.driver.done() == (not enabled)

    @invariant()
    def what_finished_never_begins_again(self) -> None:
        for path, times in self.finished_at_crash.items():
            assert begun[path] == times

    def teardown(self) -> None:
        if hasattr(self, "model"):
            while running := self._running():
                bodies[f"t{running[0]}"].set_result(running[0])
                self.model.completed.add(running[0])
                self._settle()
            self.the_file_agrees_with_the_model()
            run = self.driver.result()
            assert run.status == "completed"
            assert sum(begun.values()) >= len(self.model.completed | self.model.failed)
            self.file.close()
            assert doctor(self.path).ok
        self.loop.close()
        shutil.rmtree(self.folder)


TestRunMachine = RunMachine.TestCase
TestRunMachine.settings = settings(
    max_examples=50, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
)
