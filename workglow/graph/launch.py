"""Running a graph that is kept nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.clock import SystemClock
from workglow.errors import WorkglowError
from workglow.graph.blocking import run_blocking
from workglow.graph.delivery import deliver
from workglow.graph.environment import Environment
from workglow.graph.options import RunOptions
from workglow.graph.run import Run
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.schedule import Scope
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.clock import Clock
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.storage.protocols import TaskOutputRepository
    from workglow.tasks import TaskRegistry

__all__ = ["run_in_memory", "run_in_memory_sync"]


async def run_in_memory(
    graph: TaskGraph,
    inputs: Mapping[str, object] | None = None,
    *,
    options: RunOptions | None = None,
    on_event: Callable[[Event], object] | None = None,
    cache: TaskOutputRepository | None = None,
    registry: TaskRegistry = task_registry,
    clock: Clock | None = None,
    started: Callable[[TaskGraphRunner], object] | None = None,
) -> Run:
    """Run a graph without a project; raises what it failed with, with the run as the error's `run`.

    `started` is given the runner before its first task, so that somebody else can abort it.
    """
    clock = clock or SystemClock()
    options = options or RunOptions()
    options.check_size(len(graph.tasks))
    listeners = (graph.events.emit,) if len(graph.events) else ()
    if on_event is not None:
        listeners = (*listeners, on_event)
    environment = Environment(clock=clock, options=options, listeners=listeners, registry=registry, cache=cache)
    runner = TaskGraphRunner(graph, environment)
    if started is not None:
        started(runner)
    begun = clock.now()
    delivered = deliver(graph, inputs or {})
    try:
        await runner.run(Scope(graph, delivered))
    except WorkglowError as error:
        error.run = Run.of_memory(runner.status, runner.task_runs, {}, (begun, clock.now()))
        raise
    return Run.of_memory(runner.status, runner.task_runs, runner.outputs, (begun, clock.now()))


def run_in_memory_sync(
    graph: TaskGraph,
    inputs: Mapping[str, object] | None = None,
    *,
    options: RunOptions | None = None,
    on_event: Callable[[Event], object] | None = None,
    cache: TaskOutputRepository | None = None,
    registry: TaskRegistry = task_registry,
    clock: Clock | None = None,
) -> Run:
    """`run_in_memory`, blocking."""
    return run_blocking(
        lambda: run_in_memory(
            graph, inputs, options=options, on_event=on_event, cache=cache, registry=registry, clock=clock
        )
    )
