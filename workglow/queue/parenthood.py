"""Ending with the process that started this one, however that one ended."""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

__all__ = ["end_with"]

_PR_SET_PDEATHSIG: Final = 1


def end_with(parent: int, number: int = getattr(signal, "SIGKILL", signal.SIGTERM)) -> None:
    """Have the system send this process a signal when the thread that started it has ended, on Linux.

    Elsewhere nothing happens: watch a pipe, too.  When the parent is gone already this process ends at once.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)
