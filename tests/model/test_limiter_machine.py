"""A limiter against a model that remembers every start, over crashes, restarts and clocks that are set."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import workglow as wg
from workglow import (
    CompositeLimiter,
    ConcurrencyLimiter,
    DelayLimiter,
    Limiter,
    Project,
    RateLimiter,
    Slot,
    TokenLimiter,
)
from workglow.testing import FakeClock

STARTS, PER = 3, 5000
TOKENS, TOKENS_PER = 20, 8000
AT_ONCE = 2
DELAY = 200
RULES = CompositeLimiter(
    [
        RateLimiter(STARTS, per=PER / 1000),
        TokenLimiter(TOKENS, per=TOKENS_PER / 1000),
        ConcurrencyLimiter(AT_ONCE),
        DelayLimiter(DELAY / 1000),
    ]
)


@dataclass
class Start:
    """One start: when, in the limiter's own time, and what it costs; `owner` is the process that has its slot."""

    at: int
    cost: int
    slot: Slot
    owner: int | None


class LimiterMachine(RuleBasedStateMachine):
    """Several processes share the limiter; what time it is for the limiter is part of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.projects: list[Project] = []
        self.gone: list[Project] = []
        self.limiters: list[Limiter] = []
        self.starts: list[Start] = []
        self.now = 0
        self.hold = 0

    @initialize()
    def open_two(self) -> None:
        self.open()
        self.open()

    def open(self) -> None:
        project = wg.open(self.folder / "limits.wg", clock=self.clock, durability="process")
        self.projects.append(project)
        self.limiters.append(project.limiter("shared", RULES))

    def teardown(self) -> None:
        for project in [*self.projects, *self.gone]:
            project.close()
        shutil.rmtree(self.folder)

    # ------------------------------------------------------------------ the model

    def earliest(self, cost: int) -> int | None:
        """When such a start is allowed, if nothing happens but that time goes by; None: not before a slot is free."""
        times = [self.now, self.hold]
        times += [start.at + wait for start in self.starts for wait in (PER, TOKENS_PER, DELAY)]
        at = min(time for time in times if time >= self.now and self.allows(time, cost))
        held = sum(start.owner is not None for start in self.starts)
        return None if held >= AT_ONCE and at == self.now else at

    def allows(self, now: int, cost: int) -> bool:
        return (
            now >= self.hold
            and sum(start.at + PER > now for start in self.starts) < STARTS
            and sum(start.cost for start in self.starts if start.at + TOKENS_PER > now) + min(cost, TOKENS) <= TOKENS
            and all(start.at + DELAY <= now for start in self.starts)
        )

    # ------------------------------------------------------------------ what processes do

    @rule(process=st.integers(0, 3), cost=st.integers(0, 25))
    def take(self, process: int, cost: int) -> None:
        process %= len(self.projects)
        expected = self.earliest(cost)
        slot = self.limiters[process].take(cost)
        held = sum(start.owner is not None for start in self.starts)
        assert (slot is not None) == (expected == self.now and held < AT_ONCE)
        if slot is not None:
            self.starts.append(Start(self.now, cost, slot, id(self.projects[process])))

    @rule(process=st.integers(0, 3), cost=st.integers(0, 25))
    def ask(self, process: int, cost: int) -> None:
        expected = self.earliest(cost)
        told = self.limiters[process % len(self.limiters)].next_at(cost)
        assert told == (None if expected is None else self.clock.now() + expected - self.now)

    @precondition(lambda self: any(start.owner is not None for start in self.starts))
    @rule(choice=st.integers(0, 9), cost=st.none() | st.integers(0, 30))
    def release(self, choice: int, cost: int | None) -> None:
        held = [start for start in self.starts if start.owner is not None]
        start = held[choice % len(held)]
        start.slot.cost = cost
        start.slot.release()
        start.owner = None
        start.cost = start.cost if cost is None else cost

    @rule(process=st.integers(0, 3), seconds=st.sampled_from([0.05, 0.4, 3.0, 9.0]))
    def hold_up(self, process: int, seconds: float) -> None:
        self.limiters[process % len(self.limiters)].hold(seconds)
        self.hold = max(self.hold, self.now + round(seconds * 1000))

    @rule(process=st.integers(0, 3))
    def clear(self, process: int) -> None:
        self.limiters[process % len(self.limiters)].clear()
        self.starts, self.hold = [], 0

    # ------------------------------------------------------------------ what happens to them

    @rule(milliseconds=st.sampled_from([1, 50, 199, 200, 1000, 2500, 4999, 5000, 8000]))
    def time_goes_by(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds / 1000)
        self.now += milliseconds

    @rule(seconds=st.sampled_from([-86_400, -3600, -1, 1, 3600, 86_400]))
    def somebody_sets_the_clock(self, seconds: int) -> None:
        self.clock.jump(seconds)

    @rule(seconds=st.sampled_from([-3600, 0, 2, 5, 3600]))
    def the_machine_is_restarted(self, seconds: int) -> None:
        """Only the wall clock goes on, and perhaps wrong; the file was written last just before."""
        self.limiters[0].hold(0)
        with self.projects[0].file.transaction() as db:
            db.execute("UPDATE limiter SET boot = 'another start', shift = shift + 123456")
        self.clock.jump(seconds)
        self.limiters[0].hold(0)  # a clock that was set later is of no concern any more
        self.hold = max(self.hold, self.now)
        self.now += max(0, seconds) * 1000
        self.hold = max(self.hold, self.now)

    @rule(process=st.integers(0, 3), clean=st.booleans())
    def a_process_ends(self, process: int, clean: bool) -> None:
        """Cleanly, or so that only its process number tells that it is gone."""
        project = self.projects.pop(process % len(self.projects))
        self.limiters.pop(process % (len(self.projects) + 1))
        if clean:
            project.close()
        else:
            session = project.file.session
            assert session is not None
            with project.file.transaction() as db:
                db.execute("UPDATE session SET pid_started = 'before' WHERE id = ?", (session.id,))
            self.gone.append(project)
        for start in self.starts:
            if start.owner == id(project):
                start.owner = None
        self.open()
        self.clock.advance(0.5)  # as often as the others look for dead ones
        self.now += 500

    @invariant()
    def the_file_is_as_it_should_be(self) -> None:
        if self.limiters:
            assert self.limiters[0].record.held >= sum(start.owner is not None for start in self.starts)


LimiterMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestLimiterMachine = LimiterMachine.TestCase
