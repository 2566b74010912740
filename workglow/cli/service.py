"""Telling the service manager how it goes, as systemd's `Type=notify` wants it; without one nothing happens."""

from __future__ import annotations

import asyncio
import os
import socket

__all__ = ["keep_alive", "notify"]


def notify(state: str) -> None:
    """Send a state, `READY=1` say.  A service manager that does not listen is no reason to fail."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # a name that is not in the file system
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
            to_manager.sendto(state.encode(), address)
    except OSError:
        pass


async def keep_alive() -> None:
    """Say twice in each `WatchdogSec` that the event loop turns; return at once when nobody watches."""
    watched = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    if not watched or not microseconds.isdecimal() or not int(microseconds):
        return
    while True:
        notify("WATCHDOG=1")
        await asyncio.sleep(int(microseconds) / 2_000_000)
