"""Promise: a task that has committed never runs again, and only tasks in flight at a crash repeat."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from crash_nursery import (
    Nursery,
    assert_nothing_finished_ran_again,
    assert_same_key_for_every_attempt,
    completed,
    gone,
    kill,
    wait,
)
from crash_tasks import EXPECTED, ITEMS, build

import workglow as wg
from workglow.file import doctor

KILLS = 100


def begin_runs(path: Path, count: int) -> list[str]:
    """Store runs of which nothing has started."""
    with wg.open(path) as project:
        return [project.begin(build(), {"count": ITEMS}).id for _ in range(count)]


@pytest.mark.timeout(300)
def test_a_hundred_kills_lose_nothing_and_repeat_only_what_was_in_flight(tmp_path: Path, nursery: Nursery) -> None:
    seed = int(os.environ.get("WORKGLOW_SEED", "7"))
    moments = random.Random(seed)
    project = tmp_path / "project.wg"
    runs = begin_runs(project, 1)
    drivers: list[int] = []
    finished: dict[int, set[tuple[str, str]]] = {}
    kills = 0
    while kills < KILLS:
        drivers = [pid for pid in drivers if not gone(pid)]
        while len(drivers) < 2:
            drivers.append(nursery.fork(project))
        time.sleep(moments.uniform(0.01, 0.12))  # the moment of the kill; nothing waits for it
        victim = moments.choice(drivers)
        if not gone(victim):
            kill(victim)
            kills += 1
        finished[len(nursery.entries())] = completed(project)
        if all(status == "completed" for status in statuses(project)):
            runs += begin_runs(project, 1)
    for pid in drivers:
        wait(pid)
    wait(nursery.fork(project))

    print(f"seed {seed}: {kills} kills, {len(runs)} runs, {len(nursery.entries())} task bodies begun")
    entries = nursery.entries()
    assert_nothing_finished_ran_again(entries, finished)
    assert_same_key_for_every_attempt(entries)
    with wg.open(project) as opened:
        for run in opened.runs():
            assert run.status == "completed"
            assert run.outputs["value"] == EXPECTED
            assert len(run.tasks) == 2 * ITEMS + 11
            begun: dict[str, int] = {}
            for entry in entries:
                if entry.run == run.id:
                    begun[entry.path] = begun.get(entry.path, 0) + 1
            for path, times in begun.items():
                assert times <= run.tasks[path].attempt
    assert doctor(project).ok


def statuses(path: Path) -> list[str]:
    with wg.open(path, read_only=True) as project:
        return [run.status for run in project.runs()]
