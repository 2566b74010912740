"""Queues that are limited: what is claimed, what a refusal of the service does, and why a job waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import workglow as wg
from workglow import (
    CompositeLimiter,
    ConcurrencyLimiter,
    DelayLimiter,
    JobContext,
    RateLimiter,
    Retry,
    TokenLimiter,
    job,
    rate_limited,
)
from workglow.errors import PermanentJobError, RateLimitedError, TaskConfigurationError, UnknownLimiterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from workglow import Handler, Job, JobQueue, Limiter, Project
    from workglow.queue import HandlerRegistry
    from workglow.testing import FakeClock


@pytest.fixture
def note(handlers: HandlerRegistry, clock: FakeClock) -> Handler:
    return job(registry=handlers, name="note", inline=True)(clock.now)


def held(project: Project) -> int:
    return project.file.read("SELECT count(*) FROM limiter_slot")[0][0]


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  (the test's own time-out is the limit)
        await asyncio.sleep(0)


def outcomes(one: Job) -> list[tuple[int, str]]:
    return [(each.attempt, each.outcome) for each in one.attempts]


def test_a_queue_starts_no_more_than_its_window_allows_and_in_its_order(
    project: Project, clock: FakeClock, note: Handler
) -> None:
    queue = project.queue("work", limits=[RateLimiter(4, per=60)])
    jobs = queue.enqueue_many(note, [{}] * 10)
    begun = clock.now()
    assert queue.work_sync(concurrency=8) == 4
    clock.advance(59.999)
    assert queue.work_sync(concurrency=8) == 0
    clock.advance(0.001)
    assert queue.work_sync() == 4
    clock.advance(60)
    assert queue.work_sync() == 2
    assert [(each.result_sync() - begun) // 1000 for each in jobs] == [0] * 4 + [60] * 4 + [120] * 2
    assert [each.attempt for each in jobs] == [1] * 10


def test_a_worker_sleeps_until_the_limiter_lets_the_next_job_start(
    project: Project, clock: FakeClock, note: Handler
) -> None:
    queue = project.queue("work", limits=[DelayLimiter(0.3)])
    jobs = queue.enqueue_many(note, [{}] * 4)
    begun = clock.now()

    async def main() -> None:
        async with queue.worker(concurrency=4):
            while not all(each.status == "completed" for each in jobs):
                await asyncio.sleep(0)
                if clock.waiting() >= 2:  # the worker sleeps, and so does the one who looks for changes
                    clock.advance(0.01)

    asyncio.run(main())
    assert [each.result_sync() - begun for each in jobs] == [0, 300, 600, 900]


def test_no_more_run_at_once_than_may_and_every_slot_comes_back(project: Project, handlers: HandlerRegistry) -> None:
    running = most = 0

    @job(registry=handlers, retry=Retry(1))
    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if number % 3 == 0:
                raise PermanentJobError("as it happens")
        finally:
            running -= 1

    queue = project.queue("work", limits=[ConcurrencyLimiter(3)])
    queue.enqueue_many(work, [{"number": number} for number in range(30)])

    async def main() -> None:
        async with queue.worker(concurrency=10):
            await until(lambda: sum(queue.counts().get(status, 0) for status in ("completed", "failed")) == 30)

    asyncio.run(main())
    assert most == 3
    assert queue.counts() == {"completed": 20, "failed": 10}
    assert held(project) == 0


def test_queues_that_share_a_limiter_share_what_it_allows(project: Project, clock: FakeClock, note: Handler) -> None:
    shared = project.limiter("openai", RateLimiter(3, per=10))
    one, two = (project.queue(name, limits=[shared, shared]) for name in ("one", "two"))
    for queue in (one, two):
        queue.enqueue_many(note, [{}] * 3)
    assert one.work_sync() + two.work_sync() == 3
    clock.advance(10)
    assert shared.take()
    assert one.work_sync() + two.work_sync() == 2


def test_a_refused_composite_leaves_nothing_behind(project: Project, clock: FakeClock, note: Handler) -> None:
    free = project.limiter("free", RateLimiter(2, per=60))
    queue = project.queue("work", limits=[CompositeLimiter([RateLimiter(2, per=60), ConcurrencyLimiter(0)]), free])
    queue.enqueue_many(note, [{}] * 5)
    for _ in range(9):
        assert queue.work_sync() == 0
        clock.advance(1)
    assert free.take()
    assert free.take()
    queue = project.queue("work", limits=[RateLimiter(2, per=60), ConcurrencyLimiter(9)])
    assert queue.work_sync() == 2
    assert held(project) == 0


def test_tokens_are_reserved_by_the_cost_of_a_job_and_settled_by_what_it_spent(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    @job(registry=handlers)
    async def ask(spent: int, context: JobContext) -> None:
        context.spend(spent)

    queue = project.queue("work", limits=[TokenLimiter(1000, per=60)])
    first = queue.enqueue(ask, {"spent": 100}, cost=600)
    second = queue.enqueue(ask, {"spent": 900}, cost=600)
    third = queue.enqueue(ask, {"spent": 0}, cost=1)
    assert queue.work_sync() == 2
    assert (first.status, second.status, third.status) == ("completed", "completed", "pending")
    clock.advance(59.999)
    assert queue.work_sync() == 0
    clock.advance(0.001)
    assert queue.work_sync() == 1


def test_a_429_holds_its_queue_burns_no_attempt_and_goes_on_when_it_was_told_to(
    project: Project, handlers: HandlerRegistry, clock: FakeClock, note: Handler
) -> None:
    said: list[float | None] = [5.0]

    @job(registry=handlers, retry=Retry(1))
    async def call() -> str:
        if said:
            raise RateLimitedError("429 from the service", retry_after=said.pop())
        return "well"

    shared = project.limiter("openai", RateLimiter(100))
    queue, other = project.queue("work", limits=[shared]), project.queue("other", limits=[shared])
    one, two = queue.enqueue(call), queue.enqueue(note)
    other.enqueue(note)
    assert queue.work_sync() == 1
    record = one.refresh().record
    assert (record.status, record.attempt, record.run_after) == ("pending", 0, clock.now() + 5000)
    assert outcomes(one) == [(1, "limited")]
    assert shared.record.hold_until == clock.now() + 5000
    assert shared.record.hold_reason == "429 from the service"
    assert other.work_sync() == 0
    assert two.why().splitlines()[1] == (
        "  limiter 'openai': on hold (429 from the service), until 2023-11-14 22:13:25 UTC, in 5.0 s"
    )
    clock.advance(4.999)
    assert queue.work_sync() + other.work_sync() == 0
    clock.advance(0.001)
    assert queue.work_sync() + other.work_sync() == 3
    assert one.result_sync() == "well"


def test_a_429_without_a_time_is_longer_each_time_and_survives_a_restart(
    tmp_path: Path, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    refuse = True

    @job(registry=handlers, inline=True)
    def call() -> None:
        if refuse:
            raise rate_limited({}, 0)

    with wg.open(tmp_path / "a.wg", clock=clock, handlers=handlers) as project:
        queue = project.queue("free")  # it has no limiter, and gets one to carry the hold
        one = queue.enqueue(call)
        queue.enqueue(call)
        assert queue.work_sync() == 1
        for seconds in (1, 2):
            assert queue.limits[0].hold_until == clock.now() + seconds * 1000
            clock.advance(seconds)
            assert queue.work_sync() == 1
    with wg.open(tmp_path / "a.wg", clock=clock, handlers=handlers) as project:
        queue = project.queue("free")
        clock.advance(3.999)
        assert queue.work_sync() == 0
        clock.advance(0.001)
        refuse = False
        assert queue.work_sync() == 2
        assert (queue.limits[0].strikes, project.job(one.id).attempt) == (0, 1)
        refuse = True
        queue.enqueue(call)
        queue.work_sync()
        assert queue.limits[0].hold_until == clock.now() + 1000
        queue.clear_limits()
        refuse = False
        assert queue.enqueue(call).status == "pending"
        assert queue.work_sync() == 1


def test_a_held_queue_is_free_again_by_clearing(project: Project, clock: FakeClock, note: Handler) -> None:
    queue = project.queue("work")
    one = queue.enqueue(note)
    assert queue.hold(60, "maintenance") == clock.now() + 60_000
    assert queue.work_sync() == 0
    assert "the limits of queue 'work': on hold (maintenance)" in one.why()
    queue.clear_limits()
    assert queue.work_sync() == 1


def test_limits_that_another_process_sets_or_takes_away_hold_at_once(
    tmp_path: Path, handlers: HandlerRegistry, clock: FakeClock, note: Handler
) -> None:
    with (
        wg.open(tmp_path / "a.wg", clock=clock, handlers=handlers) as project,
        wg.open(tmp_path / "a.wg", clock=clock, handlers=handlers) as other,
    ):
        queue = project.queue("work")
        queue.enqueue_many(note, [{}] * 9)

        async def one_by_one(queue: JobQueue) -> int:
            worker = queue.worker()
            worker.stop()
            return await worker.run(until_idle=True)

        assert asyncio.run(one_by_one(queue)) == 0
        other.queue("work", limits=[RateLimiter(2)])
        assert queue.work_sync() == 2
        other.queue("work", limits=[])
        assert queue.work_sync() == 7


def test_the_slots_of_an_aborted_a_returned_and_a_lost_job_come_back(
    project: Project, handlers: HandlerRegistry
) -> None:
    @job(registry=handlers)
    async def wait(context: JobContext) -> None:
        await asyncio.Event().wait()

    queue = project.queue("work", limits=[ConcurrencyLimiter(2)])
    one, two, three = (queue.enqueue(wait) for _ in range(3))

    async def main() -> None:
        working = asyncio.create_task(queue.worker(concurrency=9).run())
        await until(lambda: [each.status for each in (one, two, three)] == ["running", "running", "pending"])
        assert "at most 2 at once, until a slot is given back" in three.why()
        one.abort()
        await until(lambda: three.status == "running")
        assert held(project) == 2
        working.cancel()
        await asyncio.wait((working,))

    asyncio.run(main())
    assert [each.status for each in (one, two, three)] == ["aborted", "pending", "pending"]
    assert held(project) == 0


def test_why_names_every_reason(project: Project, clock: FakeClock, note: Handler) -> None:
    queue = project.queue("work", limits=[RateLimiter(1, per=60)])
    first = queue.enqueue(note)
    second = queue.enqueue(note, needs=[first], delay=90)
    third, fourth = queue.enqueue(note, priority=-1), queue.enqueue("unknown", priority=-2)
    queue.pause()
    assert second.why() == (
        "Job 2 waits in queue 'work':\n"
        "  the queue is paused since 2023-11-14 22:13:20 UTC\n"
        "  it needs job 1 to be completed first\n"
        "  it is not to start before 2023-11-14 22:14:50 UTC, in 1.5 min\n"
        "  no worker takes jobs of this queue; start one: workglow worker FILE"
    )
    queue.resume()
    queue.work_sync()
    assert first.why() == "Job 1 is completed."
    assert "the limits of queue 'work': at most 1 in any 60 s, until 2023-11-14 22:14:20 UTC, in 1.0 min" in third.why()
    assert "1 job is before it" in project.why_job(fourth.id)
    clock.advance(60)
    repository = project.queues.repository
    repository.begin_worker('["work"]', '["note"]', 1)
    assert third.why() == "Job 3 waits in queue 'work':\n  nothing is in its way: the next free worker takes it"
    assert "no worker of this queue knows the handler 'unknown'" in fourth.why()


def test_a_cost_that_makes_no_sense_is_refused(project: Project, handlers: HandlerRegistry, note: Handler) -> None:
    with pytest.raises(TaskConfigurationError, match="cost=-1"):
        project.queue("work").enqueue(note, cost=-1)
    with pytest.raises(TaskConfigurationError, match="cost=-1"):
        project.limiter("few", ConcurrencyLimiter(1)).slot(-1)


def test_a_clock_that_is_set_neither_opens_a_window_nor_keeps_it_shut(
    project: Project, clock: FakeClock, note: Handler
) -> None:
    queue = project.queue("work", limits=[RateLimiter(1, per=60)])
    queue.enqueue_many(note, [{}] * 3)
    assert queue.work_sync() == 1
    clock.jump(3600)
    assert queue.work_sync() == 0
    clock.jump(-7200)
    clock.advance(59)
    assert queue.work_sync() == 0
    clock.advance(1)
    assert queue.work_sync() == 1


def test_after_a_restart_of_the_machine_the_time_is_that_of_the_wall_clock_and_never_goes_back(
    tmp_path: Path, clock: FakeClock
) -> None:
    def restart(seconds: float) -> Limiter:
        with wg.open(tmp_path / "a.wg", clock=clock) as project, project.file.transaction() as db:
            db.execute("UPDATE limiter SET boot = 'before', shift = 5")
        clock.jump(seconds)
        return wg.open(tmp_path / "a.wg", clock=clock).limiter("one")

    with wg.open(tmp_path / "a.wg", clock=clock) as project:
        assert project.limiter("one", DelayLimiter(60)).take()
    limiter = restart(-3600)
    assert limiter.take() is None
    assert limiter.next_at() == clock.now() + 60_000
    limiter._file.close()
    limiter = restart(45)
    assert limiter.next_at() == clock.now() + 15_000
    limiter._file.close()
    limiter = restart(100)
    assert limiter.take()
    limiter._file.close()


def test_a_queue_whose_limit_nobody_here_knows_starts_nothing(project: Project, note: Handler) -> None:
    queue = project.queue("work", limits=[RateLimiter(5)])
    one = queue.enqueue(note)
    with project.file.transaction() as db:
        db.execute("""UPDATE limiter SET rules = '[{"kind":"Moonlight"}]'""")
    with pytest.raises(UnknownLimiterError, match="limits by a 'Moonlight'"):
        queue.work_sync()
    assert (one.status, one.attempt) == ("pending", 0)
