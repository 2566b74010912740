"""How a running task learns that it should stop."""

from __future__ import annotations

from collections.abc import Callable

from workglow.errors import TaskAbortedError

__all__ = ["CancelSignal"]


class CancelSignal:
    """Set once, from any thread; long loops look at `cancelled` or call `raise_if_cancelled`."""

    __slots__ = ("_callbacks", "cancelled", "reason")

    def __init__(self) -> None:
        self.cancelled = False
        self.reason = ""
        self._callbacks: list[Callable[[], None]] | None = None

    def cancel(self, reason: str = "Task aborted") -> None:
        """Tell whoever looks that the work is no longer wanted; the first reason stands."""
        if self.cancelled:
            return
        self.reason = reason
        self.cancelled = True
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Call back when the signal is set, in the thread that sets it; at once when it is set already."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)
        if self.cancelled:
            self._callbacks = None
            callback()

    def raise_if_cancelled(self) -> None:
        """Raise TaskAbortedError with the reason, once the signal is set."""
        if self.cancelled:
            raise TaskAbortedError(self.reason)
