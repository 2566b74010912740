"""The graph that the crash tests kill, and the program that drives it.  Each body leaves a line in a ledger first."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import workglow as wg
from workglow import ConditionalTask, FallbackTask, MapTask, ReduceTask, Retry, TaskContext, TaskGraph, WhileTask
from workglow.clock import SystemClock
from workglow.errors import RunStateError
from workglow.file import File
from workglow.storage.sqlite import journal
from workglow.tasks import task
from workglow.testing import install_crash_points

ITEMS = 200
FAN = 8


SLEEPY = -1  # in which of the fan's tasks the driver stops itself, at a moment without a transaction
LEDGER = ""  # where task bodies say that they began; each driver is told its own


def enter(context: TaskContext) -> None:
    """Say who begins, before anything else happens: path, attempt, key, run and process."""
    line = f"{context.path} {context.attempt} {context.idempotency_key} {context.run_id} {os.getpid()}\n"
    ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
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
    if share == SLEEPY:
        os.kill(os.getpid(), signal.SIGSTOP)
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


@task(output="value", cache=False)
def hopeless(value: int, context: TaskContext) -> int:
    enter(context)
    raise ValueError("this one always fails")


@task(output="value", cache=False)
def comfort(error: str, context: TaskContext) -> int:
    enter(context)
    return len(error)


@task(output="value", version="1")
def remembered(value: int) -> int:
    return value + 100


@task(output="value", cache=False)
def less_hundred(value: int) -> int:
    return value - 100


@task(output="text", cache=False)
async def speak(value: int, context: TaskContext) -> AsyncIterator[str]:
    enter(context)
    for number in range(value):
        yield f"{number} "
        await asyncio.sleep(0)


@task(output="text", cache=False)
async def repeat(text: wg.Stream[str], context: TaskContext) -> AsyncIterator[str]:
    enter(context)
    async for piece in text:
        yield piece


@task(output="value", cache=False)
async def listen(text: wg.Stream[str], context: TaskContext) -> str:
    enter(context)
    async for piece in text:
        return piece.split()[0]
    return ""


CHOICE = ConditionalTask(
    id="choice",
    branches=[
        {"id": "high", "condition": {"field": "value", "operator": "greater_than", "value": 50}},
        {"id": "low", "condition": {"field": "value", "operator": "less_or_equal", "value": 50}},
    ],
)


def build_small() -> TaskGraph:
    """Every kind of transition in a few tasks: a loop with retries, a branch, a routed failure, a cache, a stream."""
    body = TaskGraph()
    body.add_task(flaky)
    body.add_task(one_more)
    body.add_dataflow("flaky", "value", "one_more", "value")
    graph = TaskGraph()
    graph.add_task(numbers)
    graph.add_task(MapTask(body, id="map", max_iterations=50, concurrency=3))
    graph.add_task(hopeless, value=1)
    graph.add_task(comfort)
    graph.add_task(remembered, value=1)
    graph.add_task(less_hundred)
    graph.add_task(remembered, id="remembered_too")
    graph.add_task(CHOICE)
    graph.add_task(one_more, id="taken")
    graph.add_task(one_more, id="not_taken")
    graph.add_dataflow("numbers", "value", "map", "value")
    graph.add_dataflow("remembered", "value", "less_hundred", "value")
    graph.add_dataflow("less_hundred", "value", "remembered_too", "value")
    graph.add_dataflow("hopeless", "[error]", "comfort", "*")
    graph.add_dataflow("remembered", "value", "choice", "value")
    for step in (speak, repeat, listen):
        graph.add_task(step)
    graph.add_dataflow("remembered", "value", "speak", "value")
    graph.add_dataflow("speak", "text", "repeat", "text")
    graph.add_dataflow("repeat", "text", "listen", "text")
    graph.add_dataflow("choice", "high", "taken", "*")
    graph.add_dataflow("choice", "low", "not_taken", "*")
    return graph


SLICE = 0.006  # seconds, after which a runner commits what it has before it goes on


@task(output="value", cache=False, inline=True)
def slow(value: int, context: TaskContext) -> int:
    """Take so long that its end is committed before anything else happens."""
    enter(context)
    end = time.monotonic() + SLICE
    while time.monotonic() < end:
        pass
    return value


@task(output="value", cache=False)
def in_rows(count: int, context: TaskContext) -> list[list[int]]:
    enter(context)
    return [[*range(count)], [*range(count, 2 * count)]]


def build_long_loops() -> TaskGraph:
    """A loop inside a loop, with so many turns that nobody looks at the beginning any more."""
    inner = alone(MapTask(alone(slow), id="inner", max_iterations="unbounded", concurrency=1, iterate=("value",)))
    graph = TaskGraph()
    graph.add_task(in_rows)
    graph.add_task(MapTask(inner, id="outer", max_iterations="unbounded", concurrency=2, iterate=("value",)))
    graph.add_dataflow("in_rows", "value", "outer", "value")
    return graph


@task(output="accumulator", cache=False)
def taken_in(accumulator: int, value: int, context: TaskContext) -> int:
    enter(context)
    return (3 * accumulator + value) % 1009


def alone(made: object) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(made)  # type: ignore[arg-type]
    return graph


def build_loops() -> TaskGraph:
    """Loops and alternatives, one after the other and inside each other."""
    climb = WhileTask(
        alone(one_more),
        id="while",
        condition_field="value",
        condition_operator="less_than",
        condition_value=5,
        max_iterations=50,
    )
    attempts = TaskGraph()
    attempts.add_task(hopeless)
    attempts.add_task(climb.replace(id="climb"))
    graph = TaskGraph()
    graph.add_task(numbers)
    graph.add_task(MapTask(alone(FallbackTask(attempts, id="either")), id="map", max_iterations=50, concurrency=2))
    graph.add_task(ReduceTask(alone(taken_in), id="reduce", initial_value=1, max_iterations=50))
    graph.add_task(climb)
    graph.add_dataflow("numbers", "value", "map", "value")
    graph.add_dataflow("map", "value", "reduce", "value")
    graph.add_dataflow("reduce", "accumulator", "while", "value")
    return graph


def drive(path: str, seconds: int = 0) -> None:
    """Go on with every unfinished run that nobody else drives, until there is none; the clock may run ahead."""
    with wg.open(path, clock=Ahead(seconds)) as project:
        while unfinished := [run for run in project.runs() if run.finished_at is None]:
            for run in unfinished:
                try:
                    project.resume_sync(run.id)
                except RunStateError:
                    asyncio.run(project.file.wait_for_change(0.05))


class Ahead(SystemClock):
    """The time of a machine whose clock runs ahead, or that waited so long."""

    def __init__(self, seconds: int) -> None:
        self._milliseconds = 1000 * seconds

    def now(self) -> int:  # type: ignore[override]
        return SystemClock.now() + self._milliseconds

    def monotonic(self) -> float:  # type: ignore[override]
        return SystemClock.monotonic() + self._milliseconds / 1000


class NoTransaction:
    """What is left of a transaction when somebody forgets to begin it: each statement commits by itself."""

    def __init__(self, db: object) -> None:
        self.db = db

    def __enter__(self) -> object:
        return self.db

    def __exit__(self, *_: object) -> None:
        pass


def break_on_purpose(what: str) -> None:
    """Take one of the two guards away, so that a test can show that it would notice."""
    if what == "fence":
        journal._FENCE = "SELECT 1 WHERE ?1 AND ?2 AND ?3"  # pyright: ignore[reportPrivateUsage]
    elif what == "transaction":
        File.transaction = lambda self, **_: NoTransaction(self.db)  # type: ignore[method-assign, assignment]


def serve() -> None:
    """Fork a driver for each line that comes in: a process that has imported everything starts in milliseconds."""
    global LEDGER, SLEEPY  # noqa: PLW0603  # the task bodies of a forked driver read them
    build(), build_small(), build_loops(), build_long_loops()
    for line in sys.stdin:
        path, LEDGER, point, seconds, broken, sleepy = line.rstrip("\n").split("\t")
        SLEEPY = int(sleepy)
        child = os.fork()
        if child == 0:
            os.dup2(os.open(f"{LEDGER}.errors", os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
            try:
                install_crash_points(point)
                break_on_purpose(broken)
                drive(path, int(seconds))
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)


if __name__ == "__main__":
    serve()
