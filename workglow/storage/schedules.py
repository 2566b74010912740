"""Schedules as they are stored, and what a place that keeps them must be able to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from workglow.recurrence import CatchUp, Recurrence
    from workglow.storage.jobs import NewJob

__all__ = ["RUN_GRAPH", "NewSchedule", "ScheduleRecord", "ScheduleRepository"]

RUN_GRAPH: Final = "workglow.run_graph"
"""The handler that runs the graph of a schedule; its input is {"graph": key, "inputs": …}."""


@dataclass(slots=True)
class NewSchedule:
    """A schedule that is to be stored.  `job` is what each firing enqueues; with `graph_id` it runs that graph."""

    name: str
    recurrence: Recurrence
    catch_up: CatchUp
    queue_id: int
    job: NewJob
    graph_id: int | None = None


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule as stored; times are milliseconds, `input` is JSON, `graph` the hash of the graph that it runs."""

    name: str
    cron: str | None
    timezone: str | None
    every: int | None
    catch_up: CatchUp
    queue: str
    scope: str
    handler: str
    graph: str | None
    input: str
    next_at: int | None
    paused_at: int | None
    due_at: int | None
    job_id: int | None
    fired: int
    error: str | None
    created_at: int


class ScheduleRepository(Protocol):
    """What is to be done again and again.  Whoever claims jobs fires what is due."""

    def save(self, schedule: NewSchedule) -> None:
        """Keep a schedule in place of the one of that name; on the disk when this returns.

        The next due time stays when the recurrence does, so what was missed is still caught up with, and so does a
        pause.
        """
        ...

    def remove(self, name: str) -> bool:
        """Forget a schedule; False when there is none of that name."""
        ...

    def pause(self, name: str, *, paused: bool) -> bool:
        """Fire nothing while it is paused, nor afterwards what was due meanwhile; False when there is none."""
        ...

    def get(self, name: str) -> ScheduleRecord | None: ...

    def all(self) -> list[ScheduleRecord]:
        """Every schedule, by name."""
        ...
