"""A thread that writes for those who must not wait: an event loop whose commit needs the disk, or somebody's lock.

Everything that was handed in while one transaction was under way goes into the next one together, so many callers
share one sync of the disk.  Each piece of work has a savepoint: one that raises undoes only itself.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from workglow.errors import FileError
from workglow.file.failures import explain

if TYPE_CHECKING:
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    import apsw

__all__ = ["Writer"]

T = TypeVar("T")

_TOGETHER: Final = 64  # pieces of work in one transaction at most: it must stay short


class _Piece(NamedTuple):
    work: Callable[[apsw.Connection], object]
    future: Future[Any]
    sync: bool


class Writer:
    """Runs work in transactions, in the order it was handed in, on a thread that starts with the first piece."""

    def __init__(self, path: str, begin: Callable[[bool], AbstractContextManager[apsw.Connection]]) -> None:
        self._path = path
        self._begin = begin
        self._pieces: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()
        self._stopped = False

    def submit(self, work: Callable[[apsw.Connection], T], *, sync: bool) -> Future[T]:
        """Hand in work; its result arrives when the transaction it was part of is committed."""
        from concurrent.futures import Future  # loads logging, and many programs never hand anything in

        future: Future[T] = Future()
        with self._guard:
            if self._stopped:
                raise FileError(f"{self._path} is closed.  Open it again to use it.")
            self._pieces.put(_Piece(work, future, sync))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True, name="workglow-writer")
                self._thread.start()
        return future

    def stop(self) -> None:
        """Finish what was handed in, then end the thread."""
        with self._guard:
            self._stopped = True
            self._pieces.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while (piece := self._pieces.get()) is not None:
            batch = [piece]
            while len(batch) < _TOGETHER and not self._pieces.empty():
                following = self._pieces.get()
                if following is None:
                    self._commit(batch)
                    return
                batch.append(following)
            self._commit(batch)

    def _commit(self, batch: list[_Piece]) -> None:
        batch = [piece for piece in batch if piece.future.set_running_or_notify_cancel()]
        if not batch:
            return
        results: list[object] = []
        try:
            with self._begin(any(piece.sync for piece in batch)) as db:
                if len(batch) == 1:
                    results.append(batch[0].work(db))
                else:
                    results.extend(self._attempt(db, piece.work) for piece in batch)
        except BaseException as error:
            for piece in batch:
                piece.future.set_exception(error)
            return
        for piece, result in zip(batch, results, strict=True):
            if isinstance(result, _Failure):
                piece.future.set_exception(result.error)
            else:
                piece.future.set_result(result)

    def _attempt(self, db: apsw.Connection, work: Callable[[apsw.Connection], object]) -> object:
        db.execute("SAVEPOINT piece")
        try:
            result = work(db)
        except BaseException as error:
            if not db.in_transaction:  # a full disk or an I/O error has undone the work of the others too
                raise
            db.execute("ROLLBACK TO piece")
            result = _Failure(explain(error, self._path) or error)
        db.execute("RELEASE piece")
        return result


class _Failure(NamedTuple):
    """An exception kept until the others of the transaction are committed."""

    error: BaseException
