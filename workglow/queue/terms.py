"""What a caller may ask for one job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

from workglow.errors import JobInputError, TaskConfigurationError
from workglow.queue.handler import Handler
from workglow.queue.job_handle import Job
from workglow.queue.settings import JobOptions, RetryPolicy, is_seconds
from workglow.retry import Retry
from workglow.storage.jobs import NewJob
from workglow.values import Encoded, columns_of, encode, encode_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from workglow.queue.settings import QueueSettings

__all__ = ["JobTerms", "new_job", "new_jobs"]


class JobTerms(TypedDict, total=False):
    """When and how a job is run, where that differs from what its queue and its handler say.

    `priority`: larger first.  `delay` (seconds from now) or `run_after` (a time): not before then.  `needs`: not before
    these jobs are completed; when one of them fails, so does this.  `deadline` (seconds from now, or a time): failed
    when it is not over by then.  `timeout`: seconds an attempt may take.  `max_attempts` and `retry`: how often it is
    tried, and how long is waited in between.  `idempotency_key`: of jobs with the same one at most one is unfinished,
    and enqueueing another gives that one.  `group`: what `abort_group` names.  `cost`: what it takes of a token budget.
    None is the same as not saying it.
    """

    priority: int | None
    delay: float | None
    run_after: datetime | None
    needs: Sequence[Job] | None
    deadline: float | datetime | None
    timeout: float | None
    max_attempts: int | None
    retry: Retry | None
    idempotency_key: str | None
    group: str | None
    cost: int | None


_LATEST: Final = 253_402_300_799_999  # the end of the year 9999, in milliseconds


def _whole(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


_TERMS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "priority": (_whole(-(2**63)), "a whole number"),
    "delay": (is_seconds, "seconds, 0 or more"),
    "run_after": (lambda value: isinstance(value, datetime), "a datetime with a time zone"),
    "needs": (
        lambda value: (
            isinstance(value, list | tuple | set)
            and all(isinstance(each, Job) for each in cast("Sequence[object]", value))
        ),
        "a list of jobs, as enqueue and project.job return them",
    ),
    "deadline": (
        lambda value: isinstance(value, datetime) or is_seconds(value),
        "seconds, 0 or more, or a datetime with a time zone",
    ),
    "timeout": (lambda value: is_seconds(value) and value != 0, "seconds, more than 0"),
    "max_attempts": (_whole(1), "a whole number, 1 or more"),
    "retry": (lambda value: isinstance(value, Retry), "a Retry: Retry(attempts=5, delay=1)"),
    "idempotency_key": (_is_text, "a text that is not empty"),
    "group": (_is_text, "a text that is not empty"),
    "cost": (_whole(0), "a whole number, 0 or more"),
}


def _checked(terms: JobTerms) -> dict[str, Any]:
    """The terms that are said; TaskConfigurationError for what is no term, or has no meaning as one."""
    said: dict[str, Any] = {}
    for name, value in terms.items():
        term = _TERMS.get(name)
        if term is None:
            raise TaskConfigurationError(f"{name}={value!r:.60} is nothing that a job has; it has {', '.join(_TERMS)}.")
        if value is None:
            continue
        fits, meaning = term
        if not fits(value):
            raise TaskConfigurationError(f"{name}={value!r:.60}: give {meaning}.")
        said[name] = value
    if "delay" in said and "run_after" in said:
        raise TaskConfigurationError("delay and run_after both say when a job is due; give one of them.")
    return said


def new_job(
    handler: Handler | str, inputs: Mapping[str, object], terms: JobTerms, settings: QueueSettings, *, now: int
) -> NewJob:
    """Make what is stored; a handler that is not known here is only a name."""
    name = handler.name if isinstance(handler, Handler) else handler
    inputs = _taken(handler, name, inputs)
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
    them refer to, and JSON lists of the inputs."""
    name = handler.name if isinstance(handler, Handler) else handler
    columns = columns_of(many) if isinstance(many, list) else None
    if columns is None or (isinstance(handler, Handler) and not handler.all_fit(columns)):
        # one after the other, for a generator may yield one mapping again and again, with other values in it
        columns, many = None, (_taken(handler, name, inputs, number) for number, inputs in enumerate(many))
    lists, blobs = encode_many(many, columns, where=f"job {name!r}, inputs")
    return _with_terms(handler, name, Encoded("", blobs), terms, settings, now=now), lists


def _taken(
    handler: Handler | str, name: str, inputs: Mapping[str, object], number: int | None = None
) -> Mapping[str, object]:
    """The inputs as the handler takes them, and as they are when it is only a name; `number` of many."""
    if isinstance(handler, Handler) and isinstance(inputs, dict):
        return handler.check(inputs, number)
    if not isinstance(cast("object", inputs), Mapping):
        place = "" if number is None else f", inputs[{number}]"
        raise JobInputError(
            f"Job {name!r}{place}: its inputs are a {type(inputs).__name__}; give a mapping, name → value."
        )
    return handler.check(dict(inputs), number) if isinstance(handler, Handler) else inputs


def _with_terms(
    handler: Handler | str, name: str, encoded: Encoded, terms: JobTerms, settings: QueueSettings, *, now: int
) -> NewJob:
    retry: Retry | None = None
    timeout: float | None = None
    if isinstance(handler, Handler):
        retry, timeout = handler.retry, handler.timeout
    if not terms and retry is None and timeout is None:
        return NewJob(name, encoded, settings.retry.attempts)
    said = _checked(terms)
    retry, timeout = said.get("retry", retry), said.get("timeout", timeout)
    policy = None if retry is None else RetryPolicy.of(retry)
    attempts = said.get("max_attempts", (policy or settings.retry).attempts)
    start = _time(said.get("run_after"), "run_after", now)
    if start is None:
        start = _time(said.get("delay"), "delay", now)
    end = _time(said.get("deadline"), "deadline", now)
    return NewJob(
        name,
        encoded,
        attempts,
        said.get("priority", 0),
        start if start is not None and start > now else None,
        end,
        said.get("idempotency_key"),
        said.get("group"),
        said.get("cost", 1),
        JobOptions(policy, timeout, end).to_json(),
        tuple(job.id for job in said.get("needs", ())),
    )


def _time(time: datetime | float | None, name: str, now: int) -> int | None:
    """In milliseconds; of seconds: from now."""
    if time is None:
        return None
    if isinstance(time, datetime):
        if time.tzinfo is None:
            raise JobInputError(f"{name}={time!r} has no time zone; give it one, tzinfo=UTC say.")
        return round(time.timestamp() * 1000)
    moment = now + round(time * 1000)
    if moment > _LATEST:
        raise TaskConfigurationError(f"{name}={time!r}: that is after the year 9999.")
    return moment
