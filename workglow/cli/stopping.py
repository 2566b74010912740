"""Ctrl-C and SIGTERM for a command that works until it is told to stop: once to drain, twice to hand back."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["on_signals"]


@contextmanager
def on_signals(callback: Callable[[], None]) -> Generator[None, None, None]:
    """Call back on the running event loop at each SIGINT and SIGTERM meanwhile."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            loop.add_signal_handler(number, callback)
    except NotImplementedError:  # on Windows
        for number in numbers:
            signal.signal(number, lambda number, frame: _hand_over(loop, callback))
    try:
        yield
    finally:
        for number in numbers:
            try:
                loop.remove_signal_handler(number)
            except NotImplementedError:
                signal.signal(number, before[number])


def _hand_over(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(callback)
