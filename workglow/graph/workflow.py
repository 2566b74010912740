"""Workflow: the fluent way to a graph, and to running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack

from workglow.errors import GraphError
from workglow.graph.building import GraphBuilder
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.graph import TaskGraph
from workglow.graph.naming import did_you_mean, snake_name
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from workglow.graph.events import Event, Events
    from workglow.graph.preview import Preview
    from workglow.graph.run import Run
    from workglow.graph.settings import MemoryRunSettings
    from workglow.graph.transforms import TransformRegistry
    from workglow.graph.wait import Question
    from workglow.tasks import TaskRegistry

__all__ = ["Workflow"]

Listener = Callable[["Event"], object]
Handler = Callable[["Question"], object]


class Workflow(GraphBuilder):
    """Build a graph: `Workflow().then(clean).then(summarise, size=80)`, then `await workflow.run({"text": …})`.

    Each task is connected to the previous one by the names and types of ports, and its required inputs to earlier tasks
    if need be.  Task types of the registry are methods too: `workflow.text_embedding(model=…)` adds a
    `TextEmbeddingTask`.
    """

    def __repr__(self) -> str:
        return f"Workflow({len(self._graph.tasks)} tasks)"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        from workglow.graph.diagram import mime_bundle

        return mime_bundle(self._graph)

    @property
    def events(self) -> Events:
        """Listeners for the events of every run of this workflow: `workflow.events.on("task_completed", print)`."""
        return self._graph.events

    # ------------------------------------------------------------------ running and other forms

    async def run(self, inputs: Mapping[str, object] | None = None, **settings: Unpack[MemoryRunSettings]) -> Run:
        """Run the graph in memory; see RunOptions, RunRights and MemoryRunSettings for what can be said about it.

        Raises what the run failed with; the error's `run` is the run.
        """
        from workglow.graph.launch import run_in_memory

        self._check_finished()
        return await run_in_memory(self._graph, inputs, registry=self._registry, **settings)

    def run_sync(self, inputs: Mapping[str, object] | None = None, **settings: Unpack[MemoryRunSettings]) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        from workglow.graph.launch import run_in_memory_sync

        self._check_finished()
        return run_in_memory_sync(self._graph, inputs, registry=self._registry, **settings)

    def preview(self, inputs: Mapping[str, object] | None = None, *, max_tasks: int | None = None) -> Preview:
        """Say at once what the workflow would give, without running it; see `TaskGraph.preview`."""
        from workglow.clock import SystemClock
        from workglow.graph.preview import Preview
        from workglow.graph.preview_surroundings import Surroundings

        self._check_finished()
        around = Surroundings(self._registry, SystemClock())
        return Preview(self._graph, inputs, surroundings=around, max_tasks=max_tasks)

    def to_json(self, *, with_boundary_nodes: bool = True) -> dict[str, Any]:
        """Return the graph as JSON, with its inputs and outputs drawn as tasks; see `TaskGraph.to_json`."""
        return self.to_graph().to_json(with_boundary_nodes=with_boundary_nodes)

    @classmethod
    def from_json(
        cls,
        data: str | bytes | Mapping[str, Any],
        registry: TaskRegistry | None = None,
        *,
        allowed_types: Iterable[str] | None = None,
        transforms: TransformRegistry = built_in_transforms,
    ) -> Workflow:
        """Read a workflow back; see `TaskGraph.from_json`."""
        graph = TaskGraph.from_json(data, registry, allowed_types=allowed_types, transforms=transforms)
        return cls._of(graph, registry)

    def to_dependency_json(self, *, with_boundary_nodes: bool = True) -> list[dict[str, Any]]:
        """Return the graph as a list of tasks, each with what it depends on."""
        from workglow.graph.dependency_codec import graph_to_dependency_json

        return graph_to_dependency_json(self.to_graph(), with_boundary_nodes=with_boundary_nodes)

    @classmethod
    def from_dependency_json(
        cls,
        data: str | bytes | Iterable[Mapping[str, Any]],
        registry: TaskRegistry | None = None,
        *,
        allowed_types: Iterable[str] | None = None,
        transforms: TransformRegistry = built_in_transforms,
    ) -> Workflow:
        """Read back what `to_dependency_json` wrote; errors as in `TaskGraph.from_json`."""
        from workglow.graph.dependency_codec import graph_from_dependency_json

        graph = graph_from_dependency_json(data, registry, allowed_types=allowed_types, transforms=transforms)
        return cls._of(graph, registry)

    @classmethod
    def _of(cls, graph: TaskGraph, registry: TaskRegistry | None) -> Workflow:
        workflow = cls(registry=task_registry if registry is None else registry)
        workflow._graph = graph
        results = {task_id for task_id, task in graph.tasks.items() if getattr(task, "is_graph_output", False)}
        workflow._trail = [task_id for task_id in graph.tasks if task_id not in results]
        return workflow

    def _check_finished(self) -> None:
        self._check_renames()
        if self._parent is not None:
            raise GraphError("This is the body of a map() that is still open; close it with end_map(), and run that.")

    # ------------------------------------------------------------------ task types as methods

    def __getattr__(self, name: str) -> Callable[..., Self]:
        if name.startswith("_"):
            raise AttributeError(name)
        types = {snake_name(type_name): type_name for type_name in self._registry.names()}
        if name not in types:
            hint = did_you_mean(name, [*types, *(own for own in dir(type(self)) if not own.startswith("_"))])
            raise AttributeError(f"Workflow has no method {name!r}, and no task type of that name is registered.{hint}")
        task_type = self._registry.get(types[name])

        def add(*, id: str | None = None, **inputs: Any) -> Self:
            return self.then(task_type, id=id, **inputs)

        add.__name__ = name
        add.__doc__ = task_type.description
        return add

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *map(snake_name, self._registry.names())})
