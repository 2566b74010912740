"""Tasks that the tests of the command line name with --tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event

import numpy as np

from workglow import JobContext, Retry, job
from workglow.tasks import TaskContext, task


@task(name="CliTidy", output="text")
def tidy(text: str) -> str:
    """Collapse white space."""
    return " ".join(text.split())


@task(name="CliShout", output="text")
def shout(text: str) -> str:
    """Make it loud; cannot take the word 'whisper'."""
    if "whisper" in text:
        raise ValueError(f"too quiet: {text}")
    return text.upper()


@task(name="CliWords", output="words")
def words(text: str) -> list[str]:
    return text.split()


@task(name="CliMeasure", output="length")
def measure(word: str) -> int:
    if word == "bad":
        raise ValueError("cannot measure 'bad'")
    return len(word)


@task(name="CliAdd", output="total")
def add(numbers: list[int | None]) -> int:
    return sum(number or 0 for number in numbers)


@task(name="CliArrays", output="vectors")
def arrays() -> np.ndarray:
    return np.arange(6, dtype=np.float32).reshape(2, 3)


@task(name="CliTell", output="text")
async def tell() -> AsyncIterator[str]:
    for piece in ("Once upon", " a time\n", "the end"):
        yield piece


@task(name="CliHang", output="tries")
async def hang(context: TaskContext) -> int:
    """Never end on the first attempt."""
    if context.attempt == 1:
        print("hanging", flush=True)
        await asyncio.Event().wait()
    return context.attempt


@task(name="CliRead", output="text", cache=False, entitlements=("files:read={path}",))
def read(path: str) -> str:
    return f"read {path}"


@task(name="CliFlaky", output="text", cache=False, entitlements=("files:read={path}",))
def flaky(path: str, context: TaskContext) -> str:
    """Fail in the first run of all, and wait to be killed where a file called `wait` is."""
    if Path("wait").exists() and context.attempt == 1:
        print("waiting", flush=True)
        Event().wait()
    if not Path("mended").exists():
        raise ValueError("not mended")
    return f"read {path}"


@task(name="CliHostile", output="text")
def hostile() -> str:
    return "\x1b[31mred\x1b[0m [bold]loud[/bold] \x9b2J \u202eback"


@job(name="CliLoud", retry=Retry(attempts=2, delay=60, jitter=False))
def loud(text: str) -> str:
    """Shout; cannot take the word 'whisper'."""
    if "whisper" in text:
        raise ValueError(f"too quiet: {text}")
    return text.upper()


@job(name="CliBook")
async def read_book(context: JobContext, pages: int = 10) -> int:
    """Report where it is, and never end on the first attempt."""
    if context.attempt == 1:
        context.progress(0.4, f"page 4 of {pages}")
        print("reading", flush=True)
        await asyncio.Event().wait()
    return pages


def work() -> None:
    """What a worker process does: jobs of every queue, until it is stopped."""
    import workglow as wg

    with wg.open("notes.wg") as project:
        asyncio.run(project.worker(concurrency=2).run())


if __name__ == "__main__":
    work()
