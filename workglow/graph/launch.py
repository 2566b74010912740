"""Running a graph that is kept nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from workglow.blocking import run_blocking
from workglow.clock import SystemClock
from workglow.errors import WorkglowError
from workglow.graph.budget import Spending
from workglow.graph.delivery import as_inputs, deliver
from workglow.graph.environment import Environment
from workglow.graph.options import RunOptions
from workglow.graph.queued.queue_names import check_queues
from workglow.graph.resolution import named_inputs
from workglow.graph.rights.gate import guarded_tasks
from workglow.graph.rights.licence import Licences
from workglow.graph.rights.permission import Permission
from workglow.graph.run import Run
from workglow.graph.schedule import Scope
from workglow.graph.tracing import runner_for
from workglow.tasks import task_registry
from workglow.tasks.standard_resolvers import standard_resolvers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.clock import Clock
    from workglow.graph.graph import TaskGraph
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.settings import MemoryRunSettings
    from workglow.tasks import TaskRegistry

__all__ = ["run_in_memory", "run_in_memory_sync"]


async def run_in_memory(
    graph: TaskGraph,
    inputs: Mapping[str, object] | None = None,
    *,
    options: RunOptions | None = None,
    registry: TaskRegistry = task_registry,
    clock: Clock | None = None,
    started: Callable[[TaskGraphRunner], object] | None = None,
    **settings: Unpack[MemoryRunSettings],
) -> Run:
    """Run a graph without a project; raises what it failed with, with the run as the error's `run`.

    Settings take the place of those among the `options`.  `started` is given the runner before its first task, so that
    somebody else can abort it.
    """
    clock = clock or SystemClock()
    permission = Permission.taken_from(settings)
    environment = _environment(graph, settings, options, registry, clock)
    environment.options.check_size(len(graph.tasks))
    check_queues(environment.options, graph, registry)
    given = as_inputs(inputs)
    if guarded_tasks(graph):
        environment.resolvers = environment.resolvers or standard_resolvers(registry)
        given = await named_inputs(graph, given, environment.resolvers)
        licence = Licences(resolvers=environment.resolvers).for_graph(graph, permission)
        licence.admit(graph, deliver(graph, given))
        environment.gate, environment.gate_for_data = licence.gate, licence.gate_for_data
    runner = runner_for(graph, environment)
    if started is not None:
        started(runner)
    begun = clock.now()
    delivered = deliver(graph, given)
    try:
        await runner.run(Scope(graph, delivered))
    except WorkglowError as error:
        error.run = Run.of_memory(runner.status, runner.task_runs, {}, (begun, clock.now()))
        raise
    finally:
        if environment.cache is not None:
            environment.cache.after_run()
    return Run.of_memory(runner.status, runner.task_runs, runner.outputs, (begun, clock.now()))


def _environment(
    graph: TaskGraph,
    settings: MemoryRunSettings,
    options: RunOptions | None,
    registry: TaskRegistry,
    clock: Clock,
) -> Environment:
    rest: dict[str, Any] = {**settings}
    on_event = rest.pop("on_event", None)
    listeners = (graph.events.emit,) if len(graph.events) else ()
    environment = Environment(
        clock=clock,
        listeners=listeners if on_event is None else (*listeners, on_event),
        registry=registry,
        cache=rest.pop("output_cache", None),
        resolvers=rest.pop("resolvers", None),
        on_question=rest.pop("on_question", None),
        tracer=rest.pop("tracer", None),
        options=RunOptions.of(rest, options),
    )
    budget = environment.options.limit
    environment.spending = None if budget is None else Spending(budget)
    return environment


def run_in_memory_sync(
    graph: TaskGraph,
    inputs: Mapping[str, object] | None = None,
    *,
    options: RunOptions | None = None,
    registry: TaskRegistry = task_registry,
    clock: Clock | None = None,
    **settings: Unpack[MemoryRunSettings],
) -> Run:
    """`run_in_memory`, blocking."""
    return run_blocking(
        lambda: run_in_memory(graph, inputs, options=options, registry=registry, clock=clock, **settings)
    )
