"""What a worker does when the file under it is taken away, or cannot be written any more."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import apsw
import pytest

import workglow as wg
from workglow import Project, job
from workglow.errors import FileError, FileFullError, FileLostError, FileReadOnlyError
from workglow.file import File, doctor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from workglow.queue import HandlerRegistry
    from workglow.testing import FakeClock


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    with wg.open(path.with_name("new.wg")) as other:
        other.queue("other")
    os.replace(path.with_name("new.wg"), path)


def _noted() -> str:
    return "noted"


async def _result(project: Project) -> None:
    await project.job(1).result()


async def _reports(project: Project) -> None:
    async for _ in project.job(1).progress():
        pass


async def _changes(project: Project) -> None:
    async for _ in project.events():
        pass


async def _place(project: Project) -> None:
    async with project.limiter("one", wg.ConcurrencyLimiter(0)).slot():
        pass


async def _time(project: Project) -> None:
    limiter = project.limiter("late", wg.RateLimiter(1))
    limiter.hold(3600)
    async with limiter.slot():
        pass


async def _run(project: Project) -> None:
    await project.wait(project.runs()[0].id)


@pytest.mark.parametrize("wait", [_result, _reports, _changes, _place, _time, _run])
def test_whoever_waits_is_told_that_the_file_was_taken_away(
    tmp_path: Path, clock: FakeClock, wait: Callable[[Project], Coroutine[None, None, None]]
) -> None:
    path = tmp_path / "jobs.wg"

    async def main(project: Project) -> None:
        waiting = asyncio.create_task(wait(project))
        for _ in range(5):
            await asyncio.sleep(0)
        delete(path)
        while not waiting.done():
            clock.advance(0.25)
            await asyncio.sleep(0)
            assert clock.monotonic() < start + 100
        with pytest.raises(FileLostError, match="deleted or moved"):
            await waiting

    with wg.open(path, clock=clock) as project:
        start = clock.monotonic()
        project.queue("work").enqueue("nobody knows")
        project.submit(wg.task(_noted))
        asyncio.run(main(project))


@pytest.mark.parametrize(("how", "said"), [(delete, "deleted or moved"), (replace, "replaced by another file")])
def test_a_worker_whose_file_was_taken_away_stops_and_writes_nothing_more(
    tmp_path: Path,
    clock: FakeClock,
    handlers: HandlerRegistry,
    how: Callable[[Path], None],
    said: str,
) -> None:
    path, kept = tmp_path / "jobs.wg", tmp_path / "kept.wg"
    told: list[str] = []

    @job(registry=handlers)
    async def wait(context: wg.JobContext) -> None:
        context.signal.on_cancel(lambda: told.append("stop"))
        await asyncio.Event().wait()

    async def main(project: Project) -> None:
        started = asyncio.create_task(project.queues.events.wait_on("job_started"))
        working = asyncio.create_task(project.worker("work").run())
        await started
        os.link(path, kept)
        for end in ("-wal", "-shm"):
            os.link(f"{path}{end}", f"{kept}{end}")
        how(path)
        log = os.stat(f"{path}-wal").st_size
        clock.advance(1)
        with pytest.raises(FileLostError, match=said) as raised:
            await working
        assert "Nothing is lost" in raised.value.__notes__[0]
        with pytest.raises(FileLostError):
            project.queue("work").enqueue(wait)
        assert os.stat(f"{path}-wal").st_size == log

    with wg.open(path, clock=clock, handlers=handlers) as project:
        project.queue("work").enqueue(wait)
        asyncio.run(main(project))
        assert told == ["stop"]
    if how is replace:
        os.remove(f"{path}-wal")  # the log of the file that was there before
        os.remove(f"{path}-shm")
        with wg.open(path) as other:
            assert [queue.name for queue in other.queues.all()] == ["other"]
    os.replace(kept, path)
    for end in ("-wal", "-shm"):
        os.replace(f"{kept}{end}", f"{path}{end}")
    with wg.open(path) as project:
        (one,) = project.queue("work").jobs()
        assert (one.status, one.attempt) == ("running", 1)
    assert doctor(path).ok


class Disk(apsw.VFS):
    """A disk on which writing fails while `error` is set."""

    def __init__(self) -> None:
        super().__init__("failing", "")
        self.error: type[apsw.Error] | None = None

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _DiskFile(self, name, flags)


class _DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.disk.error is not None:
            raise self.disk.error("injected")
        super().xWrite(data, offset)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.unregister()


@pytest.mark.parametrize(
    ("cause", "error", "remedy"),
    [
        (apsw.FullError, FileFullError, "Free some space"),
        (apsw.ReadOnlyError, FileReadOnlyError, "Change the permissions"),
        (apsw.IOError, FileError, "check the disk"),
    ],
)
def test_a_worker_that_can_write_no_more_stops_and_the_next_one_loses_nothing(
    tmp_path: Path,
    clock: FakeClock,
    handlers: HandlerRegistry,
    disk: Disk,
    cause: type[apsw.Error],
    error: type[FileError],
    remedy: str,
) -> None:
    calls: list[int] = []

    @job(registry=handlers)
    async def work(number: int) -> int:
        calls.append(number)
        if len(calls) == 3:
            disk.error = cause
        return number

    file = File.open(tmp_path / "jobs.wg", clock=clock, vfs="failing")
    with Project(file, handlers=handlers) as project:
        queue = project.queue("work")
        jobs = queue.enqueue_many(work, [{"number": number} for number in range(6)])
        with pytest.raises(error, match=remedy) as raised:
            queue.work_sync(concurrency=2)
        assert "Nothing is lost" in raised.value.__notes__[0]
        assert project.queues.repository.workers() != []
        disk.error = None
        assert queue.work_sync(concurrency=2) == 4
        assert [one.result_sync() for one in jobs] == list(range(6))
        assert {one.attempt for one in jobs} == {1}
        assert project.queues.repository.workers() == []
    assert doctor(tmp_path / "jobs.wg").ok
