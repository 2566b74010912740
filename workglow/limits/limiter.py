"""A named limiter of a project file, and the slots that are taken in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from workglow.errors import RateLimitedError, TaskConfigurationError
from workglow.limits.headers import hold_for
from workglow.storage.limits import SlotRecord, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from workglow.file import File
    from workglow.limits.line import Line
    from workglow.storage.limits import LimiterRecord, LimiterRepository

__all__ = ["Limiter", "Slot", "hold_seconds"]

_LONGEST: Final = 1000 * 365 * 86_400  # seconds
_LOOK_AGAIN: Final = 1.0  # seconds: a process that held a slot may have died, a hold may have been cleared


class Limiter:
    """A limiter that is kept in the file and binds every process that has it open."""

    def __init__(self, file: File, repository: LimiterRepository, row_id: int, name: str, line: Line) -> None:
        """Use `project.limiter`."""
        self._file = file
        self._repository = repository
        self.line = line
        self.row_id = row_id
        self.name = name

    def slot(self, cost: int = 1) -> Slot:
        """Wait until one more may start, and have a place until the end of the block.

        Those who wait in one process get their places in the order of asking.
        `async with limiter.slot(cost=500) as slot: …`, or `with`, which blocks.  Set `slot.cost` to what it really
        cost.  RateLimitedError inside the block holds the limiter up for every process, and is raised on.
        """
        return Slot(self._file, self._repository, (self.row_id,), cost, self.line)

    def take(self, cost: int = 1) -> Slot | None:
        """Start one more at once, or None when that is not allowed now; `release` it, or use it in a `with` block."""
        slot = self.slot(cost)
        return slot if slot.try_to_take() is None else None

    def next_at(self, cost: int = 1) -> int | None:
        """From when on one more may start, in milliseconds; now or earlier when it may, None when nobody knows."""
        wait = self._repository.look(self.row_id, cost)
        return self._file.clock.now() if wait is None else wait.until

    def hold(self, seconds: float | None = None, reason: str = "") -> int:
        """Start nothing for so many seconds, in any process; until when, in milliseconds.

        None is what "too many requests" without a time is worth: twice as long each time that comes in a row.  A hold
        is over when its time is, or with `clear`; a shorter one does not shorten it.
        """
        return self._repository.hold(self.row_id, None if seconds is None else hold_seconds(seconds), reason)

    def clear(self) -> None:
        """Forget everything but the rules: starts, holds, and the slots that are taken."""
        self._repository.clear(self.row_id)

    @property
    def record(self) -> LimiterRecord:
        """What the file says of it now."""
        return self._repository.get(self.row_id)

    def __repr__(self) -> str:
        return f"<limiter {self.name}>"


class Slot:
    """A place in a limiter, or in several at once.  It belongs to this process: when that dies, it is given back."""

    __slots__ = ("_file", "_limiter_ids", "_line", "_repository", "_reserved", "_spent", "_started_at", "_taken")

    def __init__(
        self, file: File, repository: LimiterRepository, limiter_ids: Sequence[int], cost: int, line: Line
    ) -> None:
        """Use `limiter.slot`, or `limiter.take`."""
        self._file = file
        self._repository = repository
        self._limiter_ids = limiter_ids
        self._line = line
        self._reserved = _cost(cost)
        self._taken: Sequence[SlotRecord] = ()
        self._started_at = 0
        self._spent: int | None = None

    @property
    def cost(self) -> int | None:
        """What it really cost; None: what was reserved."""
        return self._spent

    @cost.setter
    def cost(self, cost: int | None) -> None:
        self._spent = None if cost is None else _cost(cost)

    def try_to_take(self) -> Wait | None:
        """Take it unless it is taken; why it cannot be, None when it is."""
        if not self._taken:
            found = self._repository.take(self._limiter_ids, self._reserved)
            if isinstance(found, Wait):
                return found
            self._taken = found
            self._started_at = self._file.clock.now()
        return None

    def release(self, error: BaseException | None = None) -> None:
        """Give it back; twice is once."""
        taken, self._taken = self._taken, ()
        if not taken:
            return
        repository = self._repository
        if isinstance(error, RateLimitedError):
            for one in taken:
                repository.hold(one.limiter_id, hold_for(error), str(error), self._started_at)
        repository.release(taken, self._spent, succeeded=error is None)

    async def __aenter__(self) -> Self:
        async with self._line.turn():
            await self._wait()
        return self

    async def _wait(self) -> None:
        file = self._file
        while True:
            version = file.version()
            wait = self.try_to_take()
            if wait is None:
                return
            if wait.until is None:
                await file.wait_for_change(_LOOK_AGAIN, since=version)
            else:
                await _pause(file, min(_LOOK_AGAIN, (wait.until - file.clock.now()) / 1000))
                file.check_place()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(error)

    def __enter__(self) -> Self:
        from workglow.blocking import run_blocking

        if _blocks_a_loop():  # on which those in the line may have to go on
            if self.try_to_take() is not None:
                run_blocking(self._wait)
        elif self._line or self.try_to_take() is not None:
            run_blocking(self.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release(error)

    def __repr__(self) -> str:
        limiters = ", ".join(map(str, self._limiter_ids))
        return f"<slot of limiter {limiters}, {'taken' if self._taken else 'not taken'}>"


def _blocks_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _pause(file: File, seconds: float) -> None:
    done = asyncio.Event()
    timer = file.clock.call_later(max(0.0, seconds), done.set)
    try:
        await done.wait()
    finally:
        timer.cancel()


def hold_seconds(seconds: float) -> float:
    """The seconds of a hold, or TaskConfigurationError."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST:  # pyright: ignore
        raise TaskConfigurationError(f"hold({seconds!r:.60}): give seconds, 0 or more, and less than 1000 years.")
    return seconds


def _cost(cost: int) -> int:
    if isinstance(cost, bool) or not isinstance(cost, int) or not 0 <= cost < 2**63:  # pyright: ignore
        raise TaskConfigurationError(f"cost={cost!r:.60}: give a whole number, 0 or more.")
    return cost
