"""Schedules from one process: made by whatever worker there is, once for each due time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from workglow import Retry, Workflow, job, task
from workglow.errors import JobInputError, ScheduleError, UnknownScheduleError, WorkglowError
from workglow.file import doctor
from workglow.storage.sqlite.retention import collect, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow import Project
    from workglow.queue import HandlerRegistry
    from workglow.testing import FakeClock


@pytest.fixture(autouse=True)
def note(handlers: HandlerRegistry) -> list[str]:
    said: list[str] = []

    @job(registry=handlers, inline=True)
    def note(text: str = "") -> None:
        said.append(text)

    return said


def work(project: Project) -> int:
    return asyncio.run(project.worker().run(until_idle=True))


def keys(project: Project) -> list[str | None]:
    return [each.record.key for each in reversed(project.queues.jobs(limit=1000))]


def test_a_schedule_makes_a_job_at_each_due_time(project: Project, clock: FakeClock, note: list[str]) -> None:
    every = project.schedule("minutely", "note", {"text": "hello"}, every=60, priority=7, max_attempts=9)
    assert (every.next_at, every.last_due, every.last_job) == (_moment(clock.now() + 60_000), None, None)
    clock.advance(59.999)
    assert work(project) == 0
    clock.advance(0.001)
    assert work(project) == 1
    assert work(project) == 0
    assert (every.last_due, every.next_at) == (_moment(clock.now()), _moment(clock.now() + 60_000))
    assert every.last_job is not None
    record = every.last_job.record
    assert (record.status, record.queue, record.priority, record.max_attempts) == ("completed", "default", 7, 9)
    assert record.key == "minutely@2023-11-14T22:14:20Z"
    assert note == ["hello"]
    assert every.record.fired == 1


def _moment(time: int) -> datetime:
    return datetime.fromtimestamp(time / 1000, UTC)


def test_a_cron_expression_is_read_in_its_time_zone(project: Project, clock: FakeClock) -> None:
    nightly = project.schedule("nightly", "note", cron="0 3 * * *", timezone="Europe/Berlin")
    assert str(nightly.next_at) == "2023-11-15 03:00:00+01:00"
    clock.advance(86_400)
    assert work(project) == 1
    assert str(nightly.last_due) == "2023-11-15 03:00:00+01:00"
    assert str(nightly.next_at) == "2023-11-16 03:00:00+01:00"


@pytest.mark.parametrize(("catch_up", "made"), [("skip", 0), ("one", 1), ("all", 8)])
def test_what_was_due_while_nobody_worked(project: Project, clock: FakeClock, catch_up: str, made: int) -> None:
    project.schedule("hourly", "note", cron="0 * * * *", catch_up=catch_up)  # type: ignore[arg-type]
    clock.advance(8 * 3600)
    assert work(project) == made
    times = [f"hourly@2023-11-1{4 + (hour > 23)}T{hour % 24:02}:00:00Z" for hour in range(23, 31)]
    assert keys(project) == times[len(times) - made :]
    clock.advance(2800)  # to the full hour
    assert work(project) == 1


def test_more_missed_times_than_fit_one_transaction_are_all_made_up_for(project: Project, clock: FakeClock) -> None:
    project.schedule("often", "note", every=1, catch_up="all")
    clock.advance(250)
    assert work(project) == 250
    assert len(set(keys(project))) == 250


def test_a_clock_that_is_set_back_repeats_nothing(project: Project, clock: FakeClock) -> None:
    project.schedule("minutely", "note", cron="* * * * *")
    clock.advance(3600)
    assert work(project) == 1
    clock.advance(-3600)
    for _ in range(60):
        clock.advance(60)
        assert work(project) == 0
    clock.advance(60)
    assert work(project) == 1
    assert len(set(keys(project))) == 2


def test_saying_the_same_again_goes_on_where_it_was(project: Project, clock: FakeClock, note: list[str]) -> None:
    one = project.schedule("s", "note", {"text": "old"}, every=timedelta(minutes=1))
    clock.advance(90)
    again = project.schedule("s", "note", {"text": "new"}, every=60)
    assert again == one
    assert work(project) == 1, "what was missed is caught up with"
    assert note == ["new"]
    assert one.next_at == _moment(clock.now() + 30_000), "and it stays in step"
    project.schedule("s", "note", every=100)
    assert one.next_at == _moment(clock.now() + 100_000)
    assert [each.name for each in project.schedules()] == ["s"]


def test_a_pause_makes_nothing_and_is_not_made_up_for(project: Project, clock: FakeClock) -> None:
    one = project.schedule("s", "note", every=60, catch_up="all")
    clock.advance(60)
    one.pause()
    assert (one.paused, one.next_at) == (True, None)
    clock.advance(600)
    assert work(project) == 0
    project.schedule("s", "note", every=60, catch_up="all")
    assert one.paused, "saying it again does not end the pause"
    project.schedule("s", "note", every=30, catch_up="all")
    assert (one.paused, one.next_at) == (True, None)
    one.resume()
    assert one.next_at == _moment(clock.now() + 30_000)
    assert work(project) == 0
    clock.advance(30)
    assert work(project) == 1


def test_what_is_removed_is_not_done_again(project: Project, clock: FakeClock) -> None:
    one = project.schedule("s", "note", every=60)
    project.unschedule("s")
    clock.advance(600)
    assert work(project) == 0
    for refused in (lambda: project.unschedule("s"), one.pause, one.resume, one.remove, lambda: one.next_at):
        with pytest.raises(UnknownScheduleError, match="'s'"):
            refused()


def test_a_schedule_that_cannot_be_is_refused_at_once(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers, retry=Retry(2))
    def strict(number: int) -> None: ...

    with pytest.raises(ScheduleError):
        project.schedule("s", "note")
    with pytest.raises(ScheduleError, match="catch_up"):
        project.schedule("s", "note", every=5, catch_up="some")  # type: ignore[arg-type]
    with pytest.raises(ScheduleError, match="name"):
        project.schedule("", "note", every=5)
    with pytest.raises(JobInputError):
        project.schedule("s", strict, {"number": "many"}, every=5)
    assert project.schedules() == []
    assert project.schedule("s", strict, {"number": 1}, every=5).inputs == {"number": 1}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"every": float("nan")}, "every=nan: give seconds, or a timedelta"),
        ({"every": float("inf")}, "every=inf: give seconds, or a timedelta"),
        ({"every": 1e300}, "of at most 1000 years"),
        ({"every": "60"}, "every='60': give seconds"),
        ({"every": 0.0001}, "give more than 0 seconds"),
        ({"cron": 5}, "cron=5: give a text"),
        ({"cron": "* * * * *", "timezone": None}, "timezone=None: give a text"),
        ({"cron": "0 0 3 * * *"}, "Wrong number of fields.  Write minute, hour, day of month"),
        ({"every": 5, "delay": 3}, "delay is nothing that a schedule says of its jobs; it has priority, "),
        ({"every": 5, "idempotency_key": "a"}, "idempotency_key is nothing that a schedule says"),
        ({"every": 5, "prioritty": 3}, "prioritty is nothing that a schedule says"),
    ],
)
def test_what_makes_no_sense_of_a_schedule_is_refused_by_name(
    project: Project, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(ScheduleError, match=says):
        project.schedule("s", "note", **given)
    assert project.schedules() == []


def test_one_that_this_machine_cannot_read_stops_nobody(project: Project, clock: FakeClock) -> None:
    project.schedule("good", "note", cron="* * * * *")
    moved = project.schedule("moved", "note", cron="* * * * *")
    with project.file.transaction() as db:
        db.execute("UPDATE schedule SET timezone = 'Mars/Olympus' WHERE name = 'moved'")
    clock.advance(60)
    assert work(project) == 1
    assert moved.error is not None
    assert "Mars/Olympus" in moved.error
    assert moved.record.next_at is None
    clock.advance(60)
    assert work(project) == 1
    project.schedule("moved", "note", cron="* * * * *", timezone="Europe/Berlin")
    assert moved.error is None
    clock.advance(60)
    assert work(project) == 2


def test_a_worker_sleeps_until_the_next_one_is_due(project: Project, clock: FakeClock, note: list[str]) -> None:
    async def main() -> None:
        async with project.worker():
            project.schedule("soon", "note", every=0.5)
            await _until(lambda: clock.waiting() > 1)
            clock.advance(0.5)  # its sleep alone would take a second
            await _until(lambda: note == [""])

    asyncio.run(main())


def test_a_worker_without_a_free_place_still_makes_the_jobs(
    project: Project, clock: FakeClock, handlers: HandlerRegistry
) -> None:
    """With "skip", one that noticed the due time only when its long job has ended would drop it."""

    async def main() -> None:
        done = asyncio.Event()

        @job(registry=handlers)
        async def long() -> None:
            await done.wait()

        queue = project.queue("work")
        running = queue.enqueue(long)
        project.schedule("s", "note", every=300, catch_up="skip")
        async with project.worker(queue):
            await _until(lambda: running.status == "running")
            for _ in range(301):
                clock.advance(1)
                await asyncio.sleep(0)
            await _until(lambda: len(project.queue("default").jobs()) == 1)
            done.set()

    asyncio.run(main())


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_a_graph_is_run_at_each_due_time_and_kept_until_then(project: Project, clock: FakeClock) -> None:
    @task(output="text", cache=False)
    def shout(text: str) -> str:
        return text.upper()

    hourly = project.schedule("hourly", Workflow().then(shout), {"text": "x" * 5000}, every=3600)
    collect(project.file, plan(project.file))
    clock.advance(3600)
    assert work(project) == 2  # one that submits the run, and one that drives it
    (run,) = project.runs()
    assert run.outputs["text"] == "X" * 5000
    assert hourly.last_job is not None
    assert hourly.last_job.result_sync() == run.id
    with project.file.transaction() as db:  # as if the worker had been lost before it could settle the job
        db.execute(
            "UPDATE job SET status = 'pending', output = NULL, finished_at = NULL WHERE id = ?", (hourly.last_job.id,)
        )
    assert work(project) == 1
    assert [each.id for each in project.runs()] == [run.id]
    assert hourly.inputs == {"text": "x" * 5000}
    with pytest.raises(WorkglowError):
        project.schedule("other", Workflow().then(shout), {"nothing": 1}, every=5)


def test_what_jobs_refer_to_is_not_collected(project: Project) -> None:
    text = "long " * 5000
    one = project.queue("default").enqueue("note", {"text": text})
    collect(project.file, plan(project.file))
    assert one.inputs == {"text": text}
    work(project)
    assert doctor(project.path).ok
