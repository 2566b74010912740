"""Workers: how they stop, grow and shrink, serve several queues, and give up on code that does not end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

import workglow as wg
from workglow import job
from workglow.errors import TaskConfigurationError
from workglow.file import File
from workglow.queue import JobContext
from workglow.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workglow import Project
    from workglow.queue import HandlerRegistry, Job
    from workglow.testing import FakeClock


async def started(project: Project) -> None:
    await project.queues.events.wait_on("job_started")


def outcomes(one: Job) -> list[tuple[int, str]]:
    return [(each.attempt, each.outcome) for each in one.attempts]


# ---------------------------------------------------------------------- stopping


def test_what_ends_within_the_grace_is_finished_and_nothing_new_is_started(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    gate = asyncio.Event()

    @job(registry=handlers)
    async def wait() -> str:
        await gate.wait()
        return "done"

    queue = project.queue("work")
    first, second = queue.enqueue(wait), queue.enqueue(wait)

    async def main() -> int:
        begun = asyncio.create_task(started(project))
        worker = queue.worker()
        working = asyncio.create_task(worker.run())
        await begun
        worker.stop(grace=10)
        clock.advance(9.999)
        assert not working.done()
        gate.set()
        return await working

    assert asyncio.run(main()) == 1
    assert (first.result_sync(), second.status, second.attempt) == ("done", "pending", 0)


@pytest.mark.parametrize("graces", [(10,), (None, 10), (60, 10), (10, 60)])
def test_what_outlasts_the_grace_is_handed_back_and_its_attempt_does_not_count(
    project: Project, handlers: HandlerRegistry, clock: FakeClock, graces: tuple[float | None, ...]
) -> None:
    told: list[str] = []

    @job(registry=handlers)
    async def wait(context: JobContext) -> None:
        context.signal.on_cancel(lambda: told.append(context.signal.reason))
        await asyncio.Event().wait()

    queue = project.queue("work")
    one = queue.enqueue(wait, max_attempts=1)

    async def main() -> int:
        begun = asyncio.create_task(started(project))
        worker = queue.worker()
        working = asyncio.create_task(worker.run())
        await begun
        for grace in graces:
            worker.stop(grace)
        await asyncio.sleep(0)  # it looks how long to sleep
        clock.advance(9.999)
        await asyncio.sleep(0)
        assert not working.done()
        clock.advance(0.001)
        return await working

    assert asyncio.run(main()) == 0
    assert (one.status, one.attempt, outcomes(one)) == ("pending", 0, [(1, "returned")])
    assert told == ["The worker stops."]
    assert project.queues.repository.workers() == []


def test_a_worker_that_was_stopped_before_it_began_starts_nothing(project: Project, handlers: HandlerRegistry) -> None:
    note = job(registry=handlers, name="note", inline=True)(lambda: 1)
    one = project.queue("work").enqueue(note)
    worker = project.worker()
    worker.stop()
    assert asyncio.run(worker.run()) == 0
    assert one.status == "pending"


# ---------------------------------------------------------------------- growing, shrinking


def test_concurrency_changes_while_it_works(project: Project, handlers: HandlerRegistry) -> None:
    free = asyncio.Semaphore(0)

    @job(registry=handlers)
    async def wait() -> None:
        await free.acquire()

    queue = project.queue("work")
    queue.enqueue_many(wait, [{} for _ in range(9)])

    async def main() -> None:
        counts: asyncio.Queue[int] = asyncio.Queue()
        worker = queue.worker()
        project.queues.events.subscribe(lambda _: counts.put_nowait(queue.counts().get("running", 0)))

        async def until(running: int) -> None:
            while await counts.get() != running:
                pass
            await asyncio.sleep(0)

        async with worker:
            await until(1)
            worker.concurrency = 4
            await until(4)
            assert worker.running == 4
            assert [each.concurrency for each in project.queues.repository.workers()] == [4]
            worker.concurrency = 2
            for running in (3, 2, 2, 2):
                free.release()
                await until(running)
                assert worker.running <= max(running, 2)
            for _ in range(9):
                free.release()

    asyncio.run(main())
    counts = queue.counts()
    assert counts["completed"] + counts["pending"] == 9
    with pytest.raises(TaskConfigurationError, match="at least 1"):
        queue.worker().concurrency = 0
    with pytest.raises(TaskConfigurationError, match="at least 1"):
        queue.worker(concurrency=0)


def test_more_plain_functions_than_any_fixed_number_of_threads_run_at_once(
    project: Project, handlers: HandlerRegistry
) -> None:
    together = threading.Barrier(50)

    @job(registry=handlers)
    def meet() -> int:
        return together.wait(timeout=30)

    queue = project.queue("work")
    jobs = queue.enqueue_many(meet, [{} for _ in range(50)])
    assert queue.work_sync(concurrency=50) == 50
    assert sorted(one.result_sync() for one in jobs) == list(range(50))


def test_a_busy_queue_starves_no_other(project: Project, handlers: HandlerRegistry) -> None:
    seen: list[str] = []

    @job(registry=handlers)
    async def note(name: str) -> None:
        seen.append(name)

    for name, count in (("a", 40), ("b", 4), ("c", 2)):
        project.queue(name).enqueue_many(note, [{"name": name}] * count)
    asyncio.run(project.worker("a", "b", "c").run(until_idle=True))
    assert len(seen) == 46
    assert sorted(seen[:6]) == ["a", "a", "b", "b", "c", "c"]
    assert seen[:12].count("b") == 4


# ---------------------------------------------------------------------- code that does not end


@pytest.fixture
def elsewhere(project: Project, clock: FakeClock, handlers: HandlerRegistry) -> Iterator[Project]:
    """The same file, opened by somebody who runs none of our threads."""
    with wg.open(project.path, clock=clock, handlers=handlers) as opened:
        yield opened


def test_a_thread_that_ignores_its_timeout_is_not_overtaken_by_its_own_retry(
    project: Project, handlers: HandlerRegistry, clock: FakeClock, elsewhere: Project
) -> None:
    calls: list[int] = []
    entered, end = threading.Event(), threading.Event()

    @job(registry=handlers, timeout=5, retry=Retry(9, delay=0))
    def stubborn(context: JobContext) -> str:
        calls.append(context.attempt)
        if context.attempt > 1:
            return "in time"
        entered.set()
        end.wait(30)
        return "too late"

    queue = project.queue("work")
    one = queue.enqueue(stubborn)

    async def main() -> None:
        worker = queue.worker()
        async with worker:
            await asyncio.to_thread(entered.wait, 30)
            retried = asyncio.create_task(project.queues.events.wait_on("job_retried"))
            await asyncio.sleep(0)
            clock.advance(5)
            await retried
            for _ in range(5):  # as often as it likes to look, it leaves the job
                worker.concurrency = 1
                await asyncio.sleep(0)
            assert (one.status, calls, worker.running) == ("pending", [1], 0)
            end.set()
            assert await one.result() == "in time"

    asyncio.run(main())
    assert (calls, outcomes(one)) == ([1, 2], [(1, "timed out")])
    assert project.queues.lingering == set()


def test_another_process_may_take_what_still_runs_here(
    project: Project, handlers: HandlerRegistry, clock: FakeClock, elsewhere: Project
) -> None:
    entered, end = threading.Event(), threading.Event()

    @job(registry=handlers)
    def stubborn() -> str:
        if entered.is_set():
            return "the other one"
        entered.set()
        end.wait(30)
        return "too late"

    one = project.queue("work").enqueue(stubborn)

    async def main() -> None:
        worker = project.worker("work")
        working = asyncio.create_task(worker.run())
        await asyncio.to_thread(entered.wait, 30)
        worker.stop(grace=0)
        await working
        assert project.queues.lingering == {one.id}
        assert await project.worker("work").run(until_idle=True) == 0

    asyncio.run(main())
    assert elsewhere.queue("work").work_sync() == 1
    end.set()
    assert one.result_sync() == "the other one"


def test_a_job_of_an_unknown_handler_is_handed_back_once_and_not_counted(project: Project) -> None:
    queue = project.queue("work")
    one = queue.enqueue("nobody knows")
    heard: list[tuple[str, str]] = []
    project.queues.events.subscribe(lambda event: heard.append((event.kind, str(event.data))))
    assert queue.work_sync() == 0
    assert heard == [("job_started", "None"), ("job_returned", "This worker knows no handler 'nobody knows'.")]
    assert (one.status, one.attempt, one.error) == ("pending", 0, None)


# ---------------------------------------------------------------------- queues by name


def test_a_name_stands_for_every_queue_of_that_name_also_one_that_comes_later(
    project: Project, handlers: HandlerRegistry
) -> None:
    @job(registry=handlers)
    async def note() -> str:
        return "noted"

    chosen = project.queue("chosen")

    async def main() -> None:
        async with project.worker("later", chosen):
            assert [queue.name for queue in project.queues.all()] == ["chosen"], "none is made"
            assert await chosen.enqueue(note).result() == "noted"
            for scope in ({}, {"user": "u1"}):
                assert await project.queue("later", scope=scope).enqueue(note).result() == "noted"
            left = project.queue("other").enqueue(note)
            assert project.queues.workers()[0].queues == ("chosen", "later")
        assert left.status == "pending"

    asyncio.run(main())


@pytest.mark.parametrize("name", ["", "x" * 201])
def test_a_name_that_no_queue_can_have_is_refused(project: Project, name: str) -> None:
    with pytest.raises(TaskConfigurationError, match="1 to 200 characters"):
        project.worker(name)


@pytest.mark.parametrize("blocking", [True, False])
def test_with_power_a_worker_waits_for_the_disk_on_a_loop_that_nothing_else_uses(
    tmp_path: Path, handlers: HandlerRegistry, monkeypatch: pytest.MonkeyPatch, blocking: bool
) -> None:
    elsewhere: list[bool] = []  # whether something was written by the other thread, as each job was done

    @job(registry=handlers, name="at_once", inline=True)
    def at_once() -> None:
        elsewhere.append(bool(submitted))

    @job(registry=handlers, name="takes_time")
    async def takes_time(number: int) -> None:
        last.set() if number == 2 else None
        if number == 0:
            await last.wait()

    submitted, last = list[object](), asyncio.Event()
    submit = File.submit
    monkeypatch.setattr(File, "submit", lambda self, *a, **k: submitted.append(a) or submit(self, *a, **k))
    with wg.open(tmp_path / "power.wg", durability="power", handlers=handlers) as project:
        queue = project.queue("work")
        queue.enqueue_many("at_once", [{}] * 3)
        submitted.clear()
        assert (queue.work_sync() if blocking else asyncio.run(queue.work())) == 3
        assert elsewhere == [not blocking] * 3
        queue.enqueue_many("takes_time", [{"number": number} for number in range(3)])
        assert (queue.work_sync(concurrency=2) if blocking else asyncio.run(queue.work(concurrency=2))) == 3
        assert queue.counts()["completed"] == 6
        assert submitted, "while a job runs, the loop is not held up"
