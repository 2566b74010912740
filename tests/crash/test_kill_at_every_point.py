"""Promise: killing the process at any moment of any transition loses no committed work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from crash_nursery import (
    HERE,
    Nursery,
    assert_nothing_finished_ran_again,
    assert_same_key_for_every_attempt,
    completed,
    wait,
)
from crash_tasks import build_small

import workglow as wg
from workglow.file import doctor

ITEMS = 12
KINDS = ("start", "complete", "reuse", "fail", "retry", "open", "disable", "finish")
MOMENTS = ("before", "halfway", "inside", "after")


def begin(path: Path) -> None:
    with wg.open(path) as project:
        project.begin(build_small(), {"count": ITEMS})


def crash_and_finish(project: Path, nursery: Nursery, point: str, broken: str = "") -> None:
    """Kill a driver at the point, let another one finish, and check every promise."""
    begin(project)
    wait(nursery.fork(project, point=point, broken=broken))
    state = status(project)
    finished = {len(nursery.entries()): completed(project)}
    if not point.startswith("finish.after"):
        assert state == "running", f"the driver was to be killed at {point}, but the run is {state}"
    wait(nursery.fork(project))
    assert_nothing_finished_ran_again(nursery.entries(), finished)
    assert_same_key_for_every_attempt(nursery.entries())
    with wg.open(project) as opened:
        (run,) = opened.runs()
        assert run.status == "completed"
        assert {path for path, task in run.tasks.items() if task.status == "completed"} == {
            "numbers", "map", "comfort", "remembered", "less_hundred", "remembered_too", "choice", "taken",
            "speak", "repeat", "listen",
            *(f"map[{item}]/{task}" for item in range(ITEMS) for task in ("flaky", "one_more")),
        }  # fmt: skip
        assert run.tasks["hopeless"].status == "failed"
        assert run.tasks["not_taken"].status == "disabled"
        assert run.tasks["map"].outputs["value"] == [2 * value + 1 for value in range(ITEMS)]
        assert run.tasks["taken"].outputs["value"] == 102
        assert run.tasks["listen"].outputs["value"] == "0"
    assert doctor(project).ok


def status(project: Path) -> str:
    db = apsw.Connection(str(project), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(10_000)  # whoever opens a file after a kill recovers its log first
    try:
        return db.execute("SELECT status FROM run").get
    finally:
        db.close()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_this_point_loses_nothing(tmp_path: Path, nursery: Nursery, kind: str, moment: str) -> None:
    crash_and_finish(tmp_path / "project.wg", nursery, f"{kind}.{moment}:1")


@pytest.mark.parametrize("count", [2, 5, 9])
def test_a_later_kill_loses_nothing_either(tmp_path: Path, nursery: Nursery, count: int) -> None:
    crash_and_finish(tmp_path / "project.wg", nursery, f"complete.halfway:{count}")


def test_without_the_transaction_this_would_be_noticed(tmp_path: Path, nursery: Nursery) -> None:
    caught = 0
    for number, point in enumerate(("complete.halfway:2", "complete.halfway:5", "start.halfway:3", "fail.halfway:1")):
        nursery.ledger = tmp_path / f"ledger-{number}"
        try:
            crash_and_finish(tmp_path / f"{number}.wg", nursery, point, broken="transaction")
        except (AssertionError, wg.WorkglowError, KeyError):
            caught += 1
    assert caught


_BEGIN = """
import sys
import crash_tasks, workglow as wg
from workglow.testing import install_crash_points
crash_tasks.LEDGER = sys.argv[2]
install_crash_points(sys.argv[3])
with wg.open(sys.argv[1]) as project:
    project.run_sync(crash_tasks.build_small(), {"count": 12})
"""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_kill_at_the_beginning_leaves_a_whole_run_or_none(tmp_path: Path, nursery: Nursery, moment: str) -> None:
    project = tmp_path / "project.wg"
    killed = subprocess.run(
        [sys.executable, "-c", _BEGIN, str(project), str(nursery.ledger), f"begin.{moment}:1"],
        env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}"},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    wait(nursery.fork(project))
    with wg.open(project) as opened:
        assert [run.status for run in opened.runs()] == (["completed"] if moment == "after" else [])
    assert doctor(project).ok
