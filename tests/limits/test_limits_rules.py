"""Limiters without a queue: what each rule allows, and what is refused when it is made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

import workglow as wg
from workglow import (
    CompositeLimiter,
    ConcurrencyLimiter,
    DelayLimiter,
    EvenlySpacedRateLimiter,
    Limiter,
    LimiterRegistry,
    Project,
    RateLimiter,
    TokenLimiter,
)
from workglow.errors import RateLimitedError, TaskConfigurationError, UnknownLimiterError
from workglow.testing import FakeClock


def starts(limiter: Limiter, clock: FakeClock, seconds: float, step: float = 0.001, cost: int = 1) -> list[int]:
    """When a caller who tries all the time gets through, in milliseconds from now."""
    begun, found = clock.now(), list[int]()
    for _ in range(round(seconds / step)):
        while limiter.take(cost) is not None:
            found.append(clock.now() - begun)
        clock.advance(step)
    return found


def most_in_a_window(times: list[int], window: int) -> int:
    return max((sum(start <= time < start + window for time in times) for start in times), default=0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RateLimiter(0, per=1), "RateLimiter: starts must be greater than 0, and it is 0"),
        (lambda: RateLimiter(1, per=0), "RateLimiter: per must be greater than 0"),
        (lambda: RateLimiter(1, per=float("nan")), "per must be greater than 0, and it is nan"),
        (lambda: RateLimiter(1, initial_backoff=0), "initial_backoff must be greater than 0"),
        (lambda: RateLimiter(1, backoff_factor=1), "backoff_factor must be greater than 1"),
        (lambda: RateLimiter(1, initial_backoff=5, longest_backoff=5), "longest_backoff must be greater than 5"),
        (lambda: EvenlySpacedRateLimiter(0, per=1), "EvenlySpacedRateLimiter: starts must be greater than 0"),
        (lambda: EvenlySpacedRateLimiter(1, per=-1), "EvenlySpacedRateLimiter: per must be greater than 0"),
        (lambda: TokenLimiter(True), "TokenLimiter: tokens must be greater than 0, and it is True"),
        (lambda: DelayLimiter(0), "DelayLimiter: seconds must be greater than 0"),
        (lambda: RateLimiter(1.5), "RateLimiter: starts must be a whole number, and it is 1.5"),  # pyright: ignore
        (lambda: TokenLimiter(0.5), "TokenLimiter: tokens must be a whole number, and it is 0.5"),  # pyright: ignore
        (lambda: EvenlySpacedRateLimiter(1.5), "starts must be a whole number, and it is 1.5"),  # pyright: ignore
        (lambda: ConcurrencyLimiter(1.5), "ConcurrencyLimiter: most must be a whole number"),  # pyright: ignore
        (lambda: ConcurrencyLimiter("4"), "most must be a whole number, and it is '4'"),  # pyright: ignore
        (lambda: ConcurrencyLimiter(-1), "ConcurrencyLimiter: most must be 0 or more, and it is -1"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(make: Any, says: str) -> None:
    with pytest.raises(TaskConfigurationError, match=says):
        make()


def test_a_window_gives_out_the_last_start_when_the_first_one_leaves_it(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("window", RateLimiter(3, per=10))
    assert limiter.take()
    assert limiter.take()
    clock.advance(4)
    assert limiter.take()
    assert limiter.take() is None
    assert limiter.next_at() == clock.now() + 6000
    clock.advance(5.999)
    assert limiter.take() is None
    clock.advance(0.001)
    assert limiter.take()
    assert limiter.take()
    assert limiter.next_at() == clock.now() + 4000


@pytest.mark.parametrize(("most", "late"), [(7, 1.0), (100, 1.0), (150, 1.02)])
def test_no_window_holds_more_than_it_may_and_little_time_is_lost(
    project: Project, clock: FakeClock, most: int, late: float
) -> None:
    limiter = project.limiter("window", RateLimiter(most, per=0.5))
    found = starts(limiter, clock, 1.6)
    assert most_in_a_window(found, 500) == most
    assert found[-1] <= 1500 * late
    assert len(found) >= 3 * most


def test_a_window_stays_exact_when_starts_are_spread(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("window", RateLimiter(200, per=1))
    found = list[int]()
    begun = clock.now()
    for step in range(1500):
        for _ in range(step % 3):
            if limiter.take():
                found.append(clock.now() - begun)
        clock.advance(0.002)
    assert most_in_a_window(found, 1000) == 200


def test_a_short_list_is_all_that_a_window_remembers(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("window", RateLimiter(100_000, per=60))
    for _ in range(3000):
        assert limiter.take()
        clock.advance(0.03)
    state = project.file.read("SELECT state FROM limiter WHERE id = ?", (limiter.row_id,))[0]
    assert len(state[0]) < 2500


def test_a_delay_lies_between_any_two(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("delay", DelayLimiter(0.1))
    assert starts(limiter, clock, 0.35) == [0, 100, 200, 300]


@pytest.mark.parametrize(("most", "per", "step"), [(10, 1.0, 0.001), (3, 1.0, 0.001), (4000, 1.0, 0.001)])
def test_even_spacing_never_exceeds_its_rate(
    project: Project, clock: FakeClock, most: int, per: float, step: float
) -> None:
    limiter = project.limiter("even", EvenlySpacedRateLimiter(most, per=per))
    found = starts(limiter, clock, 1.2, step)
    assert most_in_a_window(found, 1000) == most
    gap = 1000 * per / most
    assert all(later - earlier > gap - 1 for earlier, later in pairwise(found))


def test_tokens_are_reserved_and_settled_by_what_was_used(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("tokens", TokenLimiter(1000, per=60))
    with limiter.slot(cost=700) as slot:
        assert limiter.take(cost=400) is None
        slot.cost = 200
    assert limiter.take(cost=800)
    assert limiter.take(cost=1) is None
    clock.advance(60)
    with limiter.slot(cost=10) as slot:
        slot.cost = 1500  # more than was thought: the others pay for it
    assert limiter.take(cost=1) is None
    assert limiter.next_at(cost=1) == clock.now() + 60_000


def test_what_costs_more_than_there_is_starts_when_all_of_it_is_there(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("tokens", TokenLimiter(100, per=10))
    assert limiter.take(cost=1)
    assert limiter.take(cost=500) is None
    clock.advance(10)
    assert limiter.take(cost=500)
    assert limiter.take(cost=1) is None
    clock.advance(10)
    assert limiter.take(cost=1)


def test_a_settlement_that_comes_after_the_window_changes_nothing(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("tokens", TokenLimiter(100, per=10))
    slow = limiter.take(cost=90)
    assert slow is not None
    clock.advance(10)
    assert limiter.take(cost=60)
    slow.cost = 0
    slow.release()
    assert limiter.take(cost=41) is None
    assert limiter.take(cost=40)


def test_slots_are_given_back_once(project: Project) -> None:
    limiter = project.limiter("few", ConcurrencyLimiter(1))
    first = limiter.take()
    assert first is not None
    assert limiter.next_at() is None
    first.release()
    second = limiter.take()
    first.release()
    assert second is not None
    assert limiter.take() is None
    limiter.clear()
    third = limiter.take()
    second.release()
    assert third is not None
    assert limiter.take() is None
    assert limiter.record.held == 1


def test_a_hold_ends_by_time_or_by_clearing_and_is_never_shortened(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("window", RateLimiter(100))
    assert limiter.hold(60, "maintenance") == clock.now() + 60_000
    limiter.hold(5)
    clock.advance(59.999)
    assert limiter.take() is None
    assert (limiter.record.hold_until, limiter.record.strikes) == (clock.now() + 1, 0)
    clock.advance(0.001)
    assert limiter.take()
    limiter.hold(60)
    limiter.clear()
    assert limiter.take()
    with pytest.raises(TaskConfigurationError, match=r"hold\(-1\)"):
        limiter.hold(-1)


def test_a_refusal_inside_a_slot_holds_everybody_up_and_doubles_in_a_row(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("api", RateLimiter(1000, longest_backoff=6))

    def refused(**what: Any) -> int | None:
        with pytest.raises(RateLimitedError), limiter.slot():
            raise RateLimitedError(**what)
        return limiter.record.hold_until

    for seconds in (1, 2, 4, 6, 6):
        assert refused() == clock.now() + seconds * 1000
        assert limiter.take() is None
        clock.advance(seconds)
    assert refused(retry_after=33) == clock.now() + 33_000
    clock.advance(33)
    with limiter.slot():
        pass
    clock.advance(1)
    assert refused() == clock.now() + 1000


def test_those_who_were_refused_side_by_side_are_one_strike(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("api", RateLimiter(1000))
    slots = [limiter.take() for _ in range(8)]
    clock.advance(0.5)
    for slot in slots:
        assert slot is not None
        slot.release(RateLimitedError())
    assert limiter.record.strikes == 1
    assert limiter.record.hold_until == clock.now() + 1000


def test_a_waiting_caller_gets_the_slot_that_is_given_back(project: Project) -> None:
    limiter = project.limiter("few", ConcurrencyLimiter(1))
    order: list[str] = []

    async def use(name: str) -> None:
        async with limiter.slot():
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            order.append(f"{name} ends")

    async def both() -> None:
        await asyncio.gather(use("one"), use("two"))

    asyncio.run(both())
    assert order == ["one begins", "one ends", "two begins", "two ends"]


def test_a_waiting_caller_sleeps_until_the_window_opens(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("window", DelayLimiter(0.5))

    async def wait() -> int:
        assert limiter.take()
        begun = clock.now()
        waiting = asyncio.create_task(limiter.slot().__aenter__())
        while not clock.waiting():  # noqa: ASYNC110  (a test may look into the clock)
            await asyncio.sleep(0)
        clock.advance(0.5)
        await waiting
        return clock.now() - begun

    assert asyncio.run(wait()) == 500


def test_limiters_are_found_again_by_name_and_scope(project: Project) -> None:
    with pytest.raises(UnknownLimiterError, match=r"has no limiter 'openai'; make it: project.limiter\('openai'"):
        project.limiter("openai")
    mine = project.limiter("openai", ConcurrencyLimiter(1), scope={"user": "u1"})
    with pytest.raises(UnknownLimiterError):
        project.limiter("openai", scope={"user": "u2"})
    assert mine.take()
    assert project.limiter("openai", scope={"user": "u1"}).take() is None
    with pytest.raises(TaskConfigurationError, match="1 to 200 characters"):
        project.limiter("")


def test_a_changed_rule_keeps_what_it_remembers(project: Project) -> None:
    limiter = project.limiter("window", RateLimiter(2))
    assert limiter.take()
    assert limiter.take()
    assert project.limiter("window", RateLimiter(3)).row_id == limiter.row_id
    assert limiter.take()
    assert limiter.take() is None
    project.limiter("window", DelayLimiter(1))
    assert limiter.take()


@dataclass(frozen=True)
class Every:
    """Only in every n-th second: a rule of a user."""

    n: int
    kind: ClassVar[str] = "tests.Every"
    holds: ClassVar[bool] = False

    def earliest(self, state: dict[str, Any], now: int, cost: int, held: int) -> float | None:
        return max(now, state.get("next", 0))

    def take(self, state: dict[str, Any], now: int, cost: int) -> None:
        state["next"] = now + self.n * 1000

    def settle(self, state: dict[str, Any], taken_at: int, reserved: int, cost: int) -> bool:
        return False


def test_a_rule_of_ones_own_is_kept_by_its_kind_and_refused_where_it_is_unknown(
    tmp_path: Path, clock: FakeClock
) -> None:
    registry = LimiterRegistry()
    assert registry.register(Every) is Every
    with wg.open(tmp_path / "own.wg", clock=clock, limiters=registry) as project:
        limiter = project.limiter("own", Every(3))
        assert limiter.take()
        clock.advance(2.999)
        assert limiter.take() is None
        project.queue("work", limits=[Every(1)])
    with wg.open(tmp_path / "own.wg", clock=clock, limiters=registry) as project:
        assert project.limiter("own").take() is None
        clock.advance(0.001)
        assert project.limiter("own").take()
    with wg.open(tmp_path / "own.wg", clock=clock) as project:
        with pytest.raises(UnknownLimiterError, match=r"'tests\.Every', and no such kind is registered here"):
            project.limiter("own").take()
        with pytest.raises(TaskConfigurationError, match="not a limiter of a registered kind"):
            project.limiter("other", Every(1))
    with pytest.raises(TaskConfigurationError, match="no rule of a limiter: it has no kind"):
        registry.register(Path)


def test_composites_are_what_they_consist_of(project: Project) -> None:
    both = CompositeLimiter([RateLimiter(5), CompositeLimiter([ConcurrencyLimiter(1)])])
    limiter = project.limiter("both", both)
    assert limiter.record.rules.count('"kind"') == 2
    assert limiter.take()
    for _ in range(9):
        assert limiter.take() is None
    state = project.file.read("SELECT state FROM limiter WHERE id = ?", (limiter.row_id,))[0]
    assert '"used":1' in state[0]


def test_what_was_undone_was_never_started(tmp_path: Path, clock: FakeClock) -> None:
    broken = True

    @dataclass(frozen=True)
    class Fragile(Every):
        kind: ClassVar[str] = "tests.Fragile"

        def take(self, state: dict[str, Any], now: int, cost: int) -> None:
            if broken:
                raise ValueError("it broke in the middle")

    registry = LimiterRegistry()
    registry.register(Fragile)
    with wg.open(tmp_path / "own.wg", clock=clock, limiters=registry) as project:
        limiter = project.limiter("both", CompositeLimiter([RateLimiter(2), Fragile(1)]))
        for _ in range(5):
            with pytest.raises(ValueError, match="in the middle"):
                limiter.take()
        broken = False
        assert [limiter.take() is not None for _ in range(3)] == [True, True, False]


def test_a_cost_or_a_hold_that_makes_no_sense_is_refused(project: Project) -> None:
    limiter = project.limiter("tokens", TokenLimiter(100))
    slot = limiter.take(cost=5)
    assert slot is not None
    for cost in (-1, 1.5, "3", True, 2**63):
        with pytest.raises(TaskConfigurationError, match="give a whole number, 0 or more"):
            limiter.take(cost=cost)  # pyright: ignore[reportArgumentType]
        with pytest.raises(TaskConfigurationError, match="give a whole number, 0 or more"):
            slot.cost = cost  # pyright: ignore[reportAttributeAccessIssue]
    slot.cost = 7
    slot.release()
    assert limiter.take(cost=94) is None
    for seconds in (-1, float("nan"), float("inf"), 1e30, "60"):
        for hold in (limiter.hold, project.queue("held").hold):
            with pytest.raises(TaskConfigurationError, match="give seconds, 0 or more"):
                hold(seconds)  # pyright: ignore[reportArgumentType]
    assert limiter.record.hold_until is None
    for limits in (ConcurrencyLimiter(1), "abc", 3):
        with pytest.raises(TaskConfigurationError, match=r"give a list of limiters, \[\] for none"):
            project.queue("held", limits=limits)  # pyright: ignore[reportArgumentType]
