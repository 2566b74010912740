"""The log is moved into the file behind the commits, begins anew, and stays short."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from background import upkeep_of

from workglow.file import File
from workglow.file.marker import read_marker
from workglow.file.upkeep import Upkeep
from workglow.testing import FakeClock

Add = Callable[..., None]
Count = Callable[[File], int]


@pytest.mark.usefixtures("still")
def test_a_large_log_is_moved_into_the_file_behind_the_commits(path: Path, add: Add) -> None:
    with File.open(path) as file:
        upkeep = upkeep_of(file)
        before = path.stat().st_size
        add(file, "x" * 3_000_000)
        upkeep.tick()
        assert path.stat().st_size == before
        add(file, "x" * 2_000_000)
        upkeep.tick()
        assert path.stat().st_size > before + 5_000_000
        marker = read_marker(file.db)
        assert marker is not None
        assert marker.sealed == marker.cycle
        add(file)
        assert upkeep_of(file)._db is not None
        assert upkeep_of(file)._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0] < 20


@pytest.mark.usefixtures("still")
def test_a_log_that_has_become_long_is_moved_between_two_ticks(path: Path, add: Add) -> None:
    with File.open(path) as file:
        upkeep = upkeep_of(file)
        upkeep.look()
        assert upkeep._db is None, "a file that is hardly used needs no further connection"
        add(file)
        upkeep.tick()
        add(file, "x" * 30_000_000)
        before = path.stat().st_size
        upkeep.look()
        assert path.stat().st_size == before
        add(file, "x" * 5_000_000)
        upkeep.look()
        assert path.stat().st_size > before + 30_000_000


@pytest.mark.usefixtures("still")
def test_what_goes_wrong_in_a_look_is_left_to_the_next_tick(
    path: Path, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    with File.open(path) as file:
        upkeep = upkeep_of(file)
        add(file)
        upkeep.tick()
        add(file, "x" * 35_000_000)
        with monkeypatch.context() as patch:
            patch.setattr("workglow.file.upkeep.move_log", fail)
            upkeep.look()
        upkeep.tick()
        assert path.stat().st_size > 35_000_000


def fail(db: apsw.Connection) -> tuple[int, int]:
    raise apsw.IOError("the disk is tired")


def test_the_log_is_looked_at_four_times_in_each_interval(path: Path, clock: FakeClock, add: Add) -> None:
    done: list[str] = []
    enough = threading.Event()

    class Watched(Upkeep):
        def look(self) -> None:
            done.append("look")

        def tick(self) -> None:
            done.append("tick")
            enough.set() if len(done) > 8 else None

    with File.open(path, clock=clock) as file:
        assert file.session is not None
        upkeep = Watched(file._gate, file._plain, clock, file.session, sync=True, interval=0.001)  # type: ignore[arg-type]
        file._gate.upkeep = upkeep
        add(file)
        assert enough.wait(30)
        upkeep.stop()
        assert done[:12] == ["look", "look", "look", "tick"] * 3


@pytest.mark.parametrize(("megabytes", "is_long"), [(30, False), (35, True)])
def test_who_comes_back_to_a_long_log_has_it_looked_at_at_once(
    path: Path, add: Add, monkeypatch: pytest.MonkeyPatch, megabytes: int, is_long: bool
) -> None:
    """Those who rested have left it to whoever writes, and he may not have come to it in his time."""
    monkeypatch.setattr(Upkeep, "wake", lambda self: None)
    with File.open(path) as file, File.open(path) as other:
        add(other, "x" * megabytes * 1_000_000)
        asyncio.run(file.write(lambda db: None, rest=0.001))
        assert upkeep_of(file).woken.is_set() is is_long


@pytest.mark.usefixtures("still")
def test_a_log_that_a_reader_keeps_growing_is_warned_about_once(path: Path, add: Add) -> None:
    with File.open(path) as file:
        upkeep = upkeep_of(file)
        add(file)
        reader = apsw.Connection(str(path))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchall()
        add(file, "x" * 60_000_000)
        upkeep.tick()
        add(file, "x" * 8_000_000)
        with pytest.warns(RuntimeWarning, match=r"grown to \d\d MB.*database browser"):
            upkeep.tick()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            add(file, "x" * 8_000_000)
            upkeep.tick()
        reader.close()
        add(file, "x" * 5_000_000)
        assert upkeep.checkpoint()


@pytest.mark.usefixtures("still")
def test_readers_that_come_and_go_are_not_warned_about(path: Path, add: Add) -> None:
    with File.open(path) as file, warnings.catch_warnings():
        warnings.simplefilter("error")
        add(file, "x" * 40_000_000)
        for _ in range(2):  # a busy process reads now and then, and just when the log is to be moved
            add(file, "x" * 30_000_000)
            reader = apsw.Connection(str(path))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM event").fetchall()
            add(file)
            upkeep_of(file).tick()
            assert not upkeep_of(file)._warned
            reader.close()


@pytest.mark.usefixtures("still")
def test_a_full_disk_only_puts_the_checkpoint_off(path: Path, disk: Any, add: Add, count: Count) -> None:
    with File.open(path, vfs=disk.name) as file:
        add(file, "x" * 5_000_000)

        def fail(operation: str, name: str) -> None:
            if operation == "write" and name == str(path):
                raise apsw.FullError("injected")

        disk.fail = fail
        upkeep_of(file).tick()
        assert upkeep_of(file).active
        add(file)
        disk.fail = lambda operation, name: None
        upkeep_of(file).tick()
        assert path.stat().st_size > 5_000_000
        assert count(file) == 2


class Substitute:
    """The connection with which a file's log is moved, for a test to put something in its way."""

    def __init__(self, file: File) -> None:
        upkeep = upkeep_of(file)
        assert upkeep._db is not None
        self.db = upkeep._db
        self.file = file
        self.execute, self.close = self.db.execute, self.db.close
        upkeep._db = self  # type: ignore[assignment]

    def wal_checkpoint(self, *, mode: int) -> tuple[int, int]:
        return self.db.wal_checkpoint(mode=mode)


class Crowded(Substitute):
    """After each checkpoint somebody commits, unless nobody can."""

    checkpoints = 0
    commit: Callable[[], object]

    def wal_checkpoint(self, *, mode: int) -> tuple[int, int]:
        result = super().wal_checkpoint(mode=mode)
        if mode == apsw.SQLITE_CHECKPOINT_PASSIVE:
            self.checkpoints += 1
            if not self.file.db.in_transaction:
                self.commit()
        return result


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize(("size", "rounds"), [(1, 2), (2_000_000, 6)])
def test_a_log_begins_anew_although_writers_leave_no_gap(path: Path, add: Add, size: int, rounds: int) -> None:
    """A writer that commits during every checkpoint would let the log grow for ever: it is held up for the rest, which
    is short after the first round, or after a few rounds whatever it is."""
    with File.open(path) as file:
        upkeep = upkeep_of(file)
        add(file, "x" * 5_000_000)
        assert upkeep.checkpoint()
        crowded = Crowded(file)
        crowded.commit = lambda: add(file, "x" * size)
        add(file, "x" * 6_000_000)
        assert upkeep.checkpoint()
        assert crowded.checkpoints == rounds
        marker = read_marker(file.db)
        assert marker is not None
        assert marker.sealed == marker.cycle
        add(file)
        assert crowded.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0] < 20


@pytest.mark.usefixtures("still")
def test_who_leaves_the_file_to_others_leaves_the_log_to_them_too(path: Path, add: Add) -> None:
    """They would find it busy, and leave it in their turn, to nobody."""
    with File.open(path) as file:
        upkeep = upkeep_of(file)
        add(file, "x" * 5_000_000)
        file._gate.resting = 1
        assert not upkeep.checkpoint()
        add(file, "x" * 66_000_000)
        assert upkeep.checkpoint(), "so much is too much for anybody"
        file._gate.resting = 0
        add(file, "x" * 5_000_000)
        assert upkeep.checkpoint()


@pytest.mark.usefixtures("still")
def test_a_checkpoint_of_another_process_is_left_alone(path: Path, add: Add) -> None:
    class Taken(Substitute):
        """Another process is at its checkpoint."""

        def wal_checkpoint(self, *, mode: int) -> tuple[int, int]:
            if mode == apsw.SQLITE_CHECKPOINT_PASSIVE:
                raise apsw.BusyError("injected")
            return super().wal_checkpoint(mode=mode)

    with File.open(path) as file:
        upkeep = upkeep_of(file)
        add(file, "x" * 5_000_000)
        assert upkeep.checkpoint()
        Taken(file)
        add(file, "x" * 80_000_000)
        assert not upkeep.checkpoint()
