"""What happens behind the commits: syncs, heartbeats and checkpoints, on a thread of their own.

Policy.  The thread starts at the first commit and sleeps while nothing is committed.  `_INTERVAL` after a commit it
syncs the log (durability 'auto'), so that a power cut can lose no more than that.  A third of a lease after the last
one it says that the session is alive.

When the log holds `_LARGE` pages that the main file lacks, they are moved there while others write, in rounds, each of
which finds less than the last one; for the rest the writers' lock is held, some milliseconds, so that the log begins
anew.  To write over it takes a quarter less time than to let it grow, and half when each commit waits for the disk; and
a commit that makes it grow while it is synced waits for that, tens of milliseconds.  So it is looked at more often than
it is synced, and moved before it is as long as what SQLite lets it keep.
Where several processes write all the time, the one whose turn it is does this, for it need not give way to itself.
"""

from __future__ import annotations

import contextlib
import os
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Final

import apsw

from workglow.errors import WorkglowError
from workglow.file.connection import connect
from workglow.file.marker import move_log, seal, start_cycle
from workglow.file.place import log_path, sync_folder
from workglow.file.session import begin_session, heartbeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.clock import Clock
    from workglow.file.session import Session
    from workglow.file.transaction import Gate, Transaction

__all__ = ["Upkeep"]

_INTERVAL: Final = 0.2  # seconds
_LOOKS: Final = 4  # at the log, in one interval
_LARGE: Final = 1000  # pages of 4 KiB
_LONG: Final = 8 * _LARGE  # half of what the log keeps; the other half is for what comes while they are moved
_SHORT: Final = 250  # pages that are moved while nobody can write
_ROUNDS: Final = 4
_HUGE: Final = 16 * _LARGE  # 64 MB: worth a warning
_PAGE: Final = 4096


class Upkeep:
    """The background work of one open file."""

    def __init__(
        self,
        gate: Gate,
        transaction: Transaction,
        clock: Clock,
        session: Session,
        *,
        sync: bool,
        vfs: str = "",
        interval: float = _INTERVAL,
        fdatasync: Callable[[int], None] | None = None,
    ) -> None:
        self.active = False  # something was committed since the last look
        self.idle = True  # the thread sleeps until it is woken
        self.failure: BaseException | None = None
        self.session = session
        self.interval = interval
        self.stopped = threading.Event()
        self.woken = threading.Event()
        self.beat_every = session.lease / 3000
        self._gate = gate
        self._transaction = transaction
        self._clock = clock
        self._sync = sync
        self._vfs = vfs
        self._fdatasync = fdatasync or getattr(os, "fdatasync", os.fsync)
        self._log: int | None = None
        self._db: apsw.Connection | None = None
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()
        self._beat_at = clock.monotonic()
        self._tried = 0  # pages in the log at the last checkpoint that was not complete
        self._looks = 0
        self._stopped_at = -1  # page of the log up to which a reader let the last checkpoint come
        self._warned = False

    def wake(self) -> None:
        """Have the thread look after the commit that just happened."""
        self.idle = False
        if self._thread is None:
            with self._guard:
                if self._thread is None and not self.stopped.is_set():
                    watched = (weakref.ref(self), self.woken, self.stopped)
                    self._thread = threading.Thread(target=_loop, args=watched, daemon=True, name="workglow-upkeep")
                    self._thread.start()
        self.woken.set()

    def look_at_log(self, pages: float) -> None:
        """Have the thread move a log of so many pages at once when they are many."""
        if pages >= _LONG:
            self.woken.set()

    def stop(self) -> None:
        """End the thread and close what it opened."""
        with self._guard:
            self.stopped.set()
            self.woken.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._log is not None:
            os.close(self._log)
            self._log = None
        if self._db is not None:
            self._db.close()
            self._db = None

    def work(self) -> float:
        """Look at the log or, each fourth time, do all that is due; how many seconds there is nothing more to do."""
        self._looks = (self._looks + 1) % _LOOKS
        if self._looks:
            self.look()
        else:
            self.tick()
            self.idle = not self.active
            if self.idle and not self.active:  # if it is now, whoever committed has not seen that it is idle
                return self.beat_every
            self.idle = False
        return self.interval / _LOOKS

    def tick(self) -> None:
        """Do what is due.  A full disk or a lock only puts it off."""
        active = self.active
        if active:  # a commit that comes between these two lines is in the log, too, and synced below
            self.active = False
        try:
            if active and self._sync:
                self.sync()
            if self._clock.monotonic() - self._beat_at >= self.beat_every:
                self.beat()
            if active:
                self.checkpoint()
        except (apsw.Error, WorkglowError, Warning):  # a warning that was made an error must not end the syncs
            self.active = True  # look again at the next tick

    def look(self) -> None:
        """Move a log that has become long since the last tick; what goes wrong is left to the next one."""
        if self._db is not None:
            with contextlib.suppress(apsw.Error, WorkglowError, Warning):
                self.checkpoint(_LONG)

    def sync(self) -> None:
        """Wait until the disk has what was committed."""
        try:
            if self._log is None:
                self._log = os.open(log_path(self._gate.path), os.O_RDWR)
                sync_folder(self._gate.path)
            self._fdatasync(self._log)
        except OSError as error:
            self.failure = error

    def beat(self) -> None:
        """Say that the session is alive, or begin a new one when somebody took it for dead."""
        with self._transaction as db:
            if not heartbeat(db, self.session.id, self._clock):
                self.session = begin_session(db, self._clock, self.session.lease)
        self._beat_at = self._clock.monotonic()

    def checkpoint(self, at_least: int = _LARGE) -> bool:
        """Move what the log holds into the main file when it is much; True when all of it was moved."""
        if self._db is None:
            self._db = connect(self._gate.path, vfs=self._vfs)
            self._db.pragma("user_version")  # a connection that has read nothing does not know its log
        logged, moved = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        if logged < self._tried:
            self._tried = 0
        if logged - max(moved, self._tried) < (_HUGE if self._gate.resting else at_least):
            return False
        with self._transaction as db:
            cycle = start_cycle(db)
        before = logged
        logged, moved = self._move(self._db)
        if logged != moved and logged >= before:  # a shorter log is a new one: all of the last one was moved
            self._tried = logged
            return False
        with self._transaction as db:
            seal(db, cycle)
        self._tried = 0
        return True

    def _move(self, db: apsw.Connection) -> tuple[int, int]:
        """Return how many pages the log holds and how many of them are in the main file now."""
        try:
            logged, moved = move_log(db)
            for _ in range(_ROUNDS):
                if logged - moved <= _SHORT:
                    break
                logged, moved = move_log(db)
            if logged != moved:
                with self._transaction:
                    logged, moved = move_log(db)
                if logged != moved:  # nobody wrote, so it is a reader
                    if moved == self._stopped_at:  # one of a busy process is gone by the next time
                        self._warn(logged)
                    self._stopped_at = moved
        except apsw.BusyError:  # another process is at it
            return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        return logged, moved

    def _warn(self, pages: int) -> None:
        if pages < _HUGE or self._warned:
            return
        self._warned = True
        warnings.warn(
            f"The log of {self._gate.path} has grown to {pages * _PAGE // 1_000_000} MB, because a reader has kept one "
            "transaction open.  Finish or close what reads the file: an open query, or a database browser.",
            RuntimeWarning,
            stacklevel=2,
        )


def _loop(ref: weakref.ref[Upkeep], woken: threading.Event, stopped: threading.Event) -> None:
    """Hold no reference while sleeping, so that a file nobody closed can be collected."""
    pause = 0.0
    while True:
        woken.wait(pause)
        woken.clear()
        upkeep = ref()
        if upkeep is None or stopped.is_set():
            return
        pause = upkeep.work()
        del upkeep
