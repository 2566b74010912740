"""Workflow: the fluent way to a graph, and to running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from workglow.graph.branching import BranchingBuilder
from workglow.graph.graph import TaskGraph
from workglow.graph.naming import did_you_mean, snake_name
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from workglow.graph.events import Event, Events
    from workglow.graph.run import Run
    from workglow.tasks import TaskRegistry

__all__ = ["Workflow"]

Listener = Callable[["Event"], object]


class Workflow(BranchingBuilder):
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

    async def run(
        self, inputs: Mapping[str, object] | None = None, *, on_event: Listener | None = None, **options: Any
    ) -> Run:
        """Run the graph in memory.  `options` are those of RunOptions; `on_event` is called with each event."""
        from workglow.graph.launch import run_in_memory
        from workglow.graph.options import RunOptions

        self._check_finished()
        return await run_in_memory(
            self._graph, inputs, options=RunOptions(**options), on_event=on_event, registry=self._registry
        )

    def run_sync(
        self, inputs: Mapping[str, object] | None = None, *, on_event: Listener | None = None, **options: Any
    ) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        from workglow.graph.launch import run_in_memory_sync
        from workglow.graph.options import RunOptions

        self._check_finished()
        return run_in_memory_sync(
            self._graph, inputs, options=RunOptions(**options), on_event=on_event, registry=self._registry
        )

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
    ) -> Workflow:
        """Read a workflow back; see `TaskGraph.from_json`."""
        return cls._of(TaskGraph.from_json(data, registry, allowed_types=allowed_types), registry)

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
    ) -> Workflow:
        """Read back what `to_dependency_json` wrote; errors as in `TaskGraph.from_json`."""
        from workglow.graph.dependency_codec import graph_from_dependency_json

        return cls._of(graph_from_dependency_json(data, registry, allowed_types=allowed_types), registry)

    @classmethod
    def _of(cls, graph: TaskGraph, registry: TaskRegistry | None) -> Workflow:
        workflow = cls(registry=task_registry if registry is None else registry)
        workflow._begin_with(graph)
        return workflow

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
