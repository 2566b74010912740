"""The project file, open: the only thing in workglow that begins transactions."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import apsw

from workglow.clock import SystemClock
from workglow.errors import FileError, FileLockedError, FileLostError, FileReadOnlyError
from workglow.file.connection import close_reader, connect
from workglow.file.failures import explain
from workglow.file.log_events import LogEvents
from workglow.file.opening import open_for_reading, open_for_writing, open_memory
from workglow.file.patience import pauses, uneven
from workglow.file.place import absolute, identity, log_path
from workglow.file.pragmas import FULL, NORMAL, synchronous
from workglow.file.presence import arrive, depart
from workglow.file.resting import Resting
from workglow.file.session import begin_session, dead_sessions, end_session
from workglow.file.transaction import Gate, Refusal, Transaction
from workglow.file.upkeep import Upkeep
from workglow.file.wakeup import Wakeup
from workglow.file.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from types import TracebackType

    from workglow.clock import Clock
    from workglow.file.session import Session

__all__ = ["Durability", "File"]

T = TypeVar("T")
Durability = Literal["auto", "power", "process"]

_LOOK_AFTER = 0.5  # seconds of waiting, after which it is looked whether the file is still there


class File:
    """A project file that is open.

    Every write is `with file.transaction() as db:`, one `BEGIN IMMEDIATE` … `COMMIT`.  Every read goes through `reader`
    and sees the last commit, unless another statement of `reader` is still being read.
    """

    def __init__(
        self,
        db: apsw.Connection,
        path: str,
        *,
        clock: Clock,
        read_only: bool = False,
        durability: Durability = "auto",
        busy_timeout: float = 30.0,
        vfs: str = "",
    ) -> None:
        """Use `File.open`."""
        self.db = db
        self.path = path
        self.memory = path == ":memory:"
        self.read_only = read_only
        self.durability: Durability = durability
        self.clock = clock
        self._busy_timeout = busy_timeout
        self._vfs = vfs
        self._gate = Gate(db, path, busy_timeout, power=durability == "power" and not self.memory)
        self._plain: AbstractContextManager[apsw.Connection] = Transaction(self._gate, sync=False, wait=True)
        self._quick: AbstractContextManager[apsw.Connection] = Transaction(self._gate, sync=False, wait=False)
        self._brief: AbstractContextManager[apsw.Connection] = Transaction(self._gate, sync=False, wait=None)
        self._synced = self._plain
        self._quick_synced = self._quick
        self._resting = Resting(self._gate, clock, self.version, lambda: self.reader)
        self._writer = Writer(path, lambda sync: self.transaction(sync=sync))
        self._wakeup = Wakeup(
            self.version, clock, listen=lambda: None if self.memory else LogEvents.of(log_path(self.path))
        )
        self._upkeep: Upkeep | None = None
        self._session: Session | None = None
        self._own_reader = threading.local()  # apsw refuses two threads in one connection at the same moment
        self._readers: list[apsw.Connection] = []
        self._guard = threading.Lock()
        self._closed = False
        self._identity = None if self.memory else identity(path)
        self._lost = False
        self._noticed = 0  # the last `data_version` of the write connection: commits of its own do not change it
        self.uid = ""

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        read_only: bool = False,
        create: bool = True,
        durability: Durability = "auto",
        busy_timeout: float = 30.0,
        vfs: str = "",
    ) -> File:
        """Open a project file, creating or migrating it as needed; `":memory:"` is one that is never on a disk.

        `read_only` leaves no trace.  `create=False` refuses a missing file.  `durability` says which commits wait for
        the disk: `"power"` all, `"process"` none, `"auto"` those with `sync=True`, and the others follow within 200 ms.
        `busy_timeout` is how many seconds to wait for other writers.  `vfs` names an apsw VFS.

        Raises NotAProjectError, NewerFileError, HalfCopyError, FileReadOnlyError, FileLockedError, FileCorruptError or
        another FileError; a file that is refused has not been touched.
        """
        time = clock or SystemClock()
        if durability not in get_args(Durability):
            raise FileError(f"durability is {durability!r}; give 'auto', 'power' or 'process'.")
        if os.fspath(path) == ":memory:":
            return cls(open_memory(time), ":memory:", clock=time, durability=durability)._begun(unmarked=False)
        place = absolute(path)
        if read_only:
            db = open_for_reading(place, busy_timeout=busy_timeout, vfs=vfs)
            file = cls(db, place, clock=time, read_only=True, durability=durability, busy_timeout=busy_timeout, vfs=vfs)
            file._refuse_writing(file._read_only_error)
            file.uid = db.execute("SELECT uid FROM project").get
            return file
        db, unmarked = open_for_writing(place, time, create=create, busy_timeout=busy_timeout, vfs=vfs)
        return cls(db, place, clock=time, durability=durability, busy_timeout=busy_timeout, vfs=vfs)._begun(unmarked)

    @property
    def session(self) -> Session | None:
        """This process's session; another one after it was ended by somebody who took this process for dead."""
        return self._session if self._upkeep is None else self._upkeep.session

    @property
    def reader(self) -> apsw.Connection:
        """A connection that only reads, of the calling thread's own; for `:memory:` the one connection there is."""
        if self.memory or self.read_only:
            return self.db
        if self._closed:
            raise self._closed_error()
        reader: apsw.Connection | None = getattr(self._own_reader, "connection", None)
        if reader is None:
            self.check_place()  # or it would read another file
            with self._guard:
                reader = connect(self.path, write=False, busy_timeout=self._busy_timeout, vfs=self._vfs)
                self._readers.append(reader)
            self._own_reader.connection = reader
        return reader

    def transaction(self, *, sync: bool = False, wait: bool = True) -> AbstractContextManager[apsw.Connection]:
        """Write: `with file.transaction() as db:` is committed at the end of the block, or undone when it raises.

        `sync=True`: when the block has ended, a power cut cannot undo it, nor anything committed before (unless the
        durability is "process").  `wait=False`: FileLockedError at once when somebody else is writing.
        """
        if wait:
            return self._synced if sync else self._plain
        return self._quick_synced if sync else self._quick

    def read(self, query: str, values: tuple[apsw.SQLiteValue, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query that has few; as quick as SQLite can be between this process's own commits.

        The write connection knows the schema and still holds the pages that it has just written, where `reader` has to
        fetch them again; it answers unless somebody is writing.
        """
        lock = self._gate.lock
        if self._closed or not lock.acquire(False):
            return self.reader.execute(query, values).fetchall()
        try:  # read to its end, for an open statement would keep the next transaction from seeing new commits
            return self._gate.execute(query, values).fetchall()
        except apsw.Error as error:
            raise self._explained(error) from error
        finally:
            lock.release()

    def look_up(self, query: str, values: tuple[apsw.SQLiteValue, ...] = ()) -> tuple[Any, ...] | None:
        """Return the row of a query that has two columns or more and finds at most one row, or None: see `read`."""
        lock = self._gate.lock
        if self._closed or not lock.acquire(False):
            return self.reader.execute(query, values).get
        try:
            return self._gate.execute(query, values).get
        except apsw.Error as error:
            raise self._explained(error) from error
        finally:
            lock.release()

    async def write(self, work: Callable[[apsw.Connection], T], *, rest: float = 0.0) -> T:
        """Write without holding up the event loop: `work(db)` is one transaction as soon as nobody else is writing.

        It is not synced, and runs on the caller's thread; whoever cancels this knows that nothing was written.  First
        the file is left to others for `rest` seconds, or until they leave room in it.
        """
        import asyncio  # costs 60 ms, and who writes without a loop needs none

        if rest:
            logged = await self._resting.rest(uneven(rest))
            if self._upkeep is not None:  # those who rested have left the log to whoever comes back
                self._upkeep.look_at_log(logged)
        for pause in pauses(self._busy_timeout):
            try:
                with self._brief as db:
                    return work(db)
            except FileLockedError:
                await asyncio.sleep(pause)
        with self._brief as db:
            return work(db)

    def submit(self, work: Callable[[apsw.Connection], T], *, sync: bool = False) -> Future[T]:
        """Write on the writer thread; the future is done when `work(db)` is committed.

        Work that was submitted meanwhile shares one transaction, each piece in a savepoint of its own.
        """
        return self._writer.submit(work, sync=sync)

    def sync(self) -> None:
        """Wait until a power cut can undo nothing that is committed, by whichever process; free with "process"."""
        if self._upkeep is not None and self.durability == "auto":
            self._upkeep.sync()
            self._gate.refuse_failed_disk()

    def vacuum(self) -> None:
        """Give the pages that nothing uses any more back to the system; the file shrinks at the next checkpoint."""
        with self.transaction() as db:
            db.execute("PRAGMA incremental_vacuum").fetchall()

    def dead_sessions(self, db: apsw.Connection) -> list[int]:
        """Return the sessions that cannot write any more, and what they own can be taken over."""
        return list(dead_sessions(db, self.clock))

    def end_dead_session(self, db: apsw.Connection, session_id: int) -> bool:
        """Note in a transaction why a session that cannot write any more is over; False when it is alive."""
        reason = dead_sessions(db, self.clock).get(session_id)
        if reason is not None:
            end_session(db, session_id, reason, self.clock.now())
        return reason is not None

    def begin_anew(self) -> None:
        """Have a session that nobody has ended: another one, when somebody took this process for dead."""
        if self._upkeep is not None:
            self._upkeep.beat()

    def check_place(self) -> None:
        """Raise FileLostError when the path does not lead to this file any more, and write nothing more then.

        What is committed to a file without a name is gone when it is closed, and its log may by now be that of the file
        which took its place.
        """
        if not self._lost and (self.memory or identity(self.path) == self._identity):
            return
        if not self._lost:
            self._lost = True
            self._refuse_writing(self._lost_error)
            if self._upkeep is not None:
                self._upkeep.stop()
        raise self._lost_error()

    def changed(self) -> bool:
        """Say whether another process has committed anything since the last call; the first call says no."""
        if self.memory or not self._gate.lock.acquire(False):
            return False  # while this process writes no other one can, and the next call will see what came before
        try:
            before, self._noticed = self._noticed, self.db.pragma("data_version")
        finally:
            self._gate.lock.release()
        return before not in (0, self._noticed)

    def notify(self) -> None:
        """Wake those of this process who wait in `wait_for_change`, at once."""
        self._wakeup.notify()

    async def wait_for_change(self, timeout: float | None = None, *, since: int | None = None) -> bool:
        """Wait for the next commit, here or in another process; False when `timeout` seconds passed without one.

        `since` is what `version` said before the caller looked: a commit that came meanwhile counts as the next one.
        FileLostError when the file is taken away meanwhile: nothing will ever be committed to it.
        """
        since = self.version() if since is None else since
        until = None if timeout is None else self.clock.monotonic() + timeout
        while True:
            left = _LOOK_AFTER if until is None else min(_LOOK_AFTER, until - self.clock.monotonic())
            if await self._wakeup.wait(left, since):
                return True
            self.check_place()
            if until is not None and self.clock.monotonic() >= until:
                return False

    def close(self) -> None:
        """Close the file.  The last process out leaves one complete file behind.  Closing twice does nothing."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
        self._writer.stop()
        self._wakeup.close()
        if self._upkeep is not None and not self._lost:
            self._upkeep.stop()
        try:
            if self._session is not None and not self.memory and not self._lost:
                self._depart()
        finally:
            self._refuse_writing(self._closed_error)
            for reader in self._readers:
                reader.close(True)
            if self.read_only:
                close_reader(self.db, self.path)
            else:
                self.db.close(True)

    def _begun(self, unmarked: bool) -> File:
        try:
            self._begin(unmarked)
        except BaseException:
            self.db.close(True)
            raise
        return self

    def _begin(self, unmarked: bool) -> None:
        self.db.set_busy_timeout(0)  # the gate waits, so that a caller who must not wait need not
        plain = Transaction(self._gate, sync=False, wait=True)
        if self.memory:
            with plain as db:
                self._session = begin_session(db, self.clock)
        else:
            self._session = arrive(plain, self.path, self.clock, unmarked=unmarked)
            synchronous(self.db, FULL if self.durability == "power" else NORMAL)
            self._upkeep = Upkeep(
                self._gate, plain, self.clock, self._session, sync=self.durability == "auto", vfs=self._vfs
            )
            self._gate.upkeep = self._upkeep
            if self.durability == "auto":
                self._synced = Transaction(self._gate, sync=True, wait=True)
                self._quick_synced = Transaction(self._gate, sync=True, wait=False)
        self.uid = self.db.execute("SELECT uid FROM project").get

    def _depart(self) -> None:
        session = self.session
        if session is not None:
            depart(Transaction(self._gate, sync=False, wait=True), session.id, self.clock)

    def version(self) -> int:
        """A number that is another one after each commit, for the thread that asks."""
        if self.memory:
            return self.db.total_changes()
        try:
            return self.reader.pragma("data_version")
        except apsw.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: apsw.Error) -> Exception:
        """What to raise when a read failed: that the file is not there any more, when that is the reason."""
        try:
            self.check_place()
        except FileError as lost:
            return lost
        return explain(error, self.path) or error

    def _refuse_writing(self, error: Callable[[], FileError]) -> None:
        self._plain = self._quick = self._brief = self._synced = self._quick_synced = Refusal(error)

    def _read_only_error(self) -> FileError:
        return FileReadOnlyError(f"{self.path} was opened with read_only=True.  Open it without that to write to it.")

    def _lost_error(self) -> FileLostError:
        what = "was deleted or moved away" if identity(self.path) is None else "was replaced by another file"
        return FileLostError(
            f"{self.path} {what} while it was open here.  Nothing more is written to it; what was committed since is "
            "in the file that was taken away.  Put the right file there, close this one, and open it again."
        )

    def _closed_error(self) -> FileError:
        return FileError(f"{self.path} is closed.  Open it again to use it.")

    def __enter__(self) -> File:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
