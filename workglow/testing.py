"""Tools for testing your own tasks and graphs: a clock you move, models that say what you tell them, crash points."""

from __future__ import annotations

import heapq
import itertools
import os
import re
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workglow.errors import TaskConfigurationError, UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from workglow.storage.records import TaskRow

__all__ = ["CRASH_VARIABLE", "FakeClock", "ScriptedProvider", "forbid_model_calls", "install_crash_points"]


# ---------------------------------------------------------------------- time


class _FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """A clock that stands still until a test advances it; timers fire in the order of their time, on the way."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._milliseconds = now
        self._timers: list[tuple[float, int, _FakeTimer]] = []
        self._order = itertools.count()

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._milliseconds

    def monotonic(self) -> float:
        """Seconds."""
        return self._milliseconds / 1000

    def call_later(self, delay: float, callback: Callable[[], None]) -> _FakeTimer:
        """Call back when the clock has been advanced by `delay` seconds."""
        timer = _FakeTimer(callback)
        heapq.heappush(self._timers, (self._milliseconds + delay * 1000, next(self._order), timer))
        return timer

    def waiting(self) -> int:
        """How many timers have neither fired nor been cancelled."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Move the time forward, calling back what falls due on the way."""
        end = self._milliseconds + seconds * 1000
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            self._milliseconds = max(self._milliseconds, round(due))
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._milliseconds = round(end)


# ---------------------------------------------------------------------- crashes

CRASH_VARIABLE = "WORKGLOW_CRASH"
"""Names a moment, as in `complete.inside:3`: the process kills itself there the third time it gets there."""

_POINT = re.compile(r"(?P<kind>\w+)\.(?P<moment>before|halfway|inside|after):(?P<count>\d+)")


def install_crash_points(point: str | None = None) -> None:
    """Let this process kill itself with SIGKILL at a moment of a transition; call it first in a test's child process.

    `point` is `kind.moment:n`, by default from the environment variable WORKGLOW_CRASH; without either nothing happens.
    Kinds: begin (a run), start, complete, reuse (a cached output), fail, retry, open (a loop's items), disable, finish
    (a run).
    Moments: before the transaction; halfway through it, with half of the rows written; inside it, with everything written
    but the commit; and after it.
    """
    point = point or os.environ.get(CRASH_VARIABLE)
    if not point:
        return
    match = _POINT.fullmatch(point)
    if match is None:
        raise TaskConfigurationError(f"{point!r} is no crash point; write kind.moment:n, as in 'complete.inside:3'.")
    from workglow.storage.sqlite.journal import SqliteJournal

    reached = itertools.count(1)
    write, commit = SqliteJournal._write, SqliteJournal.commit  # pyright: ignore[reportPrivateUsage]

    def is_here(moment: str, kinds: set[str]) -> bool:
        return moment == match["moment"] and match["kind"] in kinds and next(reached) == int(match["count"])

    def at(moment: str, kinds: set[str]) -> None:
        if is_here(moment, kinds):
            os.kill(os.getpid(), signal.SIGKILL)

    def crashing_write(self: SqliteJournal, db: Any, rows: Sequence[TaskRow], status: str | None, *rest: Any) -> None:
        kinds = _kinds(self, rows, status)
        at("before", kinds)
        if is_here("halfway", kinds):
            write(self, db, rows[: (len(rows) + 1) // 2], None, *rest)
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, db, rows, status, *rest)
        at("inside", kinds)

    def crashing_commit(self: SqliteJournal, rows: Sequence[TaskRow], **options: Any) -> Any:
        kinds = _kinds(self, rows, options.get("status"))
        waiting = commit(self, rows, **options)
        if waiting is None:
            at("after", kinds)
            return None

        async def wait() -> None:
            await waiting
            at("after", kinds)

        return wait()

    SqliteJournal._write = crashing_write  # pyright: ignore[reportPrivateUsage]
    SqliteJournal.commit = crashing_commit


def _kinds(journal: Any, rows: Sequence[TaskRow], status: str | None) -> set[str]:
    kinds = {"begin"} if journal._begin is not None else set[str]()
    for row in rows:
        if row.attempt > (row.status == "running") and row.status in ("pending", "running"):
            kinds.add("retry")
        if row.status == "running":
            kinds.add("open" if row.holds_others else "start")
        elif row.status == "completed":
            kinds.add("reuse" if row.source_id else "complete")
        elif row.status == "failed":
            kinds.add("fail")
        elif row.status == "disabled":
            kinds.add("disable")
    if status is not None:
        kinds.add("finish")
    return kinds
