"""What the calls of a builder changed, so that they can be undone and done again.

Policy.  A call that only adds is remembered by what it added, so a long program costs no more than its graph; a call
that removes is remembered by the graph before it and the graph after it.  Input and output tasks change with the edges
that are drawn from and to them, so each call remembers them as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from workglow.errors import GraphError

if TYPE_CHECKING:
    from workglow.graph.dataflow import Dataflow, Transform
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = ["Addition", "Arm", "Exchange", "History", "Place", "Rename", "Source", "State", "Step", "Tip", "places"]


class Tip(NamedTuple):
    """Where the values come from that feed what follows: a task, or an arm of a condition that has no task yet.

    A task that stands in an arm of a condition names both, because what it does not give itself the condition may pass.
    """

    task: str | None
    fork: str | None = None
    arm: str | None = None


class Place(NamedTuple):
    """What one call added: `tips` feed what follows (a condition has one for each arm), `members` are all its tasks."""

    tips: tuple[Tip, ...]
    members: tuple[str, ...]
    before: Place | None
    number: int


class Source(NamedTuple):
    """The beginning of an edge."""

    task: str
    port: str
    transforms: tuple[Transform, ...]


class Rename(NamedTuple):
    """An edge that waits for the task that is added next; it begins in each arm of a condition."""

    sources: tuple[Source, ...]
    named: str
    target_port: str


class Arm(NamedTuple):
    """Which arm of a condition is being built, and what the arm before it ended with."""

    fork: str
    name: str
    earlier: tuple[Tip, ...] = ()


class State(NamedTuple):
    """Where the builder stands, apart from the graph."""

    place: Place | None = None
    renames: tuple[Rename, ...] = ()
    arm: Arm | None = None


def places(place: Place | None) -> Iterator[Place]:
    """Yield a place and those before it, the newest first."""
    while place is not None:
        yield place
        place = place.before


@dataclass(slots=True)
class Addition:
    """Tasks and edges that were added, and the input and output tasks before and after."""

    tasks: Sequence[Task]
    edges: Sequence[Dataflow]
    boundary_before: Sequence[Task]
    boundary_after: Sequence[Task]

    def undo(self, graph: TaskGraph) -> None:
        """Take away what was added."""
        added = {task.id for task in self.tasks}
        for edge in reversed(self.edges):
            if edge.target not in added and edge.source not in added:
                graph.remove_dataflow(edge)
        for task in reversed(self.tasks):
            graph.remove_task(task.id)
        for task in self.boundary_before:
            graph.replace_task(task.id, task)

    def redo(self, graph: TaskGraph) -> None:
        """Add it again."""
        for task in self.boundary_after:
            if task.id in graph.tasks:
                graph.replace_task(task.id, task)
        for task in self.tasks:
            graph.add_task(task)
        for edge in self.edges:
            graph.add_dataflow(edge.source, edge.source_port, edge.target, edge.target_port, edge.transforms)


@dataclass(slots=True)
class Exchange:
    """A graph that took the place of another."""

    before: TaskGraph
    after: TaskGraph

    def undo(self, graph: TaskGraph) -> None:
        """Put the old one back."""
        graph.become(self.before)

    def redo(self, graph: TaskGraph) -> None:
        """Put the new one back."""
        graph.become(self.after)


class Step(NamedTuple):
    """One call: what it did to the graph, and where the builder stood before and after it."""

    change: Addition | Exchange
    before: State
    after: State


class History:
    """The calls of one builder that can be undone, and those that were."""

    def __init__(self) -> None:
        self._done: list[Step] = []
        self._undone: list[Step] = []

    def record(self, step: Step) -> None:
        """Remember a call; those that were undone before it are gone for good."""
        self._done.append(step)
        self._undone.clear()

    def undo(self, graph: TaskGraph) -> State:
        """Undo the last call and return where the builder stands then."""
        if not self._done:
            raise GraphError("There is nothing to undo.")
        step = self._done.pop()
        step.change.undo(graph)
        self._undone.append(step)
        return step.before

    def redo(self, graph: TaskGraph) -> State:
        """Do again what was undone last, and return where the builder stands then."""
        if not self._undone:
            raise GraphError("There is nothing to redo.")
        step = self._undone.pop()
        step.change.redo(graph)
        self._done.append(step)
        return step.after
