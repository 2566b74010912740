"""Connections to a project file, all set up alike."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import quote

import apsw

from workglow.file.failures import explain
from workglow.file.guard import remember
from workglow.file.place import log_size
from workglow.file.pragmas import configure, keep_log_on_close, query_only

__all__ = ["STATEMENTS", "close_reader", "connect", "connect_alone", "connect_to_read"]

STATEMENTS: Final = 256
"""Prepared statements that a connection keeps; the toolkit has fewer."""


def connect(
    path: str,
    *,
    write: bool = True,
    change: bool = True,
    create: bool = False,
    busy_timeout: float = 0.0,
    vfs: str = "",
) -> apsw.Connection:
    """Open `path` and set the connection up.

    `write=False`: its SQL cannot write.  `change=False`: SQLite itself must not write either, for files that this user
    may only read.  `create` makes a file that is missing.  `busy_timeout` is in seconds.
    """
    flags = apsw.SQLITE_OPEN_READWRITE if change else apsw.SQLITE_OPEN_READONLY
    if create:
        flags |= apsw.SQLITE_OPEN_CREATE
    try:
        db = remember(apsw.Connection(path, flags=flags, vfs=vfs or None, statementcachesize=STATEMENTS))
        try:
            db.set_busy_timeout(round(busy_timeout * 1000))
            configure(db)
            if not write:
                query_only(db)
        except BaseException:
            db.close()
            raise
    except apsw.Error as error:
        raise explain(error, path) or error from error
    return db


def connect_alone(path: str, *, vfs: str = "") -> apsw.Connection:
    """Open the main file as it is, without its log and without a lock: nobody may be writing it.

    SQLite writes nothing, makes no other file and takes no lock.
    """
    db = remember(
        apsw.Connection(
            f"file:{quote(path)}?immutable=1",
            flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
            vfs=vfs or None,
            statementcachesize=STATEMENTS,
        )
    )
    try:
        configure(db)
    except BaseException:
        db.close()
        raise
    return db


def connect_to_read(path: str, *, busy_timeout: float = 0.0, vfs: str = "") -> apsw.Connection:
    """Open `path` in the way that leaves no trace, as far as its permissions allow; close it with `close_reader`."""
    if os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK):
        return connect(path, write=False, busy_timeout=busy_timeout, vfs=vfs)
    if log_size(path):
        return connect(path, write=False, change=False, busy_timeout=busy_timeout, vfs=vfs)
    try:
        return connect_alone(path, vfs=vfs)
    except apsw.Error as error:
        raise explain(error, path) or error from error


def close_reader(db: apsw.Connection, path: str) -> None:
    """Close; when nobody else has the file open and its log is empty, log and index vanish as they came."""
    if not log_size(path):
        keep_log_on_close(db, False)
    db.close(True)
