"""GraphBuilder: a graph built step by step, each task connected to those before it.

Every method that adds something returns the builder, and what does not fit is refused by the call that brings it; the
graph is then as before.  "The previous task" is the one that the last `then` added: error handlers do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from workglow.errors import AutoConnectError, GraphError, UnknownTaskError
from workglow.graph.admission import port_schema
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.conversion import as_graph
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT, Transform, as_transforms
from workglow.graph.graph import TaskGraph
from workglow.graph.schemas import PROPERTY_ARRAY, Merge
from workglow.graph.tasklike import make_task
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from workglow.graph.outline import Outline
    from workglow.graph.tasklike import TaskLike
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import Task, TaskRegistry

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """Adds tasks to a graph and connects them; what a Workflow does before it runs."""

    def __init__(
        self, *, registry: TaskRegistry = task_registry, transforms: TransformRegistry = built_in_transforms
    ) -> None:
        self._registry = registry
        self._graph = TaskGraph(transforms=transforms)
        self._trail: list[str] = []
        self._handlers: dict[str, list[str]] = {}
        self._renames: list[tuple[str, str, str, tuple[Transform, ...]]] = []
        self._outline: Outline | None = None
        self._parent: Self | None = None
        self._finish: Callable[[TaskGraph], Task] | None = None

    @property
    def graph(self) -> TaskGraph:
        """The graph as far as it is built."""
        return self._graph

    def to_graph(self) -> TaskGraph:
        """Return the graph, as a copy that later changes of the workflow do not touch."""
        self._check_renames()
        return self._graph.copy()

    # ------------------------------------------------------------------ adding tasks

    def then(self, task: TaskLike, /, *, id: str | None = None, **inputs: Any) -> Self:
        """Add a task and connect it; `inputs` are literals for its ports, or settings where its class declares them.

        Raises AutoConnectError when a required input finds no output, or several equally good ones.
        """
        return self._append(make_task(task, id, inputs))

    add_task = then

    def input(self, schema: Mapping[str, Any] | None = None, *, id: str | None = None) -> Self:
        """Add a task that gives the graph's inputs; without a schema it has the ports that later tasks ask for."""
        from workglow.graph.boundary import InputTask

        # It begins anew: nothing before it feeds it.
        self._trail.append(self._graph.add_task(InputTask.of(schema), id=id or self._graph.free_id("input")).id)
        self._boundary.task_ids.add(self._trail[-1])
        return self

    def output(self, schema: Mapping[str, Any] | None = None, *, id: str | None = None) -> Self:
        """Add a task that takes the graph's outputs: only what enters it is the result."""
        from workglow.graph.boundary import OutputTask

        task_id = id or self._graph.free_id("output")
        self._boundary.task_ids.add(task_id)
        return self._append(OutputTask.of(schema, id=task_id))

    def parallel(self, tasks: Iterable[TaskLike], *, id: str | None = None, merge: Merge = PROPERTY_ARRAY) -> Self:
        """Add tasks that run side by side on the same inputs, as one task; their outputs are gathered in lists."""
        from workglow.graph.compound import GraphAsTask

        side_by_side = TaskGraph(merge=merge, transforms=self._graph.transforms)
        for task in tasks:
            side_by_side.add_task(make_task(task, None, {}))
        return self._append(GraphAsTask(side_by_side, id=id or self._graph.free_id("parallel")))

    def pipe(self, *tasks: TaskLike) -> Self:
        """Add tasks one after the other; an only output becomes the only input of the next, whatever their names."""
        for task in tasks:
            made = make_task(task, None, {})
            try:
                self._append(made)
            except AutoConnectError:
                ends = self._only_ends(made)
                if ends is None:
                    raise
                self._renames.append((self._trail[-1], *ends, ()))
                try:
                    self._append(made)
                finally:
                    self._renames.clear()
        return self

    def map(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that runs `body` for each item of its list inputs; its outputs are lists.

        `settings` are those of MapTask: `concurrency`, `preserve_order`, `flatten`, `discard_results`, `iterate`,
        `broadcast`.  More items than `max_iterations` are an error; None is no limit.  Without a body the workflow of
        the body is returned, to be built and then closed with `end_map()`.
        """
        from workglow.graph.map import MapTask

        limit = max_iterations or "unbounded"

        def finish(body: TaskGraph) -> Task:
            task = MapTask(body, id=id or self._graph.free_id("map"), max_iterations=limit, **settings)
            return task.replace(defaults=inputs) if inputs else task

        if body is not None:
            return self._append(finish(as_graph(body).copy()))
        inner = type(self)(registry=self._registry, transforms=self._graph.transforms)
        inner._parent, inner._finish = self, finish
        return inner

    def end_map(self) -> Self:
        """Close the body that `map()` opened, and return the workflow it is a part of."""
        if self._parent is None or self._finish is None:
            raise GraphError("end_map() closes the body that map() without arguments opened; this workflow is none.")
        return self._parent._append(self._finish(self.to_graph()))

    def on_error(self, task: TaskLike, /, *, id: str | None = None, **inputs: Any) -> Self:
        """Add a task that runs only if the previous one fails; it is given `error` and `errorType`."""
        if not self._trail:
            raise GraphError("on_error() requires a preceding task in the workflow; add the task that may fail first.")
        guarded = self._trail[-1]
        handler = self._graph.add_task(make_task(task, id, inputs)).id
        try:
            self._graph.add_dataflow(guarded, ERROR_PORT, handler, ALL_PORTS)
        except GraphError:
            self._graph.remove_task(handler)
            raise
        self._handlers.setdefault(guarded, []).append(handler)
        return self

    # ------------------------------------------------------------------ connecting

    def rename(self, source: str, target: str, index: int = -1, *, transforms: Iterable[object] = ()) -> Self:
        """Connect an output of an earlier task to the input `target` of the task that is added next.

        `index` counts back: -1 is the previous task.
        """
        if index >= 0 or -index > len(self._trail):
            raise UnknownTaskError(
                f"Back index greater than number of tasks: {index}, but there are {len(self._trail)}. "
                "-1 is the previous task."
            )
        source_id = self._trail[index]
        port_schema(self._graph.tasks[source_id], source, of_outputs=True)
        self._renames.append((source_id, source, target, as_transforms(transforms)))
        return self

    def connect(
        self, source: str, source_port: str, target: str, target_port: str, transforms: Iterable[object] = ()
    ) -> Self:
        """Connect two tasks of the workflow by their ids; errors as in `TaskGraph.add_dataflow`."""
        self._boundary.open(source, target)
        try:
            self._graph.add_dataflow(source, source_port, target, target_port, transforms)
        finally:
            self._boundary.close()
        return self

    def pop(self) -> Self:
        """Remove the previous task, and its error handlers."""
        if not self._trail:
            raise GraphError("No tasks to remove.")
        removed = self._trail.pop()
        self._boundary.open(*self._graph.tasks)
        for task_id in [removed, *self._handlers.pop(removed, ())]:
            self._graph.remove_task(task_id)
            self._boundary.task_ids.discard(task_id)
        self._boundary.close()
        self._renames = [rename for rename in self._renames if rename[0] != removed]
        return self

    def reset(self) -> Self:
        """Begin anew, with an empty graph."""
        if self._parent is not None:
            raise GraphError("Cannot reset the body of a loop. Call reset() on the workflow it is a part of.")
        self._graph = TaskGraph(transforms=self._graph.transforms)
        self._trail, self._handlers, self._renames, self._outline = [], {}, [], None
        return self

    def _append(self, task: Task) -> Self:
        graph = self._graph
        task_id = graph.add_task(task).id
        try:
            self._boundary.open(task_id, *(rename[0] for rename in self._renames))
            for source, source_port, target_port, transforms in self._renames:
                graph.add_dataflow(source, source_port, task_id, target_port, transforms)
            if self._trail:
                self._auto_connect(task_id)
        except BaseException:
            graph.remove_task(task_id)
            raise
        else:
            self._renames.clear()
            self._trail.append(task_id)
        finally:
            self._boundary.close()
        return self

    def _auto_connect(self, task_id: str) -> None:
        from workglow.graph.autoconnect import find_matches

        provided = self._graph.tasks[task_id].defaults
        earlier = self._trail[-2::-1]
        found = find_matches(self._graph, self._trail[-1], task_id, provided=provided, earlier=earlier)
        self._boundary.open(*(match.source for match in found))
        for match in found:
            self._graph.add_dataflow(match.source, match.source_port, task_id, match.target_port)

    @property
    def _boundary(self) -> Outline:
        if self._outline is None:
            from workglow.graph.outline import Outline

            self._outline = Outline(self._graph)
        return self._outline

    def _only_ends(self, task: Task) -> tuple[str, str] | None:
        """Return the only output of the previous task and the only input that the new one still needs."""
        outputs = list(self._graph.tasks[self._trail[-1]].outputs)
        free = [name for name in task.inputs if name not in task.defaults]
        needed = [name for name in free if task.inputs[name].required] or free
        return (outputs[0], needed[0]) if len(outputs) == len(needed) == 1 else None

    def _check_renames(self) -> None:
        if self._renames:
            source_id, source, target, _ = self._renames[0]
            raise GraphError(f"rename({source!r}, {target!r}) of {source_id!r} waits for a task that was never added.")
