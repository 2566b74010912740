"""The timeout of a task that holds others goes on over a restart: what had passed before counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import workglow as wg
from workglow import Workflow, task
from workglow.errors import TaskTimeoutError
from workglow.testing import FakeClock

begun: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _none_begun() -> None:
    begun.clear()


@task(name="restart_stuck", output="text", cache=False)
async def stuck(text: str) -> str:
    begun["stuck"] += 1
    await asyncio.Event().wait()
    return text


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what it waits for sets no event
        await asyncio.sleep(0)


def test_the_timeout_of_a_compound_task_counts_from_its_beginning(tmp_path: Path) -> None:
    asyncio.run(_is_timed_out_in_the_second_part(tmp_path))


async def _is_timed_out_in_the_second_part(tmp_path: Path) -> None:
    clock = FakeClock()
    graph = Workflow().map(stuck, id="loop", timeout=10)
    with wg.open(tmp_path / "slow.wg", clock=clock) as project:
        running = asyncio.ensure_future(project.run(graph, {"text": ["a"]}))
        await _until(lambda: begun["stuck"] == 1)
        clock.advance(4)
        running.cancel()
        await asyncio.wait((running,))
        resumed = asyncio.ensure_future(project.resume())
        await _until(lambda: begun["stuck"] == 2)
        clock.advance(5)
        for _ in range(20):
            await asyncio.sleep(0)
        assert not resumed.done()
        clock.advance(1)
        with pytest.raises(TaskTimeoutError, match="'loop' timed out after 10000ms"):
            await resumed


def test_a_compound_task_whose_time_was_over_before_the_restart_times_out_at_once(tmp_path: Path) -> None:
    asyncio.run(_is_timed_out_at_once(tmp_path))


async def _is_timed_out_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    graph = Workflow().map(stuck, id="loop", timeout=10)
    with wg.open(tmp_path / "slow.wg", clock=clock) as project:
        running = asyncio.ensure_future(project.run(graph, {"text": ["a"]}))
        await _until(lambda: begun["stuck"] == 1)
        running.cancel()
        await asyncio.wait((running,))
        clock.advance(11)
        resumed = asyncio.ensure_future(project.resume())
        await _until(lambda: clock.waiting() > 0)
        clock.advance(0)
        with pytest.raises(TaskTimeoutError):
            await resumed
