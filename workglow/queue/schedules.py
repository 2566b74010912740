"""Work that is to be done again and again: a handler or a graph, by a cron expression or every so often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypedDict, cast

from workglow.errors import ScheduleError, UnknownScheduleError
from workglow.queue.settings import is_seconds
from workglow.queue.terms import new_job
from workglow.recurrence import Recurrence
from workglow.storage.schedules import NewSchedule
from workglow.values import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.queue.handler import Handler
    from workglow.queue.job_handle import Job
    from workglow.queue.job_queue import JobQueue
    from workglow.queue.queues import Queues
    from workglow.queue.terms import JobTerms
    from workglow.recurrence import CatchUp
    from workglow.retry import Retry
    from workglow.storage.schedules import ScheduleRecord, ScheduleRepository

__all__ = ["Schedule", "ScheduleTerms", "Schedules"]


class ScheduleTerms(TypedDict, total=False):
    """How the jobs of a schedule are run, where that differs from what their queue and handler say; see JobTerms."""

    priority: int
    timeout: float
    max_attempts: int
    retry: Retry
    group: str
    cost: int


_TERMS: Final = ", ".join(ScheduleTerms.__annotations__)
_LONGEST: Final = 1000 * 365 * 86_400  # seconds


class Schedule:
    """One schedule of a project file; what it says is read when it is asked."""

    __slots__ = ("_schedules", "name")

    def __init__(self, schedules: Schedules, name: str) -> None:
        """Use `project.schedule`."""
        self._schedules = schedules
        self.name = name

    @property
    def record(self) -> ScheduleRecord:
        """Everything that is stored of it, as it is stored; UnknownScheduleError when it was removed."""
        record = self._schedules.repository.get(self.name)
        if record is None:
            raise self._schedules.unknown(self.name)
        return record

    @property
    def handler(self) -> str:
        """The name of the function that its jobs call."""
        return self.record.handler

    @property
    def inputs(self) -> dict[str, object]:
        """What its jobs, or the runs of its graph, are given."""
        return decode(self.record.input, self._schedules.queues.load)

    @property
    def next_at(self) -> datetime | None:
        """When it is due next, in its own time zone; None while it is paused."""
        return self._moment(self.record.next_at)

    @property
    def last_due(self) -> datetime | None:
        """The last due time that a job was made for."""
        return self._moment(self.record.due_at)

    def _moment(self, time: int | None) -> datetime | None:
        from zoneinfo import ZoneInfo

        zone = self.record.timezone
        return None if time is None else datetime.fromtimestamp(time / 1000, UTC if zone is None else ZoneInfo(zone))

    @property
    def last_job(self) -> Job | None:
        """The job of the last due time; None when there was none, or it is not kept any more."""
        job_id = self.record.job_id
        queues = self._schedules.queues
        return None if job_id is None or queues.repository.get(job_id) is None else queues.job(job_id)

    @property
    def paused(self) -> bool:
        """Whether nothing is made of it until `resume`."""
        return self.record.paused_at is not None

    @property
    def error(self) -> str | None:
        """Why no next time could be told, on the machine that tried; `resume` tries again."""
        return self.record.error

    def pause(self) -> None:
        """Make no jobs until `resume`; those that were made are done."""
        self._pause(True)

    def resume(self) -> None:
        """Go on with the next due time from now; what was due during the pause is not made up for."""
        self._pause(False)

    def _pause(self, paused: bool) -> None:
        if not self._schedules.repository.pause(self.name, paused=paused):
            raise self._schedules.unknown(self.name)

    def remove(self) -> None:
        """Forget it; jobs that were made are done."""
        self._schedules.remove(self.name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule) or other.name != self.name:
            return False
        return other._schedules.queues is self._schedules.queues

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"<schedule {self.name}>"


class Schedules:
    """The schedules of one project file."""

    def __init__(self, queues: Queues, repository: ScheduleRepository) -> None:
        self.queues = queues
        self.repository = repository

    def save(
        self,
        name: str,
        handler: Handler | str,
        inputs: Mapping[str, object],
        *,
        queue: JobQueue,
        cron: str | None,
        timezone: str,
        every: float | timedelta | None,
        catch_up: CatchUp,
        terms: ScheduleTerms,
        graph_id: int | None = None,
    ) -> Schedule:
        """Keep a schedule in place of the one of that name; see `project.schedule`."""
        if not isinstance(cast("object", name), str) or not 0 < len(name) <= 200:
            raise ScheduleError(f"{name!r:.60}: a schedule's name has 1 to 200 characters.")
        if catch_up not in ("skip", "one", "all"):
            raise ScheduleError(f"catch_up={catch_up!r}: 'skip', 'one' or 'all'.")
        for term in terms:
            if term not in ScheduleTerms.__annotations__:
                raise ScheduleError(f"{term} is nothing that a schedule says of its jobs; it has {_TERMS}.")
        for text, value in (("cron", cron), ("timezone", timezone)):
            if not isinstance(cast("object", value), str) and not (value is None and text == "cron"):
                raise ScheduleError(f"{text}={value!r:.60}: give a text.")
        now = self.queues.clock.now()
        recurrence = Recurrence(
            cron=cron, timezone=None if cron is None else timezone, every=_milliseconds(every), start=now
        )
        known = handler if graph_id is not None else self.queues.known(handler) or handler
        job = new_job(known, inputs, cast("JobTerms", terms), queue.settings, now=now)
        self.repository.save(NewSchedule(name, recurrence, catch_up, queue.row_id, job, graph_id))
        return Schedule(self, name)

    def all(self) -> list[Schedule]:
        """Every schedule, by name."""
        return [Schedule(self, record.name) for record in self.repository.all()]

    def remove(self, name: str) -> None:
        """Forget a schedule; UnknownScheduleError when there is none."""
        if not self.repository.remove(name):
            raise self.unknown(name)

    def unknown(self, name: str) -> UnknownScheduleError:
        """The error for a name that no schedule has."""
        names = ", ".join(record.name for record in self.repository.all())
        return UnknownScheduleError(f"There is no schedule {name!r}; there is {names or 'none at all'}.")


def _milliseconds(every: float | timedelta | None) -> int | None:
    seconds = every.total_seconds() if isinstance(every, timedelta) else every
    if seconds is None:
        return None
    if not is_seconds(seconds) or seconds > _LONGEST:
        raise ScheduleError(f"every={every!r:.60}: give seconds, or a timedelta, of at most 1000 years.")
    return round(seconds * 1000)
