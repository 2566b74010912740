"""What a caller may ask for one job."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from workglow.errors import JobInputError, TaskConfigurationError
from workglow.queue.handler import Handler
from workglow.queue.settings import JobOptions, RetryPolicy
from workglow.storage.jobs import NewJob
from workglow.values import Encoded, encode, encode_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from workglow.queue.job_handle import Job
    from workglow.queue.settings import QueueSettings
    from workglow.retry import Retry

__all__ = ["JobTerms", "new_job", "new_jobs"]


class JobTerms(TypedDict, total=False):
    """When and how a job is run, where that differs from what its queue and its handler say.

    `priority`: larger first.  `delay` (seconds from now) or `run_after` (a time): not before then.  `needs`: not before
    these jobs are completed; when one of them fails, so does this.  `deadline` (seconds from now, or a time): failed
    when it is not over by then.  `timeout`: seconds an attempt may take.  `max_attempts` and `retry`: how often it is
    tried, and how long is waited in between.  `key`: of jobs with the same key at most one is unfinished, and
    enqueueing another gives that one.  `group`: what `abort_group` names.  `cost`: what it takes of a token budget.
    """

    priority: int
    delay: float
    run_after: datetime
    needs: Sequence[Job]
    deadline: float | datetime
    timeout: float
    max_attempts: int
    retry: Retry
    key: str
    group: str
    cost: int


def new_job(
    handler: Handler | str, inputs: Mapping[str, object], terms: JobTerms, settings: QueueSettings, *, now: int
) -> NewJob:
    """Make what is stored; a handler that is not known here is only a name."""
    if isinstance(handler, Handler):
        inputs = handler.check(dict(inputs))
        name = handler.name
    else:
        name = handler
    return _with_terms(handler, name, encode(inputs, where=f"job {name!r}"), terms, settings, now=now)


def new_jobs(
    handler: Handler | str,
    many: Iterable[Mapping[str, object]],
    terms: JobTerms,
    settings: QueueSettings,
    *,
    now: int,
) -> tuple[NewJob, list[str]]:
    """Make what is stored of jobs that differ in their inputs only: one without any, which has the rows that all of
    them refer to, and the inputs."""
    if isinstance(handler, Handler):
        check = handler.check
        many = [check(each if isinstance(each, dict) else dict(each)) for each in many]  # pyright: ignore
        name = handler.name
    else:
        name = handler
    texts, blobs = encode_all(many, where=f"job {name!r}")
    return _with_terms(handler, name, Encoded("", blobs), terms, settings, now=now), texts


def _with_terms(
    handler: Handler | str, name: str, encoded: Encoded, terms: JobTerms, settings: QueueSettings, *, now: int
) -> NewJob:
    retry: Retry | None = None
    timeout: float | None = None
    if isinstance(handler, Handler):
        retry, timeout = handler.retry, handler.timeout
    if not terms and retry is None and timeout is None:
        return NewJob(name, encoded, settings.retry.attempts)
    retry, timeout = terms.get("retry", retry), terms.get("timeout", timeout)
    policy = None if retry is None else RetryPolicy.of(retry)
    attempts = terms.get("max_attempts", (policy or settings.retry).attempts)
    cost = terms.get("cost", 1)
    if attempts < 1 or cost < 0 or (timeout is not None and not timeout > 0):
        raise TaskConfigurationError(
            f"max_attempts={attempts}, cost={cost}, timeout={timeout}: give at least 1, at least 0, and more than 0."
        )
    start = _time(terms.get("run_after"), "run_after") if "run_after" in terms else None
    if start is None and (delay := terms.get("delay", 0)) > 0:
        start = now + round(delay * 1000)
    deadline = terms.get("deadline")
    timed = isinstance(deadline, int | float)
    end = now + round(deadline * 1000) if timed else _time(deadline, "deadline")
    return NewJob(
        name,
        encoded,
        attempts,
        terms.get("priority", 0),
        start if start is not None and start > now else None,
        end,
        terms.get("key"),
        terms.get("group"),
        cost,
        JobOptions(policy, timeout, end).to_json(),
        tuple(job.id for job in terms.get("needs", ())),
    )


def _time(time: datetime | None, name: str) -> int | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise JobInputError(f"{name}={time!r} has no time zone; give it one, tzinfo=UTC say.")
    return round(time.timestamp() * 1000)
