"""Workflow: the fluent way to a graph, and to running it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, Unpack

from workglow.graph.building.adaptive import adaptive_methods, fitting_type
from workglow.graph.building.branching import BranchingBuilder
from workglow.graph.building.shipped import ShippedTasks
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.graph import TaskGraph
from workglow.graph.naming import did_you_mean, method_name
from workglow.graph.tasklike import make_task
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from workglow.graph.control.compound import GraphAsTask
    from workglow.graph.events import Events
    from workglow.graph.previews.preview import Preview
    from workglow.graph.rights.gate import Requirement
    from workglow.graph.run import Run
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.settings import MemoryRunSettings
    from workglow.graph.transforms import TransformRegistry
    from workglow.storage.outputs import TaskOutputRepository
    from workglow.tasks import TaskRegistry

    Running = tuple[AbstractEventLoop, TaskGraphRunner]

__all__ = ["Workflow"]


class Workflow(BranchingBuilder, ShippedTasks):
    """Build a graph: `Workflow().then(clean).then(summarise, size=80)`, then `await workflow.run({"text": …})`.

    Each task is connected to the previous one by the names and types of ports, and its required inputs to earlier tasks
    if need be.  Task types of the registry are methods too: `workflow.text_embedding(model=…)` adds a
    `TextEmbeddingTask`.  `add`, `subtract`, `multiply`, `divide` and `sum` add arithmetic on numbers or on vectors,
    whichever the previous task gives, unless a registered type has that name.  Runs look outputs up in `output_cache`,
    if there is one, and keep them there.
    """

    def __init__(
        self,
        *,
        output_cache: TaskOutputRepository | None = None,
        registry: TaskRegistry = task_registry,
        transforms: TransformRegistry = built_in_transforms,
    ) -> None:
        super().__init__(registry=registry, transforms=transforms)
        self.output_cache = output_cache
        self._running: list[Running] = []

    def __repr__(self) -> str:
        return f"Workflow({len(self._graph.tasks)} tasks)"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        from workglow.graph.pictures.diagram import mime_bundle

        return mime_bundle(self._graph)

    @property
    def events(self) -> Events:
        """Listeners for what happens to this workflow: `workflow.events.on("task_completed", print)` for every run.

        `graph_changed` and `graph_reset` tell of its building; one that raises does not undo the call.
        """
        return self._graph.events

    # ------------------------------------------------------------------ running and other forms

    async def run(self, inputs: Mapping[str, object] | None = None, **settings: Unpack[MemoryRunSettings]) -> Run:
        """Run the graph in memory; see RunOptions, RunRights and MemoryRunSettings for what can be said about it.

        Raises what the run failed with; the error's `run` is the run.
        """
        from asyncio import get_running_loop

        from workglow.graph.launch import run_in_memory

        self._check_finished()
        settings.setdefault("output_cache", self.output_cache)
        loop = get_running_loop()
        mine: list[Running] = []

        def started(runner: TaskGraphRunner) -> None:
            mine.append((loop, runner))
            self._running.extend(mine)

        try:
            return await run_in_memory(self._graph, inputs, registry=self._registry, started=started, **settings)
        finally:
            for running in mine:
                self._running.remove(running)

    def run_sync(self, inputs: Mapping[str, object] | None = None, **settings: Unpack[MemoryRunSettings]) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        from workglow.blocking import run_blocking

        return run_blocking(lambda: self.run(inputs, **settings))

    def abort(self, reason: str = "The run was aborted.") -> None:
        """Stop every run of this workflow that is under way, from any thread; they end with TaskAbortedError."""
        for loop, runner in tuple(self._running):
            loop.call_soon_threadsafe(runner.ending.abort, reason)

    def preview(self, inputs: Mapping[str, object] | None = None, *, max_tasks: int | None = None) -> Preview:
        """Say at once what the workflow would give, without running it; see `TaskGraph.preview`."""
        from workglow.clock import SystemClock
        from workglow.graph.previews.preview import Preview
        from workglow.graph.previews.surroundings import Surroundings

        self._check_finished()
        around = Surroundings(self._registry, SystemClock())
        return Preview(self._graph, inputs, surroundings=around, max_tasks=max_tasks)

    def run_preview(self, inputs: Mapping[str, object] | None = None) -> Mapping[str, object]:
        """Return the outputs that the workflow would give, as far as previews can say; `preview` tells more."""
        return self.preview(inputs).outputs

    def to_task(self, *, id: str | None = None, **options: Any) -> GraphAsTask:
        """Return the workflow as one task; `options` are those that every task has, such as `title` and `timeout`."""
        from workglow.graph.control.compound import GraphAsTask

        return GraphAsTask(self.to_graph(), id=id, **options)

    def entitlements(self) -> list[Requirement]:
        """Return what its tasks need to be allowed to do, those inside other tasks too; see `TaskGraph`."""
        return self._graph.entitlements()

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
        transforms: TransformRegistry = built_in_transforms,
    ) -> Workflow:
        """Read a workflow back; see `TaskGraph.from_json`."""
        graph = TaskGraph.from_json(data, registry, allowed_types=allowed_types, transforms=transforms)
        return cls._of(graph, registry)

    def to_dependency_json(self, *, with_boundary_nodes: bool = True) -> list[dict[str, Any]]:
        """Return the graph as a list of tasks, each with what it depends on."""
        from workglow.graph.json.dependency_codec import graph_to_dependency_json

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
        from workglow.graph.json.dependency_codec import graph_from_dependency_json

        graph = graph_from_dependency_json(data, registry, allowed_types=allowed_types, transforms=transforms)
        return cls._of(graph, registry)

    @classmethod
    def _of(cls, graph: TaskGraph, registry: TaskRegistry | None) -> Workflow:
        workflow = cls(registry=task_registry if registry is None else registry, transforms=graph.transforms)
        workflow._begin_with(graph)
        return workflow

    # ------------------------------------------------------------------ task types as methods

    def __getattr__(self, name: str) -> Callable[..., Self]:
        if name.startswith("_"):
            raise AttributeError(name)
        types = {method_name(type_name): type_name for type_name in self._registry.names()}
        if name in adaptive_methods(self._registry) and name not in types:
            return self._adaptive(name)
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

    def _adaptive(self, name: str) -> Callable[..., Self]:
        """Return the method that adds a task on numbers or on vectors; see `workglow.graph.building.adaptive`."""

        def add(*, id: str | None = None, **inputs: Any) -> Self:
            with self._call():
                previous = [self._graph.tasks[task_id] for task_id in self._previous()]
                self._append_piped(make_task(fitting_type(name, self._registry, inputs, previous), id, inputs))
            return self

        add.__name__ = name
        return add

    def __dir__(self) -> list[str]:
        own = adaptive_methods(self._registry)
        return sorted({*super().__dir__(), *own, *map(method_name, self._registry.names())})
