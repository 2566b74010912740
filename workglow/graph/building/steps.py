"""How a builder changes its graph: every call does all of it or nothing, and can be undone."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Self

from workglow.graph.building.history import Addition, Exchange, History, Place, State, Step, Tip
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.graph import TaskGraph
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from workglow.graph.building.outline import Outline
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.events import EventKind
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import Task, TaskRegistry

__all__ = ["Mark", "StepRecorder"]


class Mark(NamedTuple):
    """How things stood when a call began."""

    tasks: int
    edges: int
    state: State
    boundary: tuple[Task, ...]


class StepRecorder:
    """Holds the graph under construction, where its builder stands, and what was done so far."""

    def __init__(
        self, *, registry: TaskRegistry = task_registry, transforms: TransformRegistry = built_in_transforms
    ) -> None:
        self._registry = registry
        self._graph = TaskGraph(transforms=transforms)
        self._state = State()
        self._history = History()
        self._joined: list[Dataflow] = []
        self._mark: Mark | None = None
        self._outline: Outline | None = None

    @property
    def graph(self) -> TaskGraph:
        """The graph as far as it is built.  One that is put in its place is built on from there."""
        return self._graph

    @graph.setter
    def graph(self, graph: TaskGraph) -> None:
        self._check_open()
        before, listeners = self._graph, self._graph.events
        self._graph = graph.copy()
        self._graph.events = listeners
        self._exchanged(before, State(_trail_of(self._graph)))
        self._tell("graph_reset")

    @property
    def state(self) -> State:
        """Where the builder stands: what feeds the task that is added next."""
        return self._state

    def undo(self) -> Self:
        """Take the last call back; GraphError when there is none."""
        return self._stand_at(self._history.undo(self._graph))

    def redo(self) -> Self:
        """Do again what `undo` took back; GraphError when nothing was, or another call came after it."""
        return self._stand_at(self._history.redo(self._graph))

    # ------------------------------------------------------------------ how a call goes

    @contextmanager
    def _call(self, *, remember: bool = True) -> Generator[None]:
        """Let a call change everything or nothing, and remember what it did."""
        self._check_open()
        if self._mark is not None:  # a part of another call
            yield
            return
        self._mark = mark = self._look()
        try:
            yield
            self._boundary.close()
        except BaseException:
            self._roll_back(mark)
            raise
        finally:
            self._mark = None
        if remember:
            self._remember(mark)
        if (added := len(self._graph.tasks) > mark.tasks) or len(self._joined) > mark.edges:
            self._tell("graph_changed", added=added)

    def _look(self) -> Mark:
        boundary = tuple(self._graph.tasks[task_id] for task_id in self._boundary.task_ids)
        return Mark(len(self._graph.tasks), len(self._joined), self._state, boundary)

    def _since(self, mark: Mark) -> Addition:
        graph = self._graph
        added = list(islice(reversed(graph.tasks.values()), len(graph.tasks) - mark.tasks))[::-1]
        edges = [edge for task in added for edge in graph.incoming[task.id]]
        if len(self._joined) > mark.edges:  # some may have been undone since
            joined = [edge for edge in self._joined[mark.edges :] if edge in graph.incoming.get(edge.target, ())]
            edges = list(dict.fromkeys([*edges, *joined]))
        changed = [task for task in mark.boundary if graph.tasks[task.id] is not task]
        return Addition(added, edges, changed, [graph.tasks[task.id] for task in changed])

    def _roll_back(self, mark: Mark) -> None:
        self._boundary.abandon()
        self._since(mark).undo(self._graph)
        del self._joined[mark.edges :]
        self._boundary.look()
        self._state = mark.state

    def _remember(self, mark: Mark) -> None:
        self._history.record(Step(self._since(mark), mark.state, self._state))

    def _begin_with(self, graph: TaskGraph) -> None:
        self._graph, self._state = graph, State(_trail_of(graph))

    def _exchanged(self, before: TaskGraph, state: State) -> None:
        self._outline = None
        self._history.record(Step(Exchange(before, self._graph.copy()), self._state, state))
        self._state = state
        self._tell("graph_changed")

    def _stand_at(self, state: State) -> Self:
        self._boundary.look()
        self._state = state
        self._tell("graph_changed")
        return self

    def _tell(self, kind: EventKind, *, added: bool = False) -> None:
        events = self._graph.events
        if events:
            from workglow.clock import SystemClock
            from workglow.graph.events import Event

            events.emit(Event(kind, "", next(reversed(self._graph.tasks)) if added else "", SystemClock.now()))

    @property
    def _boundary(self) -> Outline:
        if self._outline is None:
            from workglow.graph.building.outline import Outline

            self._outline = Outline(self._graph)
        return self._outline

    def _check_open(self) -> None:
        """Refuse a call that cannot be meant for this builder now."""


def _trail_of(graph: TaskGraph) -> Place | None:
    """Return the tasks of a graph as if they had been added one after the other."""
    place: Place | None = None
    for task_id, task in graph.tasks.items():
        if not getattr(task, "is_graph_output", False):
            place = Place((Tip(task_id),), (task_id,), place, 1 if place is None else place.number + 1)
    return place
