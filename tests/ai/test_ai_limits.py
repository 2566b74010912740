"""Calls of models and what binds them: a project's limiters, and what a provider's "too many requests" said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workglow as wg
from workglow.ai import (
    Finish,
    GenerationRequest,
    ModelEvent,
    ModelRecord,
    Provider,
    ProviderRegistry,
    TextDelta,
    UsageReport,
    report_usage,
)
from workglow.ai.passage import Passage
from workglow.errors import ModelCallError, ModelUnavailableError, RateLimitedError
from workglow.testing import FakeClock


class Cloud(Provider):
    """Answers, and raises first what the test wrote down; it knows how many calls were under way at once."""

    name = "cloud"
    is_local = False

    def __init__(self, credentials: Any = None) -> None:
        super().__init__(credentials)
        self.failures: list[Exception] = []
        self.calls: list[int] = []
        self.running = self.most = 0
        self.clock = FakeClock()

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        self.calls.append(self.clock.now())
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            if self.failures:
                raise self.failures.pop(0)
            yield TextDelta("fine")
            yield UsageReport(input_tokens=100, output_tokens=20)
            yield Finish()
        finally:
            self.running -= 1

    async def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: str) -> Any:
        self.calls.append(self.clock.now())
        report_usage(1000)
        return np.ones((len(texts), 2), np.float32)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock) -> Iterator[wg.Project]:
    registry = ProviderRegistry()
    registry.register(Cloud)
    with wg.open(tmp_path / "notes.wg", clock=clock, providers=registry) as opened:
        yield opened


@pytest.fixture
def cloud(project: wg.Project, clock: FakeClock) -> Cloud:
    found = project.models.provider("cloud")
    assert isinstance(found, Cloud)
    found.clock = clock
    return found


def run(project: wg.Project, clock: FakeClock, graph: Any, inputs: dict[str, Any], **settings: Any) -> Any:
    """Run with time passing as soon as everything waits for it."""

    async def scenario() -> Any:
        running = asyncio.create_task(project.run(graph, inputs, cache="off", **settings))
        while not running.done():
            for _ in range(50):
                await asyncio.sleep(0)
            clock.advance(0.25)
        return await running

    return asyncio.run(scenario())


GENERATION = wg.Workflow().text_generation(model="cloud:any")


def test_too_many_requests_hold_every_call_back_for_as_long_as_was_said(
    project: wg.Project, clock: FakeClock, cloud: Cloud
) -> None:
    cloud.failures = [RateLimitedError(retry_after=30.0)]
    begun = clock.now()
    assert run(project, clock, GENERATION, {"prompt": "hello"}).outputs["text"] == "fine"
    assert len(cloud.calls) == 2
    assert cloud.calls[1] - begun >= 30_000
    (limiter,) = project.queues.limits.all()
    assert limiter.name == "cloud"


def test_a_hold_binds_a_process_that_opens_the_file_later(
    tmp_path: Path, project: wg.Project, clock: FakeClock, cloud: Cloud
) -> None:
    cloud.failures = [RateLimitedError(retry_after=60.0), ModelCallError("enough")]
    with pytest.raises(ModelCallError):
        run(project, clock, GENERATION, {"prompt": "hello"})
    project.limiter("cloud").hold(60)
    registry = ProviderRegistry()
    registry.register(Cloud)
    with wg.open(tmp_path / "notes.wg", clock=clock, providers=registry) as other:
        begun, there = clock.now(), other.models.provider("cloud")
        assert isinstance(there, Cloud)
        there.clock = clock
        run(other, clock, GENERATION, {"prompt": "hello"})
        assert there.calls[0] - begun >= 60_000


def test_being_too_early_is_tried_again_more_often_than_failing_is(
    project: wg.Project, clock: FakeClock, cloud: Cloud
) -> None:
    cloud.failures = [RateLimitedError(retry_after=1.0) for _ in range(12)]
    assert run(project, clock, GENERATION, {"prompt": "hello"}).status == "completed"
    cloud.failures = [ModelUnavailableError("down") for _ in range(12)]
    with pytest.raises(ModelUnavailableError):
        run(project, clock, GENERATION, {"prompt": "hello again"})
    assert len(cloud.failures) == 7


def test_what_can_never_be_is_not_tried_again(project: wg.Project, clock: FakeClock, cloud: Cloud) -> None:
    cloud.failures = [ModelCallError("no such model")]
    with pytest.raises(ModelCallError):
        run(project, clock, GENERATION, {"prompt": "hello"})
    assert len(cloud.calls) == 1


@pytest.mark.parametrize("name", ["cloud", "cloud:any"])
def test_a_limiter_of_the_provider_or_the_model_bounds_its_calls(
    project: wg.Project, clock: FakeClock, cloud: Cloud, name: str
) -> None:
    project.limiter(name, wg.ConcurrencyLimiter(2))
    done = run(project, clock, wg.Workflow().map(GENERATION), {"prompt": [str(number) for number in range(10)]})
    assert done.status == "completed"
    assert (cloud.most, len(cloud.calls)) == (2, 10)


def test_a_rate_is_kept(project: wg.Project, clock: FakeClock, cloud: Cloud) -> None:
    project.limiter("cloud", wg.RateLimiter(3, per=10))
    run(project, clock, wg.Workflow().map(GENERATION), {"prompt": [str(number) for number in range(9)]})
    assert len(cloud.calls) == 9
    assert all(later - first >= 10_000 for first, later in zip(cloud.calls, cloud.calls[3:], strict=False))


def test_tokens_are_counted_as_they_really_were(project: wg.Project, clock: FakeClock, cloud: Cloud) -> None:
    project.limiter("cloud", wg.TokenLimiter(1000, per=60))
    begun = clock.now()
    run(project, clock, wg.Workflow().text_embedding(model="cloud:any"), {"text": "short"})
    run(project, clock, wg.Workflow().text_embedding(model="cloud:any"), {"text": "another"})
    assert cloud.calls[1] - begun >= 60_000  # the first took 1,000 tokens, whatever its length had let one think


@pytest.mark.parametrize(
    ("said", "queue"),
    [({"queue": "calls"}, "calls"), ({"queue": "auto"}, "cloud"), ({"queue": "auto", "device": "x"}, "cloud:x")],
)
def test_a_model_whose_record_names_a_queue_is_called_by_its_workers(
    project: wg.Project, clock: FakeClock, cloud: Cloud, said: dict[str, str], queue: str
) -> None:
    record = {"name": "cloud:any", "provider": "cloud", **said}
    graph = wg.Workflow().text_generation(model=record)
    begun = project.run_sync(graph, {"prompt": "hello"}, wait=False)
    assert begun.status == "waiting"
    assert cloud.calls == []
    assert project.queue(queue).work_sync() == 1
    assert project.resume_sync(begun.id).outputs["text"] == "fine"


def test_a_call_starts_in_all_its_limiters_at_once(project: wg.Project, clock: FakeClock, cloud: Cloud) -> None:
    project.limiter("cloud", wg.RateLimiter(2, per=10))
    place = project.limiter("cloud:any", wg.ConcurrencyLimiter(1)).take()
    assert place is not None
    clock.call_later(60, place.release)  # all wait for it, and must not have passed the other limiter meanwhile
    run(project, clock, wg.Workflow().map(GENERATION), {"prompt": [str(number) for number in range(8)]})
    assert len(cloud.calls) == 8
    assert all(later - first >= 10_000 for first, later in zip(cloud.calls, cloud.calls[2:], strict=False))


def test_who_waits_for_one_limiter_is_held_up_by_the_other(project: wg.Project, clock: FakeClock, cloud: Cloud) -> None:
    provider = project.limiter("cloud", wg.CompositeLimiter())
    place = project.limiter("cloud:any", wg.ConcurrencyLimiter(1)).take()
    assert place is not None
    begun, held = clock.now(), list[int]()
    clock.call_later(5, lambda: held.append(provider.hold(30)))
    clock.call_later(10, place.release)
    run(project, clock, GENERATION, {"prompt": "hello"})
    assert cloud.calls[0] - begun >= 35_000


def test_too_many_requests_of_one_model_hold_the_others_of_its_provider_back(project: wg.Project) -> None:
    project.limiter("cloud:any", wg.ConcurrencyLimiter(1))
    passage = Passage(lambda: project.queues.limits)

    async def refused() -> None:
        async with passage.through(ModelRecord(name="cloud:any", provider="cloud"), 1):
            raise RateLimitedError(retry_after=30.0)

    with pytest.raises(RateLimitedError):
        asyncio.run(refused())
    assert project.limiter("cloud").take() is None


def test_a_limiter_that_is_made_while_a_call_is_refused_keeps_its_rule(project: wg.Project) -> None:
    passage = Passage(lambda: project.queues.limits)

    async def refused() -> None:
        async with passage.through(ModelRecord(name="cloud:any", provider="cloud"), 1):
            project.limiter("cloud", wg.RateLimiter(3, per=10))
            raise RateLimitedError(retry_after=5.0)

    with pytest.raises(RateLimitedError):
        asyncio.run(refused())
    record = project.limiter("cloud").record
    assert "RateLimiter" in record.rules
    assert record.hold_until is not None
