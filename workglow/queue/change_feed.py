"""Following the changes of a project file, from any process.

Policy.  A reader is a number: the next one it wants.  It reads pages of what is kept from there on, and when there is
nothing more it waits for the next commit.  The numbers have no gaps, so a page that begins later than it should says
that something is lost, and the reader is told so instead of going on without it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Self, TypedDict

from workglow.errors import EventsLostError, TaskConfigurationError
from workglow.storage.changes import JobChange, KeptChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.file import File
    from workglow.storage.changes import Change, ChangeRepository

__all__ = ["KEEP_DAYS", "KEEP_ROWS", "ChangeFeed", "Chosen", "chooser", "keep_changes"]

KEEP_DAYS: Final = 7.0
KEEP_ROWS: Final = 100_000
_PAGE: Final = 500
_DAY: Final = 86_400_000  # milliseconds


class Chosen(TypedDict, total=False):
    """Which changes are wanted; see `project.events`."""

    jobs: bool
    runs: bool
    queue: str | None
    scope: Mapping[str, object] | None


def chooser(chosen: Chosen) -> Callable[[Change], bool]:
    """Return what says whether a change is wanted."""
    for name in chosen:
        if name not in Chosen.__annotations__:
            raise TypeError(
                f"events() got an unexpected keyword argument {name!r}; it has {', '.join(Chosen.__annotations__)}"
            )
    jobs, queue, scope = chosen.get("jobs", True), chosen.get("queue"), chosen.get("scope")
    wanted = (scope or {}).items()
    runs = chosen.get("runs", True) and queue is None and not wanted  # a run is in no queue and is everybody's

    def choose(change: Change) -> bool:
        if not isinstance(change, JobChange):
            return runs
        return jobs and queue in (None, change.queue) and wanted <= change.scope.items()

    return choose


def keep_changes(repository: ChangeRepository, days: float, rows: int) -> None:
    """Keep changes for so many days, or none any more with 0; at most so many rows."""
    if not _is_number(days) or not days >= 0:
        raise TaskConfigurationError(f"keep_events: days is {days!r:.60}; give 0 or more, where 0 keeps nothing.")
    if not _is_number(rows) or not 1 <= rows < 2**63 or rows != int(rows):
        raise TaskConfigurationError(f"keep_events: rows is {rows!r:.60}; give a whole number, at least 1.")
    if days == 0:
        repository.forget()
    else:
        repository.keep(keep_for=max(1, round(min(days, 1e6) * _DAY)), keep_rows=int(rows))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class ChangeFeed:
    """The changes of a file, one after the other: `async for change in feed`.  It never ends by itself.

    `seq` is the number it goes on from, in this process or another: `project.events(from_seq=feed.seq)`.
    """

    def __init__(
        self, file: File, repository: ChangeRepository, from_seq: int | None, choose: Callable[[Change], bool]
    ) -> None:
        """Use `project.events`."""
        self._file = file
        self._repository = repository
        self._choose = choose
        self._page: deque[tuple[int, Change | None]] = deque()
        self._exhausted = False
        self._version = 0
        kept = repository.kept()
        if kept is None:
            keep_changes(repository, KEEP_DAYS, KEEP_ROWS)
            kept = repository.kept()
            assert kept is not None
        if from_seq is None:
            self.seq = kept.newest + 1
        elif from_seq == 0:
            self.seq = kept.first
        else:
            self.seq = from_seq
            self._check(kept)

    def _check(self, kept: KeptChanges | None) -> None:
        """Raise when what this reader is waiting for can never come."""
        if kept is None:
            raise EventsLostError("Changes are not kept any more: somebody ended that with keep_events(0).", first=None)
        if self.seq < kept.first:
            raise EventsLostError(
                f"What happened before number {kept.first} is not kept, and {self.seq} was asked for.  Look at the "
                f"jobs and runs as they are now, then go on with from_seq={kept.first}.",
                first=kept.first,
            )
        if self.seq > kept.newest + 1:
            raise EventsLostError(
                f"The newest change has number {kept.newest}, and {self.seq} was asked for: that number is of another "
                f"file, or of a later state of this one.  Go on with from_seq={kept.newest + 1}.",
                first=kept.newest + 1,
            )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while (change := self._taken()) is None:
            if self._exhausted:
                await self._file.wait_for_change(since=self._version)
            else:
                await asyncio.sleep(0)  # a reader who is far behind leaves the loop to the others between two pages
            self._read_page()
        return change

    def read(self) -> list[Change]:
        """The changes that are there by now and were not read yet; does not wait for more."""
        found: list[Change] = []
        while True:
            while (change := self._taken()) is not None:
                found.append(change)
            self._read_page()
            if not self._page:
                return found

    def _taken(self) -> Change | None:
        """The next change of the page that is wanted."""
        while self._page:
            seq, change = self._page.popleft()
            self.seq = seq + 1
            if change is not None and self._choose(change):
                return change
        return None

    def _read_page(self) -> None:
        self._version = self._file.version()
        page = self._repository.read(self.seq, _PAGE)
        if not page or page[0][0] != self.seq:
            self._check(self._repository.kept())
        self._exhausted = len(page) < _PAGE
        self._page.extend(page)

    def __repr__(self) -> str:
        return f"<changes from {self.seq} on>"
