"""Handlers that the tests of `workglow worker` name with --tasks."""

from __future__ import annotations

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


@job(name="cli_hold")
def hold(begun: str, end: str) -> int:
    """Tell one FIFO that it began, and wait for the other."""
    with open(begun, "w") as tell:
        tell.write(str(os.getpid()))
    with open(end) as wait:
        return len(wait.read())


@job(name="cli_die")
def die(ledger: str) -> int:
    """Kill the worker, the first time."""
    if os.path.exists(ledger):
        return os.getpid()
    with open(ledger, "w") as file:
        file.write(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGKILL)
    return 0
