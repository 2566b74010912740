"""Coming to a project file and leaving it: the session begins and ends, the marker says open and closed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import apsw

from workglow.file.marker import mark_closed, mark_open, move_log, place_of, read_marker, seal
from workglow.file.pragmas import keep_log_on_close
from workglow.file.session import begin_session, dead_sessions, end_session, open_sessions

if TYPE_CHECKING:
    from workglow.clock import Clock
    from workglow.file.session import Session
    from workglow.file.transaction import Transaction

__all__ = ["arrive", "depart"]

_PAUSE: Final = 0.01  # seconds


def arrive(transaction: Transaction, path: str, clock: Clock, *, unmarked: bool) -> Session:
    """Begin this process's session, and see to it that the main file says it is in use before anything else is written.

    `unmarked`: the main file does not say so yet.
    """
    with transaction as db:
        marker = read_marker(db)
        cycle = None
        if unmarked or marker is None or marker.state != "open":
            cycle = mark_open(db, place_of(path))
        elif marker.place != (place := place_of(path)):
            db.execute("UPDATE project SET place = ?", (place,))
        session = begin_session(db, clock)
    if cycle is not None and _move_log(db):
        with transaction:
            seal(db, cycle)
    return session


def depart(transaction: Transaction, session_id: int, clock: Clock) -> None:
    """End the session; the last one out folds the log into the file when the connection closes.

    Whether others have the file open is decided by SQLite's lock at that moment: what is written here is only what the
    file says.  Sessions of dead processes do not count.
    """
    with transaction as db:
        end_session(db, session_id, "clean", clock.now())
        if set(open_sessions(db)) <= set(dead_sessions(db, clock)):
            mark_closed(db)
    marker = read_marker(db)
    if marker is not None and marker.state == "closed":
        _move_log(db)  # a reader elsewhere may keep the log from vanishing
        keep_log_on_close(db, False)


def _move_log(db: apsw.Connection) -> bool:
    """Checkpoint, after another process that is at it; True when all of the log is in the main file.

    It may fail, for want of space: the log keeps what it holds.
    """
    for _ in range(100):
        try:
            logged, moved = move_log(db)
        except apsw.BusyError:
            time.sleep(_PAUSE)
        except apsw.Error:
            return False
        else:
            return logged == moved
    return False
