"""The part of a builder that branches: `if_(condition).then(…).else_(…).end_if()`.

Policy.  The condition is a ConditionalTask that is connected to the previous task, and takes all it gives.  What an arm
is given comes through the condition, also what its tasks need from earlier ones: a task that another edge enters would
run whether the arm is taken or not.  The first task of an arm takes the values of the condition by their names.

Both arms feed what follows.  A port of the next task takes the output that the arm taken gives, and where an arm gives
none, what the condition was given under that name: an `if_` without `else_` lets the values pass unchanged.  What both
cannot give is an error if it is required.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from workglow.errors import AutoConnectError, GraphError
from workglow.graph.building.autoconnect import Search
from workglow.graph.building.history import Arm, Place, Source, State, Tip, places
from workglow.graph.building.loops import LoopBuilder
from workglow.graph.building.nesting import Opening
from workglow.graph.dataflow import ALL_PORTS, Transform

if TYPE_CHECKING:
    from workglow.graph.building.steps import Mark
    from workglow.graph.control.conditions import Condition
    from workglow.graph.tasklike import TaskLike

__all__ = ["BranchingBuilder"]

_THEN, _ELSE = "then", "else"


class BranchingBuilder(LoopBuilder):
    """Builds the arms of a condition into the graph around them."""

    def if_(self, condition: Condition | Callable[[dict[str, Any]], object], *, id: str | None = None) -> Self:
        """Add a condition, and return the builder of the arm that is taken when it holds.

        What is added then, up to `else_()`, runs only when the condition holds, and what is added behind `else_()`
        only when it does not; `end_if()` returns the workflow.  A condition is data, such as
        `Condition(field="size", operator="greater_than", value=5)`, or a function of the inputs, which cannot be
        stored.  One that raises does not hold.
        """
        from workglow.graph.control.conditional import ConditionalTask
        from workglow.graph.control.conditions import check_condition

        check_condition(condition)
        self._check_open()
        branches = [{"id": _THEN, "condition": condition}, {"id": _ELSE}]
        fork = id or self._graph.free_id("if")
        mark = self._look()
        with self._call(remember=False):
            self._append(ConditionalTask(id=fork, branches=branches, default_branch=_ELSE, pass_unchanged=True))
        inner = type(self)(registry=self._registry, transforms=self._graph.transforms)
        inner._graph, inner._joined, inner._outline = self._graph, self._joined, self._boundary
        inner._state = _beginning(Arm(fork, _THEN))
        inner._opening = Opening(
            "if_()", "end_if()", self, lambda: self._join_arms(inner, mark), lambda: self._forget_arms(mark)
        )
        self._inner = inner
        return inner

    def else_(self, task: TaskLike | None = None, /, *, id: str | None = None, **inputs: Any) -> Self:
        """Go on with the arm that is taken when the condition does not hold, and add a task to it if one is given."""
        with self._call():
            arm, place = self._state.arm, self._state.place
            if arm is None or place is None or arm.name != _THEN:
                raise GraphError("else_() belongs behind if_() and what is to be done then, and only once.")
            self._check_renames()
            self._state = _beginning(Arm(arm.fork, _ELSE, place.tips))
            return self if task is None else self.then(task, id=id, **inputs)

    def end_if(self) -> Self:
        """Close the arms that `if_()` opened, and return the workflow around them."""
        return self._end("if")

    def _join_arms(self, inner: BranchingBuilder, mark: Mark) -> None:
        """Go on behind the arms: what they end with feeds what follows."""
        inner._check_renames()
        arm, place = inner._state.arm, inner._state.place
        assert arm is not None
        assert place is not None
        tips = (*arm.earlier, *place.tips)
        if arm.name == _THEN:
            tips = (*tips, Tip(None, arm.fork, _ELSE))
        if all(tip.task is None for tip in tips):
            raise GraphError("end_if() called without a prior then(...) call; add what is to be done, or undo().")
        before = mark.state.place
        members = tuple(islice(self._graph.tasks, mark.tasks, None))
        number = 1 if before is None else before.number + 1
        self._boundary.look()
        self._state = State(Place(tips, members, before, number), (), mark.state.arm)
        self._remember(mark)

    def _forget_arms(self, mark: Mark) -> None:
        self._roll_back(mark)
        self._tell("graph_changed")

    # ------------------------------------------------------------------ connecting arms

    def _auto_connect(self, task_id: str, place: Place) -> None:
        tip, *others = place.tips
        if tip.task is None and not others:
            self._enter_arm(task_id, tip)
        elif others or self._state.arm is not None:
            self._connect_arms(task_id, place)
        else:
            super()._auto_connect(task_id, place)

    def _enter_arm(self, task_id: str, tip: Tip) -> None:
        """Connect the first task of an arm with the condition."""
        task, names = self._graph.tasks[task_id], self._passed_by(tip)
        search = Search(self._graph, str(tip.fork), task_id, task.defaults)
        for port in search.needed():
            if names is None or port in names or self._reach(port, task_id, tip):
                search.close(port)
        search.check_needed()
        if not task.defaults and not self._graph.incoming[task_id]:
            self._join(Source(str(tip.fork), str(tip.arm), ()), task_id, ALL_PORTS)
            return
        names = self._passed_by(tip)  # what it was given otherwise stays: only the other ports are fed
        taken = {*task.defaults, *(edge.target_port for edge in self._graph.incoming[task_id])}
        known = [port for port in task.inputs if names is None or port in names]
        for port in known if not task.inputs.open else names or known:
            if port not in taken and (names is not None or task.inputs[port].required):
                self._join(_picked(tip, port), task_id, port)
        if not any(edge.source == tip.fork for edge in self._graph.incoming[task_id]):
            self._join(Source(str(tip.fork), str(tip.arm), ()), task_id, ALL_PORTS)

    def _connect_arms(self, task_id: str, place: Place) -> None:
        """Connect a task with the ends of several arms, or inside one."""
        given = [self._given_by(tip, task_id) for tip in place.tips]
        whole = [tip for tip in place.tips if self._passes_whole(tip, task_id)]
        first = next(tip.task for tip in place.tips if tip.task is not None)
        provided = self._graph.tasks[task_id].defaults
        needed = Search(self._graph, first, task_id, provided).needed()
        for port in dict.fromkeys(port for sources in given for port in sources):
            for tip, sources in zip(place.tips, given, strict=True):
                if tip in whole:
                    continue
                source = sources.get(port) or self._passed(tip, port, required=port in needed)
                if source is not None:
                    self._join(source, task_id, port)
                elif port in needed:
                    raise AutoConnectError(
                        f"The input {port!r} of {self._graph.tasks[task_id].type} comes out of one branch of "
                        f"{tip.fork!r}, but {tip.arm!r} gives nothing like it. Let both branches give it, add the task "
                        "to the branch, or connect() it."
                    )
        for tip in whole:
            self._join(Source(str(tip.fork), str(tip.arm), ()), task_id, ALL_PORTS)
        search = Search(self._graph, first, task_id, provided)
        self._seek(search, task_id, place.before)
        for match in search.matches():
            self._join(Source(match.source, match.source_port, ()), task_id, match.target_port)
        for port in self._from_outside.intersection(search.needed()):
            search.close(port)
        if self._state.arm is not None:
            self._ask_condition(search, task_id, Tip(None, self._state.arm.fork, self._state.arm.name))
        search.check()

    def _passes_whole(self, tip: Tip, task_id: str) -> bool:
        """Say whether an arm without tasks gives all that came in, because only a run knows what that is."""
        return tip.task is None and self._graph.tasks[task_id].inputs.open and self._passed_by(tip) is None

    def _seek(self, search: Search, task_id: str, place: Place | None) -> None:
        for one in places(place):
            needed = search.needed()
            if not needed:
                return
            if len(one.tips) == 1:
                search.seek([one.tips[0].task] if one.tips[0].task is not None else [])
                continue
            given = [self._given_by(tip, task_id) for tip in one.tips]
            for port in needed:
                sources = [
                    source
                    for tip, found in zip(one.tips, given, strict=True)
                    if (source := found.get(port) or self._passed(tip, port, required=False)) is not None
                ]
                if len(sources) == len(one.tips):
                    for source in sources:
                        self._join(source, task_id, port)
                    search.close(port)

    def _ask_condition(self, search: Search, task_id: str, entrance: Tip) -> None:
        """Take what a task inside an arm still needs from the condition."""
        for port in search.needed():
            names = self._passed_by(entrance)
            if names is not None and (port in names or self._reach(port, task_id, entrance)):
                self._join(_picked(entrance, port), task_id, port)
                search.close(port)

    def _given_by(self, tip: Tip, task_id: str) -> dict[str, Source]:
        """Return what the last task of an arm gives to a task, by the ports of that task."""
        if tip.task is None:
            return {}
        search = Search(self._graph, tip.task, task_id, self._graph.tasks[task_id].defaults)
        search.take()
        return {match.target_port: Source(match.source, match.source_port, ()) for match in search.matches()}

    def _passed(self, tip: Tip, port: str, *, required: bool) -> Source | None:
        """Return how the condition itself gives a value in an arm whose tasks do not."""
        if tip.fork is None:
            return None
        if port == ALL_PORTS:
            return Source(tip.fork, str(tip.arm), ()) if tip.task is None else None
        names = self._passed_by(tip)
        is_passed = required if names is None else port in names
        return _picked(tip, port) if is_passed else None

    def _passed_by(self, tip: Tip) -> Collection[str] | None:
        """Return the names of what a condition is given; None when that is known only in a run."""
        names: dict[str, None] = {}
        edges = self._graph.incoming[str(tip.fork)]
        for edge in edges:
            outputs = self._graph.tasks[edge.source].outputs
            if edge.target_port != ALL_PORTS:
                names[edge.target_port] = None
            elif edge.source_port == ALL_PORTS and not outputs.open:
                names.update(dict.fromkeys(outputs))
            else:
                return None
        return names if edges else None

    def _reach(self, port: str, task_id: str, tip: Tip) -> bool:
        """Let the condition pass on what an earlier task gives for a port of a task in its arm."""
        assert self._opening is not None
        return self._opening.parent._bring(port, task_id, str(tip.fork))

    def _bring(self, port: str, task_id: str, into: str) -> bool:
        """Connect the nearest output that suits a port of one task with another task, under the port's name."""
        place, arm = self._state.place, self._state.arm
        for one in places(place.before if place is not None else None):
            source = one.tips[0].task if len(one.tips) == 1 else None
            if source is None:
                continue
            search = Search(self._graph, source, task_id, ())
            search.seek([source])
            for match in search.matches():
                if match.target_port == port:
                    self._join(Source(match.source, match.source_port, ()), into, port)
                    return True
        if arm is None:
            return False
        entrance = Tip(None, arm.fork, arm.name)
        names = self._passed_by(entrance)
        if names is None or not (port in names or self._reach(port, task_id, entrance)):
            return False
        self._join(_picked(entrance, port), into, port)
        return True

    def _join(self, source: Source, task_id: str, port: str) -> None:
        self._boundary.open(source.task, task_id)
        self._joined.append(self._graph.add_dataflow(source.task, source.port, task_id, port, source.transforms))

    def _source(self, tip: Tip, port: str, transforms: tuple[Transform, ...]) -> Source:
        if tip.task is None:
            return _picked(tip, port, transforms)
        return super()._source(tip, port, transforms)


def _beginning(arm: Arm) -> State:
    return State(Place((Tip(None, arm.fork, arm.name),), (), None, 1), (), arm)


def _picked(tip: Tip, port: str, transforms: tuple[Transform, ...] = ()) -> Source:
    return Source(str(tip.fork), str(tip.arm), (Transform("pick", {"path": port}), *transforms))
