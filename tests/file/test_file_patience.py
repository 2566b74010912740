"""How long one waits for a lock: short, uneven, and no longer in all than was agreed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from math import nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.errors import FileLockedError
from workglow.file import File
from workglow.file.patience import pauses, uneven
from workglow.testing import FakeClock

Add = Callable[..., None]
Count = Callable[[File], int]


@given(st.floats(0, 40))
def test_pauses_are_short_and_add_up(total: float) -> None:
    found = list(pauses(total))
    assert sum(found) == pytest.approx(total)
    assert all(0 <= pause <= 0.025 for pause in found)
    assert all(pause <= 0.002 for pause in found[:40]), "who has waited a little is not made to wait longer"
    assert all(pause > 0 for pause in found)


def test_those_who_begin_together_do_not_go_on_together() -> None:
    found = {uneven(1.0) for _ in range(20)}
    assert len(found) == 20
    assert all(0.75 <= seconds <= 1.25 for seconds in found)


def test_the_event_loop_goes_on_while_another_process_writes(path: Path, file: File, count: Count) -> None:
    async def scenario() -> None:
        with File.open(path) as other:
            with other.transaction():
                writing = asyncio.create_task(file.write(_insert))
                given_up = asyncio.create_task(file.write(_insert))
                for _ in range(200):
                    await asyncio.sleep(0)
                await asyncio.sleep(0.01)
                assert not writing.done()
                given_up.cancel()
            assert await asyncio.wait_for(writing, 30) == 1
        assert given_up.cancelled()

    asyncio.run(scenario())
    assert count(file) == 1


def test_the_event_loop_goes_on_while_another_thread_writes(file: File, count: Count) -> None:
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with file.transaction():
            inside.set()
            assert leave.wait(30)

    async def scenario() -> None:
        holder = threading.Thread(target=hold)
        holder.start()
        assert inside.wait(30)
        writing = asyncio.create_task(file.write(_insert))
        await asyncio.sleep(0.01)
        assert not writing.done()
        leave.set()
        assert await asyncio.wait_for(writing, 30) == 1
        holder.join(30)

    asyncio.run(scenario())
    assert count(file) == 1


def test_who_waits_for_too_long_is_told_so(path: Path) -> None:
    with File.open(path, busy_timeout=0.05) as file, File.open(path) as other:
        with other.transaction(), pytest.raises(FileLockedError, match="Another process") as caught:
            asyncio.run(file.write(_insert))
        assert not caught.value.here


@pytest.mark.parametrize("few", [0, 15])
def test_who_leaves_the_file_to_others_comes_back_when_it_is_not_full(
    file: File, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Else nobody would write, or hardly anybody, until the time is over.  A log that has begun anew says nothing."""
    full, unknown, anew, calm = (0, 16), (nan, 0), (500, 0), (100, 100 + few)
    pages = iter([*full, *unknown, *anew, *calm])

    def logged() -> float:
        assert file._gate.resting == 1
        return next(pages)

    async def at_once(seconds: float) -> None:
        assert seconds == 0.001

    monkeypatch.setattr(asyncio, "sleep", at_once)
    monkeypatch.setattr("workglow.file.resting._LONG_GLANCE", 0.001)
    monkeypatch.setattr(file._resting, "logged", logged)
    assert asyncio.run(file.write(_insert, rest=1000.0)) == 1
    assert list(pages) == []
    assert file._gate.resting == 0


def test_who_leaves_the_file_to_others_comes_back_when_the_time_is_over(
    file: File, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def logged() -> float:
        nonlocal asked
        asked += 1
        clock.advance(0.05)
        return 1000 * asked

    monkeypatch.setattr(file._resting, "logged", logged)
    assert asyncio.run(file.write(_insert, rest=1.0)) == 1
    assert 14 <= asked <= 28


@pytest.mark.parametrize(("commits", "is_full"), [(0, False), (3, False), (40, True)])
def test_how_full_the_file_is_says_its_log(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, commits: int, is_full: bool
) -> None:
    slept: list[float] = []
    with File.open(path, clock=clock) as file, File.open(path) as other:

        async def writing(seconds: float) -> None:
            slept.append(seconds)
            clock.advance(seconds)
            for _ in range(round(commits * seconds * 1000)):
                with other.transaction() as db:
                    _insert(db)

        monkeypatch.setattr(asyncio, "sleep", writing)
        assert asyncio.run(file.write(_insert, rest=0.02)) == 1
    assert (slept == [0.001]) is not is_full


def _insert(db: object) -> int:
    db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")  # type: ignore[attr-defined]
    return db.changes()  # type: ignore[attr-defined]
