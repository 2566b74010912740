"""What a job reports of its progress, as it is seen here and from another process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from taken_turns import take

import workglow as wg
from workglow import job
from workglow.queue import JobContext, JobEvent, Progress
from workglow.storage.jobs import Ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workglow import Project
    from workglow.queue import HandlerRegistry
    from workglow.testing import FakeClock


async def collect(reports: AsyncIterator[Progress]) -> list[Progress]:
    return [report async for report in reports]


def test_each_report_is_seen_in_its_order_and_nothing_after_the_stream_was_left(
    project: Project, handlers: HandlerRegistry
) -> None:
    go_on = asyncio.Event()

    @job(registry=handlers)
    async def tell(context: JobContext) -> None:
        context.progress(0, "begins")
        context.progress(0.5, "one half")
        context.progress(0.5, "the same half", {"step": 2})
        context.progress(0.25, "back again")
        await go_on.wait()
        context.progress(1, "done")

    one = project.queue("work").enqueue(tell)

    async def main() -> tuple[list[Progress], list[Progress]]:
        whole, left = asyncio.create_task(collect(one.progress())), list[Progress]()
        await asyncio.sleep(0)
        async with project.worker("work"):
            async for report in one.progress():
                left.append(report)
                if report.message == "back again":
                    break
            go_on.set()
            await one.result()
            return await whole, left

    whole, left = asyncio.run(main())
    told = [
        Progress(0.0, "begins"),
        Progress(50.0, "one half"),
        Progress(50.0, "the same half", {"step": 2}),
        Progress(25.0, "back again"),
    ]
    assert whole == [*told, Progress(100.0, "done")]
    assert left == told
    assert one.newest_report.percent == 100


def test_from_another_process_every_report_that_was_kept_is_seen(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    @job(registry=handlers)
    async def tell(context: JobContext) -> None: ...

    queue = project.queue("work")
    one = queue.enqueue(tell)
    jobs = project.queues.repository
    turn = take(jobs, Ask(jobs.begin_worker("[]", "[]", 1), [queue.row_id], (), 1))
    told = [Progress(0.0, "begins"), Progress(50.0, "a"), Progress(50.0, "b"), Progress(25.0, "back again")]

    async def main(elsewhere: Project) -> list[Progress]:
        seen: list[Progress] = []

        async def look() -> None:
            async for report in elsewhere.job(one.id).progress():
                seen.append(report)

        looking = asyncio.create_task(look())
        for number, report in enumerate(told, 1):
            jobs.report([(turn.claimed[0], msgspec.json.encode(report._asdict()).decode())])
            while len(seen) < number:
                clock.advance(0.1)
                await asyncio.sleep(0)
        one.abort("enough")
        with project.file.transaction() as db:
            db.execute("UPDATE job SET status = 'aborted', finished_at = 1, session_id = NULL")
        while not looking.done():
            clock.advance(0.1)
            await asyncio.sleep(0)
        return seen

    with wg.open(project.path, clock=clock, handlers=handlers) as elsewhere:
        assert asyncio.run(main(elsewhere)) == told


@pytest.mark.parametrize("inline", [True, False])
def test_what_is_over_when_the_call_returns_is_heard_too(
    project: Project, handlers: HandlerRegistry, inline: bool
) -> None:
    heard: list[JobEvent] = []
    project.queues.events.subscribe(heard.append)

    def plainly(context: JobContext) -> None:
        context.progress(0.5, "half")

    async def without_await(context: JobContext) -> None:
        context.progress(0.5, "half")

    told = job(registry=handlers, name="t", inline=True)(plainly) if inline else job(registry=handlers)(without_await)
    assert told.at_once
    project.queue("work").enqueue(told)
    project.queue("work").work_sync()
    assert [event.data for event in heard if event.kind == "job_progress"] == [Progress(50.0, "half")]
