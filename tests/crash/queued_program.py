"""A process that drives, submits or works on a graph with queued tasks: `queued_program.py COMMAND PROJECT LEDGER`."""

from __future__ import annotations

import asyncio
import os
import sys

import workglow as wg
from workglow import TaskContext, Workflow, task
from workglow.testing import install_crash_points

LEDGER = ""


def enter(context: TaskContext) -> None:
    """Say who begins: path, attempt, key, run and process."""
    line = f"{context.path} {context.attempt} {context.idempotency_key} {context.run_id} {os.getpid()}\n"
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(ledger, line.encode())
    os.close(ledger)


@task(output="number", cache=False)
def before(number: int, context: TaskContext) -> int:
    enter(context)
    return number + 1


@task(output="number", cache=False, queue="heavy")
def held(number: int, context: TaskContext) -> int:
    """Go on when somebody has opened the gate."""
    enter(context)
    if os.path.exists(LEDGER + ".gate"):
        with open(LEDGER + ".gate") as gate:
            gate.read()
    return number * 10


@task(output="number", side_effects=True)
def after(number: int, context: TaskContext) -> int:
    enter(context)
    return number + 2


def build() -> Workflow:
    """A loop whose items do something in a queue, between a task before and one behind it."""
    body = Workflow().then(before, id="before").then(held, id="held").then(after, id="after")
    return Workflow().map(body, id="map", max_iterations=99)


def main() -> None:
    global LEDGER  # the task bodies read it
    command, path, LEDGER, *more = sys.argv[1:]
    numbers = {"number": list(range(int(more[0]) if more else 1))}
    with wg.open(path) as project:
        if command == "drive":
            print(project.run_sync(build(), numbers).status)
        elif command == "submit":
            print(project.submit(build(), numbers, queue="heavy").id)
        elif command == "resume":
            print(project.resume_sync(project.runs()[0].id).status)
        elif command == "work":
            install_crash_points()
            asyncio.run(project.worker("heavy", concurrency=2).run())
        elif command == "wait":
            print(project.wait_sync(project.runs()[0].id).status)


if __name__ == "__main__":
    main()
