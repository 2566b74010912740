"""Promise: a limiter that has said no says it again for less, and never says it longer than it has to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import workglow as wg
from workglow import ConcurrencyLimiter, Project, RateLimiter, TokenLimiter
from workglow.storage.sqlite.admission import Admission
from workglow.testing import FakeClock


def test_what_costs_too_much_now_does_not_keep_what_costs_less(project: Project) -> None:
    limiter = project.limiter("tokens", TokenLimiter(100, per=60))
    assert limiter.take(90) is not None
    assert limiter.take(50) is None
    assert limiter.take(50) is None
    assert limiter.take(10) is not None
    assert limiter.take(1) is None


def test_other_rules_from_another_process_hold_at_once(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("few", RateLimiter(1, per=3600))
    assert limiter.take() is not None
    assert [limiter.take(), limiter.take()] == [None, None]
    with wg.open(Path(project.path), clock=clock) as other:
        other.limiter("few", RateLimiter(2, per=3600))
    assert limiter.take() is not None
    assert [limiter.take(), limiter.take()] == [None, None]
    with wg.open(Path(project.path), clock=clock) as other:
        other.limiter("few").clear()
    assert limiter.take() is not None


def test_it_allows_again_in_the_very_millisecond(project: Project, clock: FakeClock) -> None:
    limiter = project.limiter("few", RateLimiter(1, per=1))
    assert limiter.take() is not None
    for _ in range(999):
        clock.advance(0.001)
        assert limiter.take() is None
    clock.advance(0.001)
    assert limiter.take() is not None


def test_of_two_rules_the_one_that_waits_for_a_place_does_not_hide_the_other(
    project: Project, clock: FakeClock
) -> None:
    limiter = project.limiter("both", wg.CompositeLimiter([RateLimiter(2, per=1), ConcurrencyLimiter(2)]))
    slots = [limiter.take(), limiter.take()]
    assert [limiter.take(), limiter.take()] == [None, None]
    clock.advance(1)
    assert limiter.take() is None, "nothing was given back"
    assert slots[0] is not None
    slots[0].release()
    assert limiter.take() is not None


class Crowded:
    """A rule of one's own: starts are slower the more there are."""

    kind: ClassVar[str] = "crowded"
    holds: ClassVar[bool] = True

    def earliest(self, state: dict[str, Any], now: int, cost: int, held: int) -> float:
        return now if held + state.get("taken", 0) < cost else 1000

    def take(self, state: dict[str, Any], now: int, cost: int) -> None:
        state["taken"] = state.get("taken", 0) + 1

    def settle(self, state: dict[str, Any], taken_at: int, reserved: int, cost: int) -> bool:
        state["taken"] -= 1
        return True


def test_what_a_limiter_has_said_holds_only_for_what_it_was_asked() -> None:
    admission = Admission(1, "", [Crowded()], [{}], shift=0, hold_until=None, strikes=0)  # type: ignore[list-item]
    assert admission.blocks(0) == (1000, admission.rules[0])
    assert admission.blocks(1) is None, "another cost"
    admission.held = 1
    assert admission.blocks(1) is not None
    admission.held = 0
    assert admission.blocks(1) is None, "something was given back"
    admission.held = 1
    assert admission.blocks(2) is None
    admission.held = 2
    assert admission.blocks(2) is not None
    admission.now = 1000
    assert admission.blocks(2) is None, "the time has come"


def test_a_start_and_what_it_came_to_make_it_ask_its_rules_again() -> None:
    admission = Admission(1, "", [Crowded()], [{"taken": 2}], shift=0, hold_until=None, strikes=0)  # type: ignore[list-item]
    assert admission.blocks(2) is not None
    admission.settle(0, 1, 1)
    assert admission.blocks(2) is None, "settled"
    other = Admission(1, "", [Earlier()], [{}], shift=0, hold_until=None, strikes=0)  # type: ignore[list-item]
    assert other.blocks(1) == (500, other.rules[0])
    other.take(0)
    assert other.blocks(1) == (400, other.rules[0])


class Earlier:
    """Each start brings the next one nearer."""

    holds: ClassVar[bool] = False

    def earliest(self, state: dict[str, Any], now: int, cost: int, held: int) -> float:
        return 500 - 100 * state.get("taken", 0)

    def take(self, state: dict[str, Any], now: int, cost: int) -> None:
        state["taken"] = state.get("taken", 0) + 1
