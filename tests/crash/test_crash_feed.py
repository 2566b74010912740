"""The change feed and the schedules while real processes work on the file, and are really killed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import workglow as wg
from workglow import JobChange
from workglow.file import doctor
from workglow.queue import HandlerRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent


class Workers:
    """Processes of `feed_program`, which do not survive the test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, command: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(HERE / "feed_program.py"), command, str(self.path)]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
        process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        self.running.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.running.remove(process)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed.wg"


@contextmanager
def workers(path: Path) -> Iterator[Workers]:
    found = Workers(path)
    try:
        yield found
    finally:
        for process in list(found.running):
            found.kill(process)


def ids_of(changes: list[wg.JobChange | wg.RunChange]) -> list[int]:
    return [each.job for each in changes if isinstance(each, JobChange) and each.kind == "added"]


def test_whoever_starts_to_listen_misses_nothing_that_is_committed_from_then_on(path: Path) -> None:
    with wg.open(path, handlers=HandlerRegistry()) as project, workers(path) as processes:
        for _ in range(2):
            processes.start("enqueue")
        for _ in range(20):
            project.keep_events(0)
            feed = project.events()
            before = max((each.id for each in project.queues.jobs(limit=1)), default=0)

            async def follow(feed: wg.ChangeFeed = feed) -> list[wg.JobChange | wg.RunChange]:
                return [await anext(feed) for _ in range(50)]

            seen = asyncio.run(follow())
            assert [each.seq for each in seen] == list(range(seen[0].seq, seen[0].seq + 50))
            ids = ids_of(seen)
            assert ids == list(range(ids[0], ids[0] + 50))
            assert ids[0] <= before + 1


def test_a_follower_in_another_process_sees_all_that_happened_also_to_the_killed(path: Path) -> None:
    chance = random.Random(5)

    async def follow(project: wg.Project, processes: Workers) -> list[wg.JobChange | wg.RunChange]:
        feed, seen = project.events(), list[wg.JobChange | wg.RunChange]()
        adding = processes.start("enqueue")
        for _ in range(6):
            worker = processes.start("work")
            wanted = len(seen) + chance.randrange(50)
            while len(seen) < wanted or seen[-1].kind != "completed":
                seen.append(await anext(feed))
            processes.kill(worker)
            feed = project.events(feed.seq)  # as one would after a crash of one's own
        processes.kill(adding)
        return seen + feed.read()

    with wg.open(path, handlers=HandlerRegistry()) as project, workers(path) as processes:
        seen = asyncio.run(follow(project, processes))
        assert [each.seq for each in seen] == list(range(seen[0].seq, seen[0].seq + len(seen)))
        state: dict[int, str | None] = {}
        for change in seen:
            assert isinstance(change, JobChange)
            assert state.get(change.job) == change.old
            state[change.job] = change.new
        assert state == {each.id: each.status for each in project.queues.jobs(limit=10**6)}
        assert {"added", "started", "completed", "retried"} <= {each.kind for each in seen}
    assert doctor(path).ok


def due_times(project: wg.Project) -> list[str]:
    return sorted(str(each.record.key) for each in project.queues.jobs(limit=10**6))


def test_each_due_time_has_one_job_whatever_is_killed(path: Path) -> None:
    chance = random.Random(7)

    async def watch(project: wg.Project, processes: Workers) -> None:
        feed = project.events()
        project.schedule("often", "nobody", every=0.005, catch_up="all")
        for _ in range(3):
            processes.start("fire")
        for _ in range(8):
            for _ in range(chance.randrange(10, 60)):
                await anext(feed)
            processes.kill(chance.choice(processes.running))
            processes.start("fire")

    with wg.open(path, handlers=HandlerRegistry()) as project, workers(path) as processes:
        asyncio.run(watch(project, processes))
        project.schedules()[0].pause()
        record = project.schedules()[0].record
        assert record.due_at is not None
        times = due_times(project)
        assert len(times) == len(set(times)) == record.fired
        start = project.file.reader.execute("SELECT start_at FROM schedule").get
        assert record.due_at == start + 5 * record.fired, "and no due time was left out"
    assert doctor(path).ok


def test_a_process_that_is_killed_between_the_due_time_and_the_commit_has_fired_nothing(path: Path) -> None:
    with wg.open(path, handlers=HandlerRegistry()) as project, workers(path) as processes:
        once = project.schedule("once", "nobody", every=3600, catch_up="one")
        with project.file.transaction() as db:
            db.execute("UPDATE schedule SET next_at = start_at")
        due = once.record.next_at
        crashed = processes.start("crash")
        assert crashed.wait() == -signal.SIGKILL
        assert (project.queues.jobs(), once.record.next_at, once.record.fired) == ([], due, 0)
        feed = project.events()
        for _ in range(2):
            processes.start("fire")
        asyncio.run(asyncio.wait_for(anext(feed), 30))
        assert len(project.queues.jobs()) == once.record.fired == 1
        assert once.last_job is not None
