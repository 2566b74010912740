"""The one way to write: `BEGIN IMMEDIATE` … `COMMIT` on the one write connection, one at a time.

A transaction first takes the thread lock of the file, then SQLite's write lock.  Both are tried without waiting; only
when that fails, and the caller agreed to wait, is there a wait.  This is the hot path: the objects here are made once
a file, hold no state of a single use, and call nothing they need not.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from threading import get_ident
from time import sleep
from typing import TYPE_CHECKING, Final, Protocol

import apsw

from workglow.errors import FileError, FileLockedError
from workglow.file.failures import explain
from workglow.file.patience import pauses
from workglow.file.pragmas import FULL, NORMAL, synchronous

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Gate", "Refusal", "Transaction", "Upkept"]


_MOMENT: Final = 0.0002  # seconds; the other threads' transactions are short, except those that wait for the disk
_TRIES: Final = 16  # take half of that
_yield: Callable[[], object] = getattr(os, "sched_yield", lambda: sleep(0))


class _Forks:
    """How often this process is the child of a fork: a count is quicker than asking for the process number."""

    count = 0


def _forked() -> None:
    _Forks.count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Upkept(Protocol):
    """Whoever wants to know that something was committed."""

    active: bool
    idle: bool
    failure: BaseException | None

    def wake(self) -> None: ...


class Gate:
    """The write connection and what guards it."""

    __slots__ = ("busy_timeout", "db", "execute", "forks", "lock", "owner", "path", "power", "resting", "upkeep")

    def __init__(self, db: apsw.Connection, path: str, busy_timeout: float, *, power: bool) -> None:
        self.db = db
        self.path = path
        self.busy_timeout = busy_timeout
        self.power = power
        self.lock = threading.Lock()
        self.owner = 0
        self.forks = _Forks.count
        self.execute = db.cursor().execute  # a cursor of its own saves making one each time
        self.upkeep: Upkept | None = None
        self.resting = 0  # how many who would write leave the file to other processes for now

    def wait_for_thread(self, wait: bool | None) -> None:
        """Take the thread lock that somebody has; None is to wait for no longer than a moment."""
        if self.owner == get_ident():
            raise FileError(
                f"A transaction on {self.path} is open on this thread already; a second would wait for it forever.  "
                "Do both writes in one block."
            )
        patience = _MOMENT if wait is None else self.busy_timeout if wait else 0.0
        if not patience or not self.lock.acquire(timeout=patience):
            error = FileLockedError(
                f"Another thread of this process is writing to {self.path}.  "
                + (f"It took longer than {self.busy_timeout:g} s." if wait else "Try again, or wait for it.")
            )
            error.here = True
            raise error

    def wait_for_process(self, wait: bool | None) -> None:
        """Begin although another process has the write lock; None is to wait for no longer than a moment."""
        if wait is not False and self.slip_in():
            return
        for pause in pauses(self.busy_timeout if wait else 0.0):
            sleep(pause)
            if self.slip_in():
                return
        raise FileLockedError(
            f"Another process is writing to {self.path}"
            + (f" and held its lock for longer than {self.busy_timeout:g} s" if wait else "")
            + ".  Try again; if it stands still, stop it: the file is not harmed by that."
        )

    def slip_in(self) -> bool:
        """Begin in the gap between two transactions of a process that makes one after the other; False without one.

        It is over before any sleep is.
        """
        for _ in range(_TRIES):
            try:
                self.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                _yield()
            else:
                return True
        return False

    def refuse_child(self) -> FileError:
        """The error of a forked child."""
        return FileError(
            f"{self.path} was opened before this process was forked, and SQLite cannot be carried over a fork.  "
            "Open the file in the child, or start it with multiprocessing's 'spawn'."
        )

    def raise_level(self) -> None:
        """Let the next commit wait for the disk; SQLite allows the change only before the transaction."""
        self.refuse_failed_disk()
        synchronous(self.db, FULL)

    def refuse_failed_disk(self) -> None:
        """Raise when the disk has failed to keep what was committed."""
        if self.upkeep is not None and self.upkeep.failure is not None:
            raise FileError(
                f"The disk reported an error when {self.path} was synced ({self.upkeep.failure}): what was committed "
                "may not survive a power cut.  Close the file, check the disk, then run `workglow doctor`."
            )

    def abandon(self, error: BaseException, sync: bool) -> None:
        """Roll back, let the next one in, and raise `error` in our words when SQLite has words for it."""
        try:
            if self.db.in_transaction:  # a full disk or an I/O error may have rolled back already
                self.execute("ROLLBACK")
            if sync:
                synchronous(self.db, NORMAL)
        finally:
            self.owner = 0
            self.lock.release()
        explained = explain(error, self.path)
        if explained is not None:
            raise explained from error


class Transaction:
    """`with` it: one transaction, committed at the end of the block, rolled back when the block raises."""

    __slots__ = ("_gate", "_sync", "_wait")

    def __init__(self, gate: Gate, *, sync: bool, wait: bool | None) -> None:
        self._gate = gate
        self._sync = sync and not gate.power
        self._wait = wait

    def __enter__(self) -> apsw.Connection:
        gate = self._gate
        if gate.forks != _Forks.count:
            raise gate.refuse_child()
        if not gate.lock.acquire(False):
            gate.wait_for_thread(self._wait)
        try:
            gate.owner = get_ident()
            if self._sync:
                gate.raise_level()
            try:
                gate.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                gate.wait_for_process(self._wait)
        except BaseException as error:
            gate.abandon(error, self._sync)
            raise
        return gate.db

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gate = self._gate
        if error is not None:
            gate.abandon(error, self._sync)
            return
        try:
            gate.execute("COMMIT")
        except BaseException as failure:
            gate.abandon(failure, self._sync)
            raise
        if self._sync:
            synchronous(gate.db, NORMAL)
        gate.owner = 0
        gate.lock.release()
        upkeep = gate.upkeep
        if upkeep is not None:
            upkeep.active = True
            if upkeep.idle:
                upkeep.wake()


class Refusal:
    """What `transaction()` gives where nothing can be written: `with` raises the error."""

    __slots__ = ("_error",)

    def __init__(self, error: Callable[[], FileError]) -> None:
        self._error = error

    def __enter__(self) -> apsw.Connection:
        raise self._error()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Never reached: `__enter__` raises."""
