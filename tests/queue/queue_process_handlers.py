"""Handlers that run in processes of their own; tests import this module, and so do those processes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from workglow import JobContext, Retry, job
from workglow.errors import PermanentJobError, RetryableJobError
from workglow.queue import HandlerRegistry

handlers = HandlerRegistry()


@job(registry=handlers, executor="process")
def where(value: int) -> dict[str, int]:
    return {"pid": os.getpid(), "parent": os.getppid(), "value": value}


@job(registry=handlers, executor="process")
async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value + 1


@job(registry=handlers, executor="process")
def double(array: object, text: str) -> dict[str, object]:
    assert isinstance(array, np.ndarray)
    return {"array": array * 2, "text": text * 2}


@job(registry=handlers, executor="process")
def identify(context: JobContext) -> list[object]:
    for step in (1, 2):
        context.progress(step / 2, f"step {step}", {"step": step})
    print("printed where it does no harm")
    return [context.job_id, context.queue, context.attempt, context.idempotency_key, context.project is None]


@job(registry=handlers, executor="process", retry=Retry(3, delay=0))
def end(how: str, ledger: str) -> str:
    with Path(ledger).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if len(Path(ledger).read_text().split()) > 1:
        return "the second time"
    if how == "exit":
        os._exit(3)
    if how == "crash":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
    return "never"


@job(registry=handlers, executor="process")
def fail(kind: str) -> None:
    if kind == "retry":
        raise RetryableJobError("busy", after=7)
    if kind == "permanent":
        raise PermanentJobError("gone")
    if kind == "leave":
        sys.exit("that is all")
    raise OSError("no such luck")


@job(registry=handlers, executor="process")
def unstorable() -> object:
    return object()


@job(registry=handlers, executor="process")
def hang(place: str, context: JobContext) -> None:
    """Do what no signal but SIGKILL can end, with a process of its own."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(place).with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
    Path(place).with_suffix(".new").rename(place)
    context.progress(0.5)
    while True:
        time.sleep(600)


@job(registry=handlers, executor="process")
def open_files() -> list[str]:
    found: list[str] = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue  # the one that lists
    return found
