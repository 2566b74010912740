"""How a main file says that it is in use, so that a copy without its log is refused instead of read from the past.

The one row of `project` is the marker.  The main file is the `.wg` itself; the log is the `-wal` beside it, and what
was committed last is only there.

* Going from closed to open sets `state` to 'open' and moves that into the main file at once, by a checkpoint.  While a
  file is open its log is never removed or emptied.  So a main file that says 'open' and has no log is half a copy.
* Before a checkpoint `cycle` goes up; after one that moved everything, `sealed` becomes that cycle, as the first thing
  in the log that starts then.  So a log that was sealed at cycle c fits only a main file that has heard of cycle c:
  the others are an old main file beside a young log, or the other way round.
* After a crash another SQLite program may look into the file, and on leaving folds the log into it and removes it.
  That file is whole.  It is told from half a copy by `place` (it still is the same file on the same machine) and by
  `sealed = cycle` (a checkpoint of ours moves only rows with `sealed < cycle`, unless a reader held it up).

With one process this is exact.  When several processes checkpoint at the same moment, a copy of main file and log that
was taken between their checkpoints can go unnoticed.  `copy` needs none of this.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import apsw

from workglow.errors import HalfCopyError
from workglow.file.connection import connect_alone
from workglow.file.place import host_name, log_size

__all__ = [
    "Marker",
    "check_log",
    "check_main",
    "check_without_log",
    "mark_closed",
    "mark_open",
    "misfit",
    "move_log",
    "place_of",
    "read_marker",
    "seal",
    "start_cycle",
]


class Marker(NamedTuple):
    """The marker as the main file alone, or main file and log together, give it."""

    uid: str
    state: str
    generation: int
    cycle: int
    sealed: int
    place: str


def place_of(path: str) -> str:
    """Name the file so that a copy of it has another name: host and inode."""
    return f"{host_name()}:{os.stat(path).st_ino}" if os.path.exists(path) else ""


def read_marker(db: apsw.Connection) -> Marker | None:
    """Read the marker through a connection; None when there is none yet."""
    if not db.table_exists("main", "project"):
        return None
    row = db.execute("SELECT uid, state, generation, cycle, sealed, place FROM project").fetchone()
    if row is None:
        return None
    marker = Marker(*row)
    if marker.state not in ("open", "closed") or list(map(type, marker)) != [str, str, int, int, int, str]:
        raise apsw.CorruptError("the row of table project makes no sense")
    return marker


def check_main(path: str, vfs: str = "") -> Marker | None:
    """Return what the main file alone says; refuse it when it lacks its log.

    Another process may be opening or closing the file meanwhile.  A file that is in use has a log, and each use has
    its own generation: so 'open' before and after a look that found no log means that there was none all the time.
    """
    while True:
        alone = _read_alone(path, vfs)
        if log_size(path) or alone is None or alone.state != "open":
            return alone
        if _read_alone(path, vfs) == alone:
            break
    check_without_log(path, alone)
    return alone


def check_without_log(path: str, alone: Marker) -> None:
    """Refuse a main file that says it is in use and has no log, unless another program folded the log into it."""
    if alone.state != "open" or (alone.place == place_of(path) and alone.sealed == alone.cycle):
        return
    raise HalfCopyError(
        f"{path} was copied while it was in use, without {os.path.basename(path)}-wal, and that file holds what was "
        "written last.  Copy both files again, or make one complete file of the original with `workglow copy`."
    )


def check_log(path: str, db: apsw.Connection, alone: Marker | None, vfs: str = "") -> Marker | None:
    """Return what main file and log say together through `db`; refuse a log that does not belong to the main file.

    While another process checkpoints, the two are read at different times; only what stays the same is a misfit.
    """
    seen = None
    while True:
        view = read_marker(db)
        if alone is None or _fits(alone, view):
            return view
        if seen == (alone, view):
            break
        seen = (alone, view)
        alone = _read_alone(path, vfs)
    raise misfit(path)


def misfit(path: str) -> HalfCopyError:
    """The error of a main file and a log that do not belong together."""
    return HalfCopyError(
        f"{path} and {os.path.basename(path)}-wal do not belong together: they were copied at different times.  "
        "Copy both again while the project is closed, or make one complete file with `workglow copy`."
    )


def _fits(alone: Marker, view: Marker | None) -> bool:
    return (
        view is not None
        and alone.uid == view.uid
        and alone.cycle <= view.cycle
        and alone.sealed <= view.sealed
        and (alone.sealed == view.sealed or alone.cycle >= view.sealed)
    )


def mark_open(db: apsw.Connection, place: str) -> int:
    """Note in a transaction that the file is in use; a checkpoint of the returned cycle must move that into it."""
    return db.execute(
        """UPDATE project SET generation = generation + (state = 'closed'), state = 'open', cycle = cycle + 1, place = ?
           RETURNING cycle""",
        (place,),
    ).get


def start_cycle(db: apsw.Connection) -> int:
    """Note in a transaction that a checkpoint follows; returns its cycle."""
    return db.execute("UPDATE project SET cycle = cycle + 1 RETURNING cycle").get


def move_log(db: apsw.Connection) -> tuple[int, int]:
    """Checkpoint; returns how many pages the log holds and how many of them are in the main file now.

    What was committed meanwhile is in the log only; the checkpoint's own figures would leave it out.
    """
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)


def seal(db: apsw.Connection, cycle: int) -> None:
    """Note in a transaction that the checkpoint of `cycle` moved everything, unless another one has begun."""
    db.execute("UPDATE project SET sealed = cycle WHERE cycle = ?", (cycle,))


def mark_closed(db: apsw.Connection) -> None:
    """Note in a transaction that nobody has the file open any more."""
    db.execute("UPDATE project SET state = 'closed', cycle = cycle + 1")


def _read_alone(path: str, vfs: str) -> Marker | None:
    try:
        db = connect_alone(path, vfs=vfs)
        try:
            return read_marker(db)
        finally:
            db.close()
    except apsw.Error:
        return (
            None  # a checkpoint is being written or was cut off, or the file is damaged: the next connection will say
        )
