"""Doing a task of a run for the process that drives the run: only its body, with the same context around it.

The task is run as a graph of its own, in memory and at its own path, so that everything that belongs to a body is as it
is in the run: names in the inputs, the gate, the timeout, streams that are added up, usage and the idempotency key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from workglow.errors import CodeChangedError, TaskAbortedError, TaskConfigurationError
from workglow.graph.environment import Environment
from workglow.graph.failure import as_failure, is_worth_a_retry
from workglow.graph.failures import Failures
from workglow.graph.graph import TaskGraph
from workglow.graph.json.loading import task_from_json
from workglow.graph.rights.permission import Permission
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.schedule import Scope
from workglow.queue.handler import Judgement

if TYPE_CHECKING:
    from workglow.graph.engine import Engine
    from workglow.graph.events import Event
    from workglow.graph.schedule import TaskRun
    from workglow.queue import JobContext
    from workglow.storage.records import RunRecord
    from workglow.tasks import Task

__all__ = ["QueuedTask", "TaskNotDone", "do_task", "judge"]


class QueuedTask(NamedTuple):
    """What the job of a task holds."""

    run: str
    path: str
    attempt: int
    definition: dict[str, Any]
    inputs: dict[str, Any]
    rights: dict[str, Any]
    came_in_as_data: bool


class TaskNotDone(Exception):
    """A task failed: with this error, after it had used so much."""

    def __init__(self, error: BaseException, usage: str | None, again: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.usage = usage
        self.again = again


def judge(error: BaseException) -> Judgement:
    """Say what is kept of a failure: whoever drives the run decides about another attempt of the task."""
    if isinstance(error, TaskNotDone):
        return Judgement(error.error, {"usage": error.usage, "again": error.again})
    return Judgement(error, {"usage": None, "again": False})


async def do_task(engine: Engine, asked: QueuedTask, context: JobContext) -> dict[str, Any]:
    """Do a task, and return its outputs (names in the place of what has one) and its usage.

    Raises TaskNotDone for its failure, and TaskAbortedError when the run does not wait for this attempt any more.
    """
    record = engine.repositories.runs.get(asked.run)
    _check_wanted(engine, record, asked)
    task = task_from_json(asked.definition, engine.registry, transforms=engine.transforms)
    _check_version(task, record)
    graph = TaskGraph()
    graph.add_task(task)
    above = asked.path[: len(asked.path) - len(task.id)]
    scope = Scope(graph, {task.id: asked.inputs}, prefix=above)
    runner = _BodyRunner(graph, _environment(engine, record, asked, context))
    run = scope.runs[task.id]
    run.attempt = asked.attempt + context.attempt - 2  # beginning adds 1, and each lost worker counts
    try:
        await runner.run(scope)
    except Exception as error:
        failure = runner.body.error or error
        again = task.retry is not None and is_worth_a_retry(failure, task.retry, run.attempt)
        raise TaskNotDone(failure, run.usage, again) from error
    return {"outputs": dict(run.outputs or {}), "usage": run.usage}


def _check_wanted(engine: Engine, record: RunRecord, asked: QueuedTask) -> None:
    row = engine.repositories.runs.row(record, asked.path)
    if row is None or row.status != "waiting" or row.attempt != asked.attempt:
        raise TaskAbortedError(f"Run {record.uid} does not wait for this attempt of '{asked.path}' any more.")


def _check_version(task: Task, record: RunRecord) -> None:
    pinned = record.versions.get(task.type)
    if pinned is not None and pinned != task.version:
        raise CodeChangedError(
            f"The code of {task.type} in this worker is not that which run {record.uid} began with.  Start "
            "workers with the same code; then rerun what failed."
        )


def _environment(engine: Engine, record: RunRecord, asked: QueuedTask, context: JobContext) -> Environment:
    granted = replace(record, options={**record.options, **asked.rights})
    licence = engine.licences.for_run(granted, Permission())

    def tell(event: Event) -> None:
        if event.kind == "task_progress":
            fraction, message = event.data
            context.progress(fraction, message)

    return Environment(
        clock=engine.clock,
        listeners=(tell,),
        registry=engine.registry,
        load_value=engine.repositories.values.load,
        project=engine.project,
        project_uid=engine.repositories.uid,
        run_id=record.uid,
        gate=licence.gate_for_data if asked.came_in_as_data else licence.gate,
        gate_for_data=licence.gate_for_data,
        resolvers=engine.resolvers,
        tracer=engine.tracer,
    )


class _Body(Failures):
    """Keeps the exception itself; there is no other try here, and no handler."""

    def __init__(self, runner: TaskGraphRunner) -> None:
        super().__init__(runner)
        self.error: BaseException | None = None

    def fail(self, run: TaskRun, error: BaseException) -> None:
        self.error = error
        run.status = "failed"
        self._runner.ending.stop(as_failure(run, error))


class _BodyRunner(TaskGraphRunner):
    """Runs the one task."""

    def __init__(self, graph: TaskGraph, environment: Environment) -> None:
        super().__init__(graph, environment)
        self.failures = self.body = _Body(self)
        self.reports.asker = lambda run: lambda *_, **__: _refuse_question(run)


def _refuse_question(run: TaskRun) -> NoReturn:
    raise TaskConfigurationError(
        f"Task '{run.path}' asks a person, which a worker of a queue cannot wait for.  Take its queue= away, or ask "
        "in a HumanInputTask before it."
    )
