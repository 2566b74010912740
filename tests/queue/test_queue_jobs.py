"""Jobs from one process: put in, done, tried again, aborted, left alone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from workglow import JobContext, job
from workglow.errors import (
    JobAbortedError,
    JobFailedError,
    JobInputError,
    JobStateError,
    PermanentJobError,
    RetryableJobError,
    UnknownJobError,
)
from workglow.retry import Retry

if TYPE_CHECKING:
    from workglow import Project
    from workglow.queue import HandlerRegistry
    from workglow.testing import FakeClock


def test_a_job_is_done_and_its_result_comes_back(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers)
    async def double(value: int) -> int:
        return value * 2

    @job(registry=handlers)
    def shout(text: str) -> str:
        return text.upper()

    queue = project.queue("work")
    number, text = queue.enqueue(double, {"value": 21}), queue.enqueue("shout", {"text": "hi"})
    assert (number.status, text.status) == ("pending", "pending")
    assert queue.work_sync(concurrency=2) == 2
    assert (number.result_sync(), text.result_sync()) == (42, "HI")
    assert queue.counts() == {"completed": 2}
    assert project.job(number.id).inputs == {"value": 21}


@pytest.mark.parametrize("value", [0, False, "", [], None, 0.0])
def test_a_result_that_is_false_is_a_result(project: Project, handlers: HandlerRegistry, value: object) -> None:
    @job(registry=handlers, inline=True)
    def give() -> object:
        return value

    one = project.queue("work").enqueue(give)
    project.queue("work").work_sync()
    assert one.result_sync() == value
    assert type(one.result_sync()) is type(value)


def test_jobs_go_by_priority_and_then_in_their_order(project: Project, handlers: HandlerRegistry) -> None:
    seen: list[int] = []

    @job(registry=handlers, inline=True)
    def note(value: int) -> None:
        seen.append(value)

    queue = project.queue("work")
    queue.enqueue(note, {"value": 1})
    queue.enqueue(note, {"value": 2}, priority=-1)
    queue.enqueue(note, {"value": 3}, priority=5)
    queue.enqueue_many(note, [{"value": 4}, {"value": 5}])
    queue.work_sync()
    assert seen == [3, 1, 4, 5, 2]


def test_a_deferred_job_starts_when_it_is_due_and_not_before(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    note = job(registry=handlers, name="note", inline=True)(clock.now)
    queue = project.queue("work")
    later = queue.enqueue(note, delay=3600)
    assert later.record.run_after == clock.now() + 3_600_000
    assert queue.work_sync() == 0
    clock.advance(3599)
    assert queue.work_sync() == 0
    clock.advance(1)
    assert queue.work_sync() == 1
    assert later.result_sync() == clock.now()


def test_a_failure_is_tried_again_after_the_wait_and_then_it_is_final(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    @job(registry=handlers, retry=Retry(3, delay=10, factor=2))
    async def fail() -> None:
        raise OSError("no such luck")

    queue = project.queue("work")
    one = queue.enqueue(fail)
    for wait in (10, 20):
        assert queue.work_sync() == 1
        record = one.refresh().record
        assert (record.status, record.run_after) == ("pending", clock.now() + wait * 1000)
        assert (record.finished_at, record.progress) == (None, None)
        clock.advance(wait - 0.001)
        assert queue.work_sync() == 0
        clock.advance(0.001)
    assert queue.work_sync() == 1
    with pytest.raises(JobFailedError, match=r"Job 1 \(fail\): OSError: no such luck") as raised:
        one.result_sync()
    assert raised.value.type == "OSError"
    assert any("raise OSError" in line for line in raised.value.trace)
    assert [(each.attempt, each.outcome) for each in one.attempts] == [(1, "failed"), (2, "failed"), (3, "failed")]


def test_a_handler_says_when_to_try_again_or_that_nothing_helps(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    @job(registry=handlers)
    async def later() -> None:
        raise RetryableJobError("busy", after=7)

    @job(registry=handlers)
    async def never() -> None:
        raise PermanentJobError("gone")

    queue = project.queue("work")
    first, second = queue.enqueue(later), queue.enqueue(never, max_attempts=9)
    queue.work_sync()
    assert first.record.run_after == clock.now() + 7000
    assert (second.status, second.attempt) == ("failed", 1)


def test_a_job_that_has_not_begun_is_aborted_at_once(project: Project, handlers: HandlerRegistry) -> None:
    note = job(registry=handlers, name="note", inline=True)(lambda: 1)
    queue = project.queue("work")
    one, two = queue.enqueue(note, group="a"), queue.enqueue(note)
    assert queue.abort_group("a") == [one]
    assert one.status == "aborted"
    assert queue.work_sync() == 1
    with pytest.raises(JobAbortedError):
        one.result_sync()
    assert not two.abort()
    assert two.status == "completed"


def test_a_running_job_is_aborted_as_soon_as_its_worker_hears_of_it(
    project: Project, handlers: HandlerRegistry
) -> None:
    @job(registry=handlers)
    async def forever() -> None:
        await asyncio.Event().wait()

    queue = project.queue("work")
    one = queue.enqueue(forever)

    async def main() -> list[str]:
        kinds: list[str] = []
        project.queues.events.subscribe(lambda event: kinds.append(event.kind))
        started = asyncio.create_task(project.queues.events.wait_on("job_started"))
        async with queue.worker():
            await started
            assert one.refresh().status == "running"
            assert one.abort("enough")
            with pytest.raises(JobAbortedError, match="enough"):
                await one.result()
        return kinds

    assert asyncio.run(main()) == ["job_started", "job_aborted"]
    assert [(each.attempt, each.outcome) for each in one.attempts] == [(1, "aborted")]


def test_of_jobs_with_one_key_only_one_is_unfinished(project: Project, handlers: HandlerRegistry) -> None:
    note = job(registry=handlers, name="note", inline=True)(lambda: 1)
    queue, other = project.queue("work"), project.queue("other")
    one = queue.enqueue(note, key="daily")
    assert queue.enqueue(note, key="daily") == one
    assert other.enqueue(note, key="daily") != one
    queue.work_sync()
    assert queue.enqueue(note, key="daily") != one


def test_a_job_starts_when_what_it_needs_is_completed(project: Project, handlers: HandlerRegistry) -> None:
    seen: list[str] = []

    @job(registry=handlers, inline=True)
    def note(name: str) -> None:
        seen.append(name)

    queue = project.queue("work")
    first, second = queue.enqueue(note, {"name": "a"}), queue.enqueue(note, {"name": "b"}, priority=-9)
    third = queue.enqueue(note, {"name": "c"}, needs=[first, second], priority=9)
    assert third.record.waits_for == 2
    queue.work_sync()
    assert seen == ["a", "b", "c"]


def test_what_needs_a_failed_job_fails_and_is_retried_after_it(project: Project, handlers: HandlerRegistry) -> None:
    broken = True

    @job(registry=handlers, retry=Retry(1))
    async def first() -> int:
        if broken:
            raise ValueError("broken")
        return 1

    note = job(registry=handlers, name="note", inline=True)(lambda: 2)
    queue = project.queue("work")
    one = queue.enqueue(first)
    two = queue.enqueue(note, needs=[one])
    queue.work_sync()
    assert (one.status, two.status) == ("failed", "failed")
    assert f"needs job {one.id}" in str(two.error)
    with pytest.raises(JobStateError, match="Retry job"):
        queue.enqueue(note, needs=[one])
    broken = False
    one.retry()
    two.retry()
    assert queue.work_sync() == 2
    assert two.result_sync() == 2
    with pytest.raises(JobStateError):
        two.retry()


def test_a_paused_queue_starts_nothing(project: Project, handlers: HandlerRegistry) -> None:
    note = job(registry=handlers, name="note", inline=True)(lambda: 1)
    queue = project.queue("work")
    queue.enqueue(note)
    queue.pause()
    assert queue.paused
    assert queue.work_sync() == 0
    queue.resume()
    assert queue.work_sync() == 1


def test_a_job_past_its_deadline_fails_pending_or_running(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    @job(registry=handlers)
    async def forever() -> None:
        await asyncio.Event().wait()

    queue = project.queue("work")
    pending = queue.enqueue(forever, deadline=5, delay=9)
    clock.advance(5)
    queue.work_sync()
    assert pending.error is not None
    assert pending.error.type == "JobDeadlineError"
    running = queue.enqueue(forever, deadline=5, max_attempts=1)

    async def main() -> None:
        started = asyncio.create_task(project.queues.events.wait_on("job_started"))
        async with queue.worker():
            await started
            clock.advance(5)
            with pytest.raises(JobFailedError, match="took longer than 5 s"):
                await running.result()

    asyncio.run(main())


def test_jobs_that_are_not_kept_are_gone_and_their_numbers_stay_used(
    project: Project, handlers: HandlerRegistry
) -> None:
    note = job(registry=handlers, name="note", inline=True)(lambda: 1)
    queue = project.queue("work", keep_completed=0)
    one = queue.enqueue(note)
    queue.work_sync()
    with pytest.raises(UnknownJobError):
        project.job(one.id)
    assert queue.enqueue(note).id == one.id + 1


def test_inputs_that_do_not_fit_are_refused_where_they_are_given(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers)
    async def double(value: int) -> int:
        return value * 2

    queue = project.queue("work")
    for wrong in ({}, {"value": "x"}, {"valeu": 1}):
        with pytest.raises(JobInputError, match="double"):
            queue.enqueue(double, wrong)
    with pytest.raises(JobInputError):
        queue.enqueue_many(double, [{"value": 1}, {"value": "x"}])
    assert queue.counts() == {}


def test_a_handler_that_was_unknown_where_its_job_came_from_still_says_how_long_to_wait(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    one = project.queue("work").enqueue("fail")  # nobody knows it yet

    @job(registry=handlers, retry=Retry(attempts=3, delay=120, jitter=False))
    def fail() -> None:
        raise ValueError("no")

    project.queue("work").work_sync()
    assert one.record.run_after == clock.now() + 120_000


@pytest.mark.parametrize("mode", ["in place", "in place with a context", "inline", "on the loop", "in a thread"])
@pytest.mark.parametrize(
    ("error", "status"), [(SystemExit, "failed"), (GeneratorExit, "failed"), (asyncio.CancelledError, "aborted")]
)
def test_a_handler_that_wants_to_end_the_program_ends_its_job_only(
    project: Project, handlers: HandlerRegistry, mode: str, error: type[BaseException], status: str
) -> None:
    async def in_place() -> None:
        raise error

    async def with_a_context(context: JobContext) -> None:
        raise error

    async def on_the_loop() -> None:
        await asyncio.sleep(0)
        raise error

    def plainly() -> None:
        raise error

    function = {"in place": in_place, "in place with a context": with_a_context, "on the loop": on_the_loop}
    leave = job(registry=handlers, name="leave", inline=mode == "inline")(function.get(mode, plainly))
    note = job(registry=handlers, name="note")(lambda: "noted")
    queue = project.queue("work")
    one, other = queue.enqueue(leave), queue.enqueue(note)
    assert queue.work_sync() == 2
    assert (one.status, one.attempt, other.status) == (status, 1, "completed")


def test_an_error_that_cannot_be_told_is_kept_as_well_as_it_can(project: Project, handlers: HandlerRegistry) -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    errors = {"mute": MuteError(), "half": ValueError("\ud800 is half a letter"), "long": ValueError("x" * 1_000_000)}

    @job(registry=handlers)
    async def fail(how: str) -> None:
        raise errors[how]

    queue = project.queue("work")
    jobs = queue.enqueue_many(fail, [{"how": how} for how in errors], max_attempts=1)
    assert queue.work_sync() == 3
    told = [str(each.error) for each in jobs]
    assert "MuteError: (its message cannot be told: str() raised RuntimeError)" in told[0]
    assert "ValueError: \\ud800 is half a letter" in told[1]
    assert len(told[2]) < 21_000
    assert told[2].endswith("… (1000000 characters)")
    assert len(jobs[2].record.error or "") < 100_000
