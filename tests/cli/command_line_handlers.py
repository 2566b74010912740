"""Handlers that the tests of `workglow worker` name with --tasks."""

from __future__ import annotations

import asyncio
import os
import signal

from workglow import job


@job(name="cli_note")
def note(value: int) -> int:
    """Give the value back."""
    return value


@job(name="cli_fail")
def fail(value: int) -> int:
    """Never succeed."""
    raise ValueError(f"{value} is wrong")


def _tell(begun: str) -> None:
    with open(begun, "w") as tell:
        tell.write(str(os.getpid()))


@job(name="cli_hold")
def hold(begun: str, end: str) -> int:
    """Tell one FIFO that it began, and wait for the other."""
    _tell(begun)
    with open(end) as wait:
        return len(wait.read())


@job(name="cli_stubborn")
async def stubborn(begun: str, end: str) -> None:
    """Go on whatever one is told."""
    _tell(begun)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("no")


@job(name="cli_die")
def die(ledger: str) -> int:
    """Kill the worker, the first time."""
    if os.path.exists(ledger):
        return os.getpid()
    with open(ledger, "w") as file:
        file.write(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGKILL)
    return 0
