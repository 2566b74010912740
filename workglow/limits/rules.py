"""The rules that ship: when the next start is allowed.

Policy.  A window is exact: it remembers the starts of the last `per` seconds, and in no stretch of that length,
wherever it begins, are there more than it allows.  Nothing is counted: what is remembered is a short list with its
sum.  Up to `_GROUPS` starts each has an entry.  Above that, and for budgets, starts that come within the same hundredth
of the window share one, which leaves the window when the latest of them does: that never allows too much, and makes a
start wait at most a hundredth of the window longer than it must.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from workglow.errors import TaskConfigurationError
from workglow.storage.limits import Backoff

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.storage.limits import LimitRule

__all__ = [
    "CompositeLimiter",
    "ConcurrencyLimiter",
    "DelayLimiter",
    "EvenlySpacedRateLimiter",
    "RateLimiter",
    "TokenLimiter",
]

State = dict[str, Any]
_GROUPS: Final = 100


def _check(rule: object, **least: tuple[object, float]) -> None:
    """Refuse settings that are not above their limit; `least` is name → (value, limit)."""
    for name, (value, limit) in least.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not limit < value < math.inf:
            raise TaskConfigurationError(
                f"{type(rule).__name__}: {name} must be greater than {limit:g}, and it is {value!r}."
            )


def _check_whole(rule: object, **given: object) -> None:
    """Refuse what cannot be counted; the file could not give it back."""
    for name, value in given.items():
        if not isinstance(value, int):
            raise TaskConfigurationError(f"{type(rule).__name__}: {name} must be a whole number, and it is {value!r}.")


class ConcurrencyLimiter(msgspec.Struct, frozen=True):
    """At most `most` at once.  What a process had that was killed, does not count any more."""

    most: int
    kind: ClassVar[str] = "ConcurrencyLimiter"
    holds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_whole(self, most=self.most)
        if isinstance(self.most, bool) or self.most < 0:
            raise TaskConfigurationError(f"ConcurrencyLimiter: most must be 0 or more, and it is {self.most!r}.")

    def __str__(self) -> str:
        return f"at most {self.most} at once"

    def earliest(self, state: State, now: int, cost: int, held: int) -> float | None:
        return now if held < self.most else None

    def take(self, state: State, now: int, cost: int) -> None:
        """Nothing to remember: the slots are counted."""

    def settle(self, state: State, taken_at: int, reserved: int, cost: int) -> bool:
        return False


class _Window(msgspec.Struct, frozen=True):
    """What starts and tokens have in common: so much in any window."""

    def _earliest(self, state: State, now: int, cost: int, *, most: int, window: int) -> float:
        over = state.get("used", 0) + min(cost, most) - most
        if over <= 0:
            return now
        for at, spent in zip(state["at"], state["cost"], strict=True):
            over -= spent
            if over <= 0:
                return at + window
        return now

    def _take(self, state: State, now: int, cost: int, *, most: int, window: int) -> None:
        if "at" not in state:
            state.update(at=[], cost=[], used=0, since=0, gone=-1)
        at, costs = state["at"], state["cost"]
        gone = 0
        while gone < len(at) and at[gone] + window <= now:
            state["used"] -= costs[gone]
            gone += 1
        if gone:
            state["gone"] = at[gone - 1]
            del at[:gone], costs[:gone]
        grain = window // _GROUPS if most > _GROUPS else 0
        if at and now - state["since"] <= grain:
            at[-1] = now
            costs[-1] += cost
        else:
            at.append(now)
            costs.append(cost)
            state["since"] = now
        state["used"] += cost


class RateLimiter(_Window, frozen=True):
    """At most `starts` in any `per` seconds, wherever they begin.

    After "too many requests" that name no time nothing starts for `backoff` seconds, then `backoff_factor` times as
    long each time that comes in a row, up to `longest_backoff`.
    """

    starts: int
    per: float = 60.0
    initial_backoff: float = 1.0
    backoff_factor: float = 2.0
    longest_backoff: float = 600.0
    kind: ClassVar[str] = "RateLimiter"
    holds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check(self, starts=(self.starts, 0), per=(self.per, 0), initial_backoff=(self.initial_backoff, 0))
        _check_whole(self, starts=self.starts)
        _check(
            self, backoff_factor=(self.backoff_factor, 1), longest_backoff=(self.longest_backoff, self.initial_backoff)
        )

    def __str__(self) -> str:
        return f"at most {self.starts} in any {self.per:g} s"

    @property
    def backoff(self) -> Backoff:
        return Backoff(self.initial_backoff, self.backoff_factor, self.longest_backoff)

    def earliest(self, state: State, now: int, cost: int, held: int) -> float | None:
        return self._earliest(state, now, 1, most=self.starts, window=math.ceil(self.per * 1000))

    def take(self, state: State, now: int, cost: int) -> None:
        self._take(state, now, 1, most=self.starts, window=math.ceil(self.per * 1000))

    def settle(self, state: State, taken_at: int, reserved: int, cost: int) -> bool:
        return False


class TokenLimiter(_Window, frozen=True):
    """At most `tokens` in any `per` seconds.

    The `cost` of a job or slot is reserved when it starts, and put right when it says what it really cost: see
    `JobContext.spend` and `Slot.cost`.  What costs more than there can ever be starts when all of it is there.
    """

    tokens: int
    per: float = 60.0
    kind: ClassVar[str] = "TokenLimiter"
    holds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check(self, tokens=(self.tokens, 0), per=(self.per, 0))
        _check_whole(self, tokens=self.tokens)

    def __str__(self) -> str:
        return f"at most {self.tokens} tokens in any {self.per:g} s"

    def earliest(self, state: State, now: int, cost: int, held: int) -> float | None:
        return self._earliest(state, now, cost, most=self.tokens, window=math.ceil(self.per * 1000))

    def take(self, state: State, now: int, cost: int) -> None:
        self._take(state, now, cost, most=self.tokens, window=math.ceil(self.per * 1000))

    def settle(self, state: State, taken_at: int, reserved: int, cost: int) -> bool:
        if taken_at <= state.get("gone", -1):
            return False  # it has left the window
        for place, at in enumerate(state.get("at", ())):
            if at >= taken_at:  # the entry of a start is as old as the start, or younger
                state["cost"][place] += cost - reserved
                state["used"] += cost - reserved
                return True
        return False


class DelayLimiter(msgspec.Struct, frozen=True):
    """At least `seconds` between one start and the next."""

    seconds: float = 0.05
    kind: ClassVar[str] = "DelayLimiter"
    holds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check(self, seconds=(self.seconds, 0))

    def __str__(self) -> str:
        return f"{self.seconds:g} s between one and the next"

    def earliest(self, state: State, now: int, cost: int, held: int) -> float | None:
        return state.get("next", now)

    def take(self, state: State, now: int, cost: int) -> None:
        state["next"] = now + math.ceil(self.seconds * 1000)

    def settle(self, state: State, taken_at: int, reserved: int, cost: int) -> bool:
        return False


class EvenlySpacedRateLimiter(msgspec.Struct, frozen=True):
    """At most `starts` in any `per` seconds, evenly spaced; how long they take makes no difference."""

    starts: int
    per: float = 60.0
    kind: ClassVar[str] = "EvenlySpacedRateLimiter"
    holds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check(self, starts=(self.starts, 0), per=(self.per, 0))
        _check_whole(self, starts=self.starts)

    def __str__(self) -> str:
        return f"at most {self.starts} in any {self.per:g} s, evenly spaced"

    def earliest(self, state: State, now: int, cost: int, held: int) -> float | None:
        return state.get("next", now)  # fractions do not wait, so that there can be many in a millisecond

    def take(self, state: State, now: int, cost: int) -> None:
        begun, part = state.get("next", 0), state.get("part", 0)
        if begun < now:
            begun, part = now, 0
        whole, state["part"] = divmod(part + math.ceil(self.per * 1000), self.starts)
        state["next"] = begun + whole

    def settle(self, state: State, taken_at: int, reserved: int, cost: int) -> bool:
        return False


class CompositeLimiter:
    """All of these at once: what one of them refuses, none of them remembers.  A list says the same."""

    def __init__(self, rules: Sequence[LimitRule | CompositeLimiter] = ()) -> None:
        self.rules = tuple(rules)

    def __repr__(self) -> str:
        return f"CompositeLimiter({list(self.rules)!r})"
