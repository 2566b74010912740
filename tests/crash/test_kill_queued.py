"""Promise: whichever of driver and worker is killed, nothing that completed runs again, and what does keeps its key."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import apsw
import pytest
from crash_nursery import (
    Nursery,
    assert_nothing_finished_ran_again,
    assert_same_key_for_every_attempt,
    completed,
    kill,
)

import workglow as wg
from workglow.file import doctor
from workglow.testing import CRASH_VARIABLE

PROGRAM = Path(__file__).with_name("queued_program.py")


FINISHED = "SELECT count(*) FROM run WHERE finished_at IS NOT NULL"


class Place:
    """A project, its ledger, a gate that holds queued tasks up, and processes."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project.wg"
        self.nursery = Nursery.__new__(Nursery)  # only to read the ledger
        self.nursery.ledger = folder / "ledger"
        self.gate = folder / "ledger.gate"
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, command: str, *more: str, point: str = "") -> subprocess.Popen[str]:
        words = [sys.executable, str(PROGRAM), command, str(self.project), str(self.nursery.ledger), *more]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, CRASH_VARIABLE: point})
        self._processes.append(process)
        return process

    def end(self) -> None:
        """End the processes that were started here."""
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def hold(self) -> None:
        os.mkfifo(self.gate)

    def until_begun(self, path: str, times: int = 1) -> None:
        while self.times(path) < times:
            os.sched_yield()

    def let_go(self) -> None:
        """Let the one task that is held go on."""
        with self.gate.open("w"):
            self.gate.unlink()

    def times(self, path: str) -> int:
        return [entry.path for entry in self.nursery.entries()].count(path)

    def asked(self, query: str) -> int:
        db = apsw.Connection(str(self.project), flags=apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(10_000)
        try:
            return db.execute(query).get
        finally:
            db.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("killed", [("driver",), ("worker",), ("driver", "worker"), ("worker", "driver")])
def test_killed_while_the_worker_works_and_the_driver_waits(place: Place, killed: tuple[str, ...]) -> None:
    place.hold()
    try:
        alive = {"driver": place.start("drive"), "worker": place.start("work")}
        place.until_begun("map[0]/held")
        for name in killed:
            process = alive.pop(name)
            kill(process.pid)
            process.communicate()
        if "worker" in killed:
            place.start("work")
            place.until_begun("map[0]/held", times=2)
        place.let_go()
        driver = alive.get("driver") or place.start("resume")
        assert driver.communicate()[0].strip() == "completed"
    finally:
        place.end()
    entries = place.nursery.entries()
    assert place.times("map[0]/before") == place.times("map[0]/after") == 1
    attempts = [entry.attempt for entry in entries if entry.path == "map[0]/held"]
    assert attempts == ([1, 2] if "worker" in killed else [1])
    assert_same_key_for_every_attempt(entries)
    with wg.open(place.project, read_only=True) as project:
        (run,) = project.runs()
        assert run.outputs == {"number": [12]}
        assert run.tasks["map[0]/held"].attempt == len(attempts)
        assert [job.status for job in project.queues.jobs()] == ["completed"]
    assert doctor(place.project).ok


def test_workers_that_are_killed_again_and_again_finish_a_submitted_run(place: Place) -> None:
    place.start("submit", "8").communicate()
    with wg.open(place.project) as project:  # more lives than the test takes
        project.queue("heavy", retry=wg.Retry(1000, delay=0))
        with project.file.transaction() as db:
            db.execute("UPDATE job SET max_attempts = 1000")
    random, finished = Random(7), dict[int, set[tuple[str, str]]]()
    try:
        for _ in range(6):
            begun = len(place.nursery.entries())
            worker = place.start("work")
            wanted = begun + random.randrange(1, 6)
            while len(place.nursery.entries()) < wanted and not place.asked(FINISHED):
                os.sched_yield()
            kill(worker.pid)
            worker.communicate()
            finished[len(place.nursery.entries())] = completed(place.project)
        place.start("work")
        assert place.start("wait").communicate()[0].strip() == "completed"
    finally:
        place.end()
    entries = place.nursery.entries()
    assert_nothing_finished_ran_again(entries, finished)
    assert_same_key_for_every_attempt(entries)
    assert len({entry.path for entry in entries}) == 24
    with wg.open(place.project, read_only=True) as project:
        (run,) = project.runs()
        assert run.outputs == {"number": [10 * (number + 1) + 2 for number in range(8)]}
    assert doctor(place.project).ok


POINTS = [
    *("wait.before:1", "wait.halfway:1", "wait.inside:1", "wait.after:1"),
    *("complete.before:1", "complete.inside:1", "complete.after:1", "finish.before:1", "finish.inside:1"),
    *("finish.after:1", "start.after:1"),
]


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_any_point_of_driving_a_run_is_replaced(place: Place, point: str) -> None:
    place.start("submit", "2").communicate()
    try:
        assert place.start("work", point=point).wait() != 0
        finished = {len(place.nursery.entries()): completed(place.project)}
        place.start("work")
        assert place.start("wait").communicate()[0].strip() == "completed"
    finally:
        place.end()
    assert_nothing_finished_ran_again(place.nursery.entries(), finished)
    assert_same_key_for_every_attempt(place.nursery.entries())
    with wg.open(place.project, read_only=True) as project:
        assert project.runs()[0].outputs == {"number": [12, 22]}
    assert doctor(place.project).ok
