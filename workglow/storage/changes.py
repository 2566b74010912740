"""What happened to jobs and runs, as it is stored and told, and what a place that keeps it must be able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from workglow.storage.jobs import JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Change", "ChangeRepository", "JobChange", "JobChangeKind", "KeptChanges", "RunChange", "RunChangeKind"]

JobChangeKind = Literal[
    "added",
    "started",
    "progress",
    "retried",
    "returned",
    "aborting",
    "completed",
    "failed",
    "aborted",
    "deleted",
]
RunChangeKind = Literal["begun", "resumed", "waiting", "completed", "failed", "aborted", "deleted"]
RunStatus = Literal["pending", "running", "waiting", "completed", "failed", "aborted"]


class JobChange(msgspec.Struct, frozen=True, tag_field="of", tag="job"):
    """One thing that happened to a job, from the status `old` to `new`; None is 'not there'.

    `seq` counts the changes of the file in the order of their commits, without a gap; `at` is in milliseconds.
    `queue` and `scope` are those of the job's queue, `attempt` how often the job had been started.  `data` is the
    report of a progress, or the `type` and `message` of the error of a job that failed, is tried again, or was aborted.
    """

    seq: int
    at: int
    kind: JobChangeKind
    job: int
    queue: str
    scope: Mapping[str, Any]
    old: JobStatus | None
    new: JobStatus | None
    attempt: int
    data: Mapping[str, Any] | None = None


class RunChange(msgspec.Struct, frozen=True, tag_field="of", tag="run"):
    """One thing that happened to a run, from the status `old` to `new`; None is 'not there'.

    `seq` counts the changes of the file in the order of their commits, without a gap; `at` is in milliseconds.  `data`
    is the `type` and `message` of the error of a run that failed.
    """

    seq: int
    at: int
    kind: RunChangeKind
    run: str
    old: RunStatus | None
    new: RunStatus | None
    data: Mapping[str, Any] | None = None


Change: TypeAlias = JobChange | RunChange


class KeptChanges(NamedTuple):
    """Which numbers there are: everything from `first` on, to `newest`."""

    first: int
    newest: int


class ChangeRepository(Protocol):
    """The changes of one project, which are kept only while somebody wants them."""

    def keep(self, *, keep_for: int, keep_rows: int) -> None:
        """Keep changes from now on, each for so many milliseconds and at most so many; whatever is committed by any
        process after this returned is kept."""
        ...

    def forget(self) -> None:
        """Keep none from now on, and forget those there are."""
        ...

    def kept(self) -> KeptChanges | None:
        """Which changes there are; None when none are kept."""
        ...

    def read(self, from_seq: int, limit: int) -> list[tuple[int, Change | None]]:
        """The changes from a number on, each with its number; None for what is nothing to tell of."""
        ...
