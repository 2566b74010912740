"""Finds the calls of a builder that make a graph, by building it again and comparing after each task."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from workglow.errors import WorkglowError
from workglow.graph.boundary import BoundaryTask
from workglow.graph.building.history import places
from workglow.graph.code.expressions import Atom, Brackets, call
from workglow.graph.code.nested_code import Step, if_condition
from workglow.graph.code.program import Add, Fork, Item, Prepare
from workglow.graph.code.task_code import default_id
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT, Dataflow

if TYPE_CHECKING:
    from workglow.graph.building.branching import BranchingBuilder
    from workglow.graph.code.codegen import Tools
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = ["Replay", "Unwritable"]


class Move(NamedTuple):
    """One call of the builder: how to do it, and how it is written."""

    run: Step
    code: Brackets


class Adder(NamedTuple):
    """The call that adds a task, and what stands inside it."""

    run: Step
    item: Callable[[list[Brackets], list[Brackets]], Item]


class Unwritable(Exception):
    """No call of the builder makes the task."""


class Replay:
    """Builds one graph again, or one arm of a condition in it, and notes the calls."""

    def __init__(self, graph: TaskGraph, builder: BranchingBuilder, tools: Tools, *, is_arm: bool = False) -> None:
        self._graph = graph
        self._builder = builder
        self._tools = tools
        self._is_arm = is_arm
        self._ids = list(graph.tasks)
        self._later: list[Dataflow] = []

    def items(self) -> list[Item]:
        """Return what builds the whole graph."""
        items: list[Item] = []
        position = 0
        while position < len(self._ids):
            item, position = self._next(position)
            items.append(item)
        rank = {task_id: number for number, task_id in enumerate(self._graph.order())}
        for edge in sorted(self._later, key=lambda edge: rank[edge.target]):  # what keeps two edges apart comes first
            self._builder.connect(edge.source, edge.source_port, edge.target, edge.target_port, edge.transforms)
            items.append(Add([self._tools.connection(edge)]))
        return items

    def arm(self, position: int) -> tuple[list[Item], int]:
        """Return what builds an arm from this task on, and where it ends."""
        items: list[Item] = []
        while position < len(self._ids):
            try:
                item, position = self._next(position)
            except Unwritable:
                break
            items.append(item)
        return items, position

    def _next(self, position: int) -> tuple[Item, int]:
        task = self._graph.tasks[self._ids[position]]
        condition = if_condition(task)
        if condition is not None:
            found = self._fork(position, task, condition)
            if found is not None:
                return found
        return self._single(task), position + 1

    # ------------------------------------------------------------------ one task

    def _single(self, task: Task) -> Item:
        entering = self._graph.incoming[task.id]
        present = self._builder.graph.tasks
        count = next((n for n, edge in enumerate(entering) if edge.source not in present), len(entering))
        wanted = entering[:count]
        if self._is_arm and count < len(entering):
            raise Unwritable
        for adder, before, after in self._ways(task, wanted):
            moves = [*before, None, *after]
            runs = [adder.run if move is None else move.run for move in moves]
            if self._holds(runs, task.id, wanted):
                self._later += entering[count:]
                return adder.item([move.code for move in before], [move.code for move in after])
        raise Unwritable

    def _ways(self, task: Task, wanted: list[Dataflow]) -> Iterator[tuple[Adder, list[Move], list[Move]]]:
        """Yield the calls that may add a task with these edges, the plainest first."""
        adder = self._adder(task)
        handler = self._handler(task, wanted)
        if handler is not None:
            yield handler, [], []
        if adder is not None:
            yield adder, [], []
            own = self._connected_alone(adder, task.id)
            for edges in [[edge for edge in wanted if edge not in own], wanted] if own else [wanted]:
                renames = [self._rename(edge) for edge in edges]
                if edges and None not in renames:
                    yield adder, [move for move in renames if move is not None], []
            if own and own == wanted[: len(own)] and not self._is_arm:
                yield adder, [], [self._connect(edge) for edge in wanted[len(own) :]]
        if not self._is_arm and not isinstance(task, BoundaryTask):
            yield self._bare_adder(task), [], [self._connect(edge) for edge in wanted]

    def _adder(self, task: Task) -> Adder | None:
        if isinstance(task, BoundaryTask):
            return self._boundary_adder(task)
        if hasattr(task, "subgraph"):
            nested = self._tools.nested.opened(task, self._own_id)
            return None if nested is None else Adder(nested.run, nested.item)
        code = self._tools.tasks.code(task)
        if code is None:
            return None
        id = self._own_id(task.id, default_id(task))
        written = self._tools.tasks.written("then", task, code, id)
        return Adder(Step("then", (code.source,), {"id": id, **code.keywords}), _added(written))

    def _boundary_adder(self, task: BoundaryTask) -> Adder:
        name = "input" if task.type == "InputTask" else "output"
        schema = {key: part for key, part in task.config["output_schema"].items() if key != "x-ui-manual"}
        given = schema if task.is_manual else None
        if task.defaults or self._tools.tasks.options(task) or type(task).__name__ != task.type:
            raise Unwritable
        id = self._own_id(task.id, name)
        arguments = [] if given is None else [self._tools.values.write(given, f"Task {task.id!r}: its schema")]
        written = call(name, arguments, [("id", self._tools.text(id))] if id else [])
        return Adder(Step(name, (given,), {"id": id}), _added(written))

    def _handler(self, task: Task, wanted: list[Dataflow]) -> Adder | None:
        """Return the call that makes the task the error handler of the previous one."""
        place = self._builder.state.place
        previous = [] if place is None else [tip.task for tip in place.tips]
        if len(previous) != 1 or previous[0] is None or hasattr(task, "subgraph") or isinstance(task, BoundaryTask):
            return None
        if wanted != [Dataflow(previous[0], ERROR_PORT, task.id, ALL_PORTS)]:
            return None
        code = self._tools.tasks.code(task)
        if code is None:
            return None
        id = self._own_id(task.id, default_id(task))
        written = self._tools.tasks.written("on_error", task, code, id)
        return Adder(Step("on_error", (code.source,), {"id": id, **code.keywords}), _added(written))

    def _bare_adder(self, task: Task) -> Adder:
        """Return the call that adds the task without connecting it."""
        inner, prepared = self._tools.nested.prepared(task)
        id = self._own_id(task.id, default_id(task))
        added = None if inner else self._tools.tasks.added("add_task_to_graph", task, id)
        written = added or call("add_task_to_graph", [self._tools.tasks.constructed(task, *inner)])

        def item(before: list[Brackets], after: list[Brackets]) -> Item:
            calls = [*before, written, *after]
            return Prepare(prepared[0].variable, prepared[0].body, calls) if prepared else Add(calls)

        return Adder(Step("add_task_to_graph", (task,), {}), item)

    def _own_id(self, task_id: str, default: str) -> str | None:
        """Return the id if it has to be given."""
        return None if self._builder.graph.free_id(default) == task_id else task_id

    # ------------------------------------------------------------------ edges

    def _connect(self, edge: Dataflow) -> Move:
        ends = (edge.source, edge.source_port, edge.target, edge.target_port, edge.transforms)
        return Move(Step("connect", ends, {}), self._tools.connection(edge))

    def _rename(self, edge: Dataflow) -> Move | None:
        """Return the `rename` that makes the edge, if its source is near enough."""
        if edge.source_port == ERROR_PORT or ALL_PORTS in (edge.source_port, edge.target_port):
            return None
        near = islice(places(self._builder.state.place), 9)
        for number, place in enumerate(near, 1):
            if [tip.task for tip in place.tips] == [edge.source]:
                index = [("index", Atom(str(-number)))] if number > 1 else []
                ends = [self._tools.text(edge.source_port), self._tools.text(edge.target_port)]
                written = call("rename", ends, [*index, *self._tools.transforms(edge.transforms)])
                step = Step("rename", (edge.source_port, edge.target_port, -number), {"transforms": edge.transforms})
                return Move(step, written)
        return None

    def _connected_alone(self, adder: Adder, task_id: str) -> list[Dataflow]:
        """Return the edges that the builder finds for the task by itself."""
        builder = self._builder
        try:
            adder.run(builder)
        except (WorkglowError, TypeError):
            return []
        edges = list(builder.graph.incoming.get(task_id, ()))
        builder.undo()
        return edges

    def _holds(self, runs: Sequence[Step], task_id: str, wanted: list[Dataflow]) -> bool:
        """Do the calls, and take them back unless they added the task with exactly these edges."""
        builder, done = self._builder, 0
        try:
            for run in runs:
                run(builder)
                done += 1
            if builder.graph.incoming.get(task_id) == wanted:
                return True
        except (WorkglowError, TypeError):
            pass
        for _ in range(done):
            builder.undo()
        return False

    # ------------------------------------------------------------------ conditions

    def _fork(self, position: int, task: Task, condition: Any) -> tuple[Item, int] | None:
        """Return a condition with its arms, and the position behind them."""
        self._tools.patience -= 1
        if self._tools.patience < 0:
            return None
        wanted = self._graph.incoming[task.id]
        id = self._own_id(task.id, "if")
        names = [("id", self._tools.text(id))] if id else []
        opening = call("if_", [self._tools.nested.condition(condition, task)], names)
        renames = [self._rename(edge) for edge in wanted]
        ways: list[list[Move]] = [[]]
        if renames and None not in renames:
            ways.append([move for move in renames if move is not None])
        for before in ways:
            found = self._arms(position, task, [move.run for move in before], Step("if_", (condition,), {"id": id}))
            if found is not None:
                then, otherwise, end = found
                return Fork(opening, then, otherwise, [move.code for move in before]), end
        return None

    def _arms(
        self, position: int, task: Task, before: Sequence[Step], open_fork: Step
    ) -> tuple[list[Item], list[Item], int] | None:
        builder, done = self._builder, 0
        try:
            for run in before:
                run(builder)
                done += 1
            inner: Any = open_fork(builder)
            done += 1
            entering, wanted = builder.graph.incoming.get(task.id), self._graph.incoming[task.id]
            if entering is not None and entering == wanted[: len(entering)]:  # its arms may ask for more
                arms = Replay(self._graph, inner, self._tools, is_arm=True)
                then, end = arms.arm(position + 1)
                otherwise: list[Item] = []
                if end < len(self._ids) and self._enters_else(task.id, self._ids[end]):
                    inner.else_()
                    otherwise, end = arms.arm(end)
                if then or otherwise:
                    inner.end_if()
                    if builder.graph.incoming[task.id] == wanted:
                        return then, otherwise, end
        except (WorkglowError, TypeError):
            pass
        for _ in range(done):
            builder.undo()
        return None

    def _enters_else(self, fork: str, task_id: str) -> bool:
        return any(edge.source == fork and edge.source_port == "else" for edge in self._graph.incoming[task_id])


def _added(written: Brackets) -> Callable[[list[Brackets], list[Brackets]], Item]:
    return lambda before, after: Add([*before, written, *after])
