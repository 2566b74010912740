"""Running a graph that is kept nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.clock import SystemClock
from workglow.errors import WorkglowError
from workglow.graph.blocking import run_blocking
from workglow.graph.delivery import deliver
from workglow.graph.environment import Environment
from workglow.graph.gate import guarded_tasks
from workglow.graph.licence import Licences
from workglow.graph.options import RunOptions
from workglow.graph.permission import Permission
from workglow.graph.resolution import named_inputs
from workglow.graph.run import Run
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.schedule import Scope
from workglow.tasks import task_registry
from workglow.tasks.standard_resolvers import standard_resolvers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.clock import Clock
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.graph.wait import Question
    from workglow.storage.protocols import TaskOutputRepository
    from workglow.tasks import TaskRegistry
    from workglow.tasks.resolver import ResolverRegistry

__all__ = ["run_in_memory", "run_in_memory_sync"]


async def run_in_memory(
    graph: TaskGraph,
    inputs: Mapping[str, object] | None = None,
    *,
    options: RunOptions | None = None,
    on_event: Callable[[Event], object] | None = None,
    cache: TaskOutputRepository | None = None,
    registry: TaskRegistry = task_registry,
    resolvers: ResolverRegistry | None = None,
    permission: Permission | None = None,
    clock: Clock | None = None,
    on_question: Callable[[Question], object] | None = None,
) -> Run:
    """Run a graph without a project; raises what it failed with, with the run as the error's `run`.

    `resolvers` take the place of the standard ones.  `permission` says what the graph may do; without it, everything
    when the program made it, nothing when it was read from data.  `on_question` is called with each Question that a
    task asks, and returns the answer; a plain function is called in a thread of its own.
    """
    clock = clock or SystemClock()
    options = options or RunOptions()
    options.check_size(len(graph.tasks))
    listeners = (graph.events.emit,) if len(graph.events) else ()
    if on_event is not None:
        listeners = (*listeners, on_event)
    given, gate, gate_for_data = inputs or {}, None, None
    if guarded_tasks(graph):
        resolvers = resolvers or standard_resolvers(registry)
        given = await named_inputs(graph, given, resolvers)
        licence = Licences(resolvers=resolvers).for_graph(graph, permission or Permission())
        licence.admit(graph, deliver(graph, given))
        gate, gate_for_data = licence.gate, licence.gate_for_data
    environment = Environment(
        clock=clock,
        options=options,
        listeners=listeners,
        registry=registry,
        cache=cache,
        gate=gate,
        gate_for_data=gate_for_data,
        resolvers=resolvers,
        on_question=on_question,
    )
    runner = TaskGraphRunner(graph, environment)
    begun = clock.now()
    delivered = deliver(graph, given)
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
    resolvers: ResolverRegistry | None = None,
    permission: Permission | None = None,
    clock: Clock | None = None,
    on_question: Callable[[Question], object] | None = None,
) -> Run:
    """`run_in_memory`, blocking."""
    return run_blocking(
        lambda: run_in_memory(
            graph,
            inputs,
            options=options,
            on_event=on_event,
            cache=cache,
            registry=registry,
            resolvers=resolvers,
            permission=permission,
            clock=clock,
            on_question=on_question,
        )
    )
