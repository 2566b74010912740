"""A run that waits against a small model of who decides what, with processes that come, stay, leave and are cut off.

The model holds one decision for each wait: the first of an answer, an event and the deadline.  What the file says, what
is due, and what runs must follow from the decisions alone, whoever drives the run and whenever.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import workglow as wg
from workglow import DelayTask, HumanInputTask, Run, TaskContext, TaskGraph, WaitForEventTask, task
from workglow.errors import RunStateError
from workglow.file import doctor
from workglow.testing import FakeClock

begun: Counter[str] = Counter()
NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}


@task(name="machine_before", output="begin", cache=False, inline=True)
def before(context: TaskContext) -> int:
    begun[context.path] += 1
    return 1


@task(name="machine_after", output="end", cache=False, inline=True)
def after(context: TaskContext, **inputs: object) -> int:
    begun[context.path] += 1
    return 2


@dataclass
class Wait:
    """One wait: its kind, its deadline or end in seconds from the beginning (0: none), and what decided it."""

    kind: str
    seconds: int
    decision: object = None
    acted: bool = False


class WaitingMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        begun.clear()
        self.folder = Path(tempfile.mkdtemp(prefix="workglow-waiting-"))
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.driver: asyncio.Future[Run] | None = None

    @initialize(
        waits=st.lists(
            st.builds(Wait, st.sampled_from(["person", "red", "blue", "delay"]), st.sampled_from([0, 5, 9])),
            min_size=1,
            max_size=5,
        )
    )
    def begin(self, waits: list[Wait]) -> None:
        self.waits = waits
        graph = TaskGraph()
        for number, wait in enumerate(waits):
            wait.seconds = wait.seconds or 7 if wait.kind == "delay" else wait.seconds
            graph.add_task(before, id=f"b{number}")
            graph.add_task(self._task(wait, f"w{number}"))
            graph.add_task(after, id=f"a{number}")
            graph.add_dataflow(f"b{number}", "begin", f"w{number}", "begin")
            graph.add_dataflow(f"w{number}", "*", f"a{number}", "*")
        self.started = self.clock.now()
        self._open()
        self.id = self.project.run_sync(graph, wait=False).id

    @staticmethod
    def _task(wait: Wait, id: str) -> wg.Task:
        limit = wait.seconds or None
        if wait.kind == "delay":
            return DelayTask(id=id, seconds=wait.seconds)
        if wait.kind == "person":
            return HumanInputTask(id=id, message="?", content_schema=NUMBER, timeout=limit, default={"number": -1})
        return WaitForEventTask(id=id, event=wait.kind, timeout=limit, default=-1)

    def _open(self) -> None:
        self.project = wg.open(self.folder / "run.wg", clock=self.clock, durability="process")

    def _settle(self) -> None:
        async def turn() -> None:
            for _ in range(40):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turn())
        if self.driver is not None:
            self._act()
            if all(wait.acted for wait in self.waits):
                assert self.driver.result().status == "completed"
                self.driver = None

    def _act(self) -> None:
        for wait in self.waits:
            wait.acted = wait.acted or wait.decision is not None

    def _open_waits(self, kind: str) -> list[int]:
        return [number for number, wait in enumerate(self.waits) if wait.kind == kind and wait.decision is None]

    def _finished(self) -> bool:
        return all(wait.acted for wait in self.waits)

    @rule(seconds=st.integers(1, 4))
    def time_passes(self, seconds: int) -> None:
        now = (self.clock.now() - self.started) // 1000 + seconds
        for wait in self.waits:
            if wait.decision is None and 0 < wait.seconds <= now:
                wait.decision = "time"
        self.clock.advance(seconds)
        self._settle()

    @rule(data=st.data())
    def a_person_answers(self, data: st.DataObject) -> None:
        persons = [number for number, wait in enumerate(self.waits) if wait.kind == "person"]
        if not persons:
            return
        number, said = data.draw(st.sampled_from(persons)), data.draw(st.integers(0, 9))
        wait = self.waits[number]
        if wait.decision is None:
            self.project.answer(self.id, f"w{number}", said)
            wait.decision = ("said", said)
        else:
            with pytest.raises(RunStateError):
                self.project.answer(self.id, f"w{number}", said)
        self._settle()

    @precondition(lambda self: not self._finished())
    @rule(name=st.sampled_from(["red", "blue"]), payload=st.integers(0, 9))
    def an_event_comes(self, name: str, payload: int) -> None:
        assert self.project.send_event(name, payload) == [self.id]
        for number in self._open_waits(name):
            self.waits[number].decision = ("said", payload)
        self._settle()

    @precondition(lambda self: self.driver is None)
    @rule()
    def a_process_looks_and_leaves(self) -> None:
        self._act()
        status = self.project.resume_sync(self.id, wait=False).status
        assert status == ("completed" if self._finished() else "waiting")

    @precondition(lambda self: self.driver is None and not self._finished())
    @rule()
    def a_process_stays(self) -> None:
        self.driver = self.loop.create_task(self.project.resume(self.id, wait=True))
        self._settle()

    @precondition(lambda self: self.driver is not None)
    @rule()
    def the_process_is_cut_off(self) -> None:
        assert self.driver is not None
        self.driver.cancel()
        with pytest.raises(asyncio.CancelledError):
            self.loop.run_until_complete(self.driver)
        self.driver = None

    @precondition(lambda self: self.driver is None)
    @rule()
    def another_process_opens_the_file(self) -> None:
        self.project.close()
        assert doctor(self.folder / "run.wg").ok
        self._open()

    @invariant()
    def the_file_follows_the_decisions(self) -> None:
        if not hasattr(self, "project"):
            return
        run = self.project.get(self.id)
        for number, wait in enumerate(self.waits):
            found = run.tasks[f"w{number}"]
            assert found.status == ("completed" if wait.acted else "waiting")
            assert begun[f"b{number}"] == 1
            assert begun[f"a{number}"] == wait.acted
            if wait.acted and wait.kind != "delay":
                port = "number" if wait.kind == "person" else "payload"
                expected = -1 if wait.decision == "time" else wait.decision[1]  # type: ignore[index]
                assert found.outputs[port] == expected

    @invariant()
    def what_is_open_and_what_is_due_follow_too(self) -> None:
        if not hasattr(self, "project"):
            return
        asked = [int(question.task[1:]) for question in self.project.questions()]
        late = [n for n, wait in enumerate(self.waits) if wait.decision == "time" and not wait.acted]
        assert [number for number in asked if number not in late] == self._open_waits("person")
        waits = any(wait.decision is not None and not wait.acted for wait in self.waits)
        assert self.project.due() == ([self.id] if waits and self.driver is None else [])

    def teardown(self) -> None:
        if hasattr(self, "project"):
            if self.driver is not None:
                self.the_process_is_cut_off()
            self.project.close()
            assert doctor(self.folder / "run.wg").ok
        self.loop.close()
        shutil.rmtree(self.folder)


TestWaitingMachine = WaitingMachine.TestCase
TestWaitingMachine.settings = settings(
    max_examples=40, stateful_step_count=14, deadline=None, suppress_health_check=list(HealthCheck)
)
