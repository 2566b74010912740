"""What a graph would give, said at once while someone edits: `execute_preview` only, nothing run and nothing kept.

The policy.  Tasks are asked one after the other, each after those it depends on.  A task gives a preview when it has
`execute_preview` and its required inputs are there; a group gives that of its graph, a loop none, for it would have to
run.  A task that waits for one without a preview has none either, which is no error.  An error is kept with its task,
and the others go on.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from workglow.clock import SystemClock
from workglow.errors import PortError, TaskOutputError, WorkglowError
from workglow.graph.blocking import run_blocking
from workglow.graph.compound import GraphAsTask
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT
from workglow.graph.delivery import deliver, delivery_plan
from workglow.graph.failure import as_failure
from workglow.graph.inputs import gather
from workglow.graph.options import RunOptions
from workglow.graph.results import scope_results
from workglow.graph.schedule import Scope, TaskRun, delivers
from workglow.tasks import MISSING, TaskContext, task_registry
from workglow.tasks.fields import values_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.clock import Clock
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task, TaskRegistry

__all__ = ["PreviewResult", "run_preview", "run_preview_sync"]


@dataclass(slots=True)
class PreviewResult:
    """What the previews gave: `outputs` of the graph, `tasks` (path → outputs), and `errors` (path → error)."""

    outputs: Mapping[str, object] = field(default_factory=dict[str, object])
    tasks: dict[str, Mapping[str, object]] = field(default_factory=dict[str, "Mapping[str, object]"])
    errors: dict[str, WorkglowError] = field(default_factory=dict[str, WorkglowError])


async def run_preview(
    graph: TaskGraph,
    inputs: Mapping[str, object] | None = None,
    *,
    options: RunOptions | None = None,
    registry: TaskRegistry = task_registry,
    clock: Clock | None = None,
) -> PreviewResult:
    """Ask every task of a graph for its preview, as far as the inputs go.

    Raises TaskConfigurationError for more tasks than `options.max_tasks`, and TaskInputError for an input that no task
    takes; whatever goes wrong in a task is in the result.
    """
    (options or RunOptions()).check_size(len(graph.tasks))
    preview = _Preview(registry, clock or SystemClock())
    preview.result.outputs = await preview.of_graph(graph, inputs or {})
    return preview.result


def run_preview_sync(
    graph: TaskGraph,
    inputs: Mapping[str, object] | None = None,
    *,
    options: RunOptions | None = None,
    registry: TaskRegistry = task_registry,
    clock: Clock | None = None,
) -> PreviewResult:
    """`run_preview`, blocking."""
    return run_blocking(lambda: run_preview(graph, inputs, options=options, registry=registry, clock=clock))


class _Preview:
    def __init__(self, registry: TaskRegistry, clock: Clock) -> None:
        self.result = PreviewResult()
        self._registry = registry
        self._clock = clock

    async def of_graph(self, graph: TaskGraph, inputs: Mapping[str, object], prefix: str = "") -> dict[str, object]:
        """Preview the tasks of a graph and return what the graph gives."""
        scope = Scope(graph, _handed_out(graph, inputs, prefix), prefix=prefix)
        for id in graph.order():
            run = scope.runs[id]
            run.task = graph.tasks[id]
            try:
                await self._of_task(run)
            except Exception as error:
                self.result.errors[run.path] = as_failure(run, error)
        return scope_results(scope, lambda run: run.outputs or {})

    async def _of_task(self, run: TaskRun) -> None:
        if not _is_reached(run):
            return
        task = run.task
        values = gather(run, task, lambda source: source.outputs or {})
        if _waits(run, values):
            return
        run.inputs = task.check_inputs(values)
        outputs = await self._answer(run, task, run.inputs)
        if outputs is None:
            return
        run.outputs = outputs
        run.status = "completed"
        self.result.tasks[run.path] = outputs
        switch_off = getattr(task, "inactive_ports", None)
        if switch_off is not None:
            run.switch_off(cast("Any", task), outputs)

    async def _answer(self, run: TaskRun, task: Task, inputs: dict[str, object]) -> dict[str, object] | None:
        answer = task.preview(inputs, TaskContext(path=run.path, clock=self._clock, registry=self._registry))
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is not None:
            return _checked(task, answer)
        if isinstance(task, GraphAsTask) and type(task).controller is GraphAsTask.controller:
            before = len(self.result.tasks)
            outputs = await self.of_graph(task.subgraph, inputs, run.path + "/")
            return outputs if len(self.result.tasks) > before else None
        return None


def _handed_out(graph: TaskGraph, inputs: Mapping[str, object], prefix: str) -> dict[str, dict[str, object]]:
    """Hand the inputs out as a run does, but let a task that misses one speak for itself."""
    absent = {name: MISSING for name, _, _ in delivery_plan(graph).required if name not in inputs}
    delivered = deliver(graph, {**inputs, **absent}, where=prefix)
    return {
        id: {name: value for name, value in values.items() if value is not MISSING} for id, values in delivered.items()
    }


def _is_reached(run: TaskRun) -> bool:
    """Count the edges that deliver; without any, say whether the task is disabled or only waits."""
    runs, edges = run.scope.runs, run.scope.graph.incoming[run.id]
    run.live = sum(delivers(runs[edge.source], edge) for edge in edges if edge.source_port != ERROR_PORT)
    if edges and not run.live:
        decided = all(
            edge.source_port == ERROR_PORT or runs[edge.source].status in ("completed", "disabled") for edge in edges
        )
        run.status = "disabled" if decided else "pending"
        return False
    return True


def _waits(run: TaskRun, values: Mapping[str, object]) -> bool:
    """Whether a required input is missing only because a task before this one gave no preview of it."""
    fed = {edge.target_port for edge in run.scope.graph.incoming[run.id]}
    missing = [name for name, port in run.task.inputs.items() if port.required and name not in values]
    return any(name in fed or ALL_PORTS in fed for name in missing)


def _checked(task: Task, answer: object) -> dict[str, object]:
    values = values_of(answer)
    if values is None:
        raise TaskOutputError(f"The preview of task '{task.id}' is {answer!r:.60}; return a mapping of output ports.")
    try:
        return task.outputs.check_given(values)
    except PortError as error:
        raise TaskOutputError(f"The preview of task '{task.id}': output {error}") from None
