"""AI case 6: who may call a model when, and what becomes of calls that wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workglow as wg
from workglow.ai import Finish, GenerationRequest, ModelEvent, ModelRecord, Provider, ProviderRegistry, TextDelta
from workglow.ai.messages import text_of
from workglow.errors import ModelCallError, RateLimitedError
from workglow.testing import FakeClock


class Device(Provider):
    """One device: it notes in which order it is called, and by how many at once."""

    name = "device"

    def __init__(self, credentials: Any = None) -> None:
        super().__init__(credentials)
        self.calls: list[str] = []
        self.failures: list[Exception] = []
        self.running = self.most = 0

    async def _work(self, what: str) -> None:
        self.calls.append(what)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            if self.failures:
                raise self.failures.pop(0)
        finally:
            self.running -= 1

    async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
        await self._work(text_of(request.messages[-1]))
        yield TextDelta("fine")
        yield Finish()

    async def classify(self, model: ModelRecord, text: str) -> Any:
        await self._work(text)
        return [{"label": "fine", "score": 1.0}]

    async def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: str) -> Any:
        await self._work(texts[0])
        return np.ones((len(texts), 2), np.float32)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock) -> Iterator[wg.Project]:
    registry = ProviderRegistry()
    registry.register(Device)
    with wg.open(tmp_path / "notes.wg", clock=clock, providers=registry) as opened:
        yield opened


@pytest.fixture
def device(project: wg.Project) -> Device:
    found = project.models.provider("device")
    assert isinstance(found, Device)
    return found


def all_at_once(clock: FakeClock, *running: Any) -> list[Any]:
    """Run everything at the same time, with time passing as soon as everything waits for it."""

    async def scenario() -> list[Any]:
        tasks = [asyncio.ensure_future(one) for one in running]
        while not all(task.done() for task in tasks):
            for _ in range(50):
                await asyncio.sleep(0)
            clock.advance(0.25)
        return [await task for task in tasks]

    return asyncio.run(scenario())


WRITE = wg.Workflow().text_generation(model="device:a")
SORT = wg.Workflow().text_classification(model="device:a")
EMBED = wg.Workflow().text_embedding(model="device:b")


@pytest.mark.parametrize("limit", [1, 2])
def test_ai06_what_is_streamed_and_what_is_returned_share_one_limit(
    project: wg.Project, clock: FakeClock, device: Device, limit: int
) -> None:
    project.limiter("device", wg.ConcurrencyLimiter(limit))
    runs = all_at_once(
        clock,
        project.run(SORT, {"text": "one"}),
        project.run(SORT, {"text": "two"}),
        project.run(EMBED, {"text": "three"}),
        project.run(WRITE, {"prompt": "four"}),
    )
    assert {run.status for run in runs} == {"completed"}
    assert (device.most, len(device.calls)) == (limit, 4)


def test_ai06_calls_are_made_in_the_order_of_asking(project: wg.Project, clock: FakeClock, device: Device) -> None:
    project.limiter("device", wg.ConcurrencyLimiter(1))
    numbers = [f"{number:02}" for number in range(12)]
    all_at_once(clock, *(project.run(WRITE, {"prompt": number}) for number in numbers))
    assert device.calls == numbers


def test_ai06_a_direct_call_is_tried_again_and_a_refusal_is_final(
    project: wg.Project, clock: FakeClock, device: Device
) -> None:
    device.failures = [RateLimitedError(retry_after=0.0), RateLimitedError(retry_after=0.0)]
    (run,) = all_at_once(clock, project.run(WRITE, {"prompt": "x"}))
    assert (run.outputs["text"], len(device.calls)) == ("fine", 3)
    device.failures = [ModelCallError("never")]
    with pytest.raises(ModelCallError):
        all_at_once(clock, project.run(WRITE, {"prompt": "y"}))
    assert len(device.calls) == 4


def test_ai06_who_is_cancelled_in_the_line_is_never_called_and_the_others_are(
    project: wg.Project, clock: FakeClock, device: Device
) -> None:
    project.limiter("device", wg.ConcurrencyLimiter(1))

    async def scenario() -> list[Any]:
        first, second, third = (
            asyncio.ensure_future(project.run(WRITE, {"prompt": prompt})) for prompt in ("one", "two", "three")
        )
        for _ in range(1000):
            await asyncio.sleep(0)
            if device.calls:
                break
        second.cancel()
        while not (first.done() and second.done() and third.done()):
            for _ in range(50):
                await asyncio.sleep(0)
            clock.advance(0.25)
        return await asyncio.gather(first, second, third, return_exceptions=True)

    first, second, third = asyncio.run(scenario())
    assert isinstance(second, asyncio.CancelledError)
    assert (first.status, third.status) == ("completed", "completed")
    assert device.calls == ["one", "three"]


QUEUED = {"name": "device:a", "provider": "device", "device": "gpu", "queue": "auto"}


def test_ai06_a_queue_is_there_from_the_first_call_on_and_its_settings_hold(
    project: wg.Project, device: Device
) -> None:
    flow = wg.Workflow().text_generation(model=QUEUED)
    assert [queue.name for queue in project.queues.all()] == []
    run = project.run_sync(flow, {"prompt": "x"}, wait=False)
    assert [queue.name for queue in project.queues.all()] == ["device:gpu"]
    assert project.queue("device:gpu").work_sync() == 1
    assert project.resume_sync(run.id).outputs["text"] == "fine"

    project.models.put({**QUEUED, "name": "device:cpu", "device": "cpu"})
    project.queue("device:cpu", limits=[wg.ConcurrencyLimiter(1)])  # before anybody needs it
    held = project.run_sync(wg.Workflow().text_generation(model="device:cpu"), {"prompt": "y"}, wait=False)
    queue = project.queue("device:cpu")
    assert [job.status for job in queue.jobs()] == ["pending"]
    assert [limiter.queue for limiter in queue.limits] == ["device:cpu"]
    queue.work_sync()
    assert project.resume_sync(held.id).outputs["text"] == "fine"


def test_ai06_a_queued_call_that_is_aborted_is_never_made(project: wg.Project, device: Device) -> None:
    flow = wg.Workflow().text_generation(model=QUEUED)
    runs = [project.run_sync(flow, {"prompt": prompt}, wait=False) for prompt in ("one", "two", "three")]
    project.abort(runs[1].id)
    project.queue("device:gpu").work_sync()
    assert device.calls == ["one", "three"]
    assert [project.resume_sync(runs[at].id).outputs["text"] for at in (0, 2)] == ["fine", "fine"]
    assert {run.id: run.status for run in project.runs()}[runs[1].id] == "aborted"
