"""Promise: a worker that lost its lease can never write, however long it slept."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import apsw
from crash_nursery import Nursery, state, wait
from crash_tasks import EXPECTED, ITEMS, build

import workglow as wg

LEASE = 30  # seconds


def rows(project: Path) -> list[tuple[object, ...]]:
    """Everything that the fence protects."""
    db = apsw.Connection(str(project), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(10_000)  # whoever opens a file after a kill recovers its log first
    try:
        return [
            *db.execute("SELECT id, path, status, attempt, started_at, finished_at, output FROM task_run ORDER BY id"),
            *db.execute("SELECT id, status, epoch, output, finished_at FROM run ORDER BY id"),
            *db.execute("SELECT * FROM event ORDER BY id"),
        ]
    finally:
        db.close()


def sleep_through_a_takeover(tmp_path: Path, nursery: Nursery, broken: str) -> tuple[list[object], list[object], str]:
    """Stop a driver in the middle, let another finish its run, wake it; rows before and after, and what it said."""
    project = tmp_path / "project.wg"
    with wg.open(project) as opened:
        opened.begin(build(), {"count": ITEMS})
    sleeper = nursery.fork(project, broken=broken, sleepy=3)
    while state(sleeper) != "T":
        os.sched_yield()
    wait(nursery.fork(project, ahead=2 * LEASE))
    before = rows(project)
    os.kill(sleeper, signal.SIGCONT)
    wait(sleeper)
    return list(before), list(rows(project)), nursery.errors()


def test_a_stopped_owner_that_wakes_after_a_takeover_writes_nothing(tmp_path: Path, nursery: Nursery) -> None:
    before, after, said = sleep_through_a_takeover(tmp_path, nursery, broken="")
    assert after == before
    assert "LeaseLostError" in said
    with wg.open(tmp_path / "project.wg") as project:
        (run,) = project.runs()
        assert run.status == "completed"
        assert run.outputs["value"] == EXPECTED


def test_without_the_fence_it_would_write(tmp_path: Path, nursery: Nursery) -> None:
    before, after, _ = sleep_through_a_takeover(tmp_path, nursery, broken="fence")
    assert after != before
