"""From a path to a connection to a project file of our format: checked before it is touched, made or migrated."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Final

import apsw

from workglow.errors import (
    FileCorruptError,
    FileError,
    FileLockedError,
    HalfCopyError,
    NewerFileError,
    NotAProjectError,
)
from workglow.file.connection import STATEMENTS, close_reader, connect, connect_to_read
from workglow.file.copy import write_copy
from workglow.file.failures import explain
from workglow.file.header import check_header, read_header
from workglow.file.marker import Marker, check_log, check_main, check_without_log, misfit
from workglow.file.migrations import apply, expected_schema, migrations, schema_of
from workglow.file.place import check_place, check_writable, log_size
from workglow.file.pragmas import NORMAL, configure, make_wal, shape_new_file, synchronous
from workglow.file.session import dead_sessions, open_sessions
from workglow.ids import new_id

if TYPE_CHECKING:
    from workglow.clock import Clock

__all__ = ["open_for_reading", "open_for_writing", "open_memory", "program"]

_PAUSE: Final = 0.01  # seconds between two tries to become the one who makes a new file


@cache
def program() -> str:
    """Name the program for the file's records: 'workglow 0.1.0, SQLite 3.54.1'."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        own = version("workglow")
    except PackageNotFoundError:
        own = "0"
    return f"workglow {own}, SQLite {apsw.sqlite_lib_version()}"


def open_for_writing(
    path: str, clock: Clock, *, create: bool = True, busy_timeout: float = 30.0, vfs: str = ""
) -> tuple[apsw.Connection, bool]:
    """Return a connection to the file, in our newest format, and whether its marker must still reach the main file."""
    alone: Marker | None = None
    exists = check_place(path, create=create)
    logged = log_size(path)
    if exists:
        _check_header(path, vfs)
        alone = check_main(path, vfs) if logged else None
    check_writable(path, exists=exists)
    db = connect(path, create=True, busy_timeout=busy_timeout, vfs=vfs)
    try:
        view = _check_content(db, path, alone, vfs)
        if exists and not logged:
            alone = view = _check_unlogged(path, db, view, vfs)
        unmarked = alone is None or view is None or alone.state != "open" or view.state != "open" or not log_size(path)
        _ensure_wal(db, path, busy_timeout)
        synchronous(db, NORMAL)
        _migrate(db, path, clock, vfs)
        if alone is not None:
            _check_tables(db, path)
    except apsw.Error as error:
        db.close()
        raise explain(error, path) or error from error
    except HalfCopyError:
        close_reader(db, path)
        raise
    except BaseException:
        db.close()
        raise
    return db, unmarked


def open_for_reading(path: str, *, busy_timeout: float = 30.0, vfs: str = "") -> apsw.Connection:
    """Return a connection that leaves no trace in the file; an older format is refused, for reading cannot migrate."""
    check_place(path, create=False)
    alone = check_main(path, vfs) if _check_header(path, vfs) else None
    db = connect_to_read(path, busy_timeout=busy_timeout, vfs=vfs)
    try:
        _check_content(db, path, alone, vfs)
        version = db.pragma("user_version")
        if version < len(migrations()):
            raise FileError(
                f"{path} is of an older format (number {version} of {len(migrations())}), and reading cannot change "
                "that.  Open it once for writing: it is migrated, with a backup beside it."
            )
        _check_tables(db, path)
    except apsw.Error as error:
        close_reader(db, path)
        raise explain(error, path) or error from error
    except BaseException:
        close_reader(db, path)
        raise
    return db


def open_memory(clock: Clock) -> apsw.Connection:
    """Return a project that is never on a disk."""
    db = apsw.Connection(":memory:", statementcachesize=STATEMENTS)
    configure(db)
    shape_new_file(db)
    _migrate(db, ":memory:", clock, "")
    return db


def _check_header(path: str, vfs: str) -> bool:
    """Refuse what is none of our files before SQLite sees it; False when it is empty."""
    header = read_header(path, vfs)
    if header is not None:
        check_header(path, header, len(migrations()))
    return header is not None


def _check_unlogged(path: str, db: apsw.Connection, view: Marker | None, vfs: str) -> Marker | None:
    """Check a file that had no log before it was looked at through `db`, which spares a look at the main file alone.

    Nobody removes a log while a connection is open.  So if there still is none, `db` saw the main file and nothing
    else; if there is one, another process has just begun to write it.
    """
    if log_size(path):
        return check_log(path, db, check_main(path, vfs), vfs)
    if view is not None:
        check_without_log(path, view)
    return view


def _check_content(db: apsw.Connection, path: str, alone: Marker | None, vfs: str) -> Marker | None:
    """Check what main file and log say together."""
    try:
        version, objects = db.execute(
            "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version"
        ).get
    except apsw.CorruptError:
        if alone is not None and log_size(path):  # sound alone, so it is the log that does not fit
            raise misfit(path) from None
        raise
    if version > len(migrations()):
        raise NewerFileError(
            f"{path} was written by a newer workglow: its format is number {version}, this one knows up to "
            f"{len(migrations())}.  Update workglow to open it."
        )
    if version == 0 and objects:
        raise NotAProjectError(f"{path} is another program's SQLite file, not a workglow project.  It was not touched.")
    return check_log(path, db, alone, vfs)


def _check_tables(db: apsw.Connection, path: str) -> None:
    """Refuse a file whose tables are not ours to the letter: what is disguised as one of them may do anything."""
    found = schema_of(db)
    strange = [name for name, sql in expected_schema().items() if found.get(name) != sql]
    if strange:
        raise FileCorruptError(
            f"{path} has a table or index '{strange[0]}' that workglow did not make: another program changed it.  "
            "`workglow doctor` lists what is different.  Restore a backup."
        )


def _ensure_wal(db: apsw.Connection, path: str, busy_timeout: float) -> None:
    """Turn the write-ahead log on; SQLite does not wait by itself for others who do the same to a new file."""
    db.set_busy_timeout(0)
    for _ in range(max(1, round(busy_timeout / _PAUSE))):
        try:
            if db.pragma("user_version") == 0:
                shape_new_file(db)
            mode = make_wal(db)
        except apsw.BusyError:
            time.sleep(_PAUSE)
            continue
        if mode != "wal":
            raise FileError(
                f"{path} is on a disk that cannot share memory between processes, such as a network folder "
                f"(journal mode '{mode}').  Put the project on a local disk."
            )
        db.set_busy_timeout(round(busy_timeout * 1000))
        return
    raise FileLockedError(f"Another process has held {path} for longer than {busy_timeout:g} s.  Try again.")


def _migrate(db: apsw.Connection, path: str, clock: Clock, vfs: str) -> None:
    before = db.pragma("user_version")
    for migration in migrations()[before:]:
        db.execute("BEGIN IMMEDIATE")
        try:
            version = db.pragma("user_version")  # another process may have been quicker
            if version < migration.number:
                if version == before and version > 0:
                    _check_unused(db, path, clock)
                    write_copy(path, f"{path}.backup-v{version}", vfs=vfs, overwrite=True)
                now = clock.now()
                by = program()
                apply(db, migration, now, by)
                if version == 0:
                    _introduce(db, now, by)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


def _introduce(db: apsw.Connection, now: int, by: str) -> None:
    """Give a new file its identity."""
    db.execute(
        "INSERT INTO project (id, uid, created_at, created_by, state, generation) VALUES (1, ?, ?, ?, 'closed', 0)",
        (new_id(now), now, by),
    )


def _check_unused(db: apsw.Connection, path: str, clock: Clock) -> None:
    """Refuse to change the format under a process that knows only the older one."""
    alive = set(open_sessions(db)) - set(dead_sessions(db, clock))
    if alive:
        raise FileLockedError(
            f"{path} is of an older format and in use by another process.  Close it there, then open it here: it is "
            "migrated, with a backup beside it."
        )
