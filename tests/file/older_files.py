"""Files as an older workglow wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.file.migrations import migrations
from workglow.file.session import LEASE, Session, this_process

if TYPE_CHECKING:
    import apsw
    import pytest

    from workglow.clock import Clock

__all__ = ["go_back"]


def go_back(patch: pytest.MonkeyPatch, number: int) -> None:
    """Be a workglow that knows only the first migrations."""
    patch.setattr("workglow.file.opening.migrations", lambda: migrations()[:number])
    patch.setattr("workglow.file.opening._check_tables", lambda db, path: None)
    patch.setattr("workglow.file.presence.begin_session", begin_session_without_beat)


def begin_session_without_beat(db: apsw.Connection, clock: Clock) -> Session:
    process, now = this_process(), clock.now()
    db.execute(
        """INSERT INTO session (host, boot, pid, pid_started, started_at, heartbeat_at, lease)
           VALUES (?, ?, ?, ?, ?, ?, ?)""",
        (*process, now, now, LEASE),
    )
    return Session(db.last_insert_rowid(), process, now, LEASE)
