"""Hearing from the system that somebody writes to a file's log, so that nobody has to ask all the time; on Linux."""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["LogEvents"]

_IN_MODIFY: Final = 2
_ENOUGH: Final = 4096  # bytes of events that are read at once; equal ones are one


class LogEvents:
    """A descriptor that can be read when the log was written to, by whichever process of this machine."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def of(cls, log: str) -> LogEvents | None:
        """Listen to a log; None where the system cannot, or has no more room for listeners."""
        if sys.platform != "linux":
            return None
        try:
            import ctypes

            library = ctypes.CDLL(None)
            descriptor: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if descriptor < 0:
                return None
            if library.inotify_add_watch(descriptor, os.fsencode(log), _IN_MODIFY) < 0:
                os.close(descriptor)
                return None
        except (ImportError, OSError, AttributeError):
            return None
        return cls(descriptor)

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
