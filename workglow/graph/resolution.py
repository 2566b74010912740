"""Names in the inputs of tasks, as the runner treats them: resolved just before a task's code is called.

Everything that is kept, compared or fingerprinted holds the names: the inputs of a task run, the key of its output in
the cache, the outputs that are stored.  What they name exists only while the task's code runs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from workglow.graph.rights.gate import gate_of, guarded_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.graph.environment import Environment
    from workglow.graph.graph import TaskGraph
    from workglow.graph.schedule import TaskRun
    from workglow.tasks import Task
    from workglow.tasks.resolver import ResolverRegistry

__all__ = ["Named", "Resolution", "has_names", "named_inputs"]


class Named(dict[str, Any]):
    """Outputs that have been checked, and that hold names."""


class Resolution:
    """Resolves the inputs of the tasks of one run, and gives what they return its names back."""

    def __init__(self, resolvers: ResolverRegistry, environment: Environment) -> None:
        self._resolvers = resolvers
        self._environment = environment
        self._concerned: dict[type[Task], bool] = {}

    @classmethod
    def of(cls, environment: Environment) -> Resolution | None:
        """Return what resolves for a run; None when nothing does."""
        return None if environment.resolvers is None else cls(environment.resolvers, environment)

    def concerns(self, task: Task) -> bool:
        """Whether a task has ports whose names are resolved."""
        known = self._concerned.get(type(task))
        if known is None:
            known = self._concerned[type(task)] = self._resolvers.handles(task.formats)
        return known

    async def resolved(self, run: TaskRun) -> dict[str, Any]:
        """Return the inputs of a task run with what they name; the task run keeps the names."""
        gate = gate_of(run, self._environment)
        allow = None if gate is None else partial(gate.demand, run.path, run.task)
        return dict(await self._resolvers.resolve(run.inputs or {}, run.task.inputs.schema, allow=allow))

    async def named(self, run: TaskRun, result: object) -> Named:
        """Return the outputs that a task gave with names in the place of what has one."""
        return Named(await self._resolvers.compact(run.task.to_outputs(result), run.task.outputs.schema))


def has_names(graph: TaskGraph) -> bool:
    """Whether any port in the graph, or in the graphs inside it, has a format."""
    return any(task.formats for _, task in guarded_tasks(graph))


async def named_inputs(
    graph: TaskGraph, inputs: Mapping[str, object], resolvers: ResolverRegistry | None
) -> Mapping[str, object]:
    """Return the inputs of a graph with names in the place of what has one, so that they can be kept."""
    if resolvers is None or not inputs or not has_names(graph):
        return inputs
    return await resolvers.compact(inputs, graph.input_schema())
