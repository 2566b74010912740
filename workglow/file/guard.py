"""Whether a file that somebody named may be opened without SQLite in this process.

Closing a plain descriptor of a database drops every lock that SQLite holds on it in the process, and replacing the file
takes it away from under its connection.  So whoever opens a file by a name that came from elsewhere asks here first.
"""

from __future__ import annotations

import os
import time
from weakref import WeakKeyDictionary

import apsw

__all__ = ["is_open_database", "remember"]

_names: WeakKeyDictionary[apsw.Connection, str] = WeakKeyDictionary()
_PAUSE = 0.001  # seconds


def remember(db: apsw.Connection) -> apsw.Connection:
    """Keep the name of a new connection's file: a connection that works in another thread cannot be asked for it."""
    _names[db] = db.filename
    return db


def is_open_database(path: str | os.PathLike[str]) -> bool:
    """Whether the path leads to a database that this process has open, or to its log or index."""
    for database in apsw.connections():
        name = _names.get(database)
        if name is None:
            name = _name_of(database)
        beside = [name + end for end in ("", "-wal", "-shm", "-journal")] if name else []
        if any(_is_same(path, other) for other in beside):
            return True
    return False


def _name_of(database: apsw.Connection) -> str:
    """Ask somebody else's connection for its file, as soon as it has a moment."""
    while True:
        try:
            return database.filename
        except apsw.ThreadingViolationError:
            time.sleep(_PAUSE)
        except apsw.ConnectionClosedError:
            return ""


def _is_same(path: str | os.PathLike[str], other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):  # one of them is not there, or can be nowhere
        return os.path.realpath(path) == os.path.realpath(other)
