"""Operations, case 10: the unit table of the limiters; and the part of case 11 that concerns them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import workglow as wg
from workglow import (
    CompositeLimiter,
    ConcurrencyLimiter,
    DelayLimiter,
    EvenlySpacedRateLimiter,
    Limiter,
    Project,
    RateLimiter,
)
from workglow.errors import TaskConfigurationError
from workglow.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock) -> Iterator[Project]:
    with wg.open(tmp_path / "a.wg", clock=clock) as opened:
        yield opened


def can(limiter: Limiter, clock: FakeClock) -> bool:
    """Whether one more could start now; asking takes nothing."""
    at = limiter.next_at()
    return at is not None and at <= clock.now()


def test_concurrency(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("two", ConcurrencyLimiter(2))
    assert can(limiter, clock)
    first, second = limiter.take(), limiter.take()
    assert first is not None
    assert second is not None
    assert not can(limiter, clock)
    first.release()
    assert can(limiter, clock)
    for _ in range(2):
        first.release()
        second.release()
    assert can(limiter, clock)
    assert limiter.record.held == 0
    assert limiter.take()
    assert limiter.take()
    limiter.clear()
    assert can(limiter, clock)
    limiter.hold(100)
    assert not can(limiter, clock)


def test_delay(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("delay", DelayLimiter(0.1))
    assert can(limiter, clock)
    assert limiter.take()
    assert not can(limiter, clock)
    limiter.clear()
    assert can(limiter, clock)
    limiter.hold(0)
    assert can(limiter, clock)
    quick = project.limiter("quick", DelayLimiter(0.01))
    assert quick.take()
    clock.advance(0.02)
    assert can(quick, clock)


def test_composite(project: Project, clock: FakeClock) -> None:
    assert can(project.limiter("none", CompositeLimiter([])), clock)
    assert project.limiter("none").take()
    one = project.limiter("one", CompositeLimiter([DelayLimiter(0.01), ConcurrencyLimiter(1)]))
    assert one.take()
    clock.advance(1)
    assert not can(one, clock)
    one.clear()
    assert can(one, clock)
    assert not can(project.limiter("none", CompositeLimiter([ConcurrencyLimiter(0)])), clock)
    both = project.limiter("both", CompositeLimiter([DelayLimiter(0.01), DelayLimiter(1)]))
    assert both.take()
    at = both.next_at()
    assert at is not None
    assert at > clock.now() + 500


def test_evenly_spaced(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("even", EvenlySpacedRateLimiter(10, per=10))
    assert can(limiter, clock)
    assert limiter.take()
    at = limiter.next_at()
    assert at is not None
    assert at > clock.now() + 500
    rare = project.limiter("rare", EvenlySpacedRateLimiter(1, per=100))
    assert rare.take()
    assert not can(rare, clock)
    rare.clear()
    assert can(rare, clock)
    with pytest.raises(TaskConfigurationError, match="starts must be greater than 0"):
        EvenlySpacedRateLimiter(0, per=1)
    with pytest.raises(TaskConfigurationError, match="per must be greater than 0"):
        EvenlySpacedRateLimiter(1, per=0)


def test_jobs_that_take_their_time_do_not_come_closer_together(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("even", EvenlySpacedRateLimiter(10, per=1))
    begun: list[int] = []
    for _ in range(200):
        slot = limiter.take()
        if slot is not None:
            begun.append(clock.now())
        clock.advance(0.015)
        if slot is not None and len(begun) % 2:
            slot.release()
    assert max(sum(at <= other < at + 1000 for other in begun) for at in begun) <= 10


def test_a_hold_is_not_undone_by_a_window_that_is_open(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("window", RateLimiter(5, per=60))
    limiter.hold(60)
    assert not can(limiter, clock)
    assert limiter.take() is None
    clock.advance(60)
    assert limiter.take()


def test_a_denied_composite_leaves_no_reservation_of_its_parts(project: Project) -> None:
    limiter = project.limiter("both", CompositeLimiter([RateLimiter(3), ConcurrencyLimiter(0)]))
    for _ in range(5):
        assert limiter.take() is None
    project.limiter("both", CompositeLimiter([RateLimiter(3), ConcurrencyLimiter(9)]))
    assert [limiter.take() is not None for _ in range(4)] == [True, True, True, False]


def test_each_scope_reads_its_own_holds(project: Project, clock: FakeClock) -> None:
    """Case 11, tightened for limiters."""
    year = 365 * 86_400
    one = project.limiter("same", RateLimiter(5), scope={"user": "u1"})
    two = project.limiter("same", RateLimiter(5), scope={"user": "u2"})
    one.hold(7 * year)
    two.hold(8 * year)
    assert one.record.hold_until == clock.now() + 7 * year * 1000
    assert two.record.hold_until == clock.now() + 8 * year * 1000
    queues = [project.queue("same", scope={"user": user}, limits=[RateLimiter(1)]) for user in ("u1", "u2")]
    queues[0].hold(year)
    assert [queue.limits[0].hold_until is None for queue in queues] == [False, True]
