"""What happens when a task fails: another try, its handler, or the end of what holds it.

The policy.  A failure that another attempt may mend is tried again, after the wait that the task's `Retry` gives, or
the longer one that whoever refused it asked for.
Otherwise the first of these applies: an `[error]` edge carries it to a handler; `continue_on_error` breaks what depends
on it and lets the other branches go on; inside a compound task it ends that task; else it ends the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import TaskAbortedError, TaskTimeoutError
from workglow.graph.dataflow import ERROR_PORT
from workglow.graph.failure import as_failure, failure_outputs, is_worth_a_retry
from workglow.storage.error_record import error_record, error_text
from workglow.storage.records import EventRecord

if TYPE_CHECKING:
    from workglow.errors import WorkglowError
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import Scope, TaskRun

__all__ = ["Failures"]


class Failures:
    """Decides what each failure of one run leads to."""

    def __init__(self, runner: TaskGraphRunner) -> None:
        self._runner = runner
        self.unhandled: list[TaskRun] = []

    def ignored(self) -> str | None:
        """Return the record of the first failure that the run went on without, also in an earlier process."""
        if not self._runner.options.continue_on_error:
            return None
        journal = self._runner.environment.journal
        if journal is not None and (earlier := journal.unhandled()) is not None:
            return earlier
        first = self.unhandled[0].failure if self.unhandled else None
        return None if first is None else error_record(first)

    def fail(self, run: TaskRun, error: BaseException) -> None:
        """A task raised, timed out or could not begin."""
        task = run.task
        if run.intake is not None or run.channel is not None:
            self._runner.streams.forget(run)
        if task.retry is not None and run.controller is None and is_worth_a_retry(error, task.retry, run.attempt):
            self._retry(run, error)
            return
        runner = self._runner
        failure = as_failure(run, error)
        aborted = isinstance(failure, TaskAbortedError) and not isinstance(failure, TaskTimeoutError)
        run.status = "aborted" if aborted else "failed"
        run.failure = failure
        run.error = error_record(error)
        runner.ended(run, sync=task.side_effects)
        runner.emit("task_aborted" if aborted else "task_failed", run.path, failure)
        self._route(run, failure, error)

    def _route(self, run: TaskRun, failure: WorkglowError, error: BaseException) -> None:
        runner = self._runner
        routes = (edge.source_port == ERROR_PORT for edge in run.scope.graph.outgoing[run.id])
        if run.status == "failed" and any(routes):
            runner.streams.withdraw(run)
            run.outputs = failure_outputs(run)
            runner.schedule.resolve(run)
            runner.after_resolve()
        elif runner.options.continue_on_error and run.status == "failed" and not run.scope.is_attempt():
            self.unhandled.append(run)
            run.error = error_record(error, unhandled=failure)
            runner.streams.withdraw(run)
            runner.schedule.resolve(run, broken=True)
            runner.after_resolve()
        elif run.scope.parent is None:
            self.unhandled.append(run)
            runner.ending.stop(failure)
        elif run.scope.parent.status == "running" and not (
            run.status == "failed" and runner.compounds.go_on(run.scope, failure)
        ):
            self.fail_compound(run.scope.parent, failure)

    def fail_compound(self, run: TaskRun, failure: WorkglowError) -> None:
        """A compound task ends with the failure of what is inside it; the rest inside is aborted."""
        runner = self._runner
        runner.compounds.forget(run)
        self.abort_inside(run)
        self.fail(run, failure)

    def abort_inside(self, run: TaskRun, scope: Scope | None = None) -> None:
        """End what a compound task holds, or what is in one scope of it."""
        for inner in self._runner.unfinished():
            if inner.is_inside(run, scope):
                self.abort(inner)

    def abort(self, run: TaskRun) -> None:
        """End one task run that nobody needs any more."""
        if run.status not in ("pending", "running", "waiting"):
            return
        runner = self._runner
        runner.cancel(run, "The run no longer needs this task.")
        run.status = "aborted"
        runner.ended(run)
        runner.emit("task_aborted", run.path, TaskAbortedError(f"Task '{run.path}' was stopped with its run."))

    def _retry(self, run: TaskRun, error: BaseException) -> None:
        runner = self._runner
        retry, environment = run.task.retry, runner.environment
        assert retry is not None
        wait = max(retry.wait(run.attempt), getattr(error, "after", None) or 0.0)
        run.status = "pending"
        run.wake_at = environment.clock.now() + round(wait * 1000) if wait else None
        if environment.journal is not None:
            data = {"attempt": run.attempt, "error": f"{type(error).__name__}: {error_text(error)}", "wait": wait}
            environment.journal.note(EventRecord(environment.clock.now(), run.path, "retried", data))
            runner.touch(run)
        runner.emit("task_retried", run.path, error)
        runner.streams.withdraw(run, error)
        if wait:
            runner.sleep(run, wait)
        else:
            runner.schedule.ready.append(run)
