"""A graph in the file: how it gets there, and reading only as much of it as a run needs.

A run that is resumed asks for the tasks on its frontier and, as they finish, for what is behind them.  So the first
task starts after a handful of reads, whether the graph has ten tasks or a hundred thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from workglow.errors import UnknownTaskError
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.dataflow import Dataflow, as_transforms
from workglow.graph.delivery import free_ports
from workglow.graph.graph import TaskGraph
from workglow.graph.json.loading import task_from_json
from workglow.storage.graph_json import record_from_json, record_to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workglow.graph.transforms import TransformRegistry
    from workglow.storage.protocols import GraphRepository
    from workglow.storage.records import DataflowRecord, GraphRecord
    from workglow.tasks import Task, TaskRegistry

__all__ = ["StoredDelivery", "StoredGraph", "graph_record", "versions_of"]

Found = TypeVar("Found")


def graph_record(graph: TaskGraph) -> GraphRecord:
    """Return the graph as it is stored; made again only after the graph changed."""
    return graph.derive("record", _record)


def _record(graph: TaskGraph) -> GraphRecord:
    return record_from_json(graph.to_json(), graph.content_hash())


def versions_of(graph: TaskGraph) -> dict[str, str]:
    """Return the version of the code of each task type in a graph and in the graphs inside it."""
    return graph.derive("versions", _versions)


def _versions(graph: TaskGraph) -> dict[str, str]:
    found: dict[str, str] = {}
    for task in tasks_within(graph):
        if task.type not in found:
            found[task.type] = task.version
    return dict(sorted(found.items()))


def tasks_within(graph: TaskGraph) -> Iterator[Task]:
    """Yield the tasks of a graph and of the graphs inside it."""
    graphs = [graph]
    while graphs:
        for task in graphs.pop().tasks.values():
            yield task
            inner = getattr(task, "subgraph", None)
            if inner is not None:
                graphs.append(inner)


class _Lazy(dict[str, Found]):
    """A mapping that reads each entry when it is first asked for."""

    def __init__(self, read: Callable[[str], Found]) -> None:
        self._read = read

    def __missing__(self, key: str) -> Found:
        value = self[key] = self._read(key)
        return value


class StoredGraph:
    """A graph in a file, read as it is needed; for a run it is what a TaskGraph is in memory."""

    def __init__(
        self,
        graphs: GraphRepository,
        graph_id: int,
        registry: TaskRegistry,
        transforms: TransformRegistry = built_in_transforms,
    ) -> None:
        self._graphs = graphs
        self.transforms = transforms
        self._graph_id = graph_id
        self.registry = registry
        self._whole: TaskGraph | None = None
        self.tasks: dict[str, Task] = _Lazy(self._task)
        self.incoming: dict[str, list[Dataflow]] = _Lazy(lambda id: _edges(graphs.incoming(graph_id, id)))
        self.outgoing: dict[str, list[Dataflow]] = _Lazy(lambda id: _edges(graphs.outgoing(graph_id, id)))
        extra: dict[str, Any] = msgspec.json.decode(graphs.extra(graph_id))
        self.inputs: Mapping[str, list[tuple[str, str]]] = {
            name: [(end["taskId"], end["portId"]) for end in ends] for name, ends in extra.get("inputs", {}).items()
        }

    def _task(self, id: str) -> Task:
        record = self._graphs.task(self._graph_id, id)
        if record is None:
            raise UnknownTaskError(f"The stored graph has no task '{id}'.")
        return task_from_json(
            {"id": record.task_id, **msgspec.json.decode(record.definition)}, self.registry, transforms=self.transforms
        )

    def sources(self) -> Sequence[str]:
        """The tasks without edges into them."""
        return self.whole().sources()

    def whole(self) -> TaskGraph:
        """Read all of it."""
        if self._whole is None:
            record = self._graphs.load(self._graph_id)
            self._whole = TaskGraph.from_json(record_to_json(record), self.registry, transforms=self.transforms)
        return self._whole


def _edges(records: Sequence[DataflowRecord]) -> list[Dataflow]:
    return [
        Dataflow(
            flow.source_id,
            flow.source_port,
            flow.target_id,
            flow.target_port,
            as_transforms(msgspec.json.decode(flow.transforms)) if flow.transforms else (),
        )
        for flow in records
    ]


class StoredDelivery(dict[str, "dict[str, object]"]):
    """Which graph inputs a task gets, decided when the task is reached."""

    def __init__(self, graph: StoredGraph, inputs: Mapping[str, object]) -> None:
        self._graph = graph
        self._inputs = inputs

    def get(self, id: str, default: object = None) -> dict[str, object]:  # pyright: ignore[reportIncompatibleMethodOverride]
        found = super().get(id)
        if found is None:
            found = self[id] = self._deliver(id)
        return found

    def _deliver(self, id: str) -> dict[str, object]:
        graph, inputs = self._graph, self._inputs
        task = graph.tasks[id]
        delivered = dict(inputs) if task.inputs.open and not graph.incoming[id] else {}
        named = {port: name for name, ends in graph.inputs.items() for task_id, port in ends if task_id == id}
        for port in {**named, **free_ports(graph.incoming[id], task)}:
            name = named.get(port, port)
            if name in inputs:
                delivered[port] = inputs[name]
        return delivered
