"""Runs that are kept: started, resumed where they stopped, forked, and run again where they failed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, cast

from workglow.clock import SystemClock
from workglow.errors import CodeChangedError, RunStateError, WorkglowError
from workglow.graph.boundary import InputTask, OutputTask
from workglow.graph.compound import GraphAsTask
from workglow.graph.conditional import ConditionalTask
from workglow.graph.delivery import deliver
from workglow.graph.environment import Environment
from workglow.graph.fallback import FallbackTask
from workglow.graph.map import ForEachTask, MapTask
from workglow.graph.options import RunOptions
from workglow.graph.recovery import Recovery
from workglow.graph.reduce import ReduceTask
from workglow.graph.restart import plan_restart
from workglow.graph.run import Run
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.schedule import Scope
from workglow.graph.stored import StoredDelivery, StoredGraph, graph_record, versions_of
from workglow.graph.switch import SwitchTask
from workglow.graph.while_task import WhileTask
from workglow.storage.records import FINAL_RUN_STATUSES, EventRecord, TaskRow
from workglow.tasks import task_registry
from workglow.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from workglow.clock import Clock
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.storage.protocols import Journal
    from workglow.storage.records import RunRecord
    from workglow.storage.repositories import Repositories
    from workglow.tasks import Task, TaskRegistry

__all__ = ["GRAPH_TYPES", "Engine", "OnChange"]

GRAPH_TYPES: tuple[type[Task], ...] = (
    *(InputTask, OutputTask, ConditionalTask, SwitchTask),
    *(GraphAsTask, MapTask, ForEachTask, ReduceTask, WhileTask, FallbackTask),
)
"""What graphs branch and loop with, in every project."""

OnChange = Literal["error", "keep", "rerun"]


@dataclass(slots=True)
class Engine:
    """Runs graphs and keeps their state in the given repositories."""

    repositories: Repositories
    registry: TaskRegistry = task_registry
    clock: Clock = field(default_factory=SystemClock)
    project: object = None

    def __post_init__(self) -> None:
        for kind in GRAPH_TYPES:  # whatever else a registry allows, a stored graph may branch and loop
            self.registry.register(kind)

    async def run(
        self,
        graph: TaskGraph,
        inputs: Mapping[str, object],
        *,
        options: RunOptions,
        listeners: tuple[Callable[[Event], object], ...] = (),
        alone: bool = False,
    ) -> Run:
        """Run a graph from the beginning; raises what it failed with, with the run as the error's `run`."""
        options.check_size(len(graph.tasks))
        delivered = deliver(graph, inputs)
        journal = self.repositories.runs.begin(
            graph_record(graph),
            encode(inputs, where="the run's inputs"),
            options=options.to_json(),
            versions=versions_of(graph),
        )
        environment = self._environment(journal, options, listeners, alone)
        return await self._drive(TaskGraphRunner(graph, environment), Scope(graph, delivered), journal)

    def begin(self, graph: TaskGraph, inputs: Mapping[str, object], *, options: RunOptions) -> Run:
        """Store a run that nobody drives yet; whoever resumes it starts it."""
        options.check_size(len(graph.tasks))
        deliver(graph, inputs)
        journal = self.repositories.runs.begin(
            graph_record(graph),
            encode(inputs, where="the run's inputs"),
            options=options.to_json(),
            versions=versions_of(graph),
            rows=[TaskRow(id) for id in graph.sources()],
        )
        journal.commit((), block=True, status="pending")
        journal.release()
        return self.view(self.repositories.runs.get(journal.run.uid))

    async def resume(
        self,
        uid: str,
        *,
        on_change: OnChange = "error",
        interrupted: Literal["retry", "fail"] | None = None,
        listeners: tuple[Callable[[Event], object], ...] = (),
        alone: bool = False,
    ) -> Run:
        """Go on with a run where it stopped; a finished one is returned as it is."""
        record = self.repositories.runs.get(uid)
        if record.status in FINAL_RUN_STATUSES:
            return self.view(record)
        journal = self._take_over(record, on_change)
        graph = StoredGraph(self.repositories.graphs, record.graph_id, self.registry)
        inputs = decode(record.input, self.repositories.values.load)
        environment = self._environment(journal, RunOptions.from_json(record.options), listeners, alone)
        scope = Scope(graph, StoredDelivery(graph, inputs), stored=journal.row)
        recovery = Recovery(journal, interrupted)
        return await self._drive(TaskGraphRunner(graph, environment), scope, journal, recovery)

    def _take_over(self, record: RunRecord, on_change: OnChange) -> Journal:
        runs = self.repositories.runs
        current = {type: self.registry.get(type).version for type in record.versions}
        changed = sorted(type for type, version in record.versions.items() if current[type] != version)
        if not changed:
            return runs.take_over(record)
        if on_change == "keep":
            return runs.take_over(record, versions=current, reason="code_changed_keep")
        if on_change == "rerun":
            graph = self._graph(record)
            rows = {row.path: row for row in runs.rows(record)}
            again = [path for path in rows if _type_at(graph, path) in changed]
            plan = plan_restart(graph, rows, again)
            return runs.take_over(record, versions=current, keep=plan.keep, add=plan.add, reason="code_changed_rerun")
        raise CodeChangedError(
            f"The code of {', '.join(changed)} has changed since run {record.uid} began.  Resume with "
            "on_change='keep' to let what is finished stand and go on with the new code, or with on_change='rerun' "
            "to run these tasks and everything behind them again."
        )

    async def fork(
        self,
        uid: str,
        *,
        from_task: str | None = None,
        inputs: Mapping[str, object] | None = None,
        options: RunOptions | None = None,
        listeners: tuple[Callable[[Event], object], ...] = (),
        alone: bool = False,
    ) -> Run:
        """Start a new run that reuses everything before the change.

        The change is a task that is to run again with all that is behind it, or new values for some graph inputs.
        """
        record = self.repositories.runs.get(uid)
        graph = self._graph(record)
        old = decode(record.input, self.repositories.values.load)
        new = {**old, **(inputs or {})}
        again = [] if from_task is None else [from_task]
        again += _changed_targets(graph, old, new)
        if not again:
            raise RunStateError("A fork needs a change: name from_task, or give an input another value.")
        chosen = options or RunOptions.from_json(record.options)
        if options is None and from_task is not None:
            chosen = replace(chosen, cache="refresh")  # the same inputs again must not give the same outputs unasked
        return await self._run_again(record, graph, new, again, options=chosen, listeners=listeners, alone=alone)

    async def rerun_failed(
        self, uid: str, *, listeners: tuple[Callable[[Event], object], ...] = (), alone: bool = False
    ) -> Run:
        """Start a new run that reuses every task that completed, also inside loops, and runs the others."""
        record = self.repositories.runs.get(uid)
        if record.status == "completed":
            raise RunStateError(f"Run {record.uid} completed: nothing failed in it.")
        if record.status not in FINAL_RUN_STATUSES:
            raise RunStateError(f"Run {record.uid} is not finished: resume it.")
        inputs = decode(record.input, self.repositories.values.load)
        options = RunOptions.from_json(record.options)
        return await self._run_again(
            record, self._graph(record), inputs, (), options=options, listeners=listeners, alone=alone
        )

    async def _run_again(
        self,
        record: RunRecord,
        graph: TaskGraph,
        inputs: Mapping[str, object],
        again: Iterable[str],
        *,
        options: RunOptions,
        listeners: tuple[Callable[[Event], object], ...],
        alone: bool,
    ) -> Run:
        runs = self.repositories.runs
        delivered = deliver(graph, inputs)
        plan = plan_restart(graph, {row.path: row for row in runs.rows(record)}, again)
        versions = versions_of(graph)
        for row in plan.keep:
            if row.status == "completed":
                row.source_id, row.cache_key = row.row_id, None
            row.row_id = 0
        journal = runs.begin(
            graph_record(graph),
            encode(inputs, where="the run's inputs"),
            options=options.to_json(),
            versions=versions,
            rows=(*plan.keep, *plan.add),
            forked_from=record,
        )
        changed = sorted(type for type, version in record.versions.items() if versions.get(type) != version)
        if changed:  # what completed stands all the same: a rerun after a correction is what this is for
            journal.note(EventRecord(self.clock.now(), None, "code_changed_keep", {"tasks": changed}))
        journal.commit((), block=True)
        environment = self._environment(journal, options, listeners, alone)
        scope = Scope(graph, delivered, stored=journal.row)
        return await self._drive(TaskGraphRunner(graph, environment), scope, journal, Recovery(journal))

    async def _drive(
        self, runner: TaskGraphRunner, scope: Scope, journal: Journal, recovery: Recovery | None = None
    ) -> Run:
        try:
            await runner.run(scope, recovery)
        except BaseException as error:
            if runner.status == "running":  # it neither finished nor failed: whoever wants may go on
                journal.release()
            elif isinstance(error, WorkglowError):
                error.run = self.view(self.repositories.runs.get(journal.run.uid))
            raise
        return self.view(self.repositories.runs.get(journal.run.uid))

    def _environment(
        self,
        journal: Journal,
        options: RunOptions,
        listeners: tuple[Callable[[Event], object], ...],
        alone: bool,
    ) -> Environment:
        return Environment(
            clock=self.clock,
            options=options,
            listeners=listeners,
            registry=self.registry,
            journal=journal,
            load_value=self.repositories.values.load,
            cache=self.repositories.outputs,
            cache_is_journal=True,
            project=self.project,
            project_uid=self.repositories.uid,
            run_id=journal.run.uid,
            alone=alone,
        )

    def view(self, record: RunRecord) -> Run:
        """Return a stored run as its user sees it."""
        return Run.of_record(record, self.repositories.runs, self.repositories.values.load)

    def graph_of(self, uid: str) -> TaskGraph:
        """Return the graph that a run is pinned to."""
        return self._graph(self.repositories.runs.get(uid))

    def _graph(self, record: RunRecord) -> TaskGraph:
        return StoredGraph(self.repositories.graphs, record.graph_id, self.registry).whole()


def _type_at(graph: TaskGraph, path: str) -> str:
    *above, id = path.split("/")
    for step in above:
        graph = cast("GraphAsTask", graph.tasks[step.partition("[")[0]]).subgraph
    return graph.tasks[id].type


def _changed_targets(graph: TaskGraph, old: Mapping[str, object], new: Mapping[str, object]) -> list[str]:
    before, after = deliver(graph, old), deliver(graph, new)
    return [
        id
        for id in graph.tasks
        if encode(before.get(id, {}), where="an input").text != encode(after.get(id, {}), where="an input").text
    ]
