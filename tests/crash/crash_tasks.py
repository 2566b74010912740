"""The graph that the crash tests kill, and the program that drives it.  Each body leaves a line in a ledger first."""

from __future__ import annotations

import asyncio
import os
import sys

import workglow as wg
from workglow import MapTask, Retry, TaskContext, TaskGraph
from workglow.errors import RunStateError, TaskFailedError
from workglow.task import task
from workglow.testing import install_crash_points

ITEMS = 200
FAN = 8


def enter(context: TaskContext) -> None:
    """Say who begins, before anything else happens: path, attempt, key, run and process."""
    line = f"{context.path} {context.attempt} {context.idempotency_key} {context.run_id} {os.getpid()}\n"
    ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(ledger, line.encode())
    finally:
        os.close(ledger)


@task(output="value", cache=False)
def numbers(count: int, context: TaskContext) -> list[int]:
    enter(context)
    return list(range(count))


@task(output="value", cache=False, retry=Retry(attempts=1000))
def flaky(value: int, context: TaskContext) -> int:
    enter(context)
    if context.attempt == 1 and value % 10 == 0:
        raise ValueError(f"{value} fails at first")
    return 2 * value


@task(output="value", cache=False, inline=True)
def one_more(value: int, context: TaskContext) -> int:
    enter(context)
    return value + 1


@task(output="value", cache=False, side_effects=True)
async def fan(value: list[int], share: int, context: TaskContext) -> int:
    enter(context)
    return sum(value[share::FAN])


@task(output="value", cache=False)
async def total(values: wg.Collect[int], context: TaskContext) -> int:
    enter(context)
    return sum(values)


EXPECTED = sum(2 * value + 1 for value in range(ITEMS))


def build() -> TaskGraph:
    body = TaskGraph()
    body.add_task(flaky)
    body.add_task(one_more)
    body.add_dataflow("flaky", "value", "one_more", "value")
    graph = TaskGraph()
    graph.add_task(numbers)
    graph.add_task(MapTask(body, id="map", max_iterations="unbounded", concurrency=6))
    graph.add_task(total)
    graph.add_dataflow("numbers", "value", "map", "value")
    for share in range(FAN):
        graph.add_task(fan, id=f"fan_{share}", share=share)
        graph.add_dataflow("map", "value", f"fan_{share}", "value")
        graph.add_dataflow(f"fan_{share}", "value", "total", "values")
    return graph


def drive(path: str) -> None:
    """Go on with every unfinished run that nobody else drives, until there is none."""
    with wg.open(path) as project:
        while unfinished := [run for run in project.runs() if run.finished_at is None]:
            for run in unfinished:
                try:
                    project.resume_sync(run.id)
                except RunStateError:
                    asyncio.run(project.file.wait_for_change(0.05))


def serve() -> None:
    """Fork a driver for each path that comes in: a process that has imported everything starts in milliseconds."""
    build()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                install_crash_points()
                drive(line.strip())
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    serve()
