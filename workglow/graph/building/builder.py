"""GraphBuilder: a graph built step by step, each task connected to those before it.

Every method that adds something returns the builder, and what does not fit is refused by the call that brings it; the
graph is then as before.  "The previous task" is the one that the last `then` added: error handlers do not count.
Each call is one step of `undo` and `redo`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from workglow.errors import AutoConnectError, GraphError, UnknownTaskError
from workglow.graph.admission import port_schema
from workglow.graph.building.history import Place, Rename, Source, State, Tip, places
from workglow.graph.building.steps import StepRecorder
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT, Transform, as_transforms
from workglow.graph.graph import TaskGraph
from workglow.graph.schemas import PROPERTY_ARRAY, Merge
from workglow.graph.tasklike import make_task

if TYPE_CHECKING:
    from workglow.graph.building.autoconnect import Search
    from workglow.graph.tasklike import TaskLike
    from workglow.tasks import Task

__all__ = ["GraphBuilder"]


class GraphBuilder(StepRecorder):
    """Adds tasks to a graph and connects them; what a Workflow does before it runs."""

    _connects = True
    _from_outside: frozenset[str] = frozenset()

    def to_graph(self) -> TaskGraph:
        """Return the graph, as a copy that later changes of the workflow do not touch."""
        self._check_open()
        self._check_renames()
        return self._graph.copy()

    to_task_graph = to_graph

    # ------------------------------------------------------------------ adding tasks

    def then(self, task: TaskLike, /, *, id: str | None = None, **inputs: Any) -> Self:
        """Add a task and connect it; `inputs` are literals for its ports, or settings where its class declares them.

        Raises AutoConnectError when a required input finds no output, or several equally good ones.
        """
        return self._append(make_task(task, id, inputs))

    add_task = then

    def add_task_to_graph(self, task: TaskLike, /, *, id: str | None = None, **inputs: Any) -> Self:
        """Add a task without connecting it: `connect` does that.  It is the previous task then."""
        with self._call():
            self._follow(self._graph.add_task(make_task(task, id, inputs)).id)
        return self

    def input(self, schema: Mapping[str, Any] | None = None, *, id: str | None = None) -> Self:
        """Add a task that gives the graph's inputs; without a schema it has the ports that later tasks ask for."""
        from workglow.graph.boundary import InputTask

        with self._call():  # it begins anew: nothing before it feeds it
            task_id = self._graph.add_task(InputTask.of(schema), id=id or self._graph.free_id("input")).id
            self._follow(task_id)
            self._boundary.task_ids.add(task_id)
        return self

    def output(self, schema: Mapping[str, Any] | None = None, *, id: str | None = None) -> Self:
        """Add a task that takes the graph's outputs: only what enters it is the result."""
        from workglow.graph.boundary import OutputTask

        with self._call():
            task_id = id or self._graph.free_id("output")
            self._boundary.task_ids.add(task_id)
            return self._append(OutputTask.of(schema, id=task_id))

    def parallel(self, tasks: Iterable[TaskLike], *, id: str | None = None, merge: Merge = PROPERTY_ARRAY) -> Self:
        """Add tasks that run side by side on the same inputs, as one task; their outputs are gathered in lists."""
        from workglow.graph.control.compound import GraphAsTask

        side_by_side = TaskGraph(merge=merge, transforms=self._graph.transforms)
        for task in tasks:
            side_by_side.add_task(make_task(task, None, {}))
        return self._append(GraphAsTask(side_by_side, id=id or self._graph.free_id("parallel")))

    def pipe(self, *tasks: TaskLike) -> Self:
        """Add tasks one after the other; an only output becomes the only input of the next, whatever their names."""
        with self._call():
            for task in tasks:
                self._append_piped(make_task(task, None, {}))
        return self

    def on_error(self, task: TaskLike, /, *, id: str | None = None, **inputs: Any) -> Self:
        """Add a task that runs only if the previous one fails; it is given `error` and `errorType`."""
        guarded = self._previous()
        if not guarded:
            raise GraphError("on_error() requires a preceding task in the workflow; add the task that may fail first.")
        with self._call():
            handler = self._graph.add_task(make_task(task, id, inputs)).id
            for task_id in guarded:
                self._graph.add_dataflow(task_id, ERROR_PORT, handler, ALL_PORTS)
        return self

    # ------------------------------------------------------------------ connecting

    def rename(self, source: str, target: str, index: int = -1, *, transforms: Iterable[object] = ()) -> Self:
        """Connect an output of an earlier task to the input `target` of the task that is added next.

        `index` counts back: -1 is the previous task.
        """
        self._check_open()
        count = 0 if self._state.place is None else self._state.place.number
        if index >= 0 or -index > count:
            raise UnknownTaskError(
                f"Back index greater than number of tasks: {index}, but there are {count}. -1 is the previous task."
            )
        place = next(islice(places(self._state.place), -index - 1, None))
        sources = tuple(self._source(tip, source, as_transforms(transforms)) for tip in place.tips)
        with self._call():
            self._state = self._state._replace(renames=(*self._state.renames, Rename(sources, source, target)))
        return self

    def connect(
        self, source: str, source_port: str, target: str, target_port: str, transforms: Iterable[object] = ()
    ) -> Self:
        """Connect two tasks of the workflow by their ids; errors as in `TaskGraph.add_dataflow`."""
        with self._call():
            self._boundary.open(source, target)
            self._joined.append(self._graph.add_dataflow(source, source_port, target, target_port, transforms))
        return self

    # ------------------------------------------------------------------ going back

    def pop(self) -> Self:
        """Remove what the last call added: the previous task, and its error handlers."""
        self._check_open()
        place = self._state.place
        if place is None or not place.members:
            raise GraphError("No tasks to remove.")
        before = self._graph.copy()
        removed = dict.fromkeys(place.members)
        on_the_way = {task_id for earlier in places(place) for task_id in earlier.members}
        for task_id in place.members:
            failures = [edge.target for edge in self._graph.outgoing[task_id] if edge.source_port == ERROR_PORT]
            removed.update(dict.fromkeys(handler for handler in failures if handler not in on_the_way))
        self._boundary.open(*self._graph.tasks)
        for task_id in removed:
            self._graph.remove_task(task_id)
        self._boundary.close()
        kept = (name for name in self._state.renames if all(source.task not in removed for source in name.sources))
        self._exchanged(before, self._state._replace(place=place.before, renames=tuple(kept)))
        return self

    def reset(self) -> Self:
        """Begin anew, with an empty graph.  Listeners stay, and `undo` brings the old graph back."""
        self._check_open()
        before = self._graph
        self._graph = TaskGraph(transforms=before.transforms)
        self._graph.events = before.events
        self._exchanged(before, State())
        self._tell("graph_reset")
        return self

    def _append(self, task: Task) -> Self:
        """Add a task and connect it with what is before it."""
        with self._call():
            task_id = self._graph.add_task(task).id
            renames, place = self._state.renames, self._state.place
            self._boundary.open(task_id)
            for rename in renames:
                for source, port, transforms in rename.sources:
                    self._boundary.open(source)
                    self._graph.add_dataflow(source, port, task_id, rename.target_port, transforms)
            if place is not None and self._connects:
                self._auto_connect(task_id, place)
            self._follow(task_id)
        return self

    def _follow(self, task_id: str) -> None:
        """Make a task the previous one."""
        place, arm = self._state.place, self._state.arm
        tip = Tip(task_id) if arm is None else Tip(task_id, arm.fork, arm.name)
        number = 1 if place is None else place.number + 1
        self._state = State(Place((tip,), (task_id,), place, number), (), arm)

    def _append_piped(self, made: Task) -> None:
        try:
            self._append(made)
        except AutoConnectError:
            ends = self._only_ends(made)
            if ends is None:
                raise
            self._graph.remove_task(made.id or next(reversed(self._graph.tasks)))
            source, port, target = ends
            rename = Rename((Source(source, port, ()),), port, target)
            self._state = self._state._replace(renames=(*self._state.renames, rename))
            self._append(made)

    def _auto_connect(self, task_id: str, place: Place) -> None:
        from workglow.graph.building.autoconnect import Search

        (tip,) = place.tips
        assert tip.task is not None
        search = Search(self._graph, tip.task, task_id, self._graph.tasks[task_id].defaults)
        search.take()
        self._seek(search, task_id, place.before)
        for port in self._from_outside.intersection(search.needed()):
            search.close(port)
        search.check()
        for match in search.matches():
            self._boundary.open(match.source)
            self._graph.add_dataflow(match.source, match.source_port, task_id, match.target_port)

    def _seek(self, search: Search, task_id: str, place: Place | None) -> None:
        """Look for what a task still needs in a place and those before it, the newest first."""
        search.seek(one.tips[0].task for one in places(place) if one.tips[0].task is not None)

    def _previous(self) -> list[str]:
        place = self._state.place
        return [] if place is None else [tip.task for tip in place.tips if tip.task is not None]

    def _source(self, tip: Tip, port: str, transforms: tuple[Transform, ...]) -> Source:
        assert tip.task is not None
        port_schema(self._graph.tasks[tip.task], port, of_outputs=True)
        return Source(tip.task, port, transforms)

    def _only_ends(self, task: Task) -> tuple[str, str, str] | None:
        """Return the previous task, its only output, and the only input that the new one still needs."""
        previous = self._previous()
        if len(previous) != 1:
            return None
        outputs = list(self._graph.tasks[previous[0]].outputs)
        free = [name for name in task.inputs if name not in task.defaults]
        needed = [name for name in free if task.inputs[name].required] or free
        return (previous[0], outputs[0], needed[0]) if len(outputs) == len(needed) == 1 else None

    def _check_renames(self) -> None:
        if self._state.renames:
            rename = self._state.renames[0]
            raise GraphError(
                f"rename({rename.named!r}, {rename.target_port!r}) of {rename.sources[0].task!r} waits for a task "
                "that was never added."
            )
