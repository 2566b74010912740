"""What a streaming task says is kept in rows while it runs, and can be followed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import Retry, Stream, TaskContext, TaskGraph
from workglow.errors import TaskFailedError, UnknownRunError, UnknownTaskError, UnstorableValueError
from workglow.file import doctor
from workglow.tasks import task
from workglow.testing import FakeClock
from workglow.values import Secret

WORDS = [f"{number} " for number in range(30)]


class Gates:
    """Where the writer stops, and who lets it go on."""

    def __init__(self) -> None:
        self.reached: dict[int, asyncio.Event] = {}
        self.open: dict[int, asyncio.Event] = {}

    async def wait(self, number: int) -> None:
        if number in self.open:
            self.reached[number].set()
            await self.open[number].wait()

    def close(self, *numbers: int) -> None:
        for number in numbers:
            self.reached[number], self.open[number] = asyncio.Event(), asyncio.Event()


gates = Gates()


@pytest.fixture(autouse=True)
def _gates_open() -> None:
    gates.reached.clear()
    gates.open.clear()


@task(name="follow_write", output="text", cache=False)
async def write(size: int = 1) -> AsyncIterator[str]:
    for number, word in enumerate(WORDS):
        await gates.wait(number)
        yield word * size


@task(name="follow_flaky", output="text", cache=False, retry=Retry(attempts=2))
async def flaky(context: TaskContext) -> AsyncIterator[str]:
    for number, word in enumerate(WORDS):
        await gates.wait(number if context.attempt == 1 else 100 + number)
        if number == 20 and context.attempt == 1:
            raise TaskFailedError("once")
        yield word


@task(name="follow_fails", output="text", cache=False)
async def fails() -> AsyncIterator[str]:
    yield "begun"
    await gates.wait(1)
    raise TaskFailedError("no more")


@task(name="follow_secretive", output="text", cache=False)
async def secretive() -> AsyncIterator[Any]:
    yield Secret("hunter2")
    await gates.wait(1)
    yield "x"


@task(name="follow_count", output="words", cache=False)
async def count(text: Stream[str]) -> int:
    return len((await text.whole()).split())


@task(name="follow_after", output="words", cache=False)
async def after(words: int) -> int:
    await gates.wait(50)
    return words


def pair(first: Any) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(first, id="first")
    graph.add_task(count, id="count")
    graph.add_dataflow("first", "text", "count", "text")
    return graph


def stored(project: wg.Project) -> list[tuple[Any, ...]]:
    return project.file.reader.execute("SELECT attempt, port, kind, data FROM stream_chunk ORDER BY seq").fetchall()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_was_said_within_50_ms_is_one_row(tmp_path: Path) -> None:
    clock = FakeClock()

    async def main() -> None:
        with wg.open(tmp_path / "p.wg", clock=clock, durability="process") as project:
            gates.close(10, 15, 20, 50)
            graph = pair(write)
            graph.add_task(after, id="after")
            graph.add_dataflow("count", "words", "after", "words")
            running = asyncio.ensure_future(project.run(graph))
            await gates.reached[10].wait()
            await turns()
            assert stored(project) == []
            clock.advance(0.05)
            await turns()
            first = (1, "text", "append", f'{{"text":"{"".join(WORDS[:10])}"}}')
            assert stored(project) == [first]
            gates.open[10].set()
            await gates.reached[15].wait()
            clock.advance(0.049)
            await turns()
            assert stored(project) == [first]
            clock.advance(0.001)
            await turns()
            assert stored(project)[1:] == [(1, "text", "append", f'{{"text":"{"".join(WORDS[10:15])}"}}')]
            gates.open[15].set()
            gates.open[20].set()
            await gates.reached[50].wait()  # the stream is over, and the run is not
            assert stored(project) == []
            gates.open[50].set()
            run = await running
            assert run.outputs == {"words": len(WORDS)}

    asyncio.run(main())
    assert doctor(tmp_path / "p.wg").ok


def test_so_is_what_has_two_kilobytes(tmp_path: Path) -> None:
    async def main() -> None:
        with wg.open(tmp_path / "p.wg", clock=FakeClock(), durability="process") as project:
            gates.close(8)
            running = asyncio.ensure_future(project.run(pair(write), {"size": 400}))  # 800 and more characters each
            await gates.reached[8].wait()
            await turns()
            sizes = [len(data) - len('{"text":""}') for *_, data in stored(project)]
            assert sizes == [2400, 2400]
            gates.open[8].set()
            await running

    asyncio.run(main())


def heard(records: list[wg.StreamRecord], path: str) -> list[tuple[str, int, Any]]:
    """Records of a task, adjacent pieces put together."""
    found: list[tuple[str, int, Any]] = []
    for record in records:
        if record.path != path:
            continue
        if found and record.kind == "append" == found[-1][0]:
            found[-1] = ("append", record.attempt, found[-1][2] + record.data)
        else:
            found.append((record.kind, record.attempt, record.data))
    return found


async def collect(records: AsyncIterator[wg.StreamRecord]) -> list[wg.StreamRecord]:
    return [record async for record in records]


def test_a_follower_hears_a_prefix_and_the_whole(tmp_path: Path) -> None:
    async def main() -> None:
        with wg.open(tmp_path / "p.wg") as project:
            run = project.begin(pair(write))
            gates.close(10)
            running = asyncio.ensure_future(project.resume(run.id))
            records: list[wg.StreamRecord] = []
            async for record in project.follow(run.id, "first"):
                records.append(record)
                if heard(records, "first") == [("append", 1, "".join(WORDS[:10]))]:
                    gates.open[10].set()
            await running
            assert heard(records, "first")[-1] == ("value", 1, {"text": "".join(WORDS)})
            seqs = [record.seq for record in records]
            assert seqs == sorted(set(seqs))
            # who comes late gets the value as one, and who has heard it nothing
            late = await collect(project.follow(run.id))
            assert [(record.path, record.kind, record.data) for record in late] == [
                ("first", "value", {"text": "".join(WORDS)})
            ]
            assert await collect(project.follow(run.id, from_seq=late[0].seq + 1)) == []
            assert [record.data for record in await collect(project.follow(run.id, "count"))] == [{"words": len(WORDS)}]

    asyncio.run(main())


def test_a_follower_is_told_that_an_attempt_came_to_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        with wg.open(tmp_path / "p.wg") as project:
            run = project.begin(pair(flaky))
            gates.close(20, 105)
            running = asyncio.ensure_future(project.resume(run.id))
            records: list[wg.StreamRecord] = []
            again: asyncio.Task[list[wg.StreamRecord]] | None = None
            async for record in project.follow(run.id):
                records.append(record)
                said = heard(records, "first")
                if said == [("append", 1, "".join(WORDS[:20]))]:
                    gates.open[20].set()
                if said[-1] == ("append", 2, "".join(WORDS[:5])):
                    again = asyncio.ensure_future(collect(project.follow(run.id, "first", from_seq=records[0].seq + 1)))
                    gates.open[105].set()
            await running
            assert [kind for kind, *_ in heard(records, "first")] == ["append", "restarted", "append", "value"]
            assert heard(records, "first")[-1] == ("value", 2, {"text": "".join(WORDS)})
            assert again is not None  # somebody who comes back, and had heard of the first attempt only
            kinds = [(record.kind, record.attempt) for record in await again]
            assert (kinds[0], kinds[-1]) == (("restarted", 2), ("value", 2))

    asyncio.run(main())


def test_a_follower_hears_of_the_failure(tmp_path: Path) -> None:
    async def main() -> None:
        with wg.open(tmp_path / "p.wg") as project:
            run = project.begin(pair(fails))
            gates.close(1)
            running = asyncio.ensure_future(project.resume(run.id))
            records: list[wg.StreamRecord] = []
            async for record in project.follow(run.id):
                records.append(record)
                gates.open[1].set()
            assert heard(records, "first") == [("append", 1, "begun"), ("failed", 1, "no more")]
            with pytest.raises(TaskFailedError):
                await running
            assert stored(project) == []

    asyncio.run(main())
    assert doctor(tmp_path / "p.wg").ok


def test_who_follows_a_run_hears_at_once_of_a_stream_that_was_shorter_than_a_row(tmp_path: Path) -> None:
    clock = FakeClock()

    async def main() -> None:
        with wg.open(tmp_path / "p.wg", clock=clock, durability="process") as project:
            graph = pair(write)
            graph.add_task(after, id="after")
            graph.add_dataflow("count", "words", "after", "words")
            gates.close(0, 50)
            run = project.begin(graph)
            records: list[wg.StreamRecord] = []

            async def listen() -> None:
                async for record in project.follow(run.id):
                    records.append(record)

            following = asyncio.ensure_future(listen())
            running = asyncio.ensure_future(project.resume(run.id))
            await gates.reached[0].wait()
            clock.advance(0.05)
            await turns()
            assert records == []
            gates.open[0].set()
            await gates.reached[50].wait()  # the stream is over, and was no row; the run is not
            clock.advance(0.05)
            await turns()
            assert heard(records, "first") == [("value", 1, {"text": "".join(WORDS)})]
            gates.open[50].set()
            await running
            clock.advance(0.05)
            await following
            assert len(records) == 1

    asyncio.run(main())


def test_there_must_be_something_to_follow(tmp_path: Path) -> None:
    async def main() -> None:
        with wg.open(tmp_path / "p.wg") as project:
            run = await project.run(pair(write))
            with pytest.raises(UnknownRunError):
                await collect(project.follow("nobody"))
            with pytest.raises(UnknownTaskError, match="'nothing'"):
                await collect(project.follow(run.id, "nothing"))

    asyncio.run(main())


def test_a_piece_that_no_file_can_hold_fails_its_task(tmp_path: Path) -> None:
    clock = FakeClock()

    async def main() -> None:
        with wg.open(tmp_path / "p.wg", clock=clock) as project:
            graph = TaskGraph()
            graph.add_task(secretive, id="first")
            gates.close(1)
            running = asyncio.ensure_future(project.run(graph))
            await gates.reached[1].wait()
            clock.advance(0.05)
            gates.open[1].set()
            with pytest.raises(UnstorableValueError, match="what task 'first' streams"):
                await running

    asyncio.run(main())
    assert b"hunter2" not in (tmp_path / "p.wg").read_bytes()
