"""The tasks of one run that workers do: put into their queues, and taken back with what came of them.

The policy.  The process that drives the run decides everything about a task: it gathers and checks the inputs, looks
into the cache, asks the gate, counts attempts and retries, and routes failures.  Only the body runs elsewhere.  So a
task that goes through a queue ends like any other, and its job is one attempt of it; the attempts of the job itself are
the times that a worker was lost, and count as attempts of the task.

A task that reads a stream begins when it is whole, and what a task streams is there when it has ended: nothing flows
between processes.  A run that is kept nowhere has no queues, and does everything itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from workglow.errors import InterruptedTaskError, TaskConfigurationError, WorkglowError
from workglow.graph.inputs import gather
from workglow.graph.json.codec import task_to_json
from workglow.graph.queued.failure_elsewhere import failure_from, was_lost
from workglow.graph.resolution import Named
from workglow.graph.rights.gate import gate_of
from workglow.graph.usage import read_parts, total, write_parts
from workglow.graph.waiting.wait import Wait
from workglow.storage.records import JobOfTask
from workglow.values import encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workglow.graph.caching import OutputCache
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import TaskRun
    from workglow.queue import JobQueue
    from workglow.tasks import Task

__all__ = ["TASK_HANDLER", "Placing"]

TASK_HANDLER: Final = "task:"
"""With the type of a task behind it, the name of the handler that does it."""


class Placing:
    """Puts tasks into queues, and hands what came of them to the run."""

    def __init__(self, runner: TaskGraphRunner, cache: OutputCache) -> None:
        self._runner = runner
        self._cache = cache
        self._environment = runner.environment
        self._by_type = runner.options.queues or {}
        self._queues: dict[str, JobQueue] = {}
        self.interrupted: str | None = None
        """What whoever resumed the run decided about side effects whose outcome is unknown."""
        self.enabled = runner.environment.journal is not None and runner.environment.queues is not None

    def queue_of(self, task: Task, inputs: Mapping[str, Any] | None = None) -> str | None:
        """Return the name of the queue whose workers do the task; None when it is done here."""
        if not self.enabled:
            return None
        name = task.queue or self._by_type.get(task.type)
        if name is None and task.picks_queue:
            return cast("Any", task).queue_for(task.defaults if inputs is None else inputs, self._environment.project)
        return name

    def place(self, run: TaskRun) -> bool:
        """Put a task run that is about to begin into its queue; False when it has none."""
        try:
            name = self.queue_of(run.task, run.inputs)
            if name is None:
                return False
            if not run.task.has_body:
                raise TaskConfigurationError(
                    f"{run.task.type} does its work in the process that drives the run; take it out of queues=."
                )
            run.job = self._job(run, self._queue(name))
            self._runner.waits.wait_for(run, Wait(queue=name))
        except WorkglowError as error:
            run.job = None
            self._runner.failures.fail(run, error)
        return True

    def _queue(self, name: str) -> JobQueue:
        queue = self._queues.get(name)
        if queue is None:
            assert self._environment.queues is not None
            queue = self._queues[name] = self._environment.queues().queue(name)
        return queue

    def _job(self, run: TaskRun, queue: JobQueue) -> JobOfTask:
        task, environment = run.task, self._environment
        given = {
            "run": environment.run_id,
            "path": run.path,
            "attempt": run.attempt,
            "definition": task_to_json(task.replace(defaults={})),  # the inputs have what they give
            "inputs": run.inputs,
            "rights": dict(environment.rights()),
            "came_in_as_data": gate_of(run, environment) is not environment.gate,
        }
        cautious = task.side_effects and task.on_interrupt != "retry"
        tries = 1 if cautious else queue.settings.retry.attempts
        return JobOfTask(queue.row_id, TASK_HANDLER + task.type, encode(given, where=f"task '{run.path}'"), tries)

    def tell_progress(self, waiting: Mapping[int, TaskRun], told: Iterable[tuple[int, str]]) -> None:
        """Tell the listeners what workers reported since they were last told."""
        for row_id, text in told:
            run = waiting.get(row_id)
            report: dict[str, Any] = msgspec.json.decode(text)
            fraction = report["percent"] / 100
            if run is not None and fraction != run.progress:
                run.progress = fraction
                self._runner.emit("task_progress", run.path, (fraction, report["message"]))

    # ------------------------------------------------------------------ what came of it

    def take(self, run: TaskRun, told: dict[str, Any]) -> None:
        """End a task run whose job is over, with its outputs or its failure."""
        runner, task = self._runner, run.task
        failure = cast("dict[str, Any] | None", told["error"])
        if failure is not None and was_lost(failure) and task.side_effects and task.on_interrupt != "retry":
            self._interrupt(run)
            return
        run.status, run.state = "running", None
        if run.inputs is None:  # an earlier process put it there
            run.inputs = task.check_inputs(gather(run, task, runner.outputs_of))
            if run.key is None:
                self._cache.identify(run, runner.outputs_of)
        done: dict[str, Any] = told["done"] or {}
        facts: dict[str, Any] = done.get("output") or (failure or {}).get("facts") or {}
        self._count(run, int(told["attempt"]), facts.get("usage"))
        if failure is not None:
            runner.settle(run, None, failure_from(failure))
        else:
            runner.settle(run, Named(facts["outputs"]), None)

    def _count(self, run: TaskRun, tries: int, usage: str | None) -> None:
        """Add what the job took: its lost workers count as attempts, as a lost process does."""
        run.attempt += max(0, tries - 1)
        if usage is not None:
            if self._environment.spending is not None:
                self._environment.spending.add(total(read_parts(usage)))
            parts = {(part.attempt, part.model): part for part in (*read_parts(run.usage), *read_parts(usage))}
            run.usage = write_parts(parts.values())

    def _interrupt(self, run: TaskRun) -> None:
        """Nobody knows whether the effect of a task happened whose worker was lost."""
        runner = self._runner
        unknown = f"Task '{run.path}' was in flight when its worker was lost: whether its effect happened is not known."
        policy = self.interrupted or run.task.on_interrupt
        if policy == "ask":
            runner.waits.open[run] = None  # it goes on waiting for whoever decides
            runner.reports.broken(
                InterruptedTaskError(
                    f"{unknown}  Look, then resume with interrupted='retry' to run it again (same idempotency key) "
                    "or interrupted='fail' to let it count as failed."
                )
            )
        elif policy == "fail":
            run.status, run.state = "running", None
            runner.failures.fail(run, InterruptedTaskError(unknown))
        else:
            run.status, run.state = "pending", None
            runner.schedule.ready.append(run)
