"""Ways to run what the cases run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from workglow.errors import WorkglowError
from workglow.graph.environment import Environment
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.run import Run, TaskResult
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.schedule import Scope
from workglow.testing import FakeClock

Listener = Callable[[Event], object]


def graph_of(*tasks: Any) -> TaskGraph:
    graph = TaskGraph()
    for task in tasks:
        graph.add_task(task)
    return graph


def run_task(task: Any, inputs: Mapping[str, object] | None = None, **options: Any) -> TaskResult:
    """Run one task as a graph of one, and return what became of it, also when it failed."""
    graph = TaskGraph()
    made = graph.add_task(task)
    return outcome(graph, inputs, **options).tasks[made.id]


def outcome(graph: TaskGraph, inputs: Mapping[str, object] | None = None, **options: Any) -> Run:
    """Return the run, also when it failed."""
    try:
        return run_in_memory_sync(graph, inputs, **options)
    except WorkglowError as error:
        failure = error
    assert isinstance(failure.run, Run)
    return failure.run


def let_pass(clock: FakeClock, seconds: float) -> Listener:
    """Move the clock as soon as a task has begun and its timers are armed."""

    def listener(event: Event) -> None:
        if event.kind == "task_started":
            asyncio.get_running_loop().call_soon(clock.advance, seconds)

    return listener


def run_until(graph: TaskGraph, kind: str, path: str) -> tuple[TaskGraphRunner, WorkglowError | None, list[Event]]:
    """Run a graph and abort it when this event happens: the runner, what it raised, and all events."""
    events: list[Event] = []

    async def run() -> tuple[TaskGraphRunner, WorkglowError | None]:
        def listener(event: Event) -> None:
            events.append(event)
            if (event.kind, event.path) == (kind, path):
                runner.ending.abort()

        runner = TaskGraphRunner(graph, Environment(listeners=(listener,)))
        try:
            await runner.run(Scope(graph, {}))
        except WorkglowError as error:
            return runner, error
        return runner, None

    runner, error = asyncio.run(run())
    return runner, error, events


def kinds(events: list[Event], path: str) -> list[str]:
    """Return what happened at a path, without the word `task_`."""
    return [event.kind.removeprefix("task_") for event in events if event.path == path]
