"""Leaving the file to other processes while they fill it.

Policy.  Who writes one transaction after the other, as a busy worker does, finds another writer in his way sooner or
later.  To take turns at each transaction would cost more than the transactions: so he rests, and the others write
without him.  The log says how full the file is: how many pages it grows by in a moment.  Where there is room for one
more, or nobody writes, he comes back at once.
"""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Final

import apsw

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.clock import Clock
    from workglow.file.transaction import Gate

__all__ = ["Resting"]

_GLANCE: Final = 0.001  # seconds; whoever writes one transaction after the other commits many in it
_LONG_GLANCE: Final = 0.008
_FULL: Final = 16_000  # pages a second; less than that leaves room for one more who writes


class Resting:
    """How one process rests from a file."""

    def __init__(
        self, gate: Gate, clock: Clock, version: Callable[[], int], reader: Callable[[], apsw.Connection]
    ) -> None:
        """`reader` gives the calling thread's own, and `version` has it read."""
        self._gate = gate
        self._clock = clock
        self._version = version
        self._reader = reader

    async def rest(self, seconds: float) -> float:
        """Leave the file to others for so long, or until they leave room for one more; how long the log is then."""
        import asyncio  # costs 60 ms, and who writes without a loop needs none

        self._version()  # a reader that has read nothing does not know the log
        until = self._clock.monotonic() + seconds
        pause, logged = _GLANCE, nan
        self._gate.resting += 1
        try:
            while (left := until - self._clock.monotonic()) > 0:
                before = self.logged()
                await asyncio.sleep(min(pause, left))
                logged = self.logged()
                if 0 <= logged - before < _FULL * pause:
                    break
                pause = min(2 * pause, _LONG_GLANCE)
        finally:
            self._gate.resting -= 1
        return logged

    def logged(self) -> float:
        """How many pages the log holds, until it begins anew; not a number at the very moment of a commit."""
        try:
            return self._reader().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0]
        except apsw.BusyError:
            return nan
