"""Whether a file that somebody named may be opened without SQLite in this process.

Closing a plain descriptor of a database drops every lock that SQLite holds on it in the process, and replacing the file
takes it away from under its connection.  So whoever opens a file by a name that came from elsewhere asks here first.
"""

from __future__ import annotations

import os

import apsw

__all__ = ["is_open_database"]


def is_open_database(path: str | os.PathLike[str]) -> bool:
    """Whether the path leads to a database that this process has open, or to its log or index."""
    for database in apsw.connections():
        name = database.filename
        beside = [name + end for end in ("", "-wal", "-shm", "-journal")] if name else []
        if any(_is_same(path, other) for other in beside):
            return True
    return False


def _is_same(path: str | os.PathLike[str], other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):  # one of them is not there, or can be nowhere
        return os.path.realpath(path) == os.path.realpath(other)
