"""Jobs from one process: put in, done, tried again, aborted, left alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from workglow import JobContext, job
from workglow.errors import (
    JobAbortedError,
    JobFailedError,
    JobInputError,
    JobStateError,
    PermanentJobError,
    RetryableJobError,
    TaskConfigurationError,
    UnknownJobError,
    UnstorableValueError,
)
from workglow.queue.terms import JobTerms
from workglow.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    one = queue.enqueue(note, idempotency_key="daily")
    assert queue.enqueue(note, idempotency_key="daily") == one
    assert other.enqueue(note, idempotency_key="daily") != one
    queue.work_sync()
    assert queue.enqueue(note, idempotency_key="daily") != one


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
    for handler in (double, "double", "unknown"):
        with pytest.raises(JobInputError, match=r"inputs\[1\]: its inputs are a int; give a mapping"):
            queue.enqueue_many(handler, [{"value": 1}, 2])  # pyright: ignore[reportArgumentType]
    assert queue.counts() == {}


@pytest.mark.parametrize("wrong", [{}, {"value": "x"}, {"valeu": 1}, {"value": 1, "more": 2}, {"value": None}])
def test_of_many_inputs_the_one_that_does_not_fit_is_named(
    project: Project, handlers: HandlerRegistry, wrong: dict[str, Any]
) -> None:
    double = job(registry=handlers, name="double")(twice)
    queue = project.queue("work")
    for many in ([wrong], [{"value": 1}, wrong, {"value": 2}]):
        for given in (many, tuple(many), iter(many)):
            with pytest.raises(JobInputError, match=rf"'double', inputs\[{len(many) // 2}\]: input '"):
                queue.enqueue_many(double, given)
    assert queue.counts() == {}


@pytest.mark.parametrize("known", [True, False])
def test_of_many_inputs_the_one_that_cannot_be_stored_is_named(
    project: Project, handlers: HandlerRegistry, known: bool
) -> None:
    if known:
        job(registry=handlers, name="shout")(in_capitals)
    many = [{"text": "a"}, {"text": "b"}, {"text": "\ud800"}]
    for given in (many, iter(many)):
        with pytest.raises(UnstorableValueError, match=r"job 'shout', inputs\[2\]: port 'text' .*surrogate"):
            project.queue("work").enqueue_many("shout", given)
    assert project.queue("work").counts() == {}


def test_many_inputs_are_converted_as_one_is(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers)
    def keep(path: Path, page: float = 1.5, words: tuple[str, ...] = ()) -> None: ...

    queue = project.queue("work")
    many: list[Any] = [
        {"path": "a.md"}, {"path": Path("b.md"), "page": 2}, MappingProxyType({"path": "c", "words": ["d"]}),
    ]  # fmt: skip
    one_by_one = [queue.enqueue(keep, inputs).inputs for inputs in many]
    assert [each.inputs for each in queue.enqueue_many(keep, many)] == one_by_one
    assert one_by_one[1] == {"path": Path("b.md"), "page": 2.0, "words": ()}


@pytest.mark.parametrize("known", [True, False])
def test_a_generator_may_yield_one_mapping_again_and_again(
    project: Project, handlers: HandlerRegistry, known: bool
) -> None:
    if known:
        job(registry=handlers, name="double")(twice)

    def yielded() -> Iterator[dict[str, int]]:
        inputs: dict[str, int] = {}
        for value in range(3):
            inputs["value"] = value
            yield inputs

    jobs = project.queue("work").enqueue_many("double", yielded())
    assert [each.inputs["value"] for each in jobs] == [0, 1, 2]


def test_a_thousand_and_one_jobs_are_in_their_order(project: Project) -> None:
    jobs = project.queue("work").enqueue_many("double", [{"value": number} for number in range(1_001)])
    assert [job.id for job in jobs] == list(range(jobs[0].id, jobs[0].id + 1_001))
    assert [jobs[index].inputs["value"] for index in (0, 999, 1_000)] == [0, 999, 1_000]


def twice(value: int) -> int:
    return value * 2


def in_capitals(text: str) -> str:
    return text.upper()


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


@pytest.mark.parametrize(
    ("term", "meaning"),
    [
        ({"retries": 3}, "retries=3 is nothing that a job has; it has priority, delay, "),
        ({"key": "daily"}, "it has .*idempotency_key"),
        ({"priority": "high"}, "priority='high': give a whole number"),
        ({"priority": 2**63}, "priority=9223372036854775808: give a whole number"),
        ({"delay": -5}, "delay=-5: give seconds, 0 or more"),
        ({"delay": float("inf")}, "delay=inf: give seconds, 0 or more"),
        ({"delay": 1e12}, "delay=1000000000000.0: that is after the year 9999"),
        ({"delay": timedelta(seconds=5)}, "give seconds, 0 or more"),
        ({"delay": 5, "run_after": datetime.now(UTC)}, "delay and run_after both say when"),
        ({"run_after": "tomorrow"}, "run_after='tomorrow': give a datetime with a time zone"),
        ({"run_after": datetime(2026, 1, 1)}, "has no time zone"),
        ({"deadline": float("nan")}, "deadline=nan: give seconds, 0 or more, or a datetime"),
        ({"deadline": True}, "deadline=True: give seconds"),
        ({"timeout": 0}, "timeout=0: give seconds, more than 0"),
        ({"max_attempts": 1.5}, "max_attempts=1.5: give a whole number, 1 or more"),
        ({"max_attempts": 0}, "max_attempts=0: give a whole number, 1 or more"),
        ({"retry": 3}, r"retry=3: give a Retry: Retry\(attempts=5, delay=1\)"),
        ({"idempotency_key": ""}, "give (a text that is not empty|enqueue_many none)"),
        ({"group": ""}, "group='': give a text that is not empty"),
        ({"needs": [1]}, r"needs=\[1\]: give a list of jobs"),
        ({"cost": 0.5}, "cost=0.5: give a whole number, 0 or more"),
    ],
)
def test_a_term_that_makes_no_sense_is_refused_by_name(
    project: Project, handlers: HandlerRegistry, term: dict[str, Any], meaning: str
) -> None:
    note = job(registry=handlers, name="note")(lambda: "noted")
    queue = project.queue("work")
    for enqueue in (lambda: queue.enqueue(note, **term), lambda: queue.enqueue_many(note, [{}], **term)):
        with pytest.raises((TaskConfigurationError, JobInputError), match=meaning):
            enqueue()
    assert queue.counts() == {}


def test_a_term_that_is_none_is_not_said(project: Project, handlers: HandlerRegistry) -> None:
    note = job(registry=handlers, name="note", retry=Retry(attempts=7), timeout=5)(lambda: "noted")
    queue = project.queue("work")
    silent = dict.fromkeys(JobTerms.__annotations__)
    one, other = queue.enqueue(note, **silent), queue.enqueue(note)
    assert (one.record.max_attempts, one.record.options) == (other.record.max_attempts, other.record.options)
    assert other.record.max_attempts == 7


def test_what_is_no_handler_no_input_no_queue_or_no_status_is_refused(
    project: Project, handlers: HandlerRegistry
) -> None:
    queue = project.queue("work")
    for handler in (print, None, "", 3):
        with pytest.raises(TaskConfigurationError, match="is no handler: give a function under @job, or its name"):
            queue.enqueue(handler)  # pyright: ignore[reportArgumentType]
    for inputs in ([1], "text", []):
        with pytest.raises(JobInputError, match="give a mapping, name → value"):
            queue.enqueue("note", inputs)  # pyright: ignore[reportArgumentType]
    for concurrency in (0, 1.5, "4", True):
        with pytest.raises(TaskConfigurationError, match="at least 1 job at a time"):
            project.worker(queue, concurrency=concurrency)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TaskConfigurationError, match="3 is no queue"):
        project.worker(3)  # pyright: ignore[reportArgumentType]
    for look in (queue.jobs, project.queues.jobs):
        with pytest.raises(TaskConfigurationError, match="'done' is no status of a job; give some of pending, running"):
            look("done")  # pyright: ignore[reportArgumentType]
    for number in (2**63, "1"):
        with pytest.raises(UnknownJobError, match="There is no job"):
            project.job(number)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("setting", "meaning"),
    [
        ({"concurrency": 3}, "concurrency is no setting of a queue; it has limits, retry, timeout, keep_completed"),
        ({"retry": 3}, "give a Retry"),
        ({"timeout": "30"}, "timeout='30': give seconds"),
        ({"timeout": 0}, "timeout=0: give seconds, more than 0, or None"),
        ({"keep_failed": timedelta(days=1)}, "keep_failed=.*: give seconds, 0 or more, or None"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(
    project: Project, setting: dict[str, Any], meaning: str
) -> None:
    with pytest.raises(TaskConfigurationError, match=meaning):
        project.queue("work", **setting)


def test_why_a_job_is_not_retried(project: Project, handlers: HandlerRegistry, clock: FakeClock) -> None:
    note = job(registry=handlers, name="note")(lambda: "noted")
    queue = project.queue("work", keep_aborted=60)
    pending, completed = queue.enqueue(note, delay=60), queue.enqueue(note)
    keyed = queue.enqueue(note, idempotency_key="daily")
    keyed.abort()
    queue.work_sync()
    queue.enqueue(note, idempotency_key="daily")
    needed = queue.enqueue(note)
    needing = queue.enqueue(note, needs=[needed])
    needed.abort()
    project.queue("work", keep_failed=None, keep_aborted=None)
    for one, why in (
        (pending, "it is pending, and only failed and aborted jobs are"),
        (completed, "it is completed, and only failed and aborted jobs are"),
        (keyed, "another unfinished job has its idempotency key"),
    ):
        with pytest.raises(JobStateError, match=f"Job {one.id} is not retried: {why}"):
            one.retry()
    clock.advance(61)
    project.queues.repository.prune()
    with pytest.raises(JobStateError, match=f"it needs job {needed.id}, which is not kept any more"):
        needing.retry()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"retry": 3}, "later: retry=3: give a Retry"),
        ({"timeout": 0}, "later: timeout=0: give seconds, more than 0"),
        ({"timeout": "30"}, "later: timeout='30': give seconds, more than 0"),
        ({"executor": "thread"}, "later: executor='thread': 'process', or None"),
    ],
)
def test_a_handler_that_makes_no_sense_is_refused_at_once(
    handlers: HandlerRegistry, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(TaskConfigurationError, match=says):
        job(registry=handlers, name="later", **given)(lambda: None)
    assert "later" not in handlers


@pytest.mark.parametrize(
    "report",
    [("half",), (float("nan"),), (0.5, 7), (0.5, "\ud800"), (0.5, "", {"a": object()})],
    ids=["text", "nan", "no text", "half a letter", "no JSON"],
)
@pytest.mark.parametrize("threaded", [True, False])
def test_a_report_that_cannot_be_kept_is_refused_where_it_is_made(
    project: Project, handlers: HandlerRegistry, report: tuple[Any, ...], threaded: bool
) -> None:
    def plainly(context: JobContext) -> None:
        context.progress(*report)

    async def on_the_loop(context: JobContext) -> None:
        context.progress(*report)

    tell = job(registry=handlers, name="tell")(plainly if threaded else on_the_loop)
    one = project.queue("work").enqueue(tell)
    assert project.queue("work").work_sync() == 1
    assert (one.status, one.attempt) == ("failed", 1)
    assert "JobInputError: progress(" in str(one.error)


@pytest.mark.parametrize("threaded", [True, False])
def test_a_trace_begins_where_the_handler_does(project: Project, handlers: HandlerRegistry, threaded: bool) -> None:
    def inner() -> None:
        raise ValueError("deep inside")

    def plainly() -> None:
        inner()

    async def on_the_loop() -> None:
        await asyncio.sleep(0)
        inner()

    one = project.queue("work").enqueue(job(registry=handlers, name="dig")(plainly if threaded else on_the_loop))
    project.queue("work").work_sync()
    assert one.error is not None
    places = [line.rpartition(" in ")[2] for line in one.error.trace if line.startswith("  File ")]
    assert places[0] in ("plainly", "on_the_loop")
    assert places[1:] in (["inner"], ["sleep", "inner"])
    assert one.error.trace[-1] == "ValueError: deep inside"
