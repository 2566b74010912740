"""How a connection to a project file is set up: one function for each setting, with its reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import apsw

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "APPLICATION_ID",
    "FULL",
    "NORMAL",
    "configure",
    "keep_log_on_close",
    "make_wal",
    "query_only",
    "shape_new_file",
    "synchronous",
]

APPLICATION_ID: Final = 0x57474C57
"""The letters WGLW: what `file` and every SQLite program see in bytes 68 to 71."""

NORMAL: Final = 1
FULL: Final = 2

_LARGEST_IDLE_LOG: Final = 64 * 1024 * 1024  # bytes; half a second of a busy queue


def foreign_keys(db: apsw.Connection) -> None:
    """Off by default in SQLite, for the sake of programs of 2009."""
    db.pragma("foreign_keys", 1)


def distrust_schema(db: apsw.Connection) -> None:
    """The file may be a stranger's: nothing in its schema may call a function with side effects."""
    db.pragma("trusted_schema", 0)
    db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)


def defensive(db: apsw.Connection) -> None:
    """SQL cannot write the schema or shadow tables by hand, so it cannot damage the file."""
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)


def no_triggers_or_views(db: apsw.Connection) -> None:
    """Our schema has none; one that is there was put there to run when we read or write."""
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)


def strict_quotes(db: apsw.Connection) -> None:
    """A misspelt "column" is an error, not a string."""
    db.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
    db.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)


def plan_once(db: apsw.Connection) -> None:
    """A plan depends on the SQL alone; else a statement with `LIMIT ?` is prepared anew, 6 µs, whenever it is run."""
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def check_cells(db: apsw.Connection) -> None:
    """A damaged page is reported where it is read, not where its garbage ends up."""
    db.pragma("cell_size_check", 1)


def no_memory_map(db: apsw.Connection) -> None:
    """A mapped file turns a disk error into a crash of the process."""
    db.pragma("mmap_size", 0)


def no_automatic_checkpoint(db: apsw.Connection) -> None:
    """A checkpoint waits for the disk; the background thread does it, not the commit that happens to be the 1,000th."""
    db.pragma("wal_autocheckpoint", 0)


def keep_log_on_close(db: apsw.Connection, keep: bool = True) -> None:
    """Only a clean close may fold the log into the file; every other way out leaves both as they are."""
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(keep))


def limit_idle_log(db: apsw.Connection) -> None:
    """After a burst the log shrinks to this at its next restart instead of keeping its largest size.

    What it keeps is written over, which takes a quarter less time than growing.
    """
    db.pragma("journal_size_limit", _LARGEST_IDLE_LOG)


def synchronous(db: apsw.Connection, level: int) -> None:
    """NORMAL syncs at checkpoints, FULL at each commit; never below, for OFF can lose the whole file."""
    db.pragma("synchronous", level)


def query_only(db: apsw.Connection) -> None:
    """A reader's SQL cannot write, whatever it says."""
    db.pragma("query_only", 1)


def shape_new_file(db: apsw.Connection) -> None:
    """Before the first table only: 4 KiB pages, as disks have, and free pages that can be given back bit by bit."""
    db.pragma("page_size", 4096)
    db.pragma("auto_vacuum", "INCREMENTAL")


def make_wal(db: apsw.Connection) -> str:
    """Readers and the writer do not wait for each other, and a commit is an append.  Returns the mode in force."""
    return str(db.pragma("journal_mode", "WAL"))


_ALWAYS: Final[tuple[Callable[[apsw.Connection], None], ...]] = (
    distrust_schema,
    defensive,
    no_triggers_or_views,
    strict_quotes,
    plan_once,
    no_memory_map,
    check_cells,
    foreign_keys,
    no_automatic_checkpoint,
    keep_log_on_close,
    limit_idle_log,
)


def configure(db: apsw.Connection) -> None:
    """Apply what every connection to a project file has."""
    for setting in _ALWAYS:
        setting(db)
