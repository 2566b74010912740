"""What holds for every job of a queue unless the job says otherwise; kept in the file, so it binds every process."""

from __future__ import annotations

import math
from typing import TypedDict, cast

import msgspec

from workglow.errors import TaskConfigurationError
from workglow.retry import Retry

__all__ = ["JobOptions", "QueueSettings", "QueueTerms", "RetryPolicy", "changed", "is_seconds"]


def is_seconds(value: object) -> bool:
    """Whether this can be a duration."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True):
    """The part of a `Retry` that can be stored: which exceptions are worth a retry is for the handler to say."""

    attempts: int = 3
    delay: float = 1.0
    factor: float = 2.0
    maximum: float = 600.0
    jitter: bool = True

    @classmethod
    def of(cls, retry: Retry) -> RetryPolicy:
        return cls(retry.attempts, retry.delay, retry.factor, retry.maximum, retry.jitter)

    def wait(self, failures: int) -> float:
        """Seconds to wait after the given number of failures."""
        return Retry(self.attempts, self.delay, self.factor, self.maximum, jitter=self.jitter).wait(failures)


class QueueSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a queue does with its jobs; durations are seconds.

    A job is tried as `retry` says and fails when an attempt takes longer than `timeout`.  Finished jobs are deleted
    when they have been kept for `keep_completed`, `keep_failed` or `keep_aborted`: 0 deletes at once, None never.
    """

    retry: RetryPolicy = RetryPolicy()
    timeout: float | None = None
    keep_completed: float | None = None
    keep_failed: float | None = None
    keep_aborted: float | None = None

    def __post_init__(self) -> None:
        for name in ("timeout", "keep_completed", "keep_failed", "keep_aborted"):
            value = getattr(self, name)
            if value is not None and not is_seconds(value):
                raise TaskConfigurationError(f"{name}={value!r:.60}: give seconds, 0 or more, or None.")
        if self.timeout == 0:
            raise TaskConfigurationError("timeout=0: give seconds, more than 0, or None.")

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> QueueSettings:
        return msgspec.json.decode(text, type=cls)

    def delete_at(self, status: str, now: int) -> int | None:
        """When a job that ends now need not be kept any more, in milliseconds; None: it is kept for good."""
        keep = self.keep_completed if status == "completed" else getattr(self, f"keep_{status}")
        return None if keep is None else now + round(keep * 1000)


class QueueTerms(TypedDict, total=False):
    """What `project.queue` sets; see QueueSettings.  What is not given stays as it is."""

    retry: Retry
    timeout: float | None
    keep_completed: float | None
    keep_failed: float | None
    keep_aborted: float | None


def changed(settings: QueueSettings, terms: QueueTerms) -> QueueSettings:
    """Return the settings with what the caller gave; TaskConfigurationError for what is no setting."""
    for name in terms:
        if name not in QueueSettings.__struct_fields__:
            known = ", ".join(QueueSettings.__struct_fields__)
            raise TaskConfigurationError(f"{name} is no setting of a queue; it has limits, {known}.")
    if "retry" in terms and not isinstance(cast("object", terms["retry"]), Retry):
        raise TaskConfigurationError(f"retry={terms['retry']!r:.60}: give a Retry: Retry(attempts=5, delay=1).")
    given = {**terms, "retry": RetryPolicy.of(terms["retry"])} if "retry" in terms else {**terms}
    return msgspec.structs.replace(settings, **given) if given else settings


class JobOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the worker needs to know of one job beside its queue's settings; `deadline_at` is in milliseconds."""

    retry: RetryPolicy | None = None
    timeout: float | None = None
    deadline_at: int | None = None

    def to_json(self) -> str | None:
        return None if self == JobOptions() else msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | None) -> JobOptions:
        return cls() if text is None else msgspec.json.decode(text, type=cls)
