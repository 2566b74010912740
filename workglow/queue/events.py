"""What happens to jobs in this process, as it happens."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["JobEvent", "JobEventKind"]

JobEventKind = Literal[
    "job_started",
    "job_progress",
    "job_retried",
    "job_completed",
    "job_failed",
    "job_aborted",
    "job_returned",
    "job_lost",
]


class JobEvent(msgspec.Struct, frozen=True):
    """One thing that happened to a job that a worker of this process runs; `at` is in milliseconds.

    `data` depends on the kind: the Progress of a progress, the error of a failure or a retry, the result of a
    completed job.  `job_lost` says that another worker has the job by now, so that nothing of this attempt counts.
    """

    kind: JobEventKind
    queue: str
    job: int
    at: int
    data: Any = None
