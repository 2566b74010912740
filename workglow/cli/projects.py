"""Opening project files for a command, and finding the run that it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workglow.errors import UnknownRunError

if TYPE_CHECKING:
    from workglow.graph.run import Run
    from workglow.project import Project

__all__ = ["StoredRun", "is_durable", "look_into", "pick", "stored_runs", "work_on"]


def look_into(path: str) -> Project:
    """Open a project file for reading; it is not changed, and may be in use."""
    from workglow.project import open as open_project

    return open_project(path, read_only=True)


def work_on(path: str, *, create: bool = False) -> Project:
    """Open a project file for running; a missing one is made only with `create`."""
    from workglow.project import open as open_project

    return open_project(path, create=create)


def is_durable(path: str | None) -> bool:
    """Whether a run in this project is still there when the process has ended."""
    return path is not None and path != ":memory:"


def pick(project: Project, name: str) -> Run:
    """Find a run by its id, by the beginning of one, or as 'last'; UnknownRunError when there is none or several."""
    if name != "last":
        return project.get(name)
    runs = project.runs()
    if not runs:
        raise UnknownRunError(
            f"{project.path} holds no run yet.  Start one: workglow run GRAPH --project {project.path}"
        )
    return runs[-1]


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run in a file: how many of its tasks have each status, and whether its process ended before it did."""

    run: Run
    counts: dict[str, int]
    interrupted: bool

    @property
    def status(self) -> str:
        """The run's status; 'interrupted' when nobody works on it any more although it is not finished."""
        return "interrupted" if self.interrupted else self.run.status


def stored_runs(project: Project, *, open_only: bool = False) -> list[StoredRun]:
    """Return every run in the file, oldest first; with `open_only` those that are not over."""
    from workglow.storage.sqlite import sqlite_repositories

    runs = sqlite_repositories(project.file).runs
    records = {record.uid: record for record in runs.all(open_only=open_only)}
    dead = set(project.file.dead_sessions(project.file.reader)) if records else set[int]()
    found: list[StoredRun] = []
    for run in [project.get(uid) for uid in records] if open_only else project.runs():
        record = records.get(run.id)
        if record is not None:
            left = record.session_id is None or record.session_id in dead
            interrupted = record.finished_at is None and left and record.status != "waiting"
            found.append(StoredRun(run, runs.count(record), interrupted))
    return found
