"""Why a job is where it is, and what the queues and workers of a file look like from outside."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import workglow as wg
from workglow import job
from workglow.queue.reasons import Reasons

if TYPE_CHECKING:
    from pathlib import Path

    from workglow import Project
    from workglow.queue import HandlerRegistry
    from workglow.testing import FakeClock


def reason(project: Project, one: wg.Job) -> str:
    return Reasons(project.queues).waiting(one.refresh().record)


def test_without_a_worker_nothing_starts(project: Project) -> None:
    one = project.queue("work").enqueue("give")
    assert reason(project, one) == "no worker is running"
    assert one.why() == (
        "Job 1 waits in queue 'work':\n  no worker takes jobs of this queue; start one: workglow worker FILE"
    )


def test_a_paused_queue_is_the_first_reason(project: Project) -> None:
    queue = project.queue("work")
    one = queue.enqueue("give", delay=5)
    assert reason(project, one) == "due in 5.0 s"
    queue.pause()
    assert reason(project, one) == "the queue is paused"


def test_a_deferred_job_says_when(project: Project, handlers: HandlerRegistry, clock: FakeClock) -> None:
    @job(registry=handlers, retry=wg.Retry(attempts=3, delay=120, jitter=False))
    def fail() -> None:
        raise ValueError("no")

    one = project.queue("work").enqueue(fail, deadline=7200)
    project.queue("work").work_sync()
    assert reason(project, one) == "next try in 2 min"
    assert "in 2.0 min, after ValueError: no" in one.why()
    clock.advance(121)
    assert reason(project, one) == "no worker is running"


def test_a_job_that_needs_others_names_them(project: Project) -> None:
    queue = project.queue("work")
    needed = [queue.enqueue("give") for _ in range(5)]
    one = queue.enqueue("give", needs=needed)
    assert reason(project, one) == "needs jobs 1, 2, 3 and 2 more"
    assert reason(project, queue.enqueue("give", needs=needed[:1])) == "needs job 1"


def test_a_retried_job_says_that_what_it_needs_failed(project: Project) -> None:
    queue = project.queue("work")
    needed = queue.enqueue("give")
    one = queue.enqueue("give", needs=[needed])
    needed.abort()
    assert one.refresh().status == "failed"
    one.retry()
    assert reason(project, one) == "needs job 1, which is aborted"


def test_with_a_worker_the_line_counts(project: Project, handlers: HandlerRegistry) -> None:
    started, gate = asyncio.Event(), asyncio.Event()

    @job(registry=handlers)
    async def hold() -> None:
        started.set()
        await gate.wait()

    queue, other = project.queue("work"), project.queue("other")

    async def scenario() -> None:
        async with queue.worker():
            running = queue.enqueue(hold)
            await started.wait()
            first, second, urgent = queue.enqueue(hold), queue.enqueue(hold), queue.enqueue(hold, priority=1)
            assert [reason(project, each) for each in (urgent, first, second)] == [
                "next in line",
                "1 job ahead",
                "2 jobs ahead",
            ]
            assert reason(project, queue.enqueue("unheard")) == "no worker knows unheard"
            assert reason(project, other.enqueue(hold)) == "no worker takes from this queue"
            [worker] = project.queues.workers()
            assert (worker.alive, worker.jobs, worker.queues) == (True, (running.id,), ("work",))
            where = f"in process {worker.pid} on {worker.host}."
            assert running.why() == f"Job 1 runs: attempt 1 of 3, since 0.0 s, {where}"
            gate.set()
            await second.result(5)
            assert second.why() == "Job 3 is completed."

    asyncio.run(scenario())
    assert project.queues.workers() == []


def test_a_worker_for_all_takes_from_queues_that_come_later(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers)
    async def give() -> int:
        return 1

    project.queue("early")

    async def scenario() -> None:
        async with project.worker():
            await project.queue("early").enqueue(give).result(5)
            assert reason(project, project.queue("late").enqueue(give)) == "next in line"
            [worker] = project.queues.workers()
            assert worker.serves("late")

    asyncio.run(scenario())


def test_the_figures_of_queues(project: Project, handlers: HandlerRegistry, clock: FakeClock) -> None:
    @job(registry=handlers, inline=True)
    def give() -> int:
        return 1

    queue = project.queue("work")
    project.queue("work", scope={"user": "u1"}).pause()
    queue.enqueue(give)
    queue.work_sync()
    clock.advance(120)
    queue.enqueue_many(give, [{}, {}])
    queue.work_sync()
    clock.advance(10)
    oldest = clock.now()
    ready = queue.enqueue(give)
    queue.enqueue(give, delay=10)
    queue.enqueue(give, needs=[ready])
    mine, theirs = project.queues.info()
    assert (mine.counts, mine.deferred, mine.needing) == ({"completed": 3, "pending": 3}, 1, 1)
    assert (mine.oldest, mine.last_minute, mine.last_hour, mine.workers) == (oldest, 2, 3, 0)
    assert (theirs.scope, theirs.paused_at is not None, theirs.counts) == ({"user": "u1"}, True, {})
    clock.advance(11)
    assert project.queues.info()[0].deferred == 0


def test_a_killed_worker_is_seen_at_once(tmp_path: Path) -> None:
    script = """
import asyncio, workglow as wg
@wg.job
async def hang():
    print("hanging", flush=True)
    await asyncio.Event().wait()
with wg.open("jobs.wg") as project:
    project.queue("work").enqueue(hang)
    project.queue("work").work_sync()
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with wg.open(tmp_path / "jobs.wg", read_only=True) as project:
            one = project.job(1)
            assert one.why().endswith(f"in process {process.pid} on {project.queues.workers()[0].host}.")
            process.kill()
            process.wait()
            [worker] = project.queues.workers()
            assert (worker.alive, worker.jobs) == (False, (1,))
            assert one.why() == "Job 1 ran in a process that is gone; the next worker that is free takes it over."


def test_failed_jobs_are_retried_together(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers, retry=wg.Retry(attempts=1))
    def fail(group: str) -> None:
        raise ValueError(group)

    queue = project.queue("work")
    for group in ("a", "b", "b"):
        queue.enqueue(fail, {"group": group}, group=group)
    project.queue("other").enqueue(fail, {"group": "b"}, group="b")
    queue.work_sync()
    project.queue("other").work_sync()
    assert [each.id for each in queue.retry_failed(group="b")] == [3, 2]
    assert [each.id for each in queue.retry_failed()] == [1]
    assert queue.counts() == {"pending": 3}
    assert project.queue("other").counts() == {"failed": 1}


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_the_line_is_counted_up_to_a_bound(project: Project, most: int) -> None:
    queue = project.queue("work")
    for number in range(6):
        queue.enqueue("give", priority=int(number < 3))
    last = queue.jobs(limit=1)[0]
    assert project.queues.repository.ahead(last.record, most) == min(5, most)
