"""Schedules, two workers and a clock that jumps, against a model that counts minutes."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import workglow as wg
from workglow.queue import HandlerRegistry, job
from workglow.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

CatchUp = Literal["skip", "one", "all"]

MINUTE: Final = 60_000
CRONS: Final[dict[str, Callable[[datetime], bool]]] = {
    "*/7 * * * *": lambda time: time.minute % 7 == 0,
    "30 3 * * *": lambda time: (time.hour, time.minute) == (3, 30),
    "0 */2 * * WED": lambda time: time.minute == 0 and time.hour % 2 == 0 and time.weekday() == 2,
}
NAMES = st.sampled_from(["a", "b", "c"])


@dataclass
class Modelled:
    """What the model knows of one schedule; an interval is in seconds, times are milliseconds."""

    when: str | int
    catch_up: CatchUp
    start: int
    next_at: int
    paused: bool = False

    def first_after(self, time: int) -> int:
        if isinstance(self.when, int):
            found = self.start + self.when * 1000
            while found <= time:
                found += self.when * 1000
            return found
        found = time - time % MINUTE + MINUTE
        while not CRONS[self.when](datetime.fromtimestamp(found / 1000, UTC)):
            found += MINUTE
        return found

    def fire(self, now: int) -> list[int]:
        missed: list[int] = []
        while self.next_at <= now:
            missed.append(self.next_at)
            self.next_at = self.first_after(self.next_at)
        if self.catch_up == "all":
            return missed
        return [due for due in missed[-1:] if self.catch_up == "one" or now - due <= MINUTE]


class Schedules(RuleBasedStateMachine):
    """Two open projects on one file stand for two processes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        handlers = HandlerRegistry()
        self.done = 0

        @job(registry=handlers, inline=True)
        def note() -> None:
            self.done += 1

        path = Path(self.folder.name) / "model.wg"
        self.projects = [wg.open(path, clock=self.clock, handlers=handlers, durability="process") for _ in range(2)]
        self.model: dict[str, Modelled] = {}
        self.fired: list[str] = []

    def teardown(self) -> None:
        for project in self.projects:
            project.close()
        self.folder.cleanup()

    @rule(
        name=NAMES,
        when=st.sampled_from([*CRONS, 45, 600, 5000]),
        catch_up=st.sampled_from(["skip", "one", "all"]),
        who=st.integers(0, 1),
    )
    def schedule(self, name: str, when: str | int, catch_up: CatchUp, who: int) -> None:
        project, now = self.projects[who], self.clock.now()
        if isinstance(when, int):
            project.schedule(name, "note", every=when, catch_up=catch_up)
        else:
            project.schedule(name, "note", cron=when, catch_up=catch_up)
        known = self.model.get(name)
        if known is not None and known.when == when:
            known.catch_up = catch_up
            return
        made = Modelled(when, catch_up, now, 0, paused=known is not None and known.paused)
        made.next_at = made.first_after(now)
        self.model[name] = made

    @rule(name=NAMES, who=st.integers(0, 1), what=st.sampled_from(["pause", "resume", "remove"]))
    def steer(self, name: str, who: int, what: str) -> None:
        known = self.model.get(name)
        if known is None:
            return
        schedule = next(each for each in self.projects[who].schedules() if each.name == name)
        getattr(schedule, what)()
        if what == "remove":
            del self.model[name]
        elif what == "pause":
            known.paused = True
        elif known.paused:
            known.paused = False
            known.next_at = known.first_after(self.clock.now())

    @rule(seconds=st.one_of(st.integers(0, 700), st.sampled_from([3600, -3600, 8 * 3600, -60, 1])))
    def jump(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(who=st.integers(0, 1))
    def work(self, who: int) -> None:
        asyncio.run(self.projects[who].worker().run(until_idle=True))
        now = self.clock.now()
        for name, known in self.model.items():
            if not known.paused:
                for due in known.fire(now):
                    moment = datetime.fromtimestamp(due / 1000, UTC)
                    exact = "milliseconds" if due % 1000 else "seconds"
                    self.fired.append(f"{name}@{moment.isoformat(timespec=exact).replace('+00:00', 'Z')}")

    @invariant()
    def the_jobs_are_those_of_the_model(self) -> None:
        found = [str(each.record.key) for each in self.projects[0].queues.jobs(limit=10**6)]
        assert sorted(found) == sorted(self.fired)
        assert self.done == len(found)

    @invariant()
    def the_next_times_are_those_of_the_model(self) -> None:
        found = {each.name: each.record.next_at for each in self.projects[1].schedules()}
        assert found == {name: None if known.paused else known.next_at for name, known in self.model.items()}


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
