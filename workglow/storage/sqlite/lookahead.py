"""The jobs that are next, read before they are wanted.

Policy.  A worker that claims one job in a turn would look for the next one in every turn, although nothing has changed
but what it did itself.  So while turn follows turn and nobody else writes, each look reads ahead, twice as far as the
last one, and the turns that follow claim what it found.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final

from workglow.storage.sqlite.quiet import Quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workglow.storage.jobs import ClaimedJob

__all__ = ["Lookahead"]

_FARTHEST: Final = 63  # jobs


class Lookahead(Quiet):
    """What the turns of one process leave for the next one."""

    def __init__(self, data_version: Callable[[], int]) -> None:
        """`data_version` is that of the connection which writes."""
        super().__init__(data_version)
        self._ready: dict[int, Sequence[ClaimedJob]] = {}
        self.more = 0
        """How many jobs a look reads beyond those that are claimed at once."""

    def begin(self) -> bool:
        """Begin a turn, inside its transaction; whether the file is as the last turn left it."""
        quiet = super().begin()
        if quiet:
            self.more = min(2 * self.more + 1, _FARTHEST)
        else:
            self.more = 0
            self._ready.clear()
        return quiet

    def take(self, queue_id: int, count: int) -> Sequence[ClaimedJob]:
        """Return that many of a queue's first jobs, or none when they have to be looked for."""
        ready = self._ready.get(queue_id, ())
        if len(ready) < count:
            return ()
        self._ready[queue_id] = ready[count:]
        return ready[:count]

    def keep(self, queue_id: int, jobs: Sequence[ClaimedJob]) -> None:
        """Keep what was read beyond what is claimed, up to a job whose deadline may pass meanwhile."""
        self._ready[queue_id] = list(takewhile(lambda job: job.deadline_at is None, jobs))

    def forget(self) -> None:
        """This turn changes more than the jobs that it claims and completes: the next one looks for itself."""
        super().forget()
        self.more = 0
        self._ready.clear()
