"""How a task's exception becomes the error that is raised, the row that is stored, and what `[error]` carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from workglow.errors import (
    InvalidValueError,
    RateLimitedError,
    TaskAbortedError,
    TaskEntitlementError,
    TaskFailedError,
    TaskTimeoutError,
    WorkglowError,
)
from workglow.storage.error_record import error_text

if TYPE_CHECKING:
    from workglow.graph.schedule import TaskRun
    from workglow.retry import Retry

_PATIENCE = 100
"""How often a task is tried again that only came too early; nothing is wrong with it."""

__all__ = ["as_failure", "failure_outputs", "is_worth_a_retry"]


def as_failure(run: TaskRun, error: BaseException) -> WorkglowError:
    """Return the error to raise: our own as they are, anything else wrapped, with the original as the cause."""
    if isinstance(error, WorkglowError):
        failure = error
    else:
        failure = TaskFailedError(f"Task '{run.path}' failed: {type(error).__name__}: {error_text(error)}")
        failure.__cause__ = error
    if isinstance(failure, TaskFailedError) and failure.task is None:
        failure.task = run.path
    return failure


def failure_outputs(run: TaskRun) -> dict[str, object]:
    """What the `[error]` port carries: the message and the exception's class name."""
    record = msgspec.json.decode(run.error or "{}")
    return {"error": record.get("message", ""), "errorType": record.get("type", "")}


def is_worth_a_retry(error: BaseException, retry: Retry, attempt: int) -> bool:
    """Another try helps neither a wrong input, nor what was not granted, nor an abort; a timeout is worth one."""
    patient = isinstance(error, RateLimitedError) and retry.attempts > 1
    attempts = max(retry.attempts, _PATIENCE) if patient else retry.attempts
    if attempt >= attempts or isinstance(error, InvalidValueError | TaskEntitlementError):
        return False
    if isinstance(error, TaskAbortedError) and not isinstance(error, TaskTimeoutError):
        return False
    elsewhere: bool | None = getattr(error, "worth_a_retry", None)  # found by the worker that had the exception itself
    return isinstance(error, retry.on) if elsewhere is None else elsewhere
