"""Promise: killing a worker at any moment of a turn, or who enqueues, loses no job and does none twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash_nursery import wait
from job_nursery import JobNursery, assert_all_completed, opened, rows

JOBS = 30
MOMENTS = ("before", "halfway", "inside", "after")


def crash_and_finish(path: Path, workers: JobNursery, point: str, broken: str = "") -> None:
    """Kill a worker at the point, let another one finish, and check every promise."""
    with opened(path) as project:
        project.queue("work").enqueue_many("brief", [{"number": 0} for _ in range(JOBS)], max_attempts=9)
    if point.startswith("take_over"):
        wait(workers.fork(path, point="settle.inside:2", concurrency=4))
    wait(workers.fork(path, point=point, broken=broken, concurrency=4))
    assert rows(path, "SELECT 1 FROM job WHERE finished_at IS NULL"), f"it was to be killed at {point}, and finished"
    assert workers.errors() == "", "something else than the crash point ended it"
    wait(workers.fork(path, concurrency=4, hasty=bool(broken)))
    workers.assert_nothing_was_done_twice()
    assert_all_completed(path, workers, JOBS)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", ["claim", "settle", "take_over"])
def test_a_worker_killed_at_this_point_loses_nothing(
    tmp_path: Path, workers: JobNursery, kind: str, moment: str
) -> None:
    crash_and_finish(tmp_path / "jobs.wg", workers, f"{kind}.{moment}:1")


def test_without_the_transaction_this_would_be_noticed(tmp_path: Path, workers: JobNursery) -> None:
    with pytest.raises(AssertionError):
        crash_and_finish(tmp_path / "jobs.wg", workers, "claim.halfway:1", broken="transaction")


@pytest.mark.parametrize("broken", ["", "transaction"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_while_enqueueing_leaves_all_or_none(
    tmp_path: Path, workers: JobNursery, moment: str, broken: str
) -> None:
    path = tmp_path / "jobs.wg"
    with opened(path) as project:
        project.queue("work")
    wait(workers.fork(path, point=f"enqueue.{moment}:1", enqueue=JOBS, broken=broken))
    assert workers.errors() == ""
    (found,) = rows(path, "SELECT count(*) FROM job")
    if broken:
        assert moment not in ("halfway", "inside") or found != (0,), "half of them are there without a transaction"
    else:
        assert found == (JOBS if moment == "after" else 0,)
