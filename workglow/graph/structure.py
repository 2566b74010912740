"""Tasks and the edges between them, without cycles: the structure of a TaskGraph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import combinations
from typing import TYPE_CHECKING, Self, TypeVar, cast

from workglow.errors import DuplicateDataflowError, DuplicateTaskError, GraphError, UnknownTaskError
from workglow.graph.admission import Admission, port_schema, refuse_meeting, refuse_second, rivals
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT, Dataflow, as_transforms
from workglow.graph.events import Events
from workglow.graph.naming import did_you_mean, snake_name
from workglow.graph.ordering import TopologicalOrder, definition_order, dependency_layers, reachable
from workglow.graph.schemas import PROPERTY_ARRAY, Merge, as_merge
from workglow.graph.tasklike import make_task

if TYPE_CHECKING:
    from workglow.graph.branches import Branches
    from workglow.graph.tasklike import TaskLike
    from workglow.graph.transforms import Suggestion, TransformRegistry
    from workglow.tasks import Task

__all__ = ["GraphStructure"]

Result = TypeVar("Result")

_NOT_IN_IDS = re.compile(r"[\[\]/\x00-\x1f]|==>")


class GraphStructure:
    """The part of a TaskGraph that knows its tasks and edges, and lets nothing in that does not fit."""

    def __init__(self, *, merge: Merge = PROPERTY_ARRAY, transforms: TransformRegistry = built_in_transforms) -> None:
        self.tasks: dict[str, Task] = {}
        self.incoming: dict[str, list[Dataflow]] = {}
        self.outgoing: dict[str, list[Dataflow]] = {}
        self.inputs: dict[str, list[tuple[str, str]]] = {}
        self.outputs: dict[str, tuple[str, str]] = {}
        self.merge = merge
        self.transforms = transforms
        self.events = Events()
        self._order = TopologicalOrder()
        self._admission = Admission(transforms)
        self._numbers: dict[str, int] = {}
        self.shared: set[tuple[str, str]] = set()  # ports that take one value, and have edges from several branches
        self._derived: dict[str, object] = {}
        self._named: tuple[object, ...] = ({}, {}, merge)

    @property
    def merge(self) -> Merge:
        """How the outputs of several last tasks become one: "PROPERTY_ARRAY" or "GRAPH_RESULT_ARRAY"."""
        return self._merge

    @merge.setter
    def merge(self, merge: Merge) -> None:
        self._merge: Merge = as_merge(merge)

    # ------------------------------------------------------------------ building

    def add_task(self, task: TaskLike, *, id: str | None = None, **defaults: object) -> Task:
        """Add a task, a task class, a function, a graph or a workflow; return the task as it stands in the graph.

        Without an id it is called after its type: `clean`, then `clean_2`.  `defaults` are literals for its inputs, or
        settings where the class declares them.  Raises DuplicateTaskError when the id is taken.
        """
        made = make_task(task, id, defaults)
        task_id = made.id
        if not task_id:
            task_id = self.free_id(snake_name(made.type))
            made = made.replace(id=task_id)
        elif task_id in self.tasks:
            raise DuplicateTaskError(
                f"The graph has a task {task_id!r} already ({self.tasks[task_id].type}). Give this one another id."
            )
        elif not task_id.isidentifier() and _NOT_IN_IDS.search(task_id):
            raise GraphError(f"{task_id!r} cannot be a task's id: ids have no '[', ']', '/' and '==>'.")
        self.tasks[task_id] = made
        self.incoming[task_id] = []
        self.outgoing[task_id] = []
        self._order.append(task_id)
        if self._derived:
            self._derived.clear()
        return made

    def add_dataflow(
        self, source: str, source_port: str, target: str, target_port: str, transforms: Iterable[object] = ()
    ) -> Dataflow:
        """Let an output of one task become an input of another; ports may be `*`, and the source port `[error]`.

        Raises UnknownTaskError, UnknownPortError, IncompatiblePortsError, CycleError, and DuplicateDataflowError for an
        edge that is there, a port that takes no second one, and an edge through which two others could deliver to one
        port in the same run.  The graph is then as before.
        """
        edge = Dataflow(source, source_port, target, target_port, as_transforms(transforms) if transforms else ())
        in_its_place = self._judge(edge)
        ranks = self._order.ranks
        if ranks[source] >= ranks[target]:
            self._order.admit(source, target, self.incoming, self.outgoing)
        branches = self._unmoved(edge) if self.shared else None
        self.outgoing[source].append(edge)
        self.incoming[target].append(edge)
        if self._derived:
            self._derived.clear()
        if branches is not None:
            self._derived["branches"] = branches
        if in_its_place:
            try:  # with the edge in the graph, for it may be what keeps the others apart from it
                self._refuse_unless_apart(edge, in_its_place)
            except DuplicateDataflowError:
                self._take_back(edge)
                raise
        if (
            self.shared
            and branches is None
            and (source_port == ERROR_PORT or (len(self.incoming[target]) > 1 and self.outgoing[target]))
        ):
            self._refuse_if_it_joins(edge)
        if in_its_place:
            self.shared.add((target, target_port))
        return edge

    connect = add_dataflow

    def add_dataflows(self, edges: Iterable[Dataflow]) -> None:
        """Add many edges, all or none, in time that does not depend on their order; errors as for one."""
        added: list[Dataflow] = []
        meeting: list[tuple[Dataflow, list[Dataflow]]] = []
        order = self._order
        try:
            for edge in edges:
                in_its_place = self._judge(edge)
                if in_its_place:
                    meeting.append((edge, in_its_place))
                added.append(edge)
                self.outgoing[edge.source].append(edge)
                self.incoming[edge.target].append(edge)
            if not all(order.ranks[edge.source] < order.ranks[edge.target] for edge in added):
                order.follow(definition_order(self.tasks, self.incoming, self.outgoing))
            self._derived.clear()
            for edge, in_its_place in meeting:
                self._refuse_unless_apart(edge, in_its_place)
            self.check_branches()
        except BaseException:
            for edge in reversed(added):
                self.outgoing[edge.source].pop()
                self.incoming[edge.target].pop()
            self._derived.clear()
            raise
        self.shared.update((edge.target, edge.target_port) for edge, _ in meeting)
        self._derived.clear()

    def remove_task(self, task_id: str) -> None:
        """Remove a task, its edges, and the names that the graph's inputs and outputs have for its ports."""
        self._known(task_id)
        for edge in self.incoming.pop(task_id):
            self.outgoing[edge.source].remove(edge)
        for edge in self.outgoing.pop(task_id):
            self.incoming[edge.target].remove(edge)
        del self.tasks[task_id]
        self._order.discard(task_id)
        self._free(task_id)
        self.outputs = {name: end for name, end in self.outputs.items() if end[0] != task_id}
        kept = {name: [end for end in ends if end[0] != task_id] for name, ends in self.inputs.items()}
        self.inputs = {name: ends for name, ends in kept.items() if ends}
        self._derived.clear()

    def replace_task(self, task_id: str, task: TaskLike) -> Task:
        """Put another task in the place of one: it gets the id and the edges; every edge is judged again."""
        before = self._known(task_id)
        made = make_task(task, None, {})
        made = made if made.id == task_id else made.replace(id=task_id)
        self.tasks[task_id] = made
        try:
            for edge in [*self.incoming[task_id], *self.outgoing[task_id]]:
                self._admission.collects(edge, self.tasks[edge.source], self.tasks[edge.target])
        except GraphError:
            self.tasks[task_id] = before
            raise
        self._derived.clear()
        return made

    def remove_dataflow(self, dataflow: Dataflow | str) -> None:
        """Remove an edge, given as it was returned or as its id; GraphError when it is not there."""
        edge = self.dataflow(dataflow if isinstance(dataflow, str) else dataflow.id)
        self.outgoing[edge.source].remove(edge)
        self.incoming[edge.target].remove(edge)
        self._derived.clear()

    def name_input(self, name: str, task_id: str, port: str) -> None:
        """Give the graph an input of this name; given several ports, one after the other, it feeds all of them."""
        port_schema(self._known(task_id), port, of_outputs=False)
        if any(edge.target_port == port for edge in self.incoming[task_id]):
            raise DuplicateDataflowError(f"{task_id}[{port}] has an edge already; a graph input would never reach it.")
        ends = self.inputs.setdefault(name, [])
        if (task_id, port) not in ends:
            ends.append((task_id, port))
        self._derived.clear()

    def match_empty_inputs(self) -> Self:
        """Let graph inputs also feed, under the names of the ports, what has neither edge nor literal nor a name yet.

        Without it only tasks that no edge enters take their optional inputs from the graph's.  It holds for the tasks
        that are in the graph now.
        """
        named = {end for ends in self.inputs.values() for end in ends}
        for task_id, task in self.tasks.items():
            entering = self.incoming[task_id]
            fed = {edge.target_port for edge in entering}
            if entering and ALL_PORTS not in fed:
                for port in task.inputs:
                    if port not in fed and port not in task.defaults and (task_id, port) not in named:
                        self.name_input(port, task_id, port)
        return self

    def name_output(self, name: str, task_id: str, port: str) -> None:
        """Give the graph an output of this name; once one is named, the graph gives named outputs only."""
        port_schema(self._known(task_id), port, of_outputs=True)
        self.outputs[name] = (task_id, port)
        self._derived.clear()

    def become(self, other: GraphStructure) -> None:
        """Take over the tasks, edges and names of another graph; the listeners stay."""
        twin = other.copy()
        self.tasks, self.incoming, self.outgoing = twin.tasks, twin.incoming, twin.outgoing
        self.inputs, self.outputs, self.merge = twin.inputs, twin.outputs, twin.merge
        self._order, self._numbers, self.shared = twin._order, {}, twin.shared
        self._derived.clear()

    def copy(self) -> Self:
        """Return a graph of the same tasks and edges that changes on its own."""
        twin = type(self)(merge=self.merge, transforms=self.transforms)
        twin.tasks = dict(self.tasks)
        twin.incoming = {task_id: list(edges) for task_id, edges in self.incoming.items()}
        twin.outgoing = {task_id: list(edges) for task_id, edges in self.outgoing.items()}
        twin.inputs = {name: list(ends) for name, ends in self.inputs.items()}
        twin.outputs = dict(self.outputs)
        twin._order = self._order.copy()
        twin.shared = set(self.shared)
        return twin

    # ------------------------------------------------------------------ looking

    def dataflows(self) -> list[Dataflow]:
        """Return every edge, sorted by the place of its target, then in the order of definition."""
        return [edge for edges in self.incoming.values() for edge in edges]

    def dataflow(self, edge_id: str) -> Dataflow:
        """Find an edge by its id, `a[out] ==> b[in]`; GraphError when it is not there."""
        wanted = Dataflow.parse(edge_id)
        for edge in self.incoming.get(wanted.target, ()):
            if edge.source == wanted.source and edge.id == wanted.id:
                return edge
        raise GraphError(f"The graph has no dataflow {wanted.id}.")

    def sources(self) -> list[str]:
        """Return the tasks without edges into them, in the order of definition."""
        return [task_id for task_id, edges in self.incoming.items() if not edges]

    def leaves(self) -> list[str]:
        """Return the tasks whose outputs no other task takes; an `[error]` edge takes no output."""
        return list(self.derive("leaves", _leaves))

    def order(self) -> list[str]:
        """Return the tasks so that each comes after all it depends on; among free ones, in the order of definition."""
        if self._order.agrees:
            return list(self.tasks)
        return list(self.derive("order", lambda graph: definition_order(graph.tasks, graph.incoming, graph.outgoing)))

    def layers(self) -> list[list[str]]:
        """Group the tasks so that each depends only on tasks of earlier groups, in as few groups as possible."""
        return dependency_layers(self.order(), self.incoming)

    def descendants(self, task_id: str) -> set[str]:
        """Return the tasks that depend on this one, directly or not."""
        self._known(task_id)
        return reachable(task_id, self.outgoing)

    def subgraph_from(self, task_id: str) -> Self:
        """Return a new graph of the task, what depends on it, and the edges among them."""
        kept = {task_id, *self.descendants(task_id)}
        part = type(self)(transforms=self.transforms)
        for name, task in self.tasks.items():
            if name in kept:
                part.add_task(task)
        for edge in self.dataflows():
            if edge.source in kept and edge.target in kept:
                part.add_dataflow(edge.source, edge.source_port, edge.target, edge.target_port, edge.transforms)
        return part

    def suggest_transforms(self, source: str, source_port: str, target: str, target_port: str) -> list[Suggestion]:
        """Return transforms with which an edge between two ports would work, best first; none when it fits as it is."""
        given = port_schema(self._known(source), source_port, of_outputs=True)
        found = self.transforms.suggest(given, port_schema(self._known(target), target_port, of_outputs=False))
        # of properties that fit equally well, the one that is called like the port
        return sorted(found, key=lambda one: (-one.score, one.transform.params.get("path") != target_port))

    def derive(self, name: str, compute: Callable[[Self], Result]) -> Result:
        """Return what `compute` makes of the graph, kept under `name` until the graph changes."""
        named = (self.inputs, self.outputs, self.merge)
        if self._named != named:
            self._derived.clear()
            self._named = ({key: list(ends) for key, ends in self.inputs.items()}, dict(self.outputs), self.merge)
        if name not in self._derived:
            self._derived[name] = compute(self)
        return cast("Result", self._derived[name])

    # ------------------------------------------------------------------ checks

    def free_id(self, name: str) -> str:
        """Return an id that no task has: the name itself, or with a number behind it."""
        number = self._numbers.get(name, 0) + 1
        while (task_id := name if number == 1 else f"{name}_{number}") in self.tasks:
            number += 1
        self._numbers[name] = number - 1
        return task_id

    def _free(self, task_id: str) -> None:
        """Let `free_id` give the id again, whether it was a name itself or one with a number behind it."""
        self._numbers.pop(task_id, None)
        name, _, number = task_id.rpartition("_")
        if name in self._numbers and number.isdecimal():
            self._numbers[name] = min(self._numbers[name], max(int(number) - 2, 0))

    def _judge(self, edge: Dataflow) -> list[Dataflow]:
        """Refuse an edge that does not fit; return those that its port has already, though it takes only one."""
        source, target, tasks = edge.source, edge.target, self.tasks
        if source not in tasks or target not in tasks:
            raise self._unknown_task(target if source in tasks else source)
        collects = self._admission.collects(edge, tasks[source], tasks[target])
        entering = self.incoming[target]
        return rivals(edge, entering, self.outgoing[source], collects) if entering else []

    def _refuse_unless_apart(self, edge: Dataflow, in_its_place: list[Dataflow]) -> None:
        """Let several edges share a port when they come from different branches, so that one of them delivers."""
        from workglow.graph.branches import Branches

        branches = self.derive("branches", Branches)
        for rival in in_its_place:
            if not branches.are_apart(edge, rival):
                refuse_second(edge, rival)

    def check_branches(self) -> None:
        """Raise DuplicateDataflowError for two edges into one port that came from different branches and no longer do.

        An edge that was removed, or a task that was replaced, can have brought them together.
        """
        pair = self.derive("met", _met) if self.shared else None
        if pair is not None:
            refuse_meeting(*pair)

    def _unmoved(self, edge: Dataflow) -> Branches | None:
        """Return the known branches if the edge, which is not in the graph yet, leaves them as they are."""
        known = cast("Branches | None", self._derived.get("branches"))
        return known if known is not None and known.stay_with(edge) else None

    def _refuse_if_it_joins(self, edge: Dataflow) -> None:
        """Take an edge back through which two others could deliver to one port in the same run."""
        pair = _met(self)
        if pair is not None:
            self._take_back(edge)
            refuse_meeting(*pair, because_of=edge)

    def _take_back(self, edge: Dataflow) -> None:
        """Remove the edge that was added last."""
        self.outgoing[edge.source].pop()
        self.incoming[edge.target].pop()
        self._derived.clear()

    def _known(self, task_id: str) -> Task:
        task = self.tasks.get(task_id)
        if task is None:
            raise self._unknown_task(task_id)
        return task

    def _unknown_task(self, task_id: str) -> UnknownTaskError:
        return UnknownTaskError(f"The graph has no task {task_id!r}.{did_you_mean(task_id, self.tasks)}")


def _leaves(graph: GraphStructure) -> list[str]:
    return [
        task_id
        for task_id, edges in graph.outgoing.items()
        if not edges or all(edge.source_port == ERROR_PORT for edge in edges)
    ]


def _met(graph: GraphStructure) -> tuple[Dataflow, Dataflow] | None:
    """Return two edges into one port that are not apart any more."""
    from workglow.graph.branches import Branches

    branches = graph.derive("branches", Branches)
    for task_id, port in graph.shared:
        edges = [edge for edge in graph.incoming.get(task_id, ()) if edge.target_port == port]
        for one, other in combinations(edges, 2):
            if not branches.are_apart(one, other):
                return one, other
    return None
