"""Workflow: the fluent way to a graph, and to running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from workglow.graph.branching import BranchingBuilder
from workglow.graph.graph import TaskGraph
from workglow.graph.naming import did_you_mean, method_name
from workglow.graph.shipped import ShippedTasks
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from workglow.graph.compound import GraphAsTask
    from workglow.graph.events import Event, Events
    from workglow.graph.preview import PreviewResult
    from workglow.graph.run import Run
    from workglow.graph.runner import TaskGraphRunner
    from workglow.storage.protocols import TaskOutputRepository
    from workglow.tasks import TaskRegistry
    from workglow.tasks.entitlements import Entitlement

    Running = tuple[AbstractEventLoop, TaskGraphRunner]

__all__ = ["Workflow"]

Listener = Callable[["Event"], object]


class Workflow(BranchingBuilder, ShippedTasks):
    """Build a graph: `Workflow().then(clean).then(summarise, size=80)`, then `await workflow.run({"text": …})`.

    Each task is connected to the previous one by the names and types of ports, and its required inputs to earlier tasks
    if need be.  Task types of the registry are methods too: `workflow.text_embedding(model=…)` adds a
    `TextEmbeddingTask`.  Runs look outputs up in `output_cache`, if there is one, and keep them there.
    """

    def __init__(
        self, *, output_cache: TaskOutputRepository | None = None, registry: TaskRegistry = task_registry
    ) -> None:
        super().__init__(registry=registry)
        self.output_cache = output_cache
        self._running: list[Running] = []

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
        from asyncio import get_running_loop

        from workglow.graph.launch import run_in_memory
        from workglow.graph.options import RunOptions

        self._check_finished()
        loop = get_running_loop()
        mine: list[Running] = []

        def started(runner: TaskGraphRunner) -> None:
            mine.append((loop, runner))
            self._running.extend(mine)

        try:
            return await run_in_memory(
                self._graph,
                inputs,
                options=RunOptions(**options),
                on_event=on_event,
                cache=self.output_cache,
                registry=self._registry,
                started=started,
            )
        finally:
            for running in mine:
                self._running.remove(running)

    def run_sync(
        self, inputs: Mapping[str, object] | None = None, *, on_event: Listener | None = None, **options: Any
    ) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        from workglow.graph.blocking import run_blocking

        return run_blocking(lambda: self.run(inputs, on_event=on_event, **options))

    def abort(self, reason: str = "The run was aborted.") -> None:
        """Stop every run of this workflow that is under way, from any thread; they end with TaskAbortedError."""
        for loop, runner in tuple(self._running):
            loop.call_soon_threadsafe(runner.abort, reason)

    async def run_preview(self, inputs: Mapping[str, object] | None = None) -> PreviewResult:
        """Say at once what a run would give, as far as the tasks' previews can; nothing is run and nothing is kept."""
        from workglow.graph.preview import run_preview

        self._check_finished()
        return await run_preview(self._graph, inputs, registry=self._registry)

    def run_preview_sync(self, inputs: Mapping[str, object] | None = None) -> PreviewResult:
        """`run_preview`, blocking."""
        from workglow.graph.blocking import run_blocking

        return run_blocking(lambda: self.run_preview(inputs))

    def to_task(self, *, id: str | None = None, **options: Any) -> GraphAsTask:
        """Return the workflow as one task; `options` are those that every task has, such as `title` and `timeout`."""
        from workglow.graph.compound import GraphAsTask

        return GraphAsTask(self.to_graph(), id=id, **options)

    def entitlements(self) -> tuple[Entitlement, ...]:
        """Return what its tasks have to be allowed to do, those inside other tasks too; each once."""
        return tuple(dict.fromkeys(_entitlements(self._graph)))

    def to_python(self, *, variable: str = "workflow") -> str:
        """Return the Python program that builds this workflow; see `TaskGraph.to_python`."""
        return self.to_graph().to_python(variable=variable)

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
        types = {method_name(type_name): type_name for type_name in self._registry.names()}
        if name not in types:
            raise AttributeError(
                f"Workflow has no method {name!r}, and no task type of that name is registered."
                f"{did_you_mean(name, [*types, *(own for own in dir(type(self)) if not own.startswith('_'))])}"
            )
        task_type = self._registry.get(types[name])

        def add(*, id: str | None = None, **inputs: Any) -> Self:
            return self.then(task_type, id=id, **inputs)

        add.__name__ = name
        add.__doc__ = task_type.description
        return add

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *map(method_name, self._registry.names())})


def _entitlements(graph: TaskGraph) -> Iterator[Entitlement]:
    for task in graph.tasks.values():
        yield from task.required_entitlements(task.defaults)
        inner: TaskGraph | None = getattr(task, "subgraph", None)
        if inner is not None:
            yield from _entitlements(inner)
