"""Spans as OpenTelemetry's own SDK receives them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import Retry, TaskContext, Workflow, task
from workglow.errors import MissingExtraError, TaskFailedError

pytestmark = pytest.mark.extra("telemetry")
pytest.importorskip("opentelemetry.sdk", reason="needs opentelemetry-sdk")

from opentelemetry import trace  # noqa: E402
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402


def context_of(span: ReadableSpan) -> trace.SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


class Collected:
    """A program's OpenTelemetry: its provider, and what it has exported."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.library = self.provider.get_tracer("a library")
        self.tracer = wg.OpenTelemetryTracer(self.provider)

    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self.spans() if span.name == name]
        return found

    def parent_of(self, name: str) -> str | None:
        parent = self.named(name).parent
        names = {context_of(span).span_id: span.name for span in self.spans()}
        return None if parent is None else names[parent.span_id]


collected = Collected()


@pytest.fixture(autouse=True)
def fresh() -> None:
    collected.__init__()


@task(name="OtelThread", output="value")
def in_thread(value: int) -> int:
    with collected.library.start_as_current_span("library"):
        return value


@task(name="OtelInline", output="value", inline=True)
def inline(value: int) -> int:
    with collected.library.start_as_current_span("library"):
        return value


@task(name="OtelStep", output="value")
async def step(value: int) -> int:
    with collected.library.start_as_current_span("library"):
        return value


@task(name="OtelCoroutine", output="value")
async def coroutine(value: int) -> int:
    await asyncio.sleep(0)
    with collected.library.start_as_current_span("library"):
        await asyncio.sleep(0)
        return value


@task(name="OtelStream", output="value")
async def stream(value: int) -> AsyncIterator[str]:
    yield "a"
    with collected.library.start_as_current_span("library"):
        yield "b"


@task(name="OtelContext", output="value", inline=True)
def with_context(value: int, context: TaskContext) -> int:
    with context.span("outer"), collected.library.start_as_current_span("library"):
        context.record_usage("m", input_tokens=7, output_tokens=2, cost=0.5)
    return value


@task(name="OtelFails", output="value", retry=Retry(attempts=1))
def fails(value: int) -> int:
    raise ValueError("no")


BODIES: list[Any] = [in_thread, inline, step, coroutine, stream]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.task_type.type)
@pytest.mark.parametrize("durable", [False, True], ids=["memory", "project"])
def test_the_tasks_span_is_the_current_one_while_its_body_runs(body: Any, durable: bool) -> None:
    workflow = Workflow().then(body)
    if durable:
        with wg.open(":memory:", tracer=collected.tracer) as project:
            project.run_sync(workflow, {"value": 1})
    else:
        workflow.run_sync({"value": 1}, tracer=collected.tracer)
    assert collected.parent_of("library") == f"task {body.task_type.type}"
    assert collected.parent_of(f"task {body.task_type.type}") == "run"
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_parts_of_tasks_and_spans_of_libraries_are_inside_each_other() -> None:
    Workflow().then(with_context).run_sync({"value": 1}, tracer=collected.tracer)
    assert collected.parent_of("library") == "outer"
    assert collected.parent_of("outer") == "task OtelContext"


def test_a_run_is_inside_the_span_that_was_current_where_it_began() -> None:
    with collected.library.start_as_current_span("request"):
        Workflow().then(inline).run_sync({"value": 1}, tracer=collected.tracer)
        asyncio.run(_begin_inside_a_loop())
    parents = [span.parent for span in collected.spans() if span.name == "run"]
    request = context_of(collected.named("request"))
    assert [parent and parent.span_id for parent in parents] == [request.span_id] * 2
    assert {context_of(span).trace_id for span in collected.spans()} == {request.trace_id}


async def _begin_inside_a_loop() -> None:
    Workflow().then(inline).run_sync({"value": 1}, tracer=collected.tracer)


def test_a_failure_is_a_status_and_no_event_with_a_trace_back() -> None:
    with pytest.raises(TaskFailedError):
        Workflow().then(fails).run_sync({"value": 1}, tracer=collected.tracer)
    failed = collected.named("task OtelFails")
    assert (failed.status.status_code, failed.status.description) == (trace.StatusCode.ERROR, "ValueError: no")
    assert collected.named("run").status.status_code is trace.StatusCode.ERROR
    assert not any(span.events for span in collected.spans())


def test_usage_has_the_names_that_opentelemetry_agreed_on() -> None:
    Workflow().then(with_context).run_sync({"value": 1}, tracer=collected.tracer)
    attributes = collected.named("task OtelContext").attributes or {}
    assert attributes["gen_ai.request.model"] == "m"
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (7, 2)
    assert attributes["workglow.usage.cost"] == 0.5


def test_nothing_imports_opentelemetry_before_it_is_asked_for() -> None:
    program = "import sys, workglow as wg; wg.OpenTelemetryTracer; wg.Workflow; wg.open(':memory:').close(); "
    program += "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtraError, match=r"workglow\[telemetry\]"):
        wg.OpenTelemetryTracer()


def test_exactly_one_module_imports_it() -> None:
    root = Path(wg.__file__).parent
    found = [path for path in root.rglob("*.py") if "from opentelemetry" in path.read_text()]
    assert [path.name for path in found] == ["opentelemetry.py"]
