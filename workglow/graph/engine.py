"""Runs that are kept: started, resumed where they stopped, forked, and run again where they failed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, cast

from workglow.blocking import run_blocking
from workglow.clock import SystemClock
from workglow.errors import CodeChangedError, RunStateError, TaskAbortedError, UnknownRunError, WorkglowError
from workglow.graph.boundary import InputTask, OutputTask
from workglow.graph.budget import Budget, Spending
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.caller import Caller
from workglow.graph.control.array import ArrayTask
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.fallback import FallbackTask
from workglow.graph.control.map import ForEachTask, MapTask
from workglow.graph.control.reduce import ReduceTask
from workglow.graph.control.switch import SwitchTask
from workglow.graph.control.while_task import WhileTask
from workglow.graph.delivery import as_inputs, deliver
from workglow.graph.environment import Environment
from workglow.graph.options import RunOptions
from workglow.graph.queued.queue_names import check_queues
from workglow.graph.recovery import Recovery
from workglow.graph.resolution import has_names, named_inputs
from workglow.graph.restart import plan_restart
from workglow.graph.rights.licence import Licence, Licences
from workglow.graph.rights.permission import Permission
from workglow.graph.run import Run
from workglow.graph.schedule import Scope
from workglow.graph.stored import StoredDelivery, StoredGraph, graph_record, versions_of
from workglow.graph.tracing import runner_for
from workglow.graph.usage import read_parts, total
from workglow.graph.waiting.answering import Answering
from workglow.graph.waiting.wait import BUDGET_EVENT
from workglow.storage.error_record import error_record
from workglow.storage.records import FINAL_RUN_STATUSES, FINAL_TASK_STATUSES, EventRecord, TaskRow
from workglow.tasks import task_registry
from workglow.values import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from workglow.clock import Clock
    from workglow.graph.graph import TaskGraph
    from workglow.graph.previews.preview import Preview
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.transforms import TransformRegistry
    from workglow.queue import JobQueue, Queues
    from workglow.storage.protocols import Journal
    from workglow.storage.records import RunRecord
    from workglow.storage.repositories import Repositories
    from workglow.tasks import Task, TaskRegistry
    from workglow.tasks.resolver import ResolverRegistry
    from workglow.telemetry import Tracer

__all__ = ["GRAPH_TYPES", "Engine", "OnChange"]

GRAPH_TYPES: tuple[type[Task], ...] = (
    *(InputTask, OutputTask, ConditionalTask, SwitchTask),
    *(GraphAsTask, ArrayTask, MapTask, ForEachTask, ReduceTask, WhileTask, FallbackTask),
)
"""What graphs branch and loop with, in every project."""

OnChange = Literal["error", "keep", "rerun"]
_NOBODY = Caller()


@dataclass(slots=True)
class Engine:
    """Runs graphs and keeps their state in the given repositories."""

    repositories: Repositories
    registry: TaskRegistry = task_registry
    clock: Clock = field(default_factory=SystemClock)
    project: object = None
    transforms: TransformRegistry = built_in_transforms
    resolvers: ResolverRegistry | None = None
    licences: Licences = field(default_factory=Licences)
    tracer: Tracer | None = None
    queues: Callable[[], Queues] | None = None

    def __post_init__(self) -> None:
        for kind in GRAPH_TYPES:  # whatever else a registry allows, a stored graph may branch and loop
            self.registry.register(kind)

    async def run(
        self,
        graph: TaskGraph,
        inputs: Mapping[str, object],
        *,
        options: RunOptions,
        caller: Caller = _NOBODY,
    ) -> Run:
        """Run a graph from the beginning; raises what it failed with, with the run as the error's `run`."""
        options.check_size(len(graph.tasks))
        check_queues(options, graph, self.registry)
        inputs = await named_inputs(graph, inputs, self.resolvers)
        delivered = deliver(graph, inputs)
        licence = self.licences.for_graph(graph, caller.permission)
        licence.admit(graph, delivered)
        journal = self._store(graph, inputs, options, licence)
        environment = self._environment(journal, options, caller, licence)
        return await self._drive(runner_for(graph, environment), Scope(graph, delivered), journal)

    def begin(
        self,
        graph: TaskGraph,
        inputs: Mapping[str, object],
        *,
        options: RunOptions,
        permission: Permission = _NOBODY.permission,
        queue: JobQueue | None = None,
        uid: str | None = None,
    ) -> Run:
        """Store a run that nobody drives yet; whoever resumes it starts it, or the workers of a queue do.

        It gets the id `uid`, which no run may have yet, or a new one.
        """
        options.check_size(len(graph.tasks))
        check_queues(options, graph, self.registry)
        given = inputs
        inputs = run_blocking(lambda: named_inputs(graph, given, self.resolvers)) if has_names(graph) else given
        deliver(graph, inputs)
        licence = self.licences.for_graph(graph, permission)
        rows = [TaskRow(id) for id in graph.sources()]
        submit = None if queue is None else (queue.row_id, queue.settings.retry.attempts)
        journal = self._store(graph, inputs, options, licence, rows=rows, submit=submit, uid=uid)
        journal.commit((), block=True, sync=queue is not None, status="pending")
        journal.release()
        return self.view(self.repositories.runs.get(journal.run.uid))

    async def resume(
        self,
        uid: str,
        *,
        on_change: OnChange = "error",
        interrupted: Literal["retry", "fail"] | None = None,
        caller: Caller = _NOBODY,
        wait: bool | float | None = None,
    ) -> Run:
        """Go on with a run where it stopped.

        One that is finished is returned as it is, and so is one in which nothing has come for what it waits for.
        """
        record = self.repositories.runs.get(uid)
        if record.status in FINAL_RUN_STATUSES:
            return self.view(record)
        options = replace(RunOptions.from_json(record.options), wait=wait)
        idle = record.status == "waiting" and caller.on_question is None
        if idle and not Answering(self.repositories).is_worth_driving(record, options.wait):
            return self.view(record)
        graph = self._stored(record)
        inputs = decode(record.input, self.repositories.values.load)
        delivered = StoredDelivery(graph, inputs)
        licence = self.licences.for_run(record, caller.permission)
        licence.admit_stored(graph, delivered, record, self.repositories.runs)
        journal = self._take_over(record, on_change)
        environment = self._environment(journal, options, caller, licence)
        scope = Scope(graph, delivered, stored=journal.row)
        recovery = Recovery(journal, interrupted)
        return await self._drive(runner_for(graph, environment), scope, journal, recovery)

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
            plan = plan_restart(graph, rows, again, same_run=True)
            return runs.take_over(record, versions=current, keep=plan.keep, add=plan.add, reason="code_changed_rerun")
        raise CodeChangedError(
            f"The code of {', '.join(changed)} has changed since run {record.uid} began.  Resume with "
            "on_change='keep' to let what is finished stand and go on with the new code, or with on_change='rerun' "
            "to run these tasks and everything behind them again."
        )

    def abort(self, uid: str, reason: str) -> Run:
        """End a run for good that nobody drives, such as one that waits."""
        record = self.repositories.runs.get(uid)
        journal = self.repositories.runs.take_over(record, reason="aborted")
        journal.commit((), block=True, sync=True, status="aborted", error=error_record(TaskAbortedError(reason)))
        return self.view(self.repositories.runs.get(uid))

    async def fork(
        self,
        uid: str,
        *,
        from_task: str | None = None,
        inputs: Mapping[str, object] | None = None,
        options: RunOptions | None = None,
        caller: Caller = _NOBODY,
    ) -> Run:
        """Start a new run that reuses everything before the change.

        The change is a task that is to run again with all that is behind it, or new values for some graph inputs.
        """
        record = self.repositories.runs.get(uid)
        graph = self._graph(record)
        old = decode(record.input, self.repositories.values.load)
        new = {**old, **await named_inputs(graph, as_inputs(inputs), self.resolvers)}
        again = [] if from_task is None else [from_task]
        again += _changed_targets(graph, old, new)
        if not again:
            raise RunStateError("A fork needs a change: name from_task, or give an input another value.")
        chosen = options or RunOptions.from_json(record.options)
        if options is not None:
            check_queues(options, graph, self.registry)
        if options is None and from_task is not None:
            chosen = replace(chosen, cache="refresh")  # the same inputs again must not give the same outputs unasked
        return await self._run_again(record, graph, new, again, options=chosen, caller=caller)

    async def rerun_failed(self, uid: str, *, caller: Caller = _NOBODY) -> Run:
        """Start a new run that reuses every task that completed, also inside loops, and runs the others."""
        record = self.repositories.runs.get(uid)
        if record.status == "completed":
            raise RunStateError(f"Run {record.uid} completed: nothing failed in it.")
        if record.status not in FINAL_RUN_STATUSES:
            raise RunStateError(f"Run {record.uid} is not finished: resume it.")
        inputs = decode(record.input, self.repositories.values.load)
        options = RunOptions.from_json(record.options)
        return await self._run_again(record, self._graph(record), inputs, (), options=options, caller=caller)

    async def _run_again(
        self,
        record: RunRecord,
        graph: TaskGraph,
        inputs: Mapping[str, object],
        again: Iterable[str],
        *,
        options: RunOptions,
        caller: Caller,
    ) -> Run:
        runs = self.repositories.runs
        delivered = deliver(graph, inputs)
        plan = plan_restart(graph, {row.path: row for row in runs.rows(record)}, again)
        standing = {row.path for row in plan.keep if row.status in FINAL_TASK_STATUSES}
        licence = self.licences.for_run(record, caller.permission)
        licence.admit(graph, delivered, is_final=standing.__contains__)
        for row in plan.keep:
            if row.status == "completed":
                row.source_id, row.cache_key = row.row_id, None
            row.row_id, row.usage = 0, None  # what it took was the other run's
        rows = (*plan.keep, *plan.add)
        journal = self._store(graph, inputs, options, licence, rows=rows, forked_from=record)
        versions = versions_of(graph)
        changed = sorted(type for type, version in record.versions.items() if versions.get(type) != version)
        if changed:  # what completed stands all the same: a rerun after a correction is what this is for
            journal.note(EventRecord(self.clock.now(), None, "code_changed_keep", {"tasks": changed}))
        journal.commit((), block=True)
        environment = self._environment(journal, options, caller, licence)
        scope = Scope(graph, delivered, stored=journal.row)
        return await self._drive(runner_for(graph, environment), scope, journal, Recovery(journal))

    def _store(
        self,
        graph: TaskGraph,
        inputs: Mapping[str, object],
        options: RunOptions,
        licence: Licence,
        *,
        rows: Sequence[TaskRow] = (),
        forked_from: RunRecord | None = None,
        submit: tuple[int, int] | None = None,
        uid: str | None = None,
    ) -> Journal:
        """Make a run of a graph, with its inputs and what it may do; see RunRepository.begin."""
        encoded = encode(inputs, where="the run's inputs")
        return self.repositories.runs.begin(
            graph_record(graph),
            encoded,
            options={**options.to_json(), **licence.to_store(graph, encoded.text)},
            versions=versions_of(graph),
            rows=rows,
            forked_from=forked_from,
            submit=submit,
            uid=uid,
        )

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
        finally:
            self.repositories.outputs.after_run()
        return self.view(self.repositories.runs.get(journal.run.uid))

    def _environment(self, journal: Journal, options: RunOptions, caller: Caller, licence: Licence) -> Environment:
        return Environment(
            clock=self.clock,
            options=options,
            listeners=caller.listeners,
            on_question=caller.on_question,
            registry=self.registry,
            journal=journal,
            load_value=self.repositories.values.load,
            cache=self.repositories.outputs,
            cache_is_journal=True,
            project=self.project,
            project_uid=self.repositories.uid,
            run_id=journal.run.uid,
            alone=caller.alone,
            gate=licence.gate,
            gate_for_data=licence.gate_for_data,
            resolvers=self.resolvers,
            waiting=self.repositories.waiting,
            tracer=self.tracer if caller.tracer is None else caller.tracer,
            queues=self.queues,
            rights=lambda: licence.to_pass_on(journal.run.input),
            spending=self._spending(journal, options),
        )

    def _spending(self, journal: Journal, options: RunOptions) -> Spending | None:
        if options.limit is None:
            return None
        runs, record = self.repositories.runs, journal.run
        spent = total(part for _, text in runs.usages(record) for part in read_parts(text))

        def reread() -> Budget | None:
            try:
                return RunOptions.from_json(runs.get(record.uid).options).limit
            except UnknownRunError:  # its first commit is still to come
                return options.limit

        return Spending(options.limit, spent, reread)

    def set_budget(self, uid: str, budget: Budget) -> Run:
        """Say anew what an unfinished run may take; what waits for more goes on."""
        record = self.repositories.runs.get(uid)
        if not self.repositories.runs.set_option(record, "budget", budget.to_json()):
            raise RunStateError(f"Run {record.uid} is {record.status}, and takes nothing any more.")
        # One that comes before anything waits is kept: whatever then begins to wait looks once more.
        Answering(self.repositories).send_event(BUDGET_EVENT, None, record.uid)
        return self.view(self.repositories.runs.get(record.uid))

    def view(self, record: RunRecord) -> Run:
        """Return a stored run as its user sees it."""
        return Run.of_record(record, self.repositories.runs, self.repositories.values.load)

    def preview(self, uid: str) -> Preview:
        """Preview the graph of a stored run; what completed in the run shows its outputs."""
        from workglow.graph.previews.preview import Preview
        from workglow.graph.previews.surroundings import Surroundings

        record, runs, load = self.repositories.runs.get(uid), self.repositories.runs, self.repositories.values.load
        around = Surroundings(
            self.registry,
            self.clock,
            project=self.project,
            row=lambda path: runs.row(record, path),
            recall=lambda row: {} if row.output is None else decode(row.output, load),
            versions=record.versions,
        )
        return Preview(self._graph(record), decode(record.input, load), surroundings=around)

    def graph_of(self, uid: str) -> TaskGraph:
        """Return the graph that a run is pinned to."""
        return self._graph(self.repositories.runs.get(uid))

    def _graph(self, record: RunRecord) -> TaskGraph:
        return self._stored(record).whole()

    def _stored(self, record: RunRecord) -> StoredGraph:
        return StoredGraph(self.repositories.graphs, record.graph_id, self.registry, self.transforms)


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
