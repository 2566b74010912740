"""One graph while it is previewed: what each of its tasks shows, and which of them have to be asked again.

The policy.  A task is asked when it is new, when what the graph hands to it changed, or when an edge brings something
else than before; tasks are asked in the order of their dependencies, so each at most once for a change.  An answer
equal to the one before goes no further.

A task *waits* when it cannot be said what an edge brings: its source has no preview, waits itself, or failed.  That is
no error.  What hangs on `[error]` alone is off, for a preview takes every task to succeed.  A group shows its graph, a
loop nothing: it would have to run.

A task that completed in a stored run shows what it gave there, unasked, for as long as the task, its literals and
everything that enters it are what they were in that run.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, cast

from workglow.errors import PortError, TaskOutputError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT, Dataflow
from workglow.graph.delivery import deliver, delivery_plan
from workglow.graph.failure import as_failure
from workglow.graph.inputs import gather
from workglow.graph.previews.run import PreviewRun
from workglow.graph.previews.surroundings import Baseline, Surroundings
from workglow.graph.sameness import same
from workglow.graph.schedule import Scope, TaskRun, delivers, inactive_ports
from workglow.graph.schemas import GRAPH_RESULT_ARRAY, merge_results, result_plan
from workglow.tasks import MISSING, Task, TaskContext
from workglow.tasks.fields import values_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from workglow.graph.graph import TaskGraph
    from workglow.storage.records import TaskRow

__all__ = ["Asking", "PreviewScope"]

Asking = Generator["Awaitable[object]", Any, None]
"""Work that hands out what has to be awaited, and is sent what came of it."""


class PreviewScope:
    """The tasks of one graph, and what each shows.  `prefix` begins their paths."""

    def __init__(self, surroundings: Surroundings, graph: TaskGraph, prefix: str = "") -> None:
        self.surroundings = surroundings
        self.graph = graph
        self.runs: dict[str, PreviewRun] = {}
        self._scope = Scope(graph, {}, prefix=prefix)
        self._scope.runs = cast("dict[str, TaskRun]", self.runs)
        self._rank: dict[str, int] = {}
        self._order: list[str] = []
        self._pending: list[int] = []
        self._marked: set[str] = set()
        self._seen: object = None  # stands for the graph as it was when it was last looked at

    # ------------------------------------------------------------------ what changed

    def update(self, graph: TaskGraph, inputs: Mapping[str, object]) -> None:
        """Look what is new in the graph and its inputs, and mark it; TaskInputError for an input that no task takes."""
        if graph is not self.graph or graph.derive("seen by a preview", _token) is not self._seen:
            self._take(graph, inputs)
        else:
            self._feed(self._handed_out(graph, inputs))

    def replaced(self, ids: Iterable[str], inputs: Mapping[str, object]) -> None:
        """Look at these tasks, which have others in their places, and at nothing else of the graph."""
        delivered = self._handed_out(self.graph, inputs)
        for id in ids:
            if self._look_at(id, self.graph.tasks[id]):
                self._mark(id)
        self._feed(delivered)
        self._seen = self.graph.derive("seen by a preview", _token)

    def _take(self, graph: TaskGraph, inputs: Mapping[str, object]) -> None:
        delivered = self._handed_out(graph, inputs)
        self.graph = self._scope.graph = graph
        self._scope.delivered = delivered if not self.runs else self._scope.delivered
        self._order = graph.order()
        self._rank = {id: rank for rank, id in enumerate(self._order)}
        for id in self.runs.keys() - graph.tasks.keys():
            del self.runs[id]
        self._marked.intersection_update(graph.tasks)
        self._marked.update(id for id, task in graph.tasks.items() if self._look_at(id, task))
        self._pending = [self._rank[id] for id in self._marked]
        heapify(self._pending)
        self._feed(delivered)
        self._seen = graph.derive("seen by a preview", _token)
        if self.surroundings.is_stored:
            entering = {id: run.entering for id, run in self.runs.items()}
            base = Baseline(dict(graph.tasks), entering, delivered, _ends(graph))
            self.surroundings.baselines.setdefault(self._scope.prefix, base)

    def _look_at(self, id: str, task: Task) -> bool:
        """Whether a task, or an edge at it, is another than before."""
        entering = tuple(self.graph.incoming[id])
        leaving = frozenset(edge.source_port for edge in self.graph.outgoing[id])
        run = self.runs.get(id)
        if run is None:
            run = self.runs[id] = PreviewRun(self._scope, id)
        elif run.task is task and run.entering == entering and (not task.switches_ports or run.leaving == leaving):
            run.leaving = leaving
            return False
        run.task, run.entering, run.leaving = task, entering, leaving
        return True

    def _feed(self, after: dict[str, dict[str, object]]) -> None:
        """Hand other inputs to the tasks, and mark those that get something else."""
        before = self._scope.delivered
        for id in before.keys() | after.keys():
            if id in self.runs and not same(before.get(id), after.get(id)):
                self._mark(id)
        self._scope.delivered = after

    def _handed_out(self, graph: TaskGraph, inputs: Mapping[str, object]) -> dict[str, dict[str, object]]:
        """Hand the inputs out as a run does, but let a task that misses one speak for itself."""
        absent = {name: MISSING for name, _, _ in delivery_plan(graph).required if name not in inputs}
        prefix = self._scope.prefix
        delivered = deliver(graph, {**inputs, **absent}, where=prefix)
        if not absent:
            return delivered
        return {
            id: {name: value for name, value in values.items() if value is not MISSING}
            for id, values in delivered.items()
        }

    def _mark(self, id: str) -> None:
        if id not in self._marked:
            self._marked.add(id)
            heappush(self._pending, self._rank[id])

    # ------------------------------------------------------------------ asking

    def settle(self, changed: list[PreviewRun]) -> Asking:
        """Ask every marked task, and those that hang on what changes by it; `changed` gets those that show it."""
        while self._pending:
            run = self.runs[self._order[self._pending[0]]]
            before = (run.status, run.shows, run.reason, run.inactive, run.unchanged)
            error, outputs = run.error_raised, run.outputs
            try:
                yield from self._ask(run, changed)
            except Exception as raised:
                run.inner = None
                run.become("failed")
                run.error_raised = as_failure(run, raised)
            except BaseException:
                for edge in self.graph.outgoing[run.id]:  # nobody knows how far it came
                    self._mark(edge.target)
                raise
            after = (run.status, run.shows, run.reason, run.inactive, run.unchanged)
            self._marked.discard(run.id)  # only now: what is interrupted is asked again
            heappop(self._pending)
            equal = before[:4] == after[:4] and str(error) == str(run.error_raised)
            if not equal or not same(outputs, run.outputs):
                changed.append(run)
            for edge in self.graph.outgoing[run.id]:
                if before != after or not same(_at(edge, outputs), _at(edge, run.outputs)):
                    self._mark(edge.target)

    def _ask(self, run: PreviewRun, changed: list[PreviewRun]) -> Asking:
        task = run.task
        run.unchanged = self.surroundings.is_stored and self._is_unchanged(run)
        row = self.surroundings.completed(run.path) if run.unchanged else None
        edges = run.entering
        if row is not None and (not isinstance(task, GraphAsTask) or _handles_errors(edges)):
            return self._show_stored(run, row)
        run.live = sum(delivers(self.runs[edge.source], edge) for edge in edges if edge.source_port != ERROR_PORT)
        if row is None:
            waits = next((edge for edge in edges if self._is_open(edge)), None)
            if waits is not None:
                return self._wait(run, self._why(waits))
            if edges and not run.live:
                run.inner = None
                return run.become("disabled", _why_off(edges))
        values = gather(run, task, self._outputs_of)
        unfed = _missing(task, values) if row is None else None
        if unfed is not None and any(edge.target_port in (unfed, ALL_PORTS) for edge in edges):
            return self._wait(run, f"no edge gives a preview of '{unfed}'.")
        run.inputs = task.check_inputs(values)
        if isinstance(task, GraphAsTask) and type(task).previews_inside():
            yield from self._ask_inside(run, task, row, changed)
        elif row is not None:
            self._show_stored(run, row)
        elif task.from_data and task.required_entitlements():  # nobody granted it anything yet
            run.become("unknown", f"'{run.path}' was read from data and needs an entitlement; previews have none.")
        else:
            context = self._context(run)
            try:
                answer = task.preview(run.inputs, context)
                if inspect.isawaitable(answer):
                    answer = yield answer
            finally:
                if context.owns:
                    context.dispose()
            self._show(run, answer)
        return None

    def _show(self, run: PreviewRun, answer: object) -> None:
        task = run.task
        if answer is None:
            run.inner = None
            return run.become("unknown", self._why_silent(run))
        outputs = _checked(task, answer)
        run.become("previewed", outputs=outputs)
        if task.switches_ports:
            run.switch_off(cast("Any", task), outputs)
        return None

    def _show_stored(self, run: PreviewRun, row: TaskRow) -> None:
        run.become("completed", outputs=self.surroundings.outputs(run.path))
        run.inactive = inactive_ports(row) or None

    def _wait(self, run: PreviewRun, why: str) -> None:
        run.inner = None
        run.become("unknown", f"'{run.path}' waits: {why}")

    def _ask_inside(self, run: PreviewRun, task: GraphAsTask, row: TaskRow | None, changed: list[PreviewRun]) -> Asking:
        inputs = run.inputs or {}
        inner = run.inner
        if inner is None:
            inner = run.inner = PreviewScope(self.surroundings, task.subgraph, run.path + "/")
        inner.update(task.subgraph, inputs)
        yield from inner.settle(changed)
        run.unchanged = run.unchanged and inner.is_unchanged()
        if row is not None and run.unchanged:
            return self._show_stored(run, row)
        outputs, open_task = inner.results()
        if open_task is None or (inner.graph.outputs and outputs):
            return run.become("previewed", outputs=outputs)
        return run.become("unknown", f"'{run.path}' waits: '{open_task.path}' {open_task.lack}")

    def _context(self, run: PreviewRun) -> TaskContext:
        around = self.surroundings
        return TaskContext(path=run.path, clock=around.clock, registry=around.registry, project=around.project)

    def results(self) -> tuple[dict[str, object], PreviewRun | None]:
        """What the graph gives as far as it is known, and a task of which its outputs are not known."""
        plan = result_plan(self.graph)
        ends = [self.runs[id] for id in plan.tasks]
        waiting = next((run for run in ends if run.status == "pending"), None)
        if waiting is not None and (plan.gathered or self.graph.merge == GRAPH_RESULT_ARRAY):
            return {}, waiting  # a list that lacks some of its members says something else
        ends = ends if waiting is None else [run for run in ends if run.id not in plan.passing]
        known = {run.id: run.outputs or {} for run in ends if run.status == "completed"}
        return merge_results(self.graph, known), waiting

    # ------------------------------------------------------------------ what enters a task

    def is_unchanged(self) -> bool:
        """Whether the whole graph, and all that enters it, is what it was in the stored run."""
        base = self.surroundings.baselines[self._scope.prefix]
        return same(base.ends, _ends(self.graph)) and all(run.unchanged for run in self.runs.values())

    def _is_unchanged(self, run: PreviewRun) -> bool:
        around, id = self.surroundings, run.id
        base = around.baselines[self._scope.prefix]
        if id not in base.tasks or not _does_the_same(base.tasks[id], run.task) or base.incoming[id] != run.entering:
            return False
        if around.versions.get(run.task.type, run.task.version) != run.task.version:
            return False
        if not same(base.delivered.get(id), self._scope.delivered.get(id)):
            return False
        return all(self._brings_thesame(edge) for edge in run.entering)

    def _brings_thesame(self, edge: Dataflow) -> bool:
        source = self.runs[edge.source]
        if source.unchanged:
            return True
        if source.status != "completed" or self.surroundings.completed(source.path) is None:
            return False
        return same(_at(edge, source.outputs), _at(edge, self.surroundings.outputs(source.path)))

    def _outputs_of(self, source: TaskRun) -> dict[str, object]:
        return source.outputs or {}

    def _is_open(self, edge: Dataflow) -> bool:
        """Whether it cannot be said what the edge brings."""
        source = self.runs[edge.source]
        if edge.source_port == ERROR_PORT or source.status == "disabled":
            return False
        if source.status == "pending":
            return True
        port = source.task.outputs.get(edge.source_port)
        return port is not None and port.required and edge.source_port not in (source.outputs or {})

    def _why(self, edge: Dataflow) -> str:
        source = self.runs[edge.source]
        if source.status == "completed":
            return f"the preview of '{source.path}' leaves '{edge.source_port}' open."
        return f"'{source.path}' {source.lack}"

    def _why_silent(self, run: PreviewRun) -> str:
        task = run.task
        if self.surroundings.completed(run.path) is not None:
            return f"What '{run.path}' reads has changed since the run, and {task.type} gives no preview."
        if isinstance(task, GraphAsTask):
            return f"'{run.path}' is a {task.type}: it would have to run its graph."
        return f"{task.type} gives no preview."


def _handles_errors(edges: Sequence[Dataflow]) -> bool:
    return any(edge.source_port == ERROR_PORT for edge in edges)  # a preview cannot say what they brought


def _token(graph: object) -> object:
    return object()


def _ends(graph: TaskGraph) -> tuple[object, ...]:
    return graph.merge, dict(graph.outputs), list(graph.tasks)


def _does_the_same(one: Task, other: Task) -> bool:
    if one is other:
        return True
    if isinstance(one, GraphAsTask) and isinstance(other, GraphAsTask):
        is_group = type(one).previews_inside()  # whose tasks speak for themselves
        if not is_group and one.subgraph is not other.subgraph:
            return False
    if type(one) is not type(other) or not same(dict(one.config), dict(other.config)):
        return False
    return same(dict(one.defaults), dict(other.defaults))


def _why_off(edges: Sequence[Dataflow]) -> str:
    failing = [edge.source for edge in edges if edge.source_port == ERROR_PORT]
    return f"It runs only when '{failing[0]}' fails." if failing else "Its branch is not taken."


def _missing(task: Task, values: Mapping[str, object]) -> str | None:
    return next((name for name, port in task.inputs.items() if port.required and name not in values), None)


def _checked(task: Task, answer: object) -> dict[str, object]:
    values = values_of(answer)
    if values is None:
        raise TaskOutputError(f"The preview of task '{task.id}' is {answer!r:.60}; return a mapping of output ports.")
    try:
        return task.outputs.check_given(values)
    except PortError as error:
        raise TaskOutputError(f"The preview of task '{task.id}': output {error}") from None


def _at(edge: Dataflow, outputs: Mapping[str, object] | None) -> object:
    return outputs if outputs is None or edge.source_port == ALL_PORTS else outputs.get(edge.source_port, MISSING)
