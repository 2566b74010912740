"""A process that works on a project file until it is killed: `feed_program.py enqueue|work|fire|crash PROJECT`.

`enqueue` puts jobs in one by one, `work` does jobs, `fire` makes those of schedules and leaves them, and `crash` is
killed when it has made one and not committed it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import workglow as wg
from workglow import job
from workglow.errors import RetryableJobError
from workglow.storage.sqlite import chores


@job
async def even(number: int) -> int:
    if number % 5 == 0:
        raise RetryableJobError("not yet", after=0)
    return number


def kill_before_the_commit() -> None:
    fire = chores.fire_due

    def fire_and_die(*given: Any) -> bool:
        found = fire(*given)
        if found:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    chores.fire_due = fire_and_die


def main(command: str, path: str) -> None:
    if command == "crash":
        kill_before_the_commit()
    with wg.open(path, durability="process") as project:
        print("open", flush=True)
        if command == "enqueue":
            for number in range(1_000_000):
                project.queue("work").enqueue(even, {"number": number}, max_attempts=2)
        elif command == "work":
            asyncio.run(project.worker("work", concurrency=4).run())
        else:
            asyncio.run(project.worker("nothing").run())


if __name__ == "__main__":
    main(*sys.argv[1:])
