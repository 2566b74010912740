"""Hearing from the system that somebody writes to a file's log, so that nobody has to ask all the time; on Linux."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

__all__ = ["LogEvents"]

_IN_MODIFY: Final = 2
_IN_ONESHOT: Final = 0x80000000
_ENOUGH: Final = 4096  # bytes of events that are read at once; equal ones are one


class LogEvents:
    """A descriptor that can be read when the log was written to, by whichever process of this machine.

    It tells of one write, and has to be asked for the next: noting each write for somebody who does not listen now
    would cost whoever writes a tenth of his time.
    """

    def __init__(self, descriptor: int, library: Any, log: bytes) -> None:
        """Use `LogEvents.of`."""
        self._descriptor = descriptor
        self._library = library
        self._log = log

    @classmethod
    def of(cls, log: str) -> LogEvents | None:
        """Listen to a log; None where the system cannot, or has no more room for listeners."""
        if sys.platform != "linux":
            return None
        try:
            import ctypes

            library = ctypes.CDLL(None)
            descriptor: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except (ImportError, OSError, AttributeError):
            return None
        if descriptor < 0:
            return None
        events = cls(descriptor, library, os.fsencode(log))
        if events.ask():
            return events
        events.close()
        return None

    def ask(self) -> bool:
        """Tell of the next write; False when the system cannot."""
        return self._library.inotify_add_watch(self._descriptor, self._log, _IN_MODIFY | _IN_ONESHOT) >= 0

    def fileno(self) -> int:
        """The descriptor, for an event loop."""
        return self._descriptor

    def drain(self) -> None:
        """Forget what has been heard."""
        try:
            while len(os.read(self._descriptor, _ENOUGH)) > _ENOUGH // 2:
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Listen no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()
