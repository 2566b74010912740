"""Who has a project file open, and whether that process is still there.

A session is alive while its process is.  It is dead when, in this order:

* its machine is another one, or this one before a restart (`moved`): the boot id differs;
* its process is gone, or the number now belongs to a process that started at another time (`crashed`);
* nothing can be said of its process, or it stands still, and it has been silent for longer than its lease (`lease`).

Process numbers mean something only inside their namespace, so the namespace is a part of `boot`: a process in another
container of the same machine is judged by its lease alone.  The session of the asking process is never dead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from workglow.file.place import host_name

if TYPE_CHECKING:
    import apsw

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


def this_process() -> Process:
    """Describe the running process."""
    pid = os.getpid()
    return Process(host_name(), _boot(), pid, _pid_started(pid) or "")


def begin_session(db: apsw.Connection, now: int, lease: int = LEASE) -> Session:
    """Insert the session of this process; the caller has begun the transaction."""
    process = this_process()
    db.execute(
        """INSERT INTO session (host, boot, pid, pid_started, started_at, heartbeat_at, lease)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (*process, now, now, lease),
    )
    return Session(db.last_insert_rowid(), process, now, lease)


def heartbeat(db: apsw.Connection, session_id: int, now: int) -> bool:
    """Say that the session is alive; False when somebody has ended it, taking it for dead."""
    db.execute("UPDATE session SET heartbeat_at = ? WHERE id = ? AND ended_at IS NULL", (now, session_id))
    return db.changes() == 1


def end_session(db: apsw.Connection, session_id: int, reason: Ending, now: int) -> None:
    """Note that a session is over; one that has ended stays as it ended."""
    db.execute(
        "UPDATE session SET ended_at = ?, ended_by = ? WHERE id = ? AND ended_at IS NULL", (now, reason, session_id)
    )


def open_sessions(db: apsw.Connection) -> list[int]:
    """Return the sessions that nobody has ended."""
    return [row[0] for row in db.execute("SELECT id FROM session WHERE ended_at IS NULL ORDER BY id")]


def dead_sessions(db: apsw.Connection, now: int) -> dict[int, Ending]:
    """Return the sessions that cannot write any more, and why: the dead ones, and those that ended owning a run."""
    me = this_process()
    rows = db.execute(
        "SELECT id, host, boot, pid, pid_started, heartbeat_at, lease FROM session WHERE ended_at IS NULL ORDER BY id"
    )
    found: dict[int, Ending] = {}
    for values in rows:
        row = _Row(*values)
        reason = _verdict(row, me, now)
        if reason is not None:
            found[row.id] = reason
    ended = db.execute(
        """SELECT id, ended_by FROM session WHERE ended_at IS NOT NULL
           AND id IN (SELECT session_id FROM run WHERE finished_at IS NULL) ORDER BY id"""
    )
    for number, reason in ended:
        found[cast("int", number)] = cast("Ending", reason)
    return found


def _verdict(row: _Row, me: Process, now: int) -> Ending | None:
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
    return "lease" if row.heartbeat_at + row.lease < now else None


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
