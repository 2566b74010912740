"""The handlers of the crash tests of queues, and the program that forks workers: one for each line that comes in."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import workglow as wg
from workglow.file import File
from workglow.queue import HandlerRegistry, JobContext
from workglow.storage.sqlite import claims
from workglow.storage.sqlite.jobs import SqliteJobs
from workglow.testing import install_crash_points

handlers = HandlerRegistry()
LEDGER = ""


def note(*words: object) -> None:
    """Write a line in one piece, after those that are there."""
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, (" ".join(map(str, words)) + "\n").encode())
    os.close(ledger)


def enter(context: JobContext) -> None:
    note("begun", context.job_id, context.attempt, context.idempotency_key, os.getpid())


@wg.job(registry=handlers)
async def brief(number: int, context: JobContext) -> int:
    enter(context)
    await asyncio.sleep(number % 7 / 100)
    return number


@wg.job(registry=handlers, inline=True)
def nothing() -> None:
    pass


@wg.job(registry=handlers, inline=True)
def listed(number: int, context: JobContext) -> int:
    enter(context)
    return number


@wg.job(registry=handlers, inline=True)
def poison(context: JobContext) -> None:
    enter(context)
    os.kill(os.getpid(), signal.SIGKILL)


@wg.job(registry=handlers)
async def first_forever(context: JobContext) -> int:
    """The first attempt waits until somebody kills it."""
    enter(context)
    if context.attempt == 1:
        await asyncio.Event().wait()
    return context.attempt


@wg.job(registry=handlers)
async def first_sleeps(stops: bool, context: JobContext) -> int:
    """The first attempt is put to sleep together with its process."""
    enter(context)
    if context.attempt == 1:
        await asyncio.sleep(0.01)  # the other jobs of the process are to begin, too
        if stops:
            os.kill(os.getpid(), signal.SIGSTOP)
        context.progress(0.5, "from the dead")
        await asyncio.sleep(0.2)
    return context.attempt


@wg.job(registry=handlers)
async def until(path: str, context: JobContext) -> int:
    """Wait until a file appears."""
    enter(context)
    while not Path(path).exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)
    return context.attempt


def note_completions() -> None:
    """Write down what a worker completed, as soon as that is committed."""
    committed = claims.Claims.committed

    def noting(self: Any, ask: Any, turn: Any) -> None:
        for done in ask.settled:
            if done.outcome == "completed" and done.job.id not in turn.lost:
                note("done", done.job.id, done.job.claim)
        committed(self, ask, turn)

    claims.Claims.committed = noting  # type: ignore[method-assign]


class NoTransaction:
    """What is left of a transaction when somebody forgets to begin it: each statement commits by itself."""

    def __init__(self, db: object) -> None:
        self.db = db

    def __enter__(self) -> object:
        return self.db

    def __exit__(self, *_: object) -> None:
        pass


def rewrite(statement: str, old: str, new: str) -> None:
    before = getattr(claims, statement)
    assert old in before
    setattr(claims, statement, before.replace(old, new))


def break_on_purpose(what: str) -> None:
    """Take one of the guards away, so that a test can show that it would notice."""
    if what == "fence":
        for statement in ("_COMPLETE_EACH", "_COMPLETE_ALIKE", "_HELD"):
            rewrite(statement, "claim = ? AND status = 'running'", "?")
        SqliteJobs.unwanted = lambda self, claims: {}  # type: ignore[method-assign, assignment]
    elif what == "transaction":
        File.transaction = lambda self, **_: NoTransaction(self.db)  # type: ignore[method-assign, assignment]
    elif what == "attempts":
        for statement in ("_CLAIM_EACH", "_CLAIM_ALIKE"):
            rewrite(statement, "attempt = ?", "attempt = attempt + 0 * ?")
    elif what == "peers":
        File.dead_sessions = lambda self, db: [row[0] for row in db.execute("SELECT id FROM session")]  # type: ignore[method-assign]


def work(path: str, concurrency: int, patience: float) -> None:
    """Do jobs until none is unfinished, or nothing was done for so many seconds."""
    with wg.open(path, handlers=handlers) as project:

        async def main() -> None:
            async with project.worker("work", concurrency=concurrency) as worker:
                done, silent = -1, 0
                while done != worker.done or project.file.read("SELECT 1 FROM job WHERE finished_at IS NULL LIMIT 1"):
                    silent = 0 if done != worker.done else silent + 1
                    if silent > patience * 50:
                        return
                    done = worker.done
                    await asyncio.sleep(0.02)

        asyncio.run(main())


def enqueue(path: str, number: int) -> None:
    with wg.open(path, handlers=handlers) as project:
        project.queue("work").enqueue_many(listed, [{"number": n} for n in range(number)])


def serve() -> None:
    global LEDGER  # noqa: PLW0603  # the handlers of a forked worker read it
    for line in sys.stdin:
        wanted: dict[str, Any] = json.loads(line)
        LEDGER = wanted["ledger"]
        child = os.fork()
        if child == 0:
            os.dup2(os.open(f"{LEDGER}.errors", os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
            try:
                install_crash_points(wanted["point"])
                note_completions()
                break_on_purpose(wanted["broken"])
                if wanted["enqueue"]:
                    enqueue(wanted["path"], wanted["enqueue"])
                else:
                    work(wanted["path"], wanted["concurrency"], 1 if wanted["hasty"] else 30)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    serve()
