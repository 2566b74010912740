"""What becomes of a job whose attempt is over.

Policy.  A result completes the job.  A handler that was told to stop has been aborted.  PermanentJobError, an input
that does not fit and code that cannot be run fail the job at once; so does any failure of the last attempt.  Otherwise
the job is pending again: after the wait that RetryableJobError asks for, or the one that the retry policy gives.
RateLimitedError counts no attempt: the job is pending again, and nothing of its queue is started, until the hold is
over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from workglow.errors import (
    InvalidValueError,
    PermanentJobError,
    ProcessDiedError,
    RateLimitedError,
    RetryableJobError,
    TaskAbortedError,
    TaskConfigurationError,
    TaskTimeoutError,
)
from workglow.limits.headers import hold_for
from workglow.storage.error_record import error_record
from workglow.storage.jobs import Settlement
from workglow.values import Encoded, encode

if TYPE_CHECKING:
    from workglow.clock import Clock
    from workglow.queue.handler import Handler
    from workglow.queue.settings import QueueSettings, RetryPolicy
    from workglow.storage.jobs import ClaimedJob, Outcome

__all__ = ["HandlerFailedError", "Verdict", "judge", "settle_failure", "settle_result"]


class Verdict(NamedTuple):
    """What an exception means for an attempt: `error` is JSON, `after` the seconds that the handler asks to wait.

    Of one that is `limited` those are for how long nothing of the queue is started, and `reason` says why.
    """

    outcome: Outcome
    error: str
    retry: bool
    after: float | None
    reason: str = ""
    counts: bool = True


class HandlerFailedError(Exception):
    """A handler raised in another process, where it was judged."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.error)
        self.verdict = verdict


_NOTHING: Final = encode({"output": None})


def settle_result(job: ClaimedJob, result: object, settings: QueueSettings, clock: Clock) -> Settlement:
    """Complete a job; UnstorableValueError when its result cannot be kept.  One from elsewhere is encoded already."""
    if result is None:
        output = _NOTHING
    else:
        output = result if isinstance(result, Encoded) else encode({"output": result}, where="job")
    if settings.keep_completed is None:
        return Settlement(job, "completed", output)
    return Settlement(job, "completed", output, delete_at=settings.delete_at("completed", clock.now()))


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
    verdict = error.verdict if isinstance(error, HandlerFailedError) else judge(error, handler)
    if verdict.outcome == "limited":
        return Settlement(
            job,
            "limited",
            error=verdict.error,
            retry_at=now,
            counts=False,
            progress=progress,
            cost=cost,
            hold=verdict.after,
            reason=verdict.reason,
        )
    retry_at = None
    if verdict.retry:
        retry_at = now + round((retry.wait(job.attempt) if verdict.after is None else verdict.after) * 1000)
    return Settlement(
        job,
        verdict.outcome,
        error=verdict.error,
        retry_at=retry_at,
        counts=verdict.counts,
        progress=progress,
        cost=cost,
    )


def judge(error: BaseException, handler: Handler | None) -> Verdict:
    """Say what an exception means; without a handler: one that was raised when it was imported."""
    judgement = None if handler is None or handler.judge is None else handler.judge(error)
    if judgement is not None:
        error = judgement.error
    record = error_record(error, facts=None if judgement is None else judgement.facts)
    if isinstance(error, RateLimitedError):
        return Verdict("limited", record, True, hold_for(error), str(error))
    outcome: Outcome = "failed"
    if isinstance(error, TaskTimeoutError):
        outcome = "timed out"
    elif isinstance(error, TaskAbortedError):
        outcome = "aborted"
    elif isinstance(error, ProcessDiedError):
        outcome = "crashed"
    retry = outcome != "aborted" and (_is_worth_a_retry(error, handler) if judgement is None else judgement.again)
    if isinstance(error, RetryableJobError):
        counts = error.counts or not retry
        return Verdict(outcome if counts else "returned", record, retry, error.after, counts=counts)
    return Verdict(outcome, record, retry, None)


def _is_worth_a_retry(error: BaseException, handler: Handler | None) -> bool:
    if isinstance(error, RetryableJobError | TaskTimeoutError | ProcessDiedError):
        return True
    if isinstance(error, PermanentJobError | InvalidValueError | TaskConfigurationError):
        return False
    if handler is None:
        return isinstance(error, Exception)
    return isinstance(error, (Exception,) if handler.retry is None else handler.retry.on)
