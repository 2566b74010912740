"""Graphs as a flat list of tasks, each of which says what it depends on.

    [{"id", "type", "defaults", "config"?, …, "subtasks"?: […], "inputs"?, "outputs"?,
      "dependencies"?: {port: {"id", "output", "transforms"?}}}]

A port that several edges enter has a list of them.  `inputs` and `outputs` of a task with subtasks are the names that
the graph inside it has of its own, as in the envelope of `to_json`.  The outermost list has no place for such names; a
graph that has some is written with its boundary drawn as tasks, or as that envelope.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from workglow.errors import TaskSerializationError
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.json.codec import DEEPEST_GRAPH, dataflow_to_json, task_to_json
from workglow.graph.json.loading import Reader
from workglow.graph.json.shape import Item, as_list, as_object, check_keys, parse_text, refuse, within
from workglow.graph.schemas import PROPERTY_ARRAY, Merge

if TYPE_CHECKING:
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.graph import TaskGraph
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import TaskRegistry

__all__ = ["graph_from_dependency_json", "graph_to_dependency_json"]

_NAMES = ("inputs", "outputs")

Placed = tuple[str, Mapping[str, Any]]


def graph_to_dependency_json(graph: TaskGraph, *, with_boundary_nodes: bool = False) -> list[dict[str, Any]]:
    """Write a graph; TaskSerializationError for a task, or names of inputs and outputs, that the form cannot hold."""
    if with_boundary_nodes:
        from workglow.graph.boundary import with_boundary_nodes as draw

        graph = draw(graph)
    if graph.merge != PROPERTY_ARRAY:
        raise TaskSerializationError(f"Dependency JSON cannot say that the graph merges as {graph.merge}; use to_json.")
    if graph.inputs or graph.outputs:
        names = ", ".join([*graph.inputs, *graph.outputs])
        raise TaskSerializationError(f"Dependency JSON cannot hold the graph's own names ({names}); use to_json.")
    return _items(graph)


def _items(graph: TaskGraph) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for task_id, task in graph.tasks.items():
        item = task_to_json(task)
        if "subgraph" in item:
            inner = item.pop("subgraph")
            item.update((key, inner[key]) for key in _NAMES if key in inner)
            item["subtasks"] = _items(task.subgraph)  # pyright: ignore  # a task with a subgraph in JSON has one
        if graph.incoming[task_id]:
            item["dependencies"] = _dependencies(graph.incoming[task_id])
        items.append(item)
    return items


def _dependencies(edges: Iterable[Dataflow]) -> dict[str, Any]:
    by_port: dict[str, list[dict[str, Any]]] = {}
    for edge in edges:
        dependency: dict[str, Any] = {"id": edge.source, "output": edge.source_port}
        if edge.transforms:
            dependency["transforms"] = dataflow_to_json(edge)["transforms"]
        by_port.setdefault(edge.target_port, []).append(dependency)
    return {port: given[0] if len(given) == 1 else given for port, given in by_port.items()}


def graph_from_dependency_json(
    data: str | bytes | Iterable[Item],
    registry: TaskRegistry | None = None,
    *,
    allowed_types: Iterable[str] | None = None,
    transforms: TransformRegistry = built_in_transforms,
) -> TaskGraph:
    """Read a graph back, with every edge; errors as in `TaskGraph.from_json`."""
    items = as_list(parse_text(data) if isinstance(data, str | bytes) else data, "$")
    tasks, edges = _taken_apart(items, "$", 0)
    merge: Merge = PROPERTY_ARRAY
    return Reader(registry, allowed_types, tags=True, transforms=transforms).build(tasks, edges, 0, merge)


def _taken_apart(items: list[Any], path: str, depth: int) -> tuple[list[Placed], list[Placed]]:
    """Return tasks and edges as the envelope has them, each with its place."""
    if depth > DEEPEST_GRAPH:
        refuse(path, f"is more than {DEEPEST_GRAPH} graphs deep")
    tasks: list[Placed] = []
    edges: list[Placed] = []
    for number, item in enumerate(items):
        place = f"{path}[{number}]"
        fields = dict(as_object(item, place))
        dependencies = as_object(fields.pop("dependencies", {}), f"{place}.dependencies")
        edges.extend(_edges(dependencies, fields.get("id"), f"{place}.dependencies"))
        if "subtasks" in fields:
            inner = within(place, "subtasks")
            inner_tasks, inner_edges = _taken_apart(as_list(fields.pop("subtasks"), inner), inner, depth + 1)
            fields["subgraph"] = {
                "tasks": [task for _, task in inner_tasks],
                "dataflows": [edge for _, edge in inner_edges],
                **{key: fields.pop(key) for key in _NAMES if key in fields},
            }
        tasks.append((place, fields))
    return tasks, edges


def _edges(dependencies: Item, target: object, path: str) -> Iterator[Placed]:
    for port, given in dependencies.items():
        place = f"{path}.{port}"
        for number, dependency in enumerate(given if isinstance(given, list) else [given]):  # pyright: ignore
            fields = as_object(dependency, f"{place}[{number}]" if isinstance(given, list) else place)
            check_keys(fields, ("id", "output", "transforms"), place, required=("id", "output"))
            edge = {
                "sourceTaskId": fields["id"],
                "sourceTaskPortId": fields["output"],
                "targetTaskId": target,
                "targetTaskPortId": port,
            }
            yield place, {**edge, "transforms": fields["transforms"]} if "transforms" in fields else edge
