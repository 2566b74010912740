"""Limiters as they are stored, and what a place that keeps them must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BACKOFF", "Backoff", "LimitRule", "LimiterRecord", "LimiterRepository", "SlotRecord", "Wait"]

State = dict[str, Any]


class Backoff(NamedTuple):
    """How long nothing starts after the n-th "too many requests" in a row that names no time itself; seconds."""

    first: float = 1.0
    factor: float = 2.0
    longest: float = 600.0

    def wait(self, strikes: int) -> float:
        """Seconds to wait after that many in a row."""
        return min(self.first * self.factor ** min(strikes - 1, 64), self.longest)


BACKOFF = Backoff()


class LimitRule(Protocol):
    """A rule that says when the next start is allowed.  It is pure: it knows its settings, and is told the rest.

    `state` is what the rule remembers, an empty dictionary at first; it is kept as JSON in the row of the limiter.
    Times are milliseconds of the limiter's own clock, which never goes back, whatever is done to the wall clock.
    Everything is called inside the transaction that starts the job, so a rule must be quick and must not touch a file.

    A rule may have a `backoff`, a Backoff that says what to do about "too many requests" without a time.
    """

    kind: ClassVar[str]
    """The name by which a file means this rule."""
    holds: ClassVar[bool]
    """Whether its starts are remembered, each with its process, until they end: a slot that no crash can leak."""

    def earliest(self, state: State, now: int, cost: int, held: int) -> float | None:
        """The time from which on a start of this cost is allowed: `now` or less means at once.

        `held` is how many slots are taken.  None: not before one of them is given back.  Changes nothing.
        """
        ...

    def take(self, state: State, now: int, cost: int) -> None:
        """Remember a start, which `earliest` has allowed."""
        ...

    def settle(self, state: State, taken_at: int, reserved: int, cost: int) -> bool:
        """Correct what a start was thought to cost; True when the state has changed.  Called when `holds` is true."""
        ...


if TYPE_CHECKING:
    RulesLoader = Callable[[str], Sequence["LimitRule"]]
    """Makes the rules of what a row holds of them; UnknownLimiterError for a kind that this process does not know."""


class Wait(msgspec.Struct, frozen=True):
    """A start that is not allowed yet: from when on it may be, in milliseconds, None when something must be given back
    first; the key of the limiter that says so, and its rule, None for a hold."""

    until: int | None
    limiter_id: int
    rule: LimitRule | None


class SlotRecord(msgspec.Struct, frozen=True):
    """A place that was taken in a limiter: what is needed to give it back."""

    limiter_id: int
    session_id: int
    number: int
    taken_at: int
    cost: int
    holds: bool


@dataclass(frozen=True, slots=True)
class LimiterRecord:
    """A limiter as stored; `rules` and `scope` are JSON.

    `queue` names the queue whose own it is.  `held` is how many slots are taken; nothing starts before `hold_until`
    (milliseconds, wall clock) because of `hold_reason`, after `strikes` times "too many requests" in a row.
    """

    row_id: int
    name: str
    scope: str
    queue: str | None
    rules: str
    held: int
    hold_until: int | None
    hold_reason: str | None
    strikes: int


class LimiterRepository(Protocol):
    """Limiters.  Every method is one transaction."""

    def open(self, name: str, scope: str, rules: str | None = None, *, keep: bool = False) -> int | None:
        """The key of a named limiter; `rules` (JSON) replace those it has, unless `keep`, and make it when there is
        none."""
        ...

    def limit_queue(self, queue_id: int, rules: str, shared: Sequence[int]) -> None:
        """Let a queue be limited by rules of its own and by named limiters, and by nothing else."""
        ...

    def take(self, limiter_ids: Sequence[int], cost: int = 1) -> Sequence[SlotRecord] | Wait:
        """Start something, when all of these allow it now; when one does not, none of them remembers it."""
        ...

    def release(self, slots: Sequence[SlotRecord], cost: int | None = None, *, succeeded: bool = False) -> None:
        """What was started has ended, and has cost `cost` when that is known."""
        ...

    def look(self, limiter_id: int, cost: int = 1) -> Wait | None:
        """Why something could not start now; None when it could."""
        ...

    def look_at_queue(self, queue_id: int, cost: int = 1) -> Wait | None:
        """Why a job of the queue could not start now, as far as limiters are concerned."""
        ...

    def hold(self, limiter_id: int, seconds: float | None, reason: str, started_at: int | None = None) -> int:
        """Start nothing for so many seconds, or as long as the backoff says; until when, in milliseconds.

        A hold is never made shorter by another.  `started_at` is when that began which was refused.
        """
        ...

    def hold_queue(self, queue_id: int, seconds: float, reason: str) -> int:
        """Start nothing of a queue, nor of others that share its limiters."""
        ...

    def clear(self, limiter_id: int) -> None:
        """Forget everything but the rules."""
        ...

    def clear_queue(self, queue_id: int) -> None:
        """Forget everything but the rules, of all limiters of a queue."""
        ...

    def get(self, limiter_id: int) -> LimiterRecord: ...

    def all(self) -> list[LimiterRecord]: ...

    def of_queue(self, queue_id: int) -> list[LimiterRecord]: ...
