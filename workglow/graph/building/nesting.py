"""How a builder keeps the body of a loop, group or branch while it is built.

A body is given in one of three ways:

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
from workglow.graph.building.builder import GraphBuilder
from workglow.graph.conversion import as_graph
from workglow.graph.graph import TaskGraph

if TYPE_CHECKING:
    from types import TracebackType

    from workglow.graph.control.compound import GraphAsTask
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
    """Opens bodies, and closes them."""

    _opening: Opening | None = None
    _inner: NestingBuilder | None = None
    _is_closed = False

    @property
    def is_body(self) -> bool:
        """Whether this is the body of a loop, group or branch, rather than a workflow of its own."""
        return self._opening is not None

    def end(self) -> Self:
        """Close this body, whatever opened it, and return the workflow around it."""
        return self._end(None)

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
        *,
        id: str | None,
        inputs: Mapping[str, object] | None,
        settings: Mapping[str, Any],
        connects: bool = True,
    ) -> Self:
        self._check_open()

        def finish(graph: TaskGraph) -> Self:
            task = make(graph, id=id or self._graph.free_id(name.removesuffix("_with")), **settings)
            return self._append(task.replace(defaults=inputs) if inputs else task)

        if body is not None:
            return finish(as_graph(body).copy())
        inner = type(self)(registry=self._registry, transforms=self._graph.transforms)
        inner._connects = connects
        inner._from_outside = getattr(make, "given_by_the_loop", frozenset())
        opened_by = "while_()" if name == "while" else f"{name}()"
        inner._opening = Opening(opened_by, f"end_{name}()", self, lambda: finish(inner._body()))
        self._inner = inner
        return inner

    def _body(self) -> TaskGraph:
        self._check_renames()
        return self._graph.copy()

    def _end(self, name: str | None) -> Self:
        opening = self._opening
        if opening is None:
            raise GraphError(f"end_{name or 'map'}() closes a body; this workflow is none. Open one first.")
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

    def _check_open(self) -> None:
        super()._check_open()
        if self._inner is not None:
            opening = self._inner._opening
            assert opening is not None
            raise GraphError(
                f"The body of {opening.name} is still open. Close it with {opening.closed_by}, or discard it with "
                "undo()."
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
