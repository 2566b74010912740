"""Hearing that a file has changed."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workglow.file import File
from workglow.file.log_events import LogEvents
from workglow.file.wakeup import _Waiter
from workglow.testing import FakeClock

Add = Callable[..., None]

WRITE = """
import sys
from workglow.file import File
file = File.open(sys.argv[1]); print("ready", flush=True)
for line in sys.stdin:
    with file.transaction() as db:
        db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
    print("written", flush=True)
"""


def test_a_change_by_another_process_is_noticed_once(file: File, add: Add, other: Callable[..., Any]) -> None:
    process = other(WRITE, file.path)
    assert process.line() == "ready"
    assert not file.changed()
    add(file)
    assert not file.changed()
    process.say()
    assert process.line() == "written"
    with file.transaction():
        assert not file.changed()
    assert file.changed()
    assert not file.changed()


def test_memory_is_never_changed_by_others_and_can_be_waited_for(clock: FakeClock, add: Add) -> None:
    async def scenario() -> None:
        with File.open(":memory:", clock=clock) as file:
            add(file)
            assert not file.changed()
            waiting = asyncio.create_task(file.wait_for_change())
            await turns()
            add(file)
            clock.advance(0.05)
            assert await waiting
            assert not file.changed()

    asyncio.run(scenario())


async def turns(number: int = 10) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_waiting_ends_with_the_next_commit(file: File, clock: FakeClock, add: Add) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(file.wait_for_change())
        await turns()
        clock.advance(60)
        await turns()
        assert not waiting.done()
        add(file)
        clock.advance(0.25)
        assert await waiting

    asyncio.run(scenario())


def test_waiting_ends_after_its_time(file: File, clock: FakeClock) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(file.wait_for_change(1.0))
        for _ in range(30):
            await turns()
            clock.advance(0.05)
        assert await waiting is False

    asyncio.run(scenario())


def test_waiting_ends_at_once_when_this_process_says_so(file: File) -> None:
    async def scenario() -> None:
        waiting = [asyncio.create_task(file.wait_for_change()) for _ in range(3)]
        await turns()
        await asyncio.to_thread(file.notify)
        assert await asyncio.gather(*waiting) == [True] * 3
        assert file._wakeup._waiters == set()

    asyncio.run(scenario())


def test_waiting_that_is_cancelled_leaves_nothing(file: File) -> None:
    async def scenario() -> None:
        waiting = asyncio.create_task(file.wait_for_change())
        await turns()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert file._wakeup._waiters == set()

    asyncio.run(scenario())


def test_waiting_hears_another_process(path: Path, other: Callable[..., Any]) -> None:
    async def scenario() -> None:
        with File.open(path) as file:
            process = other(WRITE, path)
            assert await asyncio.to_thread(process.line) == "ready"
            waiting = asyncio.create_task(file.wait_for_change(30))
            await turns()
            process.say()
            assert await waiting

    asyncio.run(scenario())


COMMIT = """
import sys, apsw
db = apsw.Connection(sys.argv[1]); db.set_busy_timeout(10_000)
sys.stdin.readline()
db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
print("done", flush=True); sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes to the log")
def test_a_commit_of_another_process_is_heard_without_asking(
    file: File, clock: FakeClock, other: Callable[..., Any]
) -> None:
    """The clock of the safety question stands still: only what the system tells can wake the waiter."""
    process = other(COMMIT, file.path)

    async def scenario() -> None:
        waiting = asyncio.create_task(file.wait_for_change())
        await turns()
        process.say()
        process.line()
        begun = clock.monotonic()
        while not waiting.done():  # it was told before the commit was visible, so it looks again and again
            await asyncio.sleep(0)
            clock.advance(0.001)
            assert clock.monotonic() - begun < 0.2

    asyncio.run(scenario())


def test_where_nothing_is_told_it_is_asked(file: File, clock: FakeClock, add: Add) -> None:
    file._wakeup._listen = lambda: None

    async def scenario() -> None:
        waiting = asyncio.create_task(file.wait_for_change())
        await turns()
        add(file)
        clock.advance(0.02)
        assert await waiting

    asyncio.run(scenario())


def test_what_tells_nothing_is_not_relied_upon(file: File, clock: FakeClock, add: Add) -> None:
    """Some file systems of virtual machines tell of no writes from outside."""
    events = LogEvents.of(os.devnull)
    assert events is not None
    file._wakeup._listen = lambda: events

    async def once(pause: float) -> None:
        waiting = asyncio.create_task(file.wait_for_change())
        await turns()
        add(file)
        clock.advance(pause)
        assert await waiting

    async def scenario() -> None:
        for _ in range(4):
            await once(0.25)
        await once(0.02)

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes to the log")
def test_a_file_that_is_written_to_all_the_time_is_not_heard_all_the_time(
    file: File, clock: FakeClock, tmp_path: Path, add: Add
) -> None:
    log = tmp_path / "log"
    log.touch()
    events = LogEvents.of(str(log))
    assert events is not None
    heard = 0

    class Counted(LogEvents):
        def drain(self) -> None:
            nonlocal heard
            heard += 1
            super().drain()

    events.__class__ = Counted
    file._wakeup._listen = lambda: events

    async def write(times: int) -> int:
        before = heard
        for _ in range(times):
            log.write_text("x")
            await turns(2)
        return heard - before

    async def scenario() -> None:
        waiting = asyncio.create_task(file.wait_for_change())
        await turns()
        assert await write(100) == 1
        for _ in range(12):  # it asks by itself for a while, and then listens again
            clock.advance(0.02)
            await turns()
        assert await write(100) == 1
        add(file)
        await write(1)
        for _ in range(12):
            clock.advance(0.02)
            await turns()
        assert await waiting
        again = asyncio.create_task(file.wait_for_change())
        await turns()
        assert await write(100) == 1
        again.cancel()

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes to the log")
def test_one_write_is_told_for_each_time_that_one_asks(tmp_path: Path) -> None:
    """A busy log would tell of ten thousand a second, at the cost of whoever writes."""
    log = tmp_path / "log"
    log.touch()
    events = LogEvents.of(str(log))
    assert events is not None

    def told() -> bool:
        return bool(select.select([events], [], [], 0)[0])

    assert not told()
    for _ in range(2):
        log.write_text("x")
        assert told()
        events.drain()
        log.write_text("x")
        assert not told()
        assert events.ask()
    log.unlink()
    events.drain()
    assert not events.ask()
    events.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of writes to the log")
def test_a_write_that_another_loop_has_heard_does_not_make_this_one_deaf(
    file: File, clock: FakeClock, add: Add
) -> None:
    """Two loops of one process share what tells of writes, and each asks for the next one."""
    heard, done = threading.Event(), threading.Event()

    async def first() -> None:
        waiting = asyncio.create_task(file.wait_for_change(since=file.version()))
        while not waiting.done():  # what is written is not committed yet: it is asked for again
            await asyncio.sleep(0.001)
            clock.advance(0.001)
        heard.set()
        assert await asyncio.to_thread(done.wait, 30)

    async def second() -> None:
        waiting = asyncio.create_task(file.wait_for_change(30))
        await turns()
        add(file)
        await turns()
        clock.advance(0.02)  # by itself it would ask after 0.25
        await turns()
        assert waiting.done()

    other = threading.Thread(target=asyncio.run, args=(first(),))
    other.start()
    while not file._wakeup._readers:
        pass
    add(file)
    assert heard.wait(30)
    asyncio.run(second())
    done.set()
    other.join(30)


def test_who_was_woken_and_is_gone_is_not_woken_again(file: File) -> None:
    """A waiter of another thread may hear of a commit by itself, and be gone before it is told."""
    gone = asyncio.new_event_loop()
    waiter = _Waiter(gone)
    waiter._thread = -1
    gone.close()
    file._wakeup._waiters.add(waiter)
    file.notify()
    assert waiter.woken
