"""Keeping what streaming tasks say in the journal, so that others can follow, and so that they can come late.

The policy.  A row holds what one port said within 50 ms, or 2 KB of it, whichever is full first; text and lists are
added up, and of values that replace each other only the last one counts.  The rows go into the same transactions as
everything else.  They are numbered over the whole run: the upper half of the number is the run's epoch, so numbers grow
also over crashes and need not be kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from workglow.errors import WorkglowError
from workglow.graph.streams.chunks import Gathered
from workglow.storage.records import ChunkRecord
from workglow.values import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workglow.clock import Clock, Timer
    from workglow.graph.schedule import TaskRun
    from workglow.graph.streams.chunks import StreamChunk
    from workglow.storage.protocols import Journal
    from workglow.values import Blob

__all__ = ["ChunkRecorder"]

_SECONDS = 0.05
_SIZE = 2048
_ITEM = 64
"""What an item counts that is no text."""


class _Said:
    """What one task run said since its last row."""

    __slots__ = ("gathered", "size", "timer")

    def __init__(self, timer: Timer) -> None:
        self.gathered: list[Gathered] = []
        self.size = 0
        self.timer = timer

    def add(self, chunk: StreamChunk) -> None:
        if not self.gathered or not self.gathered[-1].joins(chunk):
            self.gathered.append(Gathered(chunk))
        if isinstance(chunk.data, str):
            self.size += len(chunk.data)
        else:
            self.size += _ITEM * (len(cast("list[object]", chunk.data)) if isinstance(chunk.data, list) else 1)


class ChunkRecorder:
    """Gathers chunks, and hands them to the journal as rows; `changed` asks for a commit."""

    def __init__(self, journal: Journal, clock: Clock, changed: Callable[[TaskRun], None]) -> None:
        self._journal = journal
        self._clock = clock
        self._changed = changed
        self._seq = (journal.run.epoch - 1) << 32
        self._said: dict[TaskRun, _Said] = {}
        self._failures: dict[TaskRun, WorkglowError] = {}
        self._since: dict[TaskRun, int] = {}  # who goes on with the stream of an earlier attempt

    def add(self, run: TaskRun, chunk: StreamChunk) -> None:
        """Keep a chunk; raises, for this one or an earlier one, when a piece is of a kind that no file can hold."""
        said = self._said.get(run)
        if said is None:
            if run in self._failures:
                raise self._failures.pop(run)
            said = self._said[run] = _Said(self._clock.call_later(_SECONDS, lambda: self._expired(run)))
        said.add(chunk)
        if said.size >= _SIZE:
            self._flush(run)

    def _expired(self, run: TaskRun) -> None:
        try:
            self._flush(run)
        except WorkglowError as error:  # the task hears of it with its next piece
            self._failures[run] = error

    def _flush(self, run: TaskRun) -> None:
        said = self._said.pop(run)
        said.timer.cancel()
        now = self._clock.now()
        for gathered in said.gathered:
            text, blobs = _encoded(gathered.port, gathered.data(), f"what task '{run.path}' streams")
            self._seq += 1
            attempt = self._since.get(run, run.attempt)
            record = ChunkRecord(self._seq, run.path, attempt, gathered.port, gathered.kind, text, now, blobs)
            self._journal.note_chunk(run, record)
        self._changed(run)

    def forget(self, run: TaskRun) -> None:
        """The attempt is over: what is not a row yet will be none, for the value says it all."""
        said = self._said.pop(run, None)
        self._failures.pop(run, None)
        self._since.pop(run, None)
        if said is not None:
            said.timer.cancel()

    def goes_on(self, run: TaskRun, since: int) -> None:
        """What the run says from now on belongs to the stream that attempt `since` began."""
        self._since[run] = since

    def ended(self, run: TaskRun) -> None:
        """Number the final value of a task run too, and keep with its row that it had streamed."""
        self._seq += 1
        since = self._since.get(run)
        state = {"streamed": self._seq} if since is None else {"streamed": self._seq, "since": since}
        run.state = msgspec.json.encode(state).decode()


def _encoded(port: str, data: object, where: str) -> tuple[str, Sequence[Blob]]:
    values = {port: data}
    if isinstance(data, str):  # stays in its row however long it is, for it will soon be gone
        try:
            return msgspec.json.encode(values).decode(), ()
        except UnicodeEncodeError:
            pass  # the codec says what is wrong with it
    return encode(values, where=where)
