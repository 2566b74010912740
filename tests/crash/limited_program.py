"""A process that works on a limited queue, or takes slots without one, and notes each start and end in a ledger.

`limited_program.py FILE LEDGER work|slots [broken]`: it goes on until it is killed.
With `broken` the check is made before the transaction that starts the job, as a limiter must not do it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

import workglow as wg
from workglow import JobContext, job
from workglow.storage.sqlite import gates

LEDGER = ""


def note(what: str) -> None:
    line = f"{time.monotonic_ns()} {what} {os.getpid()}\n"
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


@job(name="limited_work")
async def work(seconds: float, context: JobContext) -> None:
    note(f"begin:{context.job_id}")
    try:
        await asyncio.sleep(seconds)
    finally:
        note(f"end:{context.job_id}")


class Stale:
    """A broken guard: what the limiters said when they were looked at outside the transaction, now and then."""

    def __init__(self, project: wg.Project) -> None:
        self.limits, self.queue = project.queues.limits.repository, project.queue("limited")
        self.look()
        stale = self

        def blocked(self: gates.QueueGate, cost: int) -> Any:
            return None if stale.free else (self.admissions[0], float(self.admissions[0].now + 50))

        gates.QueueGate.blocked = blocked  # pyright: ignore[reportAttributeAccessIssue]

    def look(self) -> None:
        self.free = self.limits.look_at_queue(self.queue.row_id) is None

    async def keep_looking(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.look()


async def main(project: wg.Project, what: str, broken: bool) -> None:
    stale = Stale(project) if broken else None  # all look before the first of them starts anything
    note("ready:0")
    sys.stdin.readline()
    looking = None if stale is None else asyncio.create_task(stale.keep_looking())
    if what == "work":
        await project.worker("limited", concurrency=8).run()
        assert looking is None, "the worker goes on until it is killed"
    limiter = project.limiter("few")
    number = 0
    while True:
        async with limiter.slot():
            number += 1
            note(f"begin:{os.getpid()}.{number}")
            await asyncio.sleep(0.01)
            note(f"end:{os.getpid()}.{number}")


if __name__ == "__main__":
    path, LEDGER, what, *rest = sys.argv[1:]
    with wg.open(path, durability="process") as opened:
        asyncio.run(main(opened, what, broken=bool(rest)))
