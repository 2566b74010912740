"""The part of a builder that builds graphs inside tasks: loops, groups and fallbacks.

Each of them takes its body in one of three ways:

    workflow.map(task, …)                                # a task, a graph or another workflow
    workflow.map(…).clean().text_embedding(…).end_map()  # built in place, and closed by name
    with workflow.map(…) as body:                        # built in place, and closed by the block
        body.clean().text_embedding(…)

While a body is open the workflow around it takes no other calls, so that nothing is built into the wrong place; `undo`
discards the body.  A block that raises leaves the workflow as it was before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from workglow.errors import GraphError
from workglow.graph.building import GraphBuilder
from workglow.graph.conversion import as_graph
from workglow.graph.graph import TaskGraph
from workglow.graph.schemas import PROPERTY_ARRAY, Merge

if TYPE_CHECKING:
    from types import TracebackType

    from workglow.graph.compound import GraphAsTask
    from workglow.graph.history import Place
    from workglow.graph.tasklike import TaskLike

__all__ = ["NestingBuilder"]


class Opening(NamedTuple):
    """What a body is a part of, and what is to be done with it."""

    name: str
    closed_by: str
    parent: Any
    finish: Callable[[], object]
    abandon: Callable[[], object] | None = None


class NestingBuilder(GraphBuilder):
    """Builds graphs inside tasks."""

    _opening: Opening | None = None
    _inner: NestingBuilder | None = None
    _is_closed = False
    _connects = True

    @property
    def is_body(self) -> bool:
        """Whether this is the body of a loop, group or branch, rather than a workflow of its own."""
        return self._opening is not None

    def group(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        merge: Merge = PROPERTY_ARRAY,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a graph that behaves as one task; `merge` says how the outputs of several last tasks become one."""
        from workglow.graph.compound import GraphAsTask

        def make(graph: TaskGraph, **options: Any) -> GraphAsTask:
            graph.merge = merge
            return GraphAsTask(graph, **options)

        return self._nest("group", make, body, id, inputs, settings)

    def map(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that runs its body for each item of its list inputs; its outputs are lists.

        `settings` are those of MapTask: `concurrency`, `preserve_order`, `flatten`, `discard_results`, `iterate`,
        `broadcast`.  More items than `max_iterations` are an error; None is no limit.
        """
        from workglow.graph.map import MapTask

        settings["max_iterations"] = max_iterations or "unbounded"
        return self._nest("map", MapTask, body, id, inputs, settings)

    def for_each(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that runs its body for each item, for what it does: it has no outputs.  Otherwise as `map`."""
        from workglow.graph.map import ForEachTask

        settings["max_iterations"] = max_iterations or "unbounded"
        return self._nest("for_each", ForEachTask, body, id, inputs, settings)

    # ------------------------------------------------------------------ closing

    def end(self) -> Self:
        """Close this body, whatever opened it, and return the workflow around it."""
        return self._end(None)

    def end_group(self) -> Self:
        """Close the body that `group()` opened, and return the workflow around it."""
        return self._end("group")

    def end_map(self) -> Self:
        """Close the body that `map()` opened, and return the workflow around it."""
        return self._end("map")

    def end_for_each(self) -> Self:
        """Close the body that `for_each()` opened, and return the workflow around it."""
        return self._end("for_each")

    def __enter__(self) -> Self:
        if self._opening is None:
            raise GraphError("A workflow needs no block. Use `with` for map(), group() and their like, without a body.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_closed:
            return
        if kind is not None:
            self._abandon()
            return
        try:
            self.end()
        except BaseException:
            self._abandon()
            raise

    def reset(self) -> Self:
        """Begin anew, with an empty graph.  Listeners stay, and `undo` brings the old graph back."""
        if self._opening is not None:
            raise GraphError("Cannot reset the body of a loop. Call reset() on the workflow it is a part of.")
        return super().reset()

    def undo(self) -> Self:
        """Take the last call back: a body that is still open, else the last step; GraphError when there is none."""
        if self._inner is not None:
            self._inner._abandon()
            return self
        self._check_open()
        return super().undo()

    def redo(self) -> Self:
        """Do again what `undo` took back; GraphError when nothing was, or another call came after it."""
        self._check_open()
        return super().redo()

    # ------------------------------------------------------------------ how a body is kept

    def _nest(
        self,
        name: str,
        make: Callable[..., GraphAsTask],
        body: TaskLike | None,
        id: str | None,
        inputs: Mapping[str, object] | None,
        settings: Mapping[str, Any],
    ) -> Self:
        self._check_open()

        def finish(graph: TaskGraph) -> Self:
            task = make(graph, id=id or self._graph.free_id(name), **settings)
            return self._append(task.replace(defaults=inputs) if inputs else task)

        if body is not None:
            return finish(as_graph(body).copy())
        inner = type(self)(registry=self._registry)
        inner._opening = Opening(f"{name}()", f"end_{name}()", self, lambda: finish(inner._body()))
        self._inner = inner
        return inner

    def _body(self) -> TaskGraph:
        self._check_renames()
        return self._graph.copy()

    def _end(self, name: str | None) -> Self:
        opening = self._opening
        if opening is None:
            closer = f"end_{name}() closes the body that {name}()" if name else "end() closes the body that map()"
            raise GraphError(f"{closer} opened without one; this workflow is none.")
        if name is not None and opening.closed_by != f"end_{name}()":
            raise GraphError(f"This is the body of {opening.name}; close it with {opening.closed_by}.")
        self._check_open()
        opening.parent._inner = None
        try:
            opening.finish()
        except BaseException:
            opening.parent._inner = self
            raise
        self._is_closed = True
        return opening.parent

    def _abandon(self) -> None:
        """Forget this body; the workflow around it is as it was before."""
        opening = self._opening
        assert opening is not None
        if self._inner is not None:
            self._inner._abandon()
        if opening.abandon is not None:
            opening.abandon()
        opening.parent._inner = None
        self._is_closed = True

    def _auto_connect(self, task_id: str, place: Place) -> None:
        if self._connects:
            super()._auto_connect(task_id, place)

    def _check_open(self) -> None:
        super()._check_open()
        if self._inner is not None:
            opening = self._inner._opening
            assert opening is not None
            raise GraphError(
                f"The body of {opening.name} is still open. Close it with {opening.closed_by}, or discard it with undo()."
            )
        if self._is_closed:
            assert self._opening is not None
            raise GraphError(f"The body of {self._opening.name} is closed; go on with the workflow around it.")

    def _check_finished(self) -> None:
        self._check_open()
        self._check_renames()
        if self._opening is not None:
            raise GraphError(
                f"This is the body of {self._opening.name} that is still open; close it with "
                f"{self._opening.closed_by}, and run that."
            )
