"""What a tracer is told of jobs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from span_recorder import Recorder

import workglow as wg
from workglow import JobContext, Project, Workflow, task
from workglow.errors import JobFailedError, PermanentJobError, RateLimitedError, RetryableJobError
from workglow.queue import HandlerRegistry
from workglow.queue.attempts import Attempts
from workglow.telemetry import Attributes
from workglow.testing import FakeClock

handlers = HandlerRegistry()


@wg.job(registry=handlers, name="in_place")
async def in_place(value: int) -> int:
    return value


@wg.job(registry=handlers, name="on_the_loop")
async def on_the_loop(value: int, context: JobContext) -> int:
    await asyncio.sleep(0)
    with context.span("part"):
        return value


@wg.job(registry=handlers, name="in_thread")
def in_thread(value: int, context: JobContext) -> int:
    with context.span("part"):
        return value


@wg.job(registry=handlers, name="raises")
def raises(kind: str) -> None:
    if kind == "retryable":
        raise RetryableJobError("busy", after=1)
    if kind == "limited":
        raise RateLimitedError("too many", retry_after=1)
    raise PermanentJobError("never")


@wg.job(registry=handlers, name="in_place_raises")
async def in_place_raises() -> None:
    raise PermanentJobError("at once")


@wg.job(registry=handlers, name="waits")
async def waits() -> None:
    await asyncio.Event().wait()


@task(name="traced_in_job", output="value", inline=True)
def plain(value: int) -> int:
    return value


@wg.job(registry=handlers, name="runs")
async def runs(value: int, context: JobContext) -> object:
    run = await context.project.run(Workflow().then(plain), {"value": value})
    return run.outputs["value"]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def project(tmp_path: Path, recorder: Recorder) -> Iterator[Project]:
    with wg.open(tmp_path / "a.wg", clock=FakeClock(), handlers=handlers, tracer=recorder) as opened:
        yield opened
    recorder.check_all_ended()


def facts(recorder: Recorder) -> list[tuple[object, ...]]:
    """Of each attempt: its number, what it came to, and its error."""
    return [
        (span.attributes["workglow.job.attempt"], span.attributes["workglow.job.outcome"], span.error)
        for span in recorder.spans
        if span.name == "workglow.job"
    ]


@pytest.mark.parametrize("handler", [in_place, on_the_loop, in_thread], ids=lambda handler: handler.name)
def test_each_job_has_a_span_around_its_handler(project: Project, recorder: Recorder, handler: Any) -> None:
    job = project.queue("work").enqueue(handler, {"value": 7})
    project.queue("work").work_sync()
    assert recorder.tree() == ["workglow.job"] + ["  part"] * (handler is not in_place)
    assert recorder.spans[0].attributes == {
        "workglow.queue": "work",
        "workglow.job.id": job.id,
        "workglow.job.handler": handler.name,
        "workglow.job.attempt": 1,
        "workglow.job.outcome": "completed",
    }
    assert recorder.spans[0].error is None


def test_each_attempt_has_a_span_with_what_it_failed_with(project: Project, recorder: Recorder) -> None:
    queue = project.queue("work")
    job = queue.enqueue(raises, {"kind": "retryable"}, max_attempts=2)
    queue.work_sync()
    project.file.clock.advance(1)  # type: ignore[attr-defined]
    queue.work_sync()
    assert job.status == "failed"
    error = "RetryableJobError: busy"
    assert facts(recorder) == [(1, "failed", error), (2, "failed", error)]
    last = recorder.spans[-1].attributes
    assert (last["workglow.job.error"], last["error.type"]) == (error, "RetryableJobError")


def test_what_is_raised_in_place_or_by_a_provider_is_an_error_too(project: Project, recorder: Recorder) -> None:
    queue = project.queue("work")
    queue.enqueue(in_place_raises)
    queue.enqueue(raises, {"kind": "limited"})
    queue.work_sync()
    assert facts(recorder) == [
        (1, "failed", "PermanentJobError: at once"),
        (1, "limited", "RateLimitedError: too many"),
    ]


def test_inputs_that_do_not_fit_have_failed_an_attempt(project: Project, recorder: Recorder) -> None:
    with wg.open(project.path, handlers=HandlerRegistry()) as elsewhere:  # where nobody knows what it takes
        elsewhere.queue("work").enqueue("in_thread", {"value": "no number"})
    project.queue("work").work_sync()
    ((attempt, outcome, error),) = facts(recorder)
    assert (attempt, outcome) == (1, "failed")
    assert "JobInputError" in str(error)


def test_an_aborted_job_and_one_that_is_handed_back_are_no_errors(project: Project, recorder: Recorder) -> None:
    queue = project.queue("work")
    first, second = queue.enqueue(waits), queue.enqueue(waits)

    async def main() -> None:
        worker = queue.worker()
        working = asyncio.create_task(worker.run())
        await project.queues.events.wait_on("job_started")
        second_begins = asyncio.create_task(project.queues.events.wait_on("job_started"))
        first.abort("enough")
        await second_begins
        worker.stop(grace=0)
        await working

    asyncio.run(main())
    assert second.status == "pending"
    assert facts(recorder) == [(1, "aborted", None), (1, "returned", None)]


def test_an_attempt_whose_claim_was_lost_says_so(project: Project, recorder: Recorder) -> None:
    queue = project.queue("work")
    queue.enqueue(waits)

    async def main() -> None:
        worker = queue.worker()
        working = asyncio.create_task(worker.run())
        await project.queues.events.wait_on("job_started")
        lost = asyncio.create_task(project.queues.events.wait_on("job_lost"))
        await asyncio.sleep(0)
        with project.file.transaction() as db:
            db.execute("UPDATE job SET claim = claim + 1, session_id = NULL")
        project.file.notify()
        await lost
        assert facts(recorder) == [(1, "lost", None)]
        worker.stop(grace=0)
        await working

    asyncio.run(main())


def test_a_run_in_a_handler_is_inside_the_span_of_its_job(project: Project, recorder: Recorder) -> None:
    project.queue("work").enqueue(runs, {"value": 1})
    project.queue("work").work_sync()
    assert recorder.tree() == ["workglow.job", "  run", "    task traced_in_job traced_in_job"]


def test_a_job_of_an_unknown_handler_is_no_attempt(project: Project, recorder: Recorder) -> None:
    project.queue("work").enqueue("elsewhere")
    project.queue("work").work_sync()
    assert recorder.spans == []


class Raising:
    def start(self, name: str, attributes: Attributes, parent: wg.Span | None, /) -> wg.Span:
        raise RuntimeError("the collector is gone")


def test_a_tracer_that_raises_is_asked_no_more_and_the_workers_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with wg.open(tmp_path / "a.wg", handlers=handlers, tracer=Raising()) as project:
        for value in (1, 2):
            project.queue("work").enqueue(in_place, {"value": value})
            assert project.queue("work").work_sync() == 1
    (said,) = caplog.records
    assert said.getMessage() == "Raising raised, so nothing more of the workers is traced.  They go on."


def test_without_a_tracer_the_attempts_are_plain() -> None:
    with wg.open(":memory:", handlers=handlers) as project:
        assert type(project.worker()._attempts) is Attempts  # pyright: ignore[reportPrivateUsage]


@pytest.mark.extra("telemetry")
def test_jobs_are_spans_of_opentelemetry() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="needs opentelemetry-sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    library, seen = provider.get_tracer("a library"), list[str]()
    registry = HandlerRegistry()

    @wg.job(registry=registry, name="instrumented")
    def instrumented() -> None:
        with library.start_as_current_span("library"):
            seen.append(threading.current_thread().name)
        raise ValueError("no")

    with wg.open(":memory:", handlers=registry, tracer=wg.OpenTelemetryTracer(provider)) as project:
        queue = project.queue("work")
        jobs = [queue.enqueue(instrumented, max_attempts=1)]
        queue.work_sync()
        with library.start_as_current_span("request"):
            jobs.append(queue.enqueue(instrumented, max_attempts=1))
            queue.work_sync()
        for job in jobs:
            with pytest.raises(JobFailedError, match="ValueError: no"):
                job.result_sync()
    inner, first, inner_too, second, request = exporter.get_finished_spans()
    assert [span.name for span in (inner, first, inner_too, second, request)] == [
        *("library", "workglow.job", "library", "workglow.job", "request")
    ]
    assert first.parent is None, "where nothing is current, it is inside nothing"
    for span, around in ((second, request), (inner, first), (inner_too, second)):
        assert span.parent is not None
        assert span.parent == around.context
    assert (first.status.status_code, first.status.description) == (trace.StatusCode.ERROR, "ValueError: no")
    assert (first.attributes or {})["workglow.job.error"] == "ValueError: no"
    assert not first.events
    assert trace.get_current_span() is trace.INVALID_SPAN
