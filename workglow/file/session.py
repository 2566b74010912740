"""Who has a project file open, and whether that process is still there.

A session is alive while its process is.  It is dead when, in this order:

* its machine is another one, or this one before a restart (`moved`): the boot id differs;
* its process is gone, or the number now belongs to a process that started at another time (`crashed`);
* nothing can be said of its process, or it stands still, and it has been silent for longer than its lease (`lease`).

A lease is measured on the clock that all processes of one machine share from its start on and that nobody can set: one
that is set wrong, or a night in which the machine sleeps, neither ends a lease nor makes one last.  Only a heartbeat
that this clock cannot have given, of a workglow that did not know it or of a container with a clock of its own, is
measured by the time of day.

Process numbers mean something only inside their namespace, so the namespace is a part of `boot`: a process in another
container of the same machine is judged by its lease alone.  The session of the asking process is never dead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, cast

import apsw

from workglow.file.place import host_name

if TYPE_CHECKING:
    from workglow.clock import Clock

__all__ = [
    "LEASE",
    "Ending",
    "Process",
    "Session",
    "begin_session",
    "dead_sessions",
    "end_session",
    "heartbeat",
    "open_sessions",
    "this_process",
]

LEASE: Final = 30_000
"""Milliseconds for which a silent session counts as alive when its process cannot be asked."""

_UNEVEN: Final = 1  # milliseconds that rounding may put a heartbeat into the future

Ending = Literal["clean", "crashed", "moved", "lease"]


class Process(NamedTuple):
    """A process so that it can be recognised later: by another process, after a restart, on another machine."""

    host: str
    boot: str
    pid: int
    pid_started: str


@dataclass(frozen=True, slots=True)
class Session:
    """One process's use of one project file; `id` is its row in table `session`."""

    id: int
    process: Process
    started_at: int
    lease: int


class _Row(NamedTuple):
    id: int
    host: str
    boot: str
    pid: int
    pid_started: str
    heartbeat_at: int
    lease: int
    beat: int


def this_process() -> Process:
    """Describe the running process."""
    pid = os.getpid()
    return Process(host_name(), _boot(), pid, _pid_started(pid) or "")


def begin_session(db: apsw.Connection, clock: Clock, lease: int = LEASE) -> Session:
    """Insert the session of this process; the caller has begun the transaction."""
    process, now = this_process(), clock.now()
    db.execute(
        """INSERT INTO session (host, boot, pid, pid_started, started_at, heartbeat_at, lease, beat)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        (*process, now, now, lease, _beat(clock)),
    )
    return Session(db.last_insert_rowid(), process, now, lease)


def heartbeat(db: apsw.Connection, session_id: int, clock: Clock) -> bool:
    """Say that the session is alive; False when somebody has ended it, taking it for dead."""
    db.execute(
        "UPDATE session SET heartbeat_at = ?, beat = ? WHERE id = ? AND ended_at IS NULL",
        (clock.now(), _beat(clock), session_id),
    )
    return db.changes() == 1


def _beat(clock: Clock) -> int:
    """Milliseconds on the clock that nobody can set; never 0, which says that the heartbeat knew no such clock."""
    return max(1, round(clock.monotonic() * 1000))


def end_session(db: apsw.Connection, session_id: int, reason: Ending, now: int) -> None:
    """Note that a session is over; one that has ended stays as it ended."""
    db.execute(
        "UPDATE session SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL", (now, reason, session_id)
    )


def open_sessions(db: apsw.Connection) -> list[int]:
    """Return the sessions that nobody has ended."""
    return [row[0] for row in db.execute("SELECT id FROM session WHERE ended_at IS NULL ORDER BY id")]


def dead_sessions(db: apsw.Connection, clock: Clock) -> dict[int, Ending]:
    """Return the sessions that cannot write any more, and why: the dead ones, and those that ended owning a run."""
    me = this_process()
    found: dict[int, Ending] = {}
    for row in _open_rows(db):
        reason = _verdict(row, me, clock)
        if reason is not None:
            found[row.id] = reason
    ended = db.execute(
        """SELECT id, ended_by FROM session WHERE ended_at IS NOT NULL
           AND id IN (SELECT session_id FROM run WHERE finished_at IS NULL) ORDER BY id"""
    )
    for number, reason in ended:
        found[cast("int", number)] = cast("Ending", reason)
    return found


def _open_rows(db: apsw.Connection) -> list[_Row]:
    query = "SELECT id, host, boot, pid, pid_started, heartbeat_at, lease, {} FROM session WHERE ended_at IS NULL"
    try:
        rows: list[Any] = db.execute(query.format("beat") + " ORDER BY id").fetchall()
    except apsw.SQLError:  # the file is of a format that had no such column
        rows = db.execute(query.format("0") + " ORDER BY id").fetchall()
    return [_Row(*row) for row in rows]


def _verdict(row: _Row, me: Process, clock: Clock) -> Ending | None:
    """Say why a session is dead, or None while it must be taken for alive."""
    machine, _, namespace = row.boot.partition(":")
    my_machine, _, my_namespace = me.boot.partition(":")
    if machine != my_machine:
        return "moved"
    if namespace == my_namespace:
        if (row.pid, row.pid_started) == (me.pid, me.pid_started):
            return None
        started = _pid_started(row.pid)
        if started is None or (started and row.pid_started and started != row.pid_started):
            return "crashed"
    return "lease" if _silence(row, clock) > row.lease else None


def _silence(row: _Row, clock: Clock) -> float:
    """Milliseconds since the last heartbeat of a session of this machine."""
    shared = clock.monotonic() * 1000 - row.beat
    return shared if row.beat and shared >= -_UNEVEN else clock.now() - row.heartbeat_at


@cache
def _boot() -> str:
    """Machine and its last start, then the namespace of process numbers."""
    try:
        machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import uuid

        machine = f"{uuid.getnode():012x}"  # survives a restart; the start times of processes do not
    try:
        return f"{machine}:{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return f"{machine}:0"


def _pid_started(pid: int) -> str | None:
    """When the process began, None when there is no such process, '' when that cannot be found out."""
    try:
        data = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        if not _exists(pid):
            return None
        return _pid_started_by_ps(pid) if not os.path.exists("/proc/self/stat") else ""
    fields = data.rpartition(b")")[2].split()
    return None if fields[0] in b"ZX" else fields[19].decode()


def _exists(pid: int) -> bool:
    if os.name == "nt":  # os.kill would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _pid_started_by_ps(pid: int) -> str:
    import subprocess

    try:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
