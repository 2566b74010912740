"""Workers and another process that writes: nobody's event loop stands still, and nothing is lost by the wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

import workglow as wg
from workglow.file import File
from workglow.queue import HandlerRegistry, JobContext
from workglow.storage.jobs import Ask, NewJob, Turn
from workglow.storage.sqlite.jobs import SqliteJobs
from workglow.testing import FakeClock
from workglow.values import encode

NEW = NewJob("do", encode({"value": 1}), 3)


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_a_turn_waits_on_the_loop_and_a_cancelled_one_claims_nothing(tmp_path: Path) -> None:
    async def scenario(jobs: SqliteJobs, other: File) -> None:
        queue = jobs.queue("work", "{}").row_id
        jobs.add(queue, [NEW, NEW])
        worker = jobs.begin_worker("[]", "[]", 1)
        with other.transaction():
            asked = [jobs.turn(Ask(worker, [queue], (), 1), rest=rest) for rest in (0.0, 0.001)]
            waiting = [asyncio.ensure_future(turn) for turn in asked if not isinstance(turn, Turn)]
            assert len(waiting) == 2, "they would have to stand still"
            await turns()
            waiting[0].cancel()
        (turn,) = (await asyncio.wait_for(waiting[1], 30)).claimed
        assert (turn.id, turn.attempt) == (1, 1)
        assert waiting[0].cancelled()
        assert jobs.count(queue) == {"running": 1, "pending": 1}
        jobs.end_worker(worker)

    with File.open(tmp_path / "a.wg") as file, File.open(tmp_path / "a.wg") as other:
        asyncio.run(scenario(SqliteJobs(file), other))


def test_a_worker_rests_only_when_somebody_else_writes(tmp_path: Path) -> None:
    with File.open(tmp_path / "a.wg") as file:
        jobs = SqliteJobs(file)
        queue = jobs.queue("work", "{}").row_id
        worker = jobs.begin_worker("[]", "[]", 1)
        assert isinstance(jobs.turn(Ask(worker, [queue], (), 1), rest=1000.0), Turn)
        jobs.end_worker(worker)


def test_progress_that_cannot_be_kept_now_is_kept_later(tmp_path: Path) -> None:
    clock, handlers = FakeClock(), HandlerRegistry()
    begun, go_on = asyncio.Event(), asyncio.Event()

    @wg.job(registry=handlers)
    async def slow(context: JobContext) -> None:
        context.progress(0.5, "halfway")
        begun.set()
        await go_on.wait()

    async def scenario(project: wg.Project, other: File) -> None:
        job = project.queue("work").enqueue(slow)
        async with project.worker("work"):
            await begun.wait()
            with other.transaction():
                for _ in range(3):
                    clock.advance(0.1)
                    await turns()
            assert not job.newest_report.message
            clock.advance(0.1)
            await turns()
            assert job.newest_report.message == "halfway"
            go_on.set()
            await job.result()

    with wg.open(tmp_path / "a.wg", clock=clock, handlers=handlers) as project, File.open(tmp_path / "a.wg") as other:
        asyncio.run(scenario(project, other))
