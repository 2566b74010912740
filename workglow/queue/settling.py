"""What becomes of a job whose attempt is over.

Policy.  A result completes the job.  A handler that was told to stop has been aborted.  PermanentJobError and an input
that does not fit fail the job at once; so does any failure of the last attempt.  Otherwise the job is pending again:
after the wait that RetryableJobError asks for, or the one that the retry policy gives.  RateLimitedError counts no
attempt: the job is pending again, and nothing of its queue is started, until the hold is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from workglow.errors import (
    InvalidValueError,
    PermanentJobError,
    RateLimitedError,
    RetryableJobError,
    TaskAbortedError,
    TaskTimeoutError,
)
from workglow.limits.headers import hold_for
from workglow.storage.error_record import error_record
from workglow.storage.jobs import Settlement
from workglow.values import encode

if TYPE_CHECKING:
    from workglow.queue.handler import Handler
    from workglow.queue.settings import QueueSettings, RetryPolicy
    from workglow.storage.jobs import ClaimedJob

__all__ = ["settle_failure", "settle_result"]

_NOTHING: Final = encode({"output": None})


def settle_result(job: ClaimedJob, result: object, settings: QueueSettings, now: int) -> Settlement:
    """Complete a job; UnstorableValueError when its result cannot be kept."""
    output = _NOTHING if result is None else encode({"output": result}, where="job")
    return Settlement(job, "completed", output, delete_at=settings.delete_at("completed", now))


def settle_failure(
    job: ClaimedJob,
    error: BaseException,
    handler: Handler,
    *,
    retry: RetryPolicy,
    now: int,
    progress: str | None = None,
    cost: int | None = None,
) -> Settlement:
    """Decide about a job whose handler raised, timed out or was cancelled."""
    decided = _decide(job, error, handler, retry=retry, now=now)
    return msgspec.structs.replace(decided, progress=progress, cost=cost)


def _decide(
    job: ClaimedJob,
    error: BaseException,
    handler: Handler,
    *,
    retry: RetryPolicy,
    now: int,
) -> Settlement:
    record = error_record(error)
    if isinstance(error, RateLimitedError):
        return Settlement(
            job, "limited", error=record, retry_at=now, counts=False, hold=hold_for(error), reason=str(error)
        )
    if isinstance(error, TaskAbortedError) and not isinstance(error, TaskTimeoutError):
        return Settlement(job, "aborted", error=record)
    outcome = "timed out" if isinstance(error, TaskTimeoutError) else "failed"
    retry_at = None
    if _is_worth_a_retry(error, handler):
        after = error.after if isinstance(error, RetryableJobError) else None
        retry_at = now + round((retry.wait(job.attempt) if after is None else after) * 1000)
    return Settlement(job, outcome, error=record, retry_at=retry_at)


def _is_worth_a_retry(error: BaseException, handler: Handler) -> bool:
    if isinstance(error, RetryableJobError | TaskTimeoutError):
        return True
    if isinstance(error, PermanentJobError | InvalidValueError):
        return False
    return isinstance(error, (Exception,) if handler.retry is None else handler.retry.on)
