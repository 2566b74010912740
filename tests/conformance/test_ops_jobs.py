"""Cases 1 to 4, 6 to 8 and 11 to 13 of the operations, in our words.

What is ours: `max_retries` n is `max_attempts` n + 1; PROCESSING is running; ABORTED is a status; a prefix is a scope.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from queue_jobs import handlers, project, scripted
from taken_turns import take

import workglow as wg
from workglow import JobChange, Project, RateLimiter, task
from workglow.errors import JobAbortedError, JobFailedError, UnknownJobError
from workglow.queue import JobEvent
from workglow.storage.jobs import Ask
from workglow.testing import FakeClock

__all__ = ["project"]


def events(project: Project) -> list[JobEvent]:
    heard: list[JobEvent] = []
    project.queues.events.subscribe(heard.append)
    return heard


def kinds(heard: list[JobEvent]) -> list[str]:
    return [event.kind for event in heard]


@pytest.mark.parametrize(("jobs", "claims"), [(1, 10), (5, 15)])
def test_ops_01_only_one_worker_gets_a_job(project: Project, jobs: int, claims: int) -> None:
    queue = project.queue("work")
    added = queue.enqueue_many(scripted, [{"data": f"job-{n}"} for n in range(jobs)])
    repository = project.queues.repository
    workers = [repository.begin_worker("[]", "[]", 1) for _ in range(claims)]
    turns = [take(repository, Ask(worker, [queue.row_id], (), 1)) for worker in workers]
    claimed = [job.id for turn in turns for job in turn.claimed]
    assert claimed == [job.id for job in added]
    assert queue.counts() == {"running": jobs}


def test_ops_02_retry_stops_at_the_last_attempt(project: Project, clock: FakeClock) -> None:
    queue = project.queue("work")
    job = queue.enqueue(scripted, {"task_type": "failing_retryable"}, max_attempts=3)
    for attempt in (1, 2):
        assert queue.work_sync() == 1
        record = job.refresh().record
        assert (record.status, record.attempt, record.finished_at, record.progress) == ("pending", attempt, None, None)
        assert record.run_after == clock.now() + 2000
        clock.advance(1.999)
        assert queue.work_sync() == 0, "not before the wait is over"
        clock.advance(0.001)
    assert queue.work_sync() == 1
    with pytest.raises(JobFailedError, match="Job failed but can be retried"):
        job.result_sync()
    assert (job.status, job.attempt) == ("failed", 3)


@pytest.mark.extra("telemetry")
def test_ops_02_the_last_span_of_a_job_that_failed_says_why(tmp_path: Path, clock: FakeClock) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="needs opentelemetry-sdk")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import StatusCode

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = wg.OpenTelemetryTracer(provider)
    with wg.open(tmp_path / "traced.wg", clock=clock, handlers=handlers, tracer=tracer) as project:
        queue = project.queue("work")
        job = queue.enqueue(scripted, {"task_type": "failing_retryable"}, max_attempts=3)
        for _ in range(3):
            queue.work_sync()
            clock.advance(2)
        assert job.status == "failed"
        told = str(job.error)
    spans = exporter.get_finished_spans()
    known = [span.attributes or {} for span in spans]
    assert [each["workglow.job.attempt"] for each in known] == [1, 2, 3]
    said = "RetryableJobError: Job failed but can be retried"
    assert (spans[-1].status.status_code, spans[-1].status.description) == (StatusCode.ERROR, said)
    assert known[-1]["workglow.job.error"] == said
    assert told.endswith(said), "the same as the job's own error"


@pytest.mark.parametrize(
    ("kind", "most", "type", "text"),
    [
        ("permanent_fail", 3, "PermanentJobError", "Permanent failure - do not retry"),
        ("failing", 1, "ValueError", "Job failed as expected"),
    ],
)
def test_ops_03_permanent_and_last_errors_do_not_retry(
    project: Project, kind: str, most: int, type: str, text: str
) -> None:
    heard = events(project)
    queue = project.queue("work")
    job = queue.enqueue(scripted, {"task_type": kind}, max_attempts=most)
    queue.work_sync()
    with pytest.raises(JobFailedError, match=text) as raised:
        job.result_sync()
    assert raised.value.type == type
    assert (job.status, job.attempt) == ("failed", 1)
    (event,) = [event for event in heard if event.kind == "job_failed"]
    assert (event.job, text in event.data) == (job.id, True)


def test_ops_04_abort_a_running_job(project: Project) -> None:
    heard = events(project)
    queue = project.queue("work")
    job = queue.enqueue(scripted, {"task_type": "long_running"})

    async def main() -> None:
        started = asyncio.create_task(project.queues.events.wait_on("job_started"))
        async with queue.worker():
            await started
            job.abort("Aborted via signal")
            with pytest.raises(JobAbortedError, match="Aborted via signal"):
                await job.result()

    asyncio.run(main())
    assert kinds(heard) == ["job_started", "job_aborted"]
    assert (job.status, job.attempt, queue.counts()) == ("aborted", 1, {"aborted": 1})


def test_ops_06_a_deferred_job_is_claimed_when_it_is_due(project: Project, clock: FakeClock) -> None:
    queue = project.queue("work")
    job = queue.enqueue(scripted, {"data": "input"}, delay=3600)
    assert job.record.run_after == clock.now() + 3_600_000
    assert queue.work_sync() == 0
    clock.advance(3600)
    assert queue.work_sync() == 1


def test_ops_07_retention(project: Project, clock: FakeClock) -> None:
    queue = project.queue("work", keep_completed=0.010)
    job = queue.enqueue(scripted)
    queue.work_sync()
    assert job.status == "completed"
    clock.advance(0.030)
    project.queues.repository.prune()
    with pytest.raises(UnknownJobError):
        project.job(job.id)
    kept = project.queue("kept")
    other = kept.enqueue(scripted)
    kept.work_sync()
    clock.advance(1e6)
    project.queues.repository.prune()
    assert project.job(other.id).status == "completed"


def test_ops_07_what_is_not_kept_is_told_to_who_waits(project: Project) -> None:
    queue = project.queue("gone", keep_completed=0, keep_failed=0)
    good = queue.enqueue(scripted, {"data": "input"})
    bad = queue.enqueue(scripted, {"task_type": "failing"}, max_attempts=1)

    async def main() -> None:
        waiting = [asyncio.create_task(job.result()) for job in (good, bad)]
        await asyncio.sleep(0)
        async with queue.worker():
            assert await waiting[0] == {"result": "output"}
            with pytest.raises(JobFailedError, match="as expected"):
                await waiting[1]

    asyncio.run(main())
    assert queue.counts() == {}
    fresh = queue.enqueue(scripted)
    queue.work_sync()
    with pytest.raises(UnknownJobError, match="any more"):
        _ = fresh.status


def test_ops_08_progress(project: Project) -> None:
    heard = events(project)
    queue = project.queue("work")
    job = queue.enqueue(scripted, {"task_type": "progress"})

    async def main() -> list[object]:
        async with queue.worker():
            seen: list[object] = [tuple(report) async for report in job.progress()]
            assert await job.result() == {"result": "completed with progress"}
            return seen

    expected = [
        (25.0, "Starting task", None),
        (50.0, "Halfway there", None),
        (75.0, "Almost done", {"stage": "almost final"}),
        (100.0, "Completed", {"stage": "final"}),
    ]
    assert asyncio.run(main()) == expected
    assert [tuple(event.data) for event in heard if event.kind == "job_progress"] == expected
    assert job.newest_report.percent == 100


def test_ops_11_scopes_are_apart(project: Project) -> None:
    scopes = [{"user": "u1", "project": 100}, {"user": "u1", "project": 200}, {"user": "u2", "project": 100}, {}]
    queues = [project.queue("test-queue", scope=scope) for scope in scopes]
    jobs = [queue.enqueue(scripted, {"data": f"{scope}"}) for queue, scope in zip(queues, scopes, strict=True)]
    for queue, job in zip(queues, jobs, strict=True):
        assert queue.jobs() == [job]
    assert queues[0].work_sync() == 1
    assert [queue.counts() for queue in queues] == [{"completed": 1}, *[{"pending": 1}] * 3]
    assert project.queue("test-queue-2").counts() == {}


def test_ops_13_restart(project: Project) -> None:
    queue = project.queue("work")
    first = queue.enqueue(scripted, {"data": "input"})

    async def main() -> None:
        async with queue.worker():
            await first.result()
        after = queue.enqueue(scripted, {"data": "after_pause"})
        assert after.status == "pending"
        async with queue.worker(), queue.worker():  # two live workers do it once
            assert await after.result() == {"result": "after_pause"}
        assert after.attempt == 1

    asyncio.run(main())


def test_ops_08_who_does_not_listen_any_more_hears_nothing(project: Project) -> None:
    heard: list[JobEvent] = []
    stop = project.queues.events.subscribe(heard.append)
    queue = project.queue("work")
    queue.enqueue(scripted, {"task_type": "progress"})
    queue.work_sync()
    before = len(heard)
    stop()
    queue.enqueue(scripted, {"task_type": "progress"})
    queue.work_sync()
    assert len(heard) == before > 0


def test_ops_11_limits_of_scopes_are_apart(project: Project, clock: FakeClock) -> None:
    mine, yours = (project.queue("calls", scope={"user": user}, limits=[RateLimiter(1)]) for user in ("u1", "u2"))
    untils = [mine.hold(3600, "until 2030"), yours.hold(7200, "until 2031")]
    assert [queue.limits[0].hold_until for queue in (mine, yours)] == untils
    assert untils == [clock.now() + 3_600_000, clock.now() + 7_200_000]
    jobs = [queue.enqueue(scripted) for queue in (mine, yours)]
    clock.advance(3600)
    assert [mine.work_sync(), yours.work_sync()] == [1, 0]
    assert [job.status for job in jobs] == ["completed", "pending"]
    ours = [project.limiter("openai", RateLimiter(1), scope={"user": user}) for user in ("u1", "u2")]
    assert [limiter.take() is not None for limiter in (*ours, *ours)] == [True, True, False, False]


def test_ops_12_change_feed(project: Project) -> None:
    feed, other = project.events(), project.events()
    queue = project.queue("work", keep_completed=60)
    job = queue.enqueue(scripted, {"task_type": "progress", "data": "test-job"})
    queue.work_sync()
    feed_at = feed.seq
    changes = feed.read()
    assert [(each.kind, each.old, each.new) for each in changes if each.kind != "progress"] == [
        ("added", None, "pending"),
        ("started", "pending", "running"),
        ("completed", "running", "completed"),
    ]
    assert {each.job for each in changes if isinstance(each, JobChange)} == {job.id}
    assert job.inputs["data"] == "test-job"
    assert [each.seq for each in changes] == list(range(feed_at, feed.seq)), "no gap"
    assert other.read() == changes, "two readers hear the same"
    again = project.events(changes[0].seq + 1)
    assert again.read() == changes[1:], "a reader goes on from where it was"


def test_ops_12_scopes_choose(project: Project) -> None:
    scopes = [{"user": "u1", "project": "p1"}, {"user": "u1", "project": "p2"}, {"user": "u2", "project": "p1"}]
    everything, of_u1, of_one = (project.events(scope=scope) for scope in ({}, {"user": "u1"}, scopes[0]))
    jobs = [project.queue("work", scope=scope).enqueue(scripted).id for scope in scopes]
    heard = [[each.job for each in feed.read() if isinstance(each, JobChange)] for feed in (everything, of_u1, of_one)]
    assert heard == [jobs, jobs[:2], jobs[:1]]


def test_ops_13_a_task_in_a_queue_is_done_when_a_worker_is_there(project: Project) -> None:
    def ops_13_add(a: int = 1, b: int = 2) -> int:
        return a + b

    adding = task(output="result", queue="sums")(ops_13_add)

    async def main() -> None:
        waiting = asyncio.create_task(project.run(adding))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done(), "nobody works"
        assert project.queue("sums").counts() == {"pending": 1}
        async with project.worker("sums"):
            run = await waiting
        assert run.outputs == {"result": 3}
        assert project.queue("sums").counts() == {"completed": 1}

    asyncio.run(main())
