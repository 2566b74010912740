"""What happens to jobs, and what handlers raise to say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors.root import WorkglowError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "JobAbortedError",
    "JobError",
    "JobFailedError",
    "JobStateError",
    "PermanentJobError",
    "ProcessDiedError",
    "RateLimitedError",
    "RetryableJobError",
    "ScheduleError",
    "UnknownHandlerError",
    "UnknownJobError",
    "UnknownLimiterError",
    "UnknownScheduleError",
]


class JobError(WorkglowError):
    """Something about a job or its queue."""


class UnknownJobError(JobError):
    """No job of the file has that number."""


class UnknownHandlerError(JobError):
    """No handler of that name is registered."""


class UnknownLimiterError(JobError):
    """The file has no limiter of that name, or one whose kind no registry here knows; the text says which."""


class JobStateError(JobError):
    """That cannot be done to a job in this state."""


class JobFailedError(JobError):
    """A job ended without a result; `job` is its number, `type` and `trace` are those of what its handler raised."""

    def __init__(self, message: str, *, job: int = 0, type: str = "", trace: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.job = job
        self.type = type
        self.trace = tuple(trace)


class JobAbortedError(JobFailedError):
    """A job was aborted before it had a result."""


class ProcessDiedError(JobError):
    """The process of an `executor="process"` handler ended, or was killed, before its job had a result."""


class RetryableJobError(JobError):
    """Raise it in a handler when another try is worth it; `after` is how many seconds to wait before.

    Without `after` the job's retry policy decides.  When the attempts are used up, the job fails with this.  With
    `counts=False` the attempt is not counted, for a job that could not begin.
    """

    def __init__(self, message: str = "", *, after: float | None = None, counts: bool = True) -> None:
        super().__init__(message)
        self.after = after
        self.counts = counts


class RateLimitedError(RetryableJobError):
    """Raise it when a service says "too many requests" (429): nothing is wrong with the job, it only came too early.

    `retry_after` is how many seconds the service asks to wait; None: it did not say.  `limits` is what it told of its
    limits, name → {"remaining", "reset"}.  In a job, or inside the slot of a limiter, this holds the limiters up for
    every process; the job is tried again after that, and no attempt is counted.
    """

    def __init__(
        self,
        message: str = "Too many requests.",
        *,
        retry_after: float | None = None,
        limits: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        super().__init__(message, after=retry_after)
        self.retry_after = retry_after
        self.limits = dict(limits or {})


class PermanentJobError(JobError):
    """Raise it in a handler when no other try can help: the job fails at once."""


class ScheduleError(JobError):
    """A schedule that can never be due: its expression, its time zone or its interval means nothing."""


class UnknownScheduleError(ScheduleError):
    """The file has no schedule of that name."""
