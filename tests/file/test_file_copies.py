"""Copies of a file in use: whole ones go on, halves are refused, none is silently from the past."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from background import upkeep_of

from workglow.errors import FileError, FileLockedError, HalfCopyError
from workglow.file import File, copy, doctor, opening
from workglow.file.marker import Marker, _fits, read_marker

Add = Callable[..., None]
Count = Callable[[File], int]

CRASH = """
import os, sys
from workglow.file import File
file = File.open(sys.argv[1])
for number in range(int(sys.argv[2])):
    with file.transaction() as db:
        db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
print("written", flush=True)
sys.stdin.readline()
"""

LOOK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("SELECT count(*) FROM event").fetchone()[0])
db.close()
"""


pytestmark = pytest.mark.usefixtures("still")  # the tests say when a checkpoint happens


def log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def checkpoint(file: File) -> bool:
    return upkeep_of(file).checkpoint(at_least=1)


def copy_files(source: Path, target: Path, *, main: bool = True, wal: bool = True) -> Path:
    target.parent.mkdir(exist_ok=True)
    if main:
        shutil.copyfile(source, target)  # closes a descriptor of the file: only where no lock is needed any more
    if wal:
        shutil.copyfile(log(source), log(target))
    return target


def crashed(path: Path, other: Callable[..., Any], rows: int) -> None:
    """Leave the file behind as a process that was killed after `rows` commits does."""
    process = other(CRASH, path, rows)
    assert process.line() == "written"
    process.kill()


def between(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Let something happen once a file was found to have no log, and before SQLite opens it."""
    connect = opening.connect

    def connected(path: str, **settings: Any) -> apsw.Connection:
        monkeypatch.undo()
        happens()
        return connect(path, **settings)

    monkeypatch.setattr(opening, "connect", connected)


def test_a_file_of_a_killed_process_opens_with_all_that_was_committed(
    path: Path, other: Callable[..., Any], count: Count
) -> None:
    crashed(path, other, 50)
    assert log(path).stat().st_size > 0
    with File.open(path) as file:
        assert count(file) == 50
        assert len(file.dead_sessions(file.reader)) == 1
    assert os.listdir(path.parent) == [path.name]


def test_many_crashes_in_a_row_lose_nothing(path: Path, other: Callable[..., Any], count: Count) -> None:
    for _ in range(5):
        crashed(path, other, 10)
    with File.open(path, read_only=True) as file:
        assert count(file) == 50
    assert doctor(path).ok


def test_a_main_file_without_its_log_is_refused_and_not_touched(
    path: Path, tmp_path: Path, other: Callable[..., Any]
) -> None:
    crashed(path, other, 50)
    half = copy_files(path, tmp_path / "elsewhere" / "half.wg", wal=False)
    before = half.read_bytes()
    for read_only in (False, True):
        with pytest.raises(HalfCopyError, match=r"copied while it was in use, without half.wg-wal.*workglow copy"):
            File.open(half, read_only=read_only)
    with pytest.raises(HalfCopyError):
        copy(half, tmp_path / "copy.wg")
    assert half.read_bytes() == before
    assert os.listdir(half.parent) == ["half.wg"]
    log(half).write_bytes(b"")
    with pytest.raises(HalfCopyError):
        File.open(half)
    assert [check.name for check in doctor(half).failures] == ["copy"]


def test_a_main_file_with_its_log_is_whole(path: Path, tmp_path: Path, other: Callable[..., Any], count: Count) -> None:
    crashed(path, other, 50)
    with File.open(copy_files(path, tmp_path / "elsewhere" / "whole.wg")) as file:
        assert count(file) == 50


def test_a_main_file_that_lost_its_log_where_it_stands_is_refused(path: Path, other: Callable[..., Any]) -> None:
    crashed(path, other, 50)
    log(path).unlink()
    with pytest.raises(HalfCopyError):
        File.open(path)


def test_a_crashed_file_that_another_sqlite_looked_into_is_whole(
    path: Path, tmp_path: Path, other: Callable[..., Any], count: Count, add: Add
) -> None:
    """On leaving, the shell of SQLite moves the log into the main file and removes it."""
    crashed(path, other, 50)
    assert other(LOOK, path).end() == "50"
    assert not log(path).exists()
    copied = copy_files(path, tmp_path / "elsewhere" / "a.wg", wal=False)
    with File.open(path) as file:
        assert count(file) == 50
        add(file)
        half = copy_files(path, tmp_path / "elsewhere" / "b.wg", wal=False)
        with pytest.raises(HalfCopyError):
            File.open(half)
    with pytest.raises(HalfCopyError):  # nothing tells this copy from one that was made while the process lived
        File.open(copied)


def test_an_old_main_file_beside_a_young_log_is_refused(path: Path, tmp_path: Path, add: Add) -> None:
    mixed = tmp_path / "mixed" / "mixed.wg"
    with File.open(path) as file:
        add(file)
        copy_files(path, mixed, wal=False)
        for _ in range(2):
            add(file)
            assert checkpoint(file)
            add(file)
        copy_files(path, mixed, main=False)
        with pytest.raises(HalfCopyError, match=r"do not belong together.*workglow copy"):
            File.open(mixed)


def test_a_young_main_file_beside_an_old_log_is_refused(path: Path, tmp_path: Path, add: Add) -> None:
    mixed = tmp_path / "mixed" / "mixed.wg"
    with File.open(path) as file:
        add(file)
        copy_files(path, mixed)
        add(file)
        assert checkpoint(file)
        add(file)
        assert checkpoint(file)
        copy_files(path, mixed, wal=False)
        with pytest.raises(HalfCopyError, match="do not belong together"):
            File.open(mixed)
    copy_files(path, mixed, wal=False)
    with pytest.raises(HalfCopyError, match="do not belong together"):
        File.open(mixed, read_only=True)


def test_a_log_that_another_process_begins_while_the_file_is_opened_is_read(
    path: Path, other: Callable[..., Any], count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    File.open(path).close()
    assert not log(path).exists()
    processes: list[Any] = []
    between(monkeypatch, lambda: processes.append(other(CRASH, path, 50)) or processes[0].line())
    with File.open(path) as file:
        assert count(file) == 50
        assert len(file.db.execute("SELECT id FROM session WHERE ended_at IS NULL").fetchall()) == 2
    processes[0].kill()


def test_a_log_that_appears_while_the_file_is_opened_has_to_fit(
    path: Path, tmp_path: Path, other: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed(tmp_path / "stranger.wg", other, 50)
    File.open(path).close()
    between(monkeypatch, lambda: shutil.copyfile(log(tmp_path / "stranger.wg"), log(path)))
    with pytest.raises(HalfCopyError, match="do not belong together"):
        File.open(path)


def test_the_log_of_another_project_is_refused(path: Path, tmp_path: Path, add: Add) -> None:
    mixed = tmp_path / "mixed" / "mixed.wg"
    with File.open(path) as file:
        add(file)
        copy_files(path, mixed, main=False)
    File.open(tmp_path / "second.wg").close()
    copy_files(tmp_path / "second.wg", mixed, wal=False)
    with pytest.raises(FileError):
        File.open(mixed)


@pytest.mark.parametrize("seed", range(4))
def test_any_pair_of_main_file_and_log_is_complete_or_refused(
    path: Path, tmp_path: Path, add: Add, count: Count, seed: int
) -> None:
    """Main file and log are copied at two random moments between random commits, checkpoints, and openings."""
    chance = random.Random(seed)
    mains: list[tuple[Path, int]] = []
    logs: list[tuple[Path, int]] = []
    file = File.open(path)
    for number in range(40):
        match chance.randrange(8):
            case 0:
                file.close()
                copied = copy_files(path, tmp_path / "copies" / f"{number}.wg", wal=False)
                file = File.open(path)
                mains.append((copied, count(file)))
            case 1:
                checkpoint(file)
            case _:
                add(file, "x" * chance.choice([10, 9000]))
        if chance.random() < 0.3:
            copied = tmp_path / "copies" / f"{number}.wg"
            mains.append((copy_files(path, copied, wal=False), count(file)))
            copy_files(path, copied, main=False)
            logs.append((log(copied), count(file)))
    file.close()
    opened = refused = 0
    for main, at_main in mains:
        for wal, at_log in [*logs, (None, 0)]:
            pair = tmp_path / "pair" / "pair.wg"
            shutil.rmtree(pair.parent, ignore_errors=True)
            copy_files(main, pair, wal=False)
            if wal is not None:
                shutil.copyfile(wal, log(pair))
            try:
                with File.open(pair) as found:
                    opened += 1
                    # A log that was copied before the main file may end before it; never may anything older be missing.
                    assert count(found) >= min(at_main, at_log if wal is not None else at_main), (main, wal)
                    assert doctor(pair).ok
            except HalfCopyError:
                refused += 1
    assert opened
    assert refused


def test_reading_never_removes_the_log(path: Path, other: Callable[..., Any], count: Count) -> None:
    crashed(path, other, 5)
    before = log(path).read_bytes(), path.read_bytes()
    with File.open(path, read_only=True) as file:
        assert count(file) == 5
    assert (log(path).read_bytes(), path.read_bytes()) == before


def test_a_clean_close_leaves_one_complete_file(path: Path, tmp_path: Path, add: Add, count: Count) -> None:
    with File.open(path) as file:
        add(file)
        marker = read_marker(file.db)
        assert marker is not None
        assert (marker.state, marker.generation) == ("open", 1)
    assert os.listdir(tmp_path) == [path.name]
    moved = copy_files(path, tmp_path / "elsewhere" / "moved.wg", wal=False)
    with File.open(moved) as file:
        assert count(file) == 1
        marker = read_marker(file.db)
        assert marker is not None
        assert (marker.state, marker.generation) == ("open", 2)


def test_the_last_one_out_closes_the_file(path: Path, add: Add, other: Callable[..., Any]) -> None:
    process = other(CRASH, path, 3)
    assert process.line() == "written"
    file = File.open(path)
    add(file)
    file.close()
    assert log(path).exists()
    with File.open(path, read_only=True) as reader:
        marker = read_marker(reader.reader)
        assert marker is not None
        assert marker.state == "open"
        assert reader.reader.execute("SELECT ended_by FROM session ORDER BY id").fetchall() == [(None,), ("clean",)]
    process.kill()
    File.open(path).close()
    assert os.listdir(path.parent) == [path.name]


def test_a_reader_elsewhere_does_not_make_a_closed_file_incomplete(path: Path, tmp_path: Path, add: Add) -> None:
    file = File.open(path)
    reader = apsw.Connection(str(path))
    reader.execute("SELECT count(*) FROM event").fetchall()
    add(file)
    file.close()
    copied = copy_files(path, tmp_path / "elsewhere" / "a.wg", wal=False)
    reader.close()
    with File.open(copied) as again:
        assert again.reader.execute("SELECT count(*) FROM event").get == 1


def test_the_marker_is_in_the_main_file_before_anything_else_is_written(path: Path, tmp_path: Path) -> None:
    for number in range(3):
        file = File.open(path)
        half = copy_files(path, tmp_path / "halves" / f"{number}.wg", wal=False)
        with pytest.raises(HalfCopyError):
            File.open(half)
        file.close()


def test_a_copy_of_a_file_in_use_has_everything_and_belongs_to_nobody(
    path: Path, tmp_path: Path, add: Add, count: Count
) -> None:
    target = tmp_path / "elsewhere" / "copy.wg"
    target.parent.mkdir()
    with File.open(path) as file:
        add(file)
        assert file.session is not None
        with file.transaction() as db:
            graph = "INSERT INTO graph (hash, created_at) VALUES (?, 0)"
            db.execute(graph, ("0" * 64,))
            db.execute(
                """INSERT INTO run (uid, graph_id, status, session_id, epoch, input, created_at)
                   VALUES ('r', 1, 'running', ?, 1, '{}', 0)""",
                (file.session.id,),
            )
        copy(path, target)
        add(file)
        assert file.dead_sessions(file.reader) == []
        assert os.listdir(target.parent) == ["copy.wg"]
        assert doctor(target).ok
        with File.open(target) as copied:
            assert count(copied) == 1
            assert copied.uid == file.uid
            assert copied.dead_sessions(copied.reader) == [file.session.id]
            assert copied.reader.execute("SELECT session_id, epoch FROM run").get == (file.session.id, 1)
        assert count(file) == 2
    assert os.listdir(target.parent) == ["copy.wg"]


def test_closed_and_crashed_files_can_be_copied_and_are_not_changed_by_it(
    path: Path, tmp_path: Path, other: Callable[..., Any], count: Count
) -> None:
    File.open(path).close()
    before = path.read_bytes()
    copy(path, tmp_path / "closed.wg")
    assert path.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["closed.wg", path.name]
    crashed(path, other, 5)
    before = path.read_bytes()
    wal = log(path).read_bytes()
    copy(path, tmp_path / "crashed.wg")
    assert path.read_bytes() == before
    assert log(path).read_bytes() == wal
    for name, rows in (("closed.wg", 0), ("crashed.wg", 5)):
        assert doctor(tmp_path / name).ok
        with File.open(tmp_path / name) as copied:
            assert count(copied) == rows


def test_a_copy_never_replaces_a_file_unasked(path: Path, tmp_path: Path, add: Add, count: Count) -> None:
    with File.open(path) as file:
        add(file)
    target = tmp_path / "target.wg"
    target.write_text("precious")
    with pytest.raises(FileError, match=r"exists already.*overwrite=True"):
        copy(path, target)
    assert target.read_text() == "precious"
    with pytest.raises(FileError, match="onto itself"):
        copy(path, path, overwrite=True)
    with pytest.raises(FileError, match=r"the folder .* does not exist"):
        copy(path, tmp_path / "missing" / "a.wg")
    with pytest.raises(FileError, match="does not exist"):
        copy(tmp_path / "missing.wg", tmp_path / "a.wg")
    with File.open(tmp_path / "used.wg"), pytest.raises(FileLockedError, match="is in use"):
        copy(path, tmp_path / "used.wg", overwrite=True)
    (tmp_path / "used.wg").unlink()
    copy(path, target, overwrite=True)
    with File.open(target) as copied:
        assert count(copied) == 1
    assert sorted(os.listdir(tmp_path)) == [path.name, "target.wg"]


def test_a_copy_that_fails_leaves_nothing_behind(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, vfs: str) -> None:
        raise apsw.FullError("injected")

    File.open(path).close()
    monkeypatch.setattr(sys.modules["workglow.file.copy"], "_disown", full)
    with pytest.raises(FileError, match="is full"):
        copy(path, tmp_path / "target.wg")
    assert os.listdir(tmp_path) == [path.name]


SEEN = Marker("a", "open", 1, 5, 4, "host:1")


@pytest.mark.parametrize(
    ("alone", "view", "fits"),
    [
        (SEEN, SEEN, True),
        (SEEN, SEEN._replace(cycle=9), True),  # the log goes on, nothing of it was moved
        (SEEN, SEEN._replace(cycle=5, sealed=5), True),  # all of the last log was moved, and a new one has begun
        (SEEN, SEEN._replace(cycle=7, sealed=6), False),  # this main file never heard of the cycle that was sealed
        (SEEN, SEEN._replace(cycle=4), False),  # the log ends before the main file
        (SEEN._replace(sealed=5), SEEN, False),  # as before: the main file holds a seal that the log lacks
        (SEEN, SEEN._replace(uid="b"), False),
        (SEEN, None, False),
    ],
)
def test_which_main_file_and_log_belong_together(alone: Marker, view: Marker | None, fits: bool) -> None:
    assert _fits(alone, view) is fits
