"""What a task is given when it starts: its literals, then the graph's inputs, then what its edges deliver."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from workglow.errors import TaskInputError
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT
from workglow.graph.schedule import delivers
from workglow.graph.streams.borders import Inflow
from workglow.graph.streams.channels import Intake
from workglow.tasks import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.dataflow import Dataflow
    from workglow.graph.schedule import TaskRun
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import Task

__all__ = ["gather"]


def gather(run: TaskRun, task: Task, outputs_of: Callable[[TaskRun], dict[str, object]]) -> dict[str, object]:
    """Collect the inputs of a task run; `outputs_of` reads back what a finished task gave before this process began."""
    scope = run.scope
    values: dict[str, object] = {**task.defaults} if task.has_defaults else {}
    delivered = scope.delivered.get(run.id)
    if delivered:
        values.update(delivered)
        if scope.inflows:
            _take_inflows(run, values, outputs_of)
    edges = scope.graph.incoming[run.id]
    everything = run.live == len(edges)
    runs = scope.runs
    collecting = task.inputs.collecting
    collected: set[str] | None = None
    for edge in edges:
        source = runs[edge.source]
        if not everything and not delivers(source, edge):
            continue
        outputs = source.outputs
        if outputs is None:
            if source.streamed is not None and source.status != "completed":
                values[edge.target_port] = _streamed(run, task, edge, source)
                continue
            outputs = outputs_of(source)
        port = edge.source_port
        if port in outputs:
            value = outputs[port]
        elif port in (ALL_PORTS, ERROR_PORT):
            value = outputs
        else:
            continue  # an optional output that was not given leaves the target's default in force
        if edge.transforms:
            value = _transformed(edge, value, scope.graph.transforms)
        name = edge.target_port
        if name == ALL_PORTS:
            values.update(_spread(edge, task, value))
        elif name in collecting:
            collected = collected or set()
            _collect(values, name, value, collected)
        else:
            values[name] = value
    return values


def _streamed(run: TaskRun, task: Task, edge: Dataflow, source: TaskRun) -> object:
    if task.mode == "compound":
        return Inflow(source, edge.source_port, task.inputs[edge.target_port].schema["x-stream"])
    run.intake = run.intake or Intake()
    return source.channel.open(edge.source_port, run.intake)


def _take_inflows(run: TaskRun, values: dict[str, object], outputs_of: Callable[[TaskRun], dict[str, object]]) -> None:
    for name, value in list(values.items()):
        if type(value) is Inflow:
            values[name] = value.taken(run, outputs_of)
            if values[name] is MISSING:
                del values[name]


def _transformed(edge: Dataflow, value: object, transforms: TransformRegistry) -> object:
    for transform in edge.transforms:
        try:
            value = transforms.apply(transform, value)
        except Exception as error:
            raise TaskInputError(
                f"The transform '{transform.id}' on {edge.id} failed: {error}. Change its params, or what "
                f"'{edge.source}' gives; 'coalesce' before it replaces None."
            ) from error
    return value


def _spread(edge: Dataflow, task: Task, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TaskInputError(f"{edge.id} spreads an object over the ports, but was given {type(value).__name__}.")
    fields = cast("Mapping[str, object]", value)
    if task.inputs.open:
        return fields
    return {name: field for name, field in fields.items() if name in task.inputs}


def _collect(values: dict[str, object], name: str, value: object, collected: set[str]) -> None:
    if name in collected:
        cast("list[object]", values[name]).append(value)
    else:
        collected.add(name)
        values[name] = [value]
