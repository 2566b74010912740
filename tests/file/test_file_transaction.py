"""One transaction at a time, all or nothing, with errors that say what to do."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import apsw
import pytest

from workglow.errors import FileCorruptError, FileError, FileFullError, FileLockedError
from workglow.file import File, copy, doctor, info
from workglow.file.failures import explain
from workglow.testing import FakeClock

Add = Callable[..., None]
Count = Callable[[File], int]

HOLD = """
import sys, apsw
db = apsw.Connection(sys.argv[1]); db.execute("BEGIN IMMEDIATE"); print("held", flush=True)
sys.stdin.readline(); db.execute("ROLLBACK"); print("free")
"""

WRITE = """
import sys, time
from workglow.file import File
file = File.open(sys.argv[1]); number = 0; print("ready", flush=True); sys.stdin.readline()
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    with file.transaction() as db:
        db.execute("INSERT INTO event (at, kind) VALUES (?, 'x')", (number,))
    number += 1
file.close(); print(number)
"""

FORK = """
import os, sys
from workglow.errors import FileError
from workglow.file import File
file = File.open(sys.argv[1])
if os.fork() == 0:
    try:
        with file.transaction():
            pass
    except FileError as error:
        print("child:", error, flush=True)
    os._exit(0)
os.wait()
with file.transaction() as db:
    db.execute("INSERT INTO event (at, kind) VALUES (0, 'parent')")
file.close()
"""


class Stop(BaseException):
    """Nothing that a handler for Exception would catch, like KeyboardInterrupt."""


def test_a_transaction_is_committed_at_the_end_of_its_block(file: File, count: Count) -> None:
    with file.transaction() as db:
        db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
        assert count(file) == 0
    assert count(file) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, Stop])
def test_a_block_that_raises_leaves_nothing(file: File, add: Add, count: Count, error: type[BaseException]) -> None:
    def fail() -> None:
        with file.transaction() as db:
            db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
            raise error

    with pytest.raises(error):
        fail()
    assert count(file) == 0
    add(file)
    assert count(file) == 1


def test_errors_of_a_statement_that_are_not_about_the_file_stay_what_they_are(file: File, add: Add) -> None:
    with pytest.raises(apsw.ConstraintError), file.transaction() as db:
        db.execute("INSERT INTO event (at, kind) VALUES (NULL, 'x')")
    add(file)


@pytest.mark.parametrize("name", [":memory:", "notes.wg"])
@pytest.mark.parametrize("sync", [False, True])
def test_every_kind_of_transaction_works_on_every_kind_of_file(
    tmp_path: Path, add: Add, count: Count, name: str, sync: bool
) -> None:
    for durability in ("auto", "power", "process"):
        target = name if name == ":memory:" else tmp_path / durability
        with File.open(target, durability=durability) as file:
            assert file.memory == (name == ":memory:")
            add(file, sync=sync)
            with file.transaction(sync=sync, wait=False) as db:
                db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
            assert file.submit(lambda db: db.execute("SELECT count(*) FROM event").get, sync=sync).result(30) == 2
            assert count(file) == 2


def test_a_nested_transaction_is_refused(file: File, add: Add, count: Count) -> None:
    with file.transaction() as db:
        db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
        for wait in (True, False):
            with pytest.raises(FileError, match=r"open on this thread already.*one block"):
                file.transaction(wait=wait).__enter__()
    assert count(file) == 1
    with pytest.raises(FileError), file.transaction(), file.transaction():
        pass
    add(file)
    assert count(file) == 2


def test_another_thread_waits_its_turn_or_is_told_at_once(file: File, add: Add, count: Count) -> None:
    inside, leave, told = threading.Event(), threading.Event(), []

    def hold() -> None:
        with file.transaction() as db:
            db.execute("INSERT INTO event (at, kind) VALUES (0, 'first')")
            inside.set()
            assert leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(30)
    with pytest.raises(FileLockedError, match="Another thread") as caught, file.transaction(wait=False):
        pass
    told.append(str(caught.value))
    waiting = threading.Thread(target=add, args=(file, "second"))
    waiting.start()
    leave.set()
    waiting.join(30)
    thread.join(30)
    assert [kind for (kind,) in file.reader.execute("SELECT kind FROM event ORDER BY id")] == ["first", "second"]


def test_another_process_that_writes_is_waited_for_or_told_at_once(
    file: File, other: Callable[..., Any], add: Add, count: Count
) -> None:
    holder = other(HOLD, file.path)
    assert holder.line() == "held"
    with pytest.raises(FileLockedError, match="Another process is writing"), file.transaction(wait=False):
        pass
    with pytest.raises(FileLockedError), file.transaction(wait=False, sync=True):
        pass
    threading.Timer(0.05, holder.say).start()
    add(file)
    assert count(file) == 1


def test_a_lock_that_is_held_for_too_long_is_an_error(path: Path, other: Callable[..., Any], add: Add) -> None:
    with File.open(path, busy_timeout=0.25) as file:
        holder = other(HOLD, path)
        assert holder.line() == "held"
        with pytest.raises(FileLockedError, match=r"longer than 0\.25 s.*stop it"), file.transaction():
            pass
        holder.say()
        assert holder.end() == "free"
        add(file)


def test_eight_processes_write_to_one_file_and_none_sees_a_lock(path: Path, other: Callable[..., Any]) -> None:
    processes = [other(WRITE, path, 10) for _ in range(8)]  # seconds
    for process in processes:
        assert process.line() == "ready"
    for process in processes:
        process.say()
    written = [int(process.end()) for process in processes]
    assert min(written) > 0
    with File.open(path, read_only=True) as file:
        assert file.reader.execute("SELECT count(*) FROM event").get == sum(written)
    assert doctor(path).ok


def test_a_forked_child_is_told_and_the_parent_goes_on(path: Path, other: Callable[..., Any], count: Count) -> None:
    said = other(FORK, path).end()
    assert said.startswith("child: ")
    assert "forked" in said
    assert "spawn" in said
    with File.open(path) as file:
        assert count(file) == 1


def test_threads_of_one_process_never_interleave(file: File, count: Count) -> None:
    def write() -> None:
        for _ in range(50):
            with file.transaction() as db:
                before = db.execute("SELECT count(*) FROM event").get
                db.execute("INSERT INTO event (at, kind) VALUES (?, 'x')", (before,))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [at for (at,) in file.reader.execute("SELECT at FROM event ORDER BY id")] == list(range(400))


def test_submitted_work_shares_one_transaction_and_fails_alone(file: File, add: Add, count: Count) -> None:
    begun: list[int] = []

    def insert(kind: str, fail: bool) -> Callable[[apsw.Connection], str]:
        def work(db: apsw.Connection) -> str:
            begun.append(db.execute("SELECT count(*) FROM event").get)
            db.execute("INSERT INTO event (at, kind) VALUES (0, ?)", (kind,))
            if fail:
                raise ValueError(kind)
            return kind

        return work

    inside, leave = threading.Event(), threading.Event()

    def hold(db: apsw.Connection) -> None:
        inside.set()
        assert leave.wait(30)

    first = file.submit(hold)
    assert inside.wait(30)
    futures: list[Future[str]] = [file.submit(insert(kind, kind == "b")) for kind in "abc"]
    futures.append(file.submit(insert("d", False)))
    assert futures[3].cancel()
    version = file.reader.pragma("data_version")
    leave.set()
    first.result(30)
    assert futures[0].result(30) == "a"
    with pytest.raises(ValueError, match="b"):
        futures[1].result(30)
    assert futures[2].result(30) == "c"
    assert begun == [0, 1, 1]
    assert [kind for (kind,) in file.reader.execute("SELECT kind FROM event ORDER BY id")] == ["a", "c"]
    assert version != file.reader.pragma("data_version")
    with pytest.raises(ValueError, match="alone"):
        file.submit(insert("alone", True)).result(30)
    assert count(file) == 2


def test_closing_finishes_what_was_submitted(path: Path, count: Count) -> None:
    file = File.open(path)
    futures = [
        file.submit(lambda db: db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')").fetchall())
        for _ in range(200)
    ]
    file.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with File.open(path) as again:
        assert count(again) == 200


def test_a_closed_file_says_so(path: Path) -> None:
    file = File.open(path)
    file.close()
    file.close()
    for use in (
        lambda: file.transaction().__enter__(),
        lambda: file.reader,
        lambda: file.submit(lambda db: None),
    ):
        with pytest.raises(FileError, match=r"notes\.wg is closed.*Open it again"):
            use()


def test_reading_a_file_again_in_the_same_process_drops_none_of_its_locks(
    file: File, other: Callable[..., Any], add: Add, count: Count
) -> None:
    """Closing an ordinary descriptor would: another process then takes itself for the last one and removes the log."""
    look = "import sys, sqlite3; db = sqlite3.connect(sys.argv[1], timeout=0); db.execute(sys.argv[2]); db.close()"
    add(file)
    doctor(file.path)
    info(file.path)
    copy(file.path, file.path + "2")
    File.open(file.path, read_only=True).close()
    other(look, file.path, "SELECT count(*) FROM event").end()
    assert os.path.exists(file.path + "-wal")
    with file.transaction():
        assert "database is locked" in other(look, file.path, "BEGIN IMMEDIATE").process.communicate(timeout=30)[1]
    add(file)
    assert count(file) == 2


def test_a_full_disk_is_told_and_survived_wherever_it_strikes(
    path: Path, clock: FakeClock, disk: Any, add: Add, count: Count
) -> None:
    with File.open(path, clock=clock, vfs=disk.name, durability="power") as file:
        for _ in range(3):
            add(file)
        struck = 0
        for stop in range(1, 12):
            left = stop

            def fail(operation: str, path: str) -> None:
                nonlocal left
                left -= operation == "write"
                if left <= 0:
                    raise apsw.FullError("injected")

            before = count(file)
            disk.fail = fail
            with contextlib.suppress(FileFullError):
                add(file, "y" * 10_000)
            struck += count(file) == before
            disk.fail = lambda operation, path: None
        assert struck > 3
        add(file)
    assert doctor(path).ok


def test_an_input_output_error_is_told_and_survived(path: Path, disk: Any, add: Add, count: Count) -> None:
    with File.open(path, vfs=disk.name, durability="power") as file:

        def fail(operation: str, path: str) -> None:
            raise apsw.IOError("injected")

        disk.fail = fail
        with pytest.raises(FileError, match="check the disk"):
            add(file)
        disk.fail = lambda operation, path: None
        add(file)
        assert count(file) == 1


@pytest.mark.parametrize(
    ("error", "expected", "remedy"),
    [
        (apsw.FullError("x"), FileFullError, "Free some space"),
        (apsw.BusyError("x"), FileLockedError, "Try again"),
        (apsw.LockedError("x"), FileLockedError, "Try again"),
        (apsw.CorruptError("x"), FileCorruptError, "workglow doctor"),
        (apsw.NotADBError("x"), FileCorruptError, "workglow doctor"),
        (apsw.IOError("x"), FileError, "check the disk"),
        (apsw.CantOpenError("x"), FileError, "read and write"),
        (apsw.ReadOnlyError("x"), FileError, "read_only=True"),
    ],
)
def test_errors_of_sqlite_are_told_with_a_remedy(
    file: File, error: apsw.Error, expected: type[FileError], remedy: str
) -> None:
    with pytest.raises(expected, match=remedy) as caught, file.transaction():
        raise error
    assert caught.value.__cause__ is error
    assert file.path in str(caught.value)
    assert explain(ValueError(), file.path) is None


def test_a_statement_is_planned_once_whatever_is_bound_to_it(path: Path) -> None:
    asked: list[int] = []

    def authorize(*_: object) -> int:  # is asked whenever SQLite plans a statement
        asked.append(limit)
        return apsw.SQLITE_OK

    limit = 0
    with File.open(path) as file:
        file.db.authorizer = authorize
        for limit in range(1, 5):
            file.db.execute("SELECT id FROM session WHERE ended_at IS NULL ORDER BY id LIMIT ?", (limit,)).fetchall()
        file.db.authorizer = None
    assert set(asked) == {1}
