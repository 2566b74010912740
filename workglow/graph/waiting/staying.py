"""Whether a process stays for what its run waits for; while it does, it watches the file for answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.clock import Timer
    from workglow.graph.environment import Environment
    from workglow.storage.protocols import Journal

__all__ = ["Stay"]


class Stay:
    """The time that one process waits together with its run, as the option `wait` has it.

    `look` is called when something may have come, `wake` when the time is over, `broken` with what the file raised.
    """

    def __init__(
        self,
        environment: Environment,
        look: Callable[[], object],
        wake: Callable[[], object],
        broken: Callable[[BaseException], object],
    ) -> None:
        self._environment = environment
        self._look = look
        self._wake = wake
        self._broken = broken
        self._watcher: asyncio.Task[None] | None = None
        self._patience: Timer | None = None
        self._out_of_patience = False

    def is_over(self, *, goes_on_by_itself: bool) -> bool:
        """Whether to leave, now that all that is left to do is waiting; for a time or a job, or for somebody."""
        wait = self._environment.options.wait
        if wait is None:
            return not goes_on_by_itself
        if isinstance(wait, bool):
            return not wait
        if self._patience is None:
            self._patience = self._environment.clock.call_later(wait, self._lose_patience)
        return self._out_of_patience

    def _lose_patience(self) -> None:
        self._out_of_patience = True
        self._wake()

    def watch(self, journal: Journal) -> None:
        """From now on look whenever somebody has written to the file."""
        if self._watcher is None:
            self._watcher = asyncio.ensure_future(self._watch(journal))
            self._watcher.add_done_callback(self._watched)

    async def _watch(self, journal: Journal) -> None:
        while True:
            change = asyncio.ensure_future(journal.wait_for_change())
            try:
                await asyncio.sleep(0)  # from here on it hears of every change; what came before is looked for now
                self._look()
                await change
            finally:
                change.cancel()

    def _watched(self, done: asyncio.Task[None]) -> None:
        if not done.cancelled() and isinstance(error := done.exception(), Exception):
            self._broken(error)

    async def close(self) -> None:
        """Watch no longer."""
        if self._patience is not None:
            self._patience.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait((self._watcher,))
