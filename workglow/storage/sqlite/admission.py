"""One limiter inside one transaction: what its row says, whether it lets something start, what it then remembers.

Policy.  All that is known of a limiter is in its row, except the slots, which are rows of their own because they belong
to processes that can die.  A start is asked for and remembered under the write lock, so nothing can come in between.

A limiter has a time of its own, in milliseconds, that never goes back and that nobody can set: the monotonic clock of
the machine, which all its processes share, plus `shift`.  After a restart or on another machine that clock begins anew;
then the time that passed is taken from the wall clock, but never less than nothing.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Final

import msgspec

from workglow.errors import UnknownLimiterError
from workglow.storage.limits import BACKOFF, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workglow.clock import Clock
    from workglow.storage.limits import Backoff, LimitRule, RulesLoader

    Execute = Callable[..., Any]
    Read = Callable[[str, tuple[Any, ...]], list[tuple[Any, ...]]]

__all__ = ["Admission", "Admissions"]

_LOAD: Final = "SELECT rules, state, boot, shift, seen, hold_until, strikes FROM limiter WHERE id = ?"
_LOOK: Final = "SELECT rules, state, boot, shift, seen, hold_until, strikes, seen_at FROM limiter WHERE id = ?"
_STORE: Final = "UPDATE limiter SET state = ?, seen = ?, seen_at = ? WHERE id = ?"
_HELD: Final = "SELECT count(*) FROM limiter_slot WHERE limiter_id = ?"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


class Admission:
    """A limiter as one transaction sees it; `now` is the limiter's own time."""

    __slots__ = (
        "_denied", "changed", "held", "hold_until", "holds", "id", "kept", "now", "rules", "shift", "states", "strikes",
    )  # fmt: skip

    def __init__(
        self,
        limiter_id: int,
        kept: str,
        rules: Sequence[LimitRule],
        states: list[dict[str, Any]],
        *,
        shift: int,
        hold_until: int | None,
        strikes: int,
    ) -> None:
        self.id = limiter_id
        self.kept = kept
        self.rules = rules
        self.states = states
        self.now = 0
        self.shift = shift  # what its time is ahead of the machine's
        self.hold_until = hold_until
        self.strikes = strikes
        self.held = 0
        self.holds = any(rule.holds for rule in rules)
        self.changed = False
        # What `blocks` has said, and of which cost, when how much was held: it says so again until that time.
        self._denied: tuple[float, LimitRule | None, int, int] | None = None

    def blocks(self, cost: int) -> tuple[float | None, LimitRule | None] | None:
        """None when something of this cost may start now; else from when on, if that is known, and which rule it is.

        A hold has no rule.  When a rule waits for something to be given back, that rule is the one.
        """
        now = self.now
        denied = self._denied
        if denied is not None and denied[0] > now and denied[2] == cost and denied[3] == self.held:
            return denied[:2]
        latest: float = now
        why: LimitRule | None = None
        unknown: LimitRule | None = None
        if self.hold_until is not None and self.hold_until > now:
            latest = self.hold_until
        for rule, state in zip(self.rules, self.states, strict=True):
            at = rule.earliest(state, now, cost, self.held)
            if at is None:
                unknown = rule
            elif at > latest:
                latest, why = at, rule
        if latest > now:
            self._denied = latest, why, cost, self.held
            return latest, why
        return None if unknown is None else (None, unknown)

    def take(self, cost: int) -> None:
        """Remember a start."""
        now = self.now
        for rule, state in zip(self.rules, self.states, strict=True):
            rule.take(state, now, cost)
        if self.holds:
            self.held += 1
        self.changed = True
        self._denied = None

    def settle(self, taken_at: int, reserved: int, cost: int) -> None:
        """Correct what a start was thought to cost."""
        for rule, state in zip(self.rules, self.states, strict=True):
            if rule.holds and rule.settle(state, taken_at, reserved, cost):
                self.changed = True
                self._denied = None

    @property
    def backoff(self) -> Backoff:
        found = (getattr(rule, "backoff", None) for rule in self.rules)
        return next((each for each in found if each is not None), BACKOFF)


class Admissions:
    """Loads and stores limiters; used under the write lock, except for `look`."""

    def __init__(self, clock: Clock, boot: str, rules: RulesLoader) -> None:
        self.clock = clock
        self.boot = boot.partition(":")[0]  # the namespace of process numbers has the clock of its machine
        self._rules = rules
        self._known: dict[int, tuple[str, Sequence[LimitRule], str, list[dict[str, Any]]]] = {}
        self._seen: dict[int, tuple[tuple[Any, ...], Admission]] = {}  # by `look`, and their rows
        self.loads = 0
        """How often one was loaded: what it remembers is shared by those that were loaded before, and may change."""

    def load(self, execute: Execute, limiter_id: int) -> Admission:
        """Read a limiter in a transaction that may write."""
        self.loads += 1
        rows = execute(_LOAD, (limiter_id,)).fetchall()
        if not rows:
            raise _gone(limiter_id)
        kept, text, boot, shift, seen, hold_until, strikes = rows[0]
        known = self._known.get(limiter_id)
        # The text is the version: what was rolled back, or written by another process, is decoded again.
        if known is not None and known[2] == text and known[0] == kept:
            rules, states = known[1], known[3]
        else:
            rules = known[1] if known is not None and known[0] == kept else self._rules(kept)
            states = _states(rules, text)
            self._known[limiter_id] = (kept, rules, text, states)
        now = round(self.clock.monotonic() * 1000) + shift
        if boot != self.boot or now < seen:
            now, shift = self._move(execute, limiter_id, seen)
        admission = Admission(limiter_id, kept, rules, states, shift=shift, hold_until=hold_until, strikes=strikes)
        admission.now = now
        if admission.holds:
            admission.held = execute(_HELD, (limiter_id,)).get
        return admission

    def go_on(self, admission: Admission) -> None:
        """Use one again in the next transaction, when nobody wrote, and nothing was loaded, since it was loaded."""
        admission.now = round(self.clock.monotonic() * 1000) + admission.shift

    def _move(self, execute: Execute, limiter_id: int, seen: int) -> tuple[int, int]:
        """Go on with the limiter's time on this machine's clock; the new time, and what that is ahead of the clock."""
        wall = self.clock.now()
        seen_at = execute("SELECT seen_at FROM limiter WHERE id = ?", (limiter_id,)).get
        now = seen + max(0, wall - seen_at)
        shift = now - round(self.clock.monotonic() * 1000)
        execute(
            "UPDATE limiter SET boot = ?, shift = ?, seen = ?, seen_at = ? WHERE id = ?",
            (self.boot, shift, now, wall, limiter_id),
        )
        return now, shift

    def take(self, admission: Admission, cost: int) -> None:
        """Remember a start; `store` has to follow."""
        if not admission.changed:
            self._known.pop(admission.id, None)  # what it knows of is about to change, and may be rolled back
        admission.take(cost)

    def settle(self, admission: Admission, taken_at: int, reserved: int, cost: int) -> None:
        """Correct what a start was thought to cost; `store` has to follow."""
        self._known.pop(admission.id, None)
        admission.settle(taken_at, reserved, cost)

    def store(self, execute: Execute, admission: Admission) -> None:
        """Write what has changed."""
        if admission.changed:
            text = _encode(admission.states).decode()
            execute(_STORE, (text, admission.now, self.clock.now(), admission.id))
            self._known[admission.id] = (admission.kept, admission.rules, text, admission.states)
            admission.changed = False

    def look(self, read: Read, limiter_id: int) -> Admission:
        """Read a limiter without the write lock; what it remembers is not to be changed."""
        rows = read(_LOOK, (limiter_id,))
        if not rows:
            raise _gone(limiter_id)
        row = rows[0]
        known = self._seen.get(limiter_id)
        if known is None or known[0] != row:
            kept, text, _, shift, _, hold_until, strikes, _ = row
            rules = known[1].rules if known is not None and known[1].kept == kept else self._rules(kept)
            states = _states(rules, text)
            admission = Admission(limiter_id, kept, rules, states, shift=shift, hold_until=hold_until, strikes=strikes)
            self._seen[limiter_id] = row, admission
        else:
            admission = known[1]
        boot, shift, seen = row[2:5]
        now = round(self.clock.monotonic() * 1000) + shift
        if boot != self.boot or now < seen:
            now = seen + max(0, self.clock.now() - row[-1])
        admission.now = now
        if admission.holds:
            admission.held = read(_HELD, (limiter_id,))[0][0]
        return admission

    def wall(self, admission: Admission, at: float | None) -> int | None:
        """A time of a limiter on the wall clock, in milliseconds."""
        return None if at is None else self.clock.now() + ceil(at - admission.now)

    def wait(self, admission: Admission, cost: int) -> Wait | None:
        """Why something cannot start now; None when it can."""
        blocked = admission.blocks(cost)
        return None if blocked is None else Wait(self.wall(admission, blocked[0]), admission.id, blocked[1])


def _states(rules: Sequence[LimitRule], text: str) -> list[dict[str, Any]]:
    states = _decode(text)
    return states if len(states) == len(rules) else [{} for _ in rules]


def _gone(limiter_id: int) -> UnknownLimiterError:
    return UnknownLimiterError(f"The file has no limiter {limiter_id} any more; open it again by its name.")
