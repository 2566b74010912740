"""Which task gets which of the graph's inputs.

Policy.  A task without edges into it is a root: each of its ports takes the graph input of the port's name, and a root
with open ports takes all graph inputs.  Any other task takes graph inputs only for required ports that have neither an
edge nor a literal.  `graph.inputs` gives such ports, and any other free one, names of the graph's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from workglow.errors import GraphError, TaskInputError
from workglow.graph.dataflow import ALL_PORTS, ERROR_FIELDS, ERROR_PORT
from workglow.graph.naming import did_you_mean

if TYPE_CHECKING:
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = ["DeliveryPlan", "as_inputs", "deliver", "delivery_plan", "free_ports"]


class DeliveryPlan:
    """Where each graph input goes.

    `targets` maps a name to the (task id, port) pairs that take it; `required` lists (name, task id, port) for those
    that cannot do without; `open_tasks` are the roots that take everything.
    """

    __slots__ = ("open_tasks", "required", "targets")

    def __init__(self, graph: TaskGraph) -> None:
        self.targets: dict[str, list[tuple[str, str]]] = {}
        self.required: list[tuple[str, str, str]] = []
        self.open_tasks: list[str] = []
        named: dict[str, dict[str, list[str]]] = {}
        for name, ends in graph.inputs.items():
            for task_id, port in ends:
                _check_named(graph, name, task_id, port)
                named.setdefault(task_id, {}).setdefault(port, []).append(name)
        for task_id, task in graph.tasks.items():
            free = free_ports(graph.incoming[task_id], task)
            if task.inputs.open and not graph.incoming[task_id]:
                self.open_tasks.append(task_id)
            own = named.get(task_id, {})
            for port, required in {**dict.fromkeys(own, False), **free}.items():
                for name in own.get(port, (port,)):
                    self.targets.setdefault(name, []).append((task_id, port))
                    if required:
                        self.required.append((name, task_id, port))


def free_ports(edges: Sequence[Dataflow], task: Task) -> dict[str, bool]:
    """Return the ports of a task that take graph inputs, given the edges into it, and whether each needs one."""
    defaults = task.defaults
    if not edges:
        return {name: port.required and name not in defaults for name, port in task.inputs.items()}
    fed: set[str] = set()
    for edge in edges:
        if edge.target_port != ALL_PORTS:
            fed.add(edge.target_port)
        elif edge.source_port == ERROR_PORT:
            fed.update(ERROR_FIELDS)
        else:
            return {}
    return {
        name: True for name, port in task.inputs.items() if port.required and name not in fed and name not in defaults
    }


def _check_named(graph: TaskGraph, name: str, task_id: str, port: str) -> None:
    task = graph.tasks.get(task_id)
    if task is None or not (port in task.inputs or task.inputs.open):
        raise GraphError(f"The graph's input {name!r} goes to {task_id}[{port}], which is not in the graph.")
    if any(edge.target_port == port for edge in graph.incoming[task_id]):
        raise GraphError(f"The graph's input {name!r} goes to {task_id}[{port}], which has an edge already.")


def delivery_plan(graph: TaskGraph) -> DeliveryPlan:
    """Return the graph's plan, made again only after the graph changed."""
    return graph.derive("delivery", DeliveryPlan)


def as_inputs(given: object) -> Mapping[str, object]:
    """Return the inputs that a caller gave, where None is none; TaskInputError when they are no mapping of names."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TaskInputError(f"Inputs are a mapping of names to values, such as {{'text': …}}, not {given!r:.80}.")
    inputs = cast("Mapping[object, object]", given)
    for name in inputs:
        if not isinstance(name, str):
            raise TaskInputError(f"The name of an input is a text, not {name!r}.")
    return cast("Mapping[str, object]", inputs)


def deliver(graph: TaskGraph, inputs: Mapping[str, object], *, where: str = "") -> dict[str, dict[str, object]]:
    """Hand the graph inputs out: task id → port → value, for the tasks that get any.

    `where` is the graph's place in the run, for errors.  Raises TaskInputError for a name that no port takes, and for a
    required input that is missing; DuplicateDataflowError for branches that share a port and are none any more.
    """
    graph.check_branches()
    plan = delivery_plan(graph)
    targets = plan.targets
    delivered: dict[str, dict[str, object]] = {task_id: dict(inputs) for task_id in plan.open_tasks}
    for name, value in inputs.items():
        ends = targets.get(name)
        if ends is not None:
            for task_id, port in ends:
                ports = delivered.get(task_id)
                if ports is None:
                    delivered[task_id] = {port: value}
                else:
                    ports[port] = value
        elif not plan.open_tasks:
            known = f"Its inputs are {', '.join(targets)}." if targets else "It takes no inputs."
            place = f"'{where}'" if where else "The graph"
            raise TaskInputError(f"{place} has no input {name!r}. {known}{did_you_mean(name, list(targets))}")
    for name, task_id, port in plan.required:
        if name not in inputs:
            place = f" in '{where}'" if where else ""
            raise TaskInputError(
                f"Task {task_id!r}{place}: port {port!r} is required; give the graph the input {name!r}, "
                "connect the port, or give it a literal."
            )
    return delivered
