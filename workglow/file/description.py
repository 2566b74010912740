"""What a project file holds and how large it is, for people."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final, cast

import apsw

from workglow.clock import Clock, SystemClock
from workglow.errors import NotAProjectError
from workglow.file.connection import close_reader, connect_to_read
from workglow.file.failures import explain
from workglow.file.header import check_header, read_header
from workglow.file.marker import check_log, check_main
from workglow.file.migrations import migrations, schema_of
from workglow.file.place import absolute, check_place, log_path
from workglow.file.session import dead_sessions

__all__ = ["Info", "OpenSession", "StoredValue", "info"]

_BIGGEST: Final = 10  # values that are listed


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A process that has the file open, or had when it died: `dead` says why it counts as dead, or is None."""

    id: int
    host: str
    pid: int
    started_at: int
    heartbeat_at: int
    dead: str | None


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A row of table `value`: `size` is of the decoded bytes, `stored` of those in the file."""

    hash: str
    kind: str
    size: int
    stored: int


@dataclass(frozen=True, slots=True)
class Info:
    """Figures of one project file; sizes are bytes, times are milliseconds since 1970 (UTC).

    `jobs` counts those of all queues by status.
    """

    path: str
    size: int
    log_size: int
    page_size: int
    pages: int
    free_pages: int
    format: int
    sqlite: str
    uid: str
    created_at: int
    created_by: str
    state: str
    sessions: tuple[OpenSession, ...]
    rows: dict[str, int]
    bytes: dict[str, int]
    biggest: tuple[StoredValue, ...]
    jobs: dict[str, int]


def info(path: str | os.PathLike[str], *, clock: Clock | None = None) -> Info:
    """Describe the project file at `path`; it may be in use.  Nothing is written.

    The bytes of a table include its indexes.  Counting rows and bytes reads the whole file.

    Raises what opening the file for reading raises.
    """
    place = absolute(path)
    check_place(place, create=False)
    header = read_header(place)
    if header is None:
        raise NotAProjectError(f"{place} is empty.  Opening it for writing makes it a project.")
    check_header(place, header, len(migrations()))
    alone = check_main(place)
    db = connect_to_read(place)
    try:
        check_log(place, db, alone)
        db.execute("BEGIN")  # all figures of one moment
        return _describe(place, db, clock or SystemClock())
    except apsw.Error as error:
        raise explain(error, place) or error from error
    finally:
        close_reader(db, place)


def _describe(path: str, db: apsw.Connection, clock: Clock) -> Info:
    uid, created_at, created_by, state = db.execute("SELECT uid, created_at, created_by, state FROM project").get
    tables = [name for name, sql in schema_of(db).items() if sql.startswith("CREATE TABLE")]
    biggest = db.execute(
        "SELECT hex(hash), kind, size, length(data) FROM value ORDER BY length(data) DESC, id LIMIT ?", (_BIGGEST,)
    )
    log = log_path(path)
    return Info(
        path=path,
        size=os.stat(path).st_size,
        log_size=os.stat(log).st_size if os.path.exists(log) else 0,
        page_size=db.pragma("page_size"),
        pages=db.pragma("page_count"),
        free_pages=db.pragma("freelist_count"),
        format=db.pragma("user_version"),
        sqlite=apsw.sqlite_lib_version(),
        uid=uid,
        created_at=created_at,
        created_by=created_by,
        state=state,
        sessions=_sessions(db, clock),
        rows={name: db.execute(f'SELECT count(*) FROM "{name}"').get for name in tables},  # names of our own schema
        bytes=_bytes(db),
        biggest=tuple(StoredValue(hash.lower(), *rest) for hash, *rest in biggest),
        jobs=_jobs(db) if "job" in tables else {},  # a file of an older format has none
    )


def _sessions(db: apsw.Connection, clock: Clock) -> tuple[OpenSession, ...]:
    dead = dead_sessions(db, clock)
    rows = cast(
        "list[tuple[int, str, int, int, int]]",
        db.execute(
            "SELECT id, host, pid, started_at, heartbeat_at FROM session WHERE ended_at IS NULL ORDER BY id"
        ).fetchall(),
    )
    return tuple(OpenSession(*row, dead.get(row[0])) for row in rows)


def _jobs(db: apsw.Connection) -> dict[str, int]:
    rows = db.execute("SELECT status, count(*) FROM job GROUP BY status ORDER BY status")
    return {str(status): cast("int", count) for status, count in rows}


def _bytes(db: apsw.Connection) -> dict[str, int]:
    """Bytes by table, largest first; empty when this SQLite was built without dbstat."""
    try:
        rows = db.execute(
            """SELECT s.tbl_name, sum(b.pgsize) FROM dbstat('main', 1) AS b JOIN sqlite_schema AS s ON s.name = b.name
               GROUP BY 1 ORDER BY 2 DESC, 1"""
        ).fetchall()
    except apsw.SQLError:
        return {}
    return {str(name): cast("int", size) for name, size in rows}
