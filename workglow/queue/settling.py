"""What becomes of a job whose attempt is over.

Policy.  A result completes the job.  A handler that was told to stop has been aborted.  PermanentJobError and an input
that does not fit fail the job at once; so does any failure of the last attempt.  Otherwise the job is pending again:
after the wait that RetryableJobError asks for, or the one that the retry policy gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import InvalidValueError, PermanentJobError, RetryableJobError, TaskAbortedError, TaskTimeoutError
from workglow.storage.error_record import error_record
from workglow.storage.jobs import Settlement
from workglow.values import encode

if TYPE_CHECKING:
    from workglow.queue.handler import Handler
    from workglow.queue.settings import QueueSettings, RetryPolicy
    from workglow.storage.jobs import ClaimedJob

__all__ = ["settle_failure", "settle_result"]


def settle_result(job: ClaimedJob, result: object, settings: QueueSettings, now: int) -> Settlement:
    """Complete a job; UnstorableValueError when its result cannot be kept."""
    output = encode({"output": result}, where="job")
    return Settlement(job, "completed", output, delete_at=settings.delete_at("completed", now))


def settle_failure(
    job: ClaimedJob,
    error: BaseException,
    settings: QueueSettings,
    handler: Handler,
    *,
    retry: RetryPolicy,
    now: int,
    progress: str | None = None,
) -> Settlement:
    """Decide about a job whose handler raised, timed out or was cancelled."""
    verdict = None if handler.judge is None else handler.judge(error)
    error = error if verdict is None else verdict.error
    record = error_record(error, facts=None if verdict is None else verdict.facts)
    if isinstance(error, TaskAbortedError) and not isinstance(error, TaskTimeoutError):
        return Settlement(job, "aborted", error=record, progress=progress, delete_at=settings.delete_at("aborted", now))
    outcome = "timed out" if isinstance(error, TaskTimeoutError) else "failed"
    retry_at = None
    counts = True
    if _is_worth_a_retry(error, handler) if verdict is None else verdict.again:
        after = error.after if isinstance(error, RetryableJobError) else None
        counts = not isinstance(error, RetryableJobError) or error.counts
        retry_at = now + round((retry.wait(job.attempt) if after is None else after) * 1000)
        outcome = outcome if counts else "returned"
    delete_at = settings.delete_at("failed", now)  # should it have been the last attempt
    return Settlement(
        job, outcome, error=record, retry_at=retry_at, counts=counts, progress=progress, delete_at=delete_at
    )


def _is_worth_a_retry(error: BaseException, handler: Handler) -> bool:
    if isinstance(error, RetryableJobError | TaskTimeoutError):
        return True
    if isinstance(error, PermanentJobError | InvalidValueError):
        return False
    return isinstance(error, (Exception,) if handler.retry is None else handler.retry.on)
