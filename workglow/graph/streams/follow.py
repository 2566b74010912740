"""Following what a run streams, from any process: first what is there already, then what comes.

The policy.  While a task streams, its rows tell what it says.  When it is over its rows are gone, and its value is told
once, whole.  When an attempt is given up, the next one begins again from nothing, and that is told before its first
piece; one that goes on where a crash cut off the one before counts as the same.  A follower looks again after each
commit to the file.  Then it also asks for the tasks that were over before it saw them, which is to look at all that
have streamed: in a run where that takes long it is done so seldom that it makes a small part of the time, but once a
second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from workglow.errors import UnknownTaskError
from workglow.storage.records import FINAL_RUN_STATUSES, FINAL_TASK_STATUSES
from workglow.values import decode
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from workglow.file import File
    from workglow.storage.records import ChunkRecord, RunRecord, TaskRow
    from workglow.storage.repositories import Repositories

__all__ = ["StreamRecord", "follow"]

_PAGE = 256
_SECONDS = 1.0
_SHARE = 0.05
"""Of its time that a follower spends with asking for tasks that were over before it saw them."""


class StreamRecord(msgspec.Struct, frozen=True):
    """One thing that a follower is told about the task at `path`; `seq` grows over the whole run.

    `kind` says what `data` is: a piece of `port` to `append`, a value to `replace` the port's with, an `object` (or
    list of objects, merged by `id`); None when the task has `restarted` and what it had said does not count; the
    `value` of all its ports, as a mapping, when it has completed; the error's text when it has `failed` or was aborted.
    """

    seq: int
    path: str
    attempt: int
    port: str
    kind: Literal["append", "replace", "object", "restarted", "value", "failed"]
    data: Any


class _Followed:
    """A task that the follower has told something about."""

    __slots__ = ("attempt", "over", "seq")

    def __init__(self, attempt: int, seq: int) -> None:
        self.attempt = attempt
        self.seq = seq
        self.over = False


class _Follower:
    def __init__(self, repositories: Repositories, record: RunRecord, task: str | None, from_seq: int) -> None:
        self._runs = repositories.runs
        self._load = repositories.values.load
        self._record = record
        self._task = task
        self._from_seq = from_seq
        self._seq = from_seq  # what comes next has at least this number
        self._tasks: dict[str, _Followed] = {}

    def is_over(self) -> bool:
        """Whether nothing more can come, as of now."""
        if self._task is not None and (followed := self._tasks.get(self._task)) is not None and followed.over:
            return True
        self._record = self._runs.get(self._record.uid)
        return self._record.status in FINAL_RUN_STATUSES

    def news(self) -> Iterator[StreamRecord]:
        """What happened to the tasks that are known, and what they and others said."""
        while True:
            page = self._runs.chunks(self._record, from_seq=self._seq, path=self._task, limit=_PAGE)
            for chunk in page:
                yield from self._said(chunk)
                self._seq = chunk.seq + 1
            if len(page) < _PAGE:
                break
        for path in [path for path, followed in self._tasks.items() if not followed.over]:
            row = self._runs.row(self._record, path)
            if row is not None:
                yield from self._became(row)

    def _said(self, chunk: ChunkRecord) -> Iterator[StreamRecord]:
        followed = self._tasks.get(chunk.path)
        if followed is None:
            followed = self._tasks[chunk.path] = _Followed(chunk.attempt, chunk.seq)
            if self._from_seq and chunk.attempt > 1 and self._is_first(chunk):  # what its reader knows is older
                yield self._restarted(chunk.path, followed, chunk.attempt)
        elif followed.attempt != chunk.attempt:
            yield self._restarted(chunk.path, followed, chunk.attempt)
        followed.seq = chunk.seq
        data = decode(chunk.data, self._load)[chunk.port]
        yield StreamRecord(chunk.seq, chunk.path, chunk.attempt, chunk.port, chunk.kind, data)  # pyright: ignore

    def _is_first(self, chunk: ChunkRecord) -> bool:
        first = self._runs.chunks(self._record, from_seq=0, path=chunk.path, limit=1)
        return bool(first) and first[0].seq == chunk.seq

    def _restarted(self, path: str, followed: _Followed, attempt: int) -> StreamRecord:
        followed.attempt = attempt
        return StreamRecord(followed.seq, path, attempt, "", "restarted", None)

    def _became(self, row: TaskRow) -> Iterator[StreamRecord]:
        followed = self._tasks[row.path]
        if row.attempt > followed.attempt and _state(row).get("since") != followed.attempt:
            yield self._restarted(row.path, followed, row.attempt)
        if row.status in FINAL_TASK_STATUSES:
            followed.over = True
            yield from self._end(row, followed)

    def _end(self, row: TaskRow, followed: _Followed) -> Iterator[StreamRecord]:
        if row.status == "completed":
            seq = _state(row).get("streamed") or followed.seq
            if seq >= self._from_seq:
                data = decode(row.output or "{}", self._load)
                yield StreamRecord(seq, row.path, row.attempt, "", "value", data)
        else:
            error = row.status if row.error is None else msgspec.json.decode(row.error)["message"]
            yield StreamRecord(followed.seq, row.path, row.attempt, "", "failed", error)

    def unheard(self) -> list[TaskRow]:
        """The rows of tasks that are over without having been heard of."""
        if self._task is None:
            rows = self._runs.streamed(self._record)
        else:
            row = self._runs.row(self._record, self._task)
            rows = [] if row is None or row.status not in FINAL_TASK_STATUSES else [row]
        return [row for row in rows if row.path not in self._tasks]

    def ends(self, rows: Iterable[TaskRow]) -> Iterator[StreamRecord]:
        """Tell how these tasks ended."""
        for row in rows:
            followed = self._tasks[row.path] = _Followed(row.attempt, self._from_seq)
            followed.over = True
            yield from self._end(row, followed)


def _state(row: TaskRow) -> dict[str, Any]:
    return {} if row.state is None else msgspec.json.decode(row.state)


async def follow(
    repositories: Repositories, file: File, run: str, task: str | None = None, *, from_seq: int = 0
) -> AsyncIterator[StreamRecord]:
    """Yield what the run at `run` has streamed since number `from_seq`, and then what it streams, to its end.

    With `task` it is that task's only, to the task's end.  Raises UnknownRunError for a run that is not there, and
    UnknownTaskError when the run has ended without the task.
    """
    record = repositories.runs.get(run)
    if task is not None and not is_text(task):
        raise _unknown(record, task)
    follower = _Follower(repositories, record, task, from_seq)
    now = file.clock.monotonic
    due = now()  # when to ask again who is over
    while True:
        version = file.version()
        over = follower.is_over()
        for found in follower.news():
            yield found
        pause, asked = _SECONDS, now()
        if over or asked >= due:
            rows = follower.unheard()
            due = now() + min(_SECONDS, (now() - asked) / _SHARE)
            for found in follower.ends(rows):
                yield found
        else:
            pause = due - asked
        if over or follower.is_over():
            break
        await file.wait_for_change(pause, since=version)
    for found in follower.news():  # the end may have come while the last records were looked at
        yield found
    for found in follower.ends(follower.unheard()):
        yield found
    if task is not None and repositories.runs.row(record, task) is None:
        raise _unknown(record, task)


def _unknown(record: RunRecord, task: object) -> UnknownTaskError:
    return UnknownTaskError(f"Run {record.uid} has no task at {task!r:.200}.  `workglow show` lists the paths.")
