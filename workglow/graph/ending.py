"""How a run ends: by itself, by its failure, by its time-out, or because somebody stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import GraphTimeoutError, TaskAbortedError, TaskTimeoutError
from workglow.graph.execution import milliseconds
from workglow.graph.results import scope_results
from workglow.storage.error_record import error_record
from workglow.values import encode

if TYPE_CHECKING:
    from workglow.clock import Timer
    from workglow.errors import WorkglowError
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import Scope

__all__ = ["RunEnding"]


class RunEnding:
    """Keeps what ends one run early, and records its end."""

    def __init__(self, runner: TaskGraphRunner) -> None:
        self._runner = runner
        self._timer: Timer | None = None
        self.failure: WorkglowError | None = None
        """What ends the run before all is done; set, nothing more begins."""

    def arm(self) -> None:
        """Let the run's time-out, if it has one, count from now."""
        if timeout := self._runner.options.timeout:
            self._timer = self._runner.environment.clock.call_later(timeout, self._timed_out)

    def disarm(self) -> None:
        """Forget the time-out: the run is over."""
        if self._timer is not None:
            self._timer.cancel()

    def stop(self, failure: WorkglowError) -> None:
        """End the run as soon as possible with this failure; the first one stands."""
        if self.failure is None:
            self.failure = failure
        self._runner.wake()

    def abort(self, reason: str = "The run was aborted.") -> None:
        """Stop for good: what is in flight is cancelled, and the run ends as aborted."""
        self.stop(TaskAbortedError(reason))

    def _timed_out(self) -> None:
        timeout = self._runner.options.timeout or 0
        self.stop(GraphTimeoutError(f"Graph execution timed out after {milliseconds(timeout)}."))

    async def record(self, root: Scope) -> None:
        """Give the run its status and outputs, commit them, and tell the listeners; raises what the run failed with."""
        runner, failure = self._runner, self.failure
        if runner.waits.parked:
            runner.status = "waiting"
            runner.emit("run_finished", "", runner.status)
            return
        error = runner.failures.ignored() if failure is None else error_record(failure)
        if failure is None:
            runner.outputs = scope_results(root, runner.outputs_of)
            runner.status = "failed" if error else "completed"
        else:
            for run in runner.unfinished():
                runner.failures.abort(run)
            aborted = isinstance(failure, TaskAbortedError) and not isinstance(failure, TaskTimeoutError)
            runner.status = "aborted" if aborted else "failed"
        journal = runner.environment.journal
        if journal is not None:
            waiting = journal.commit(
                runner.changed,
                sync=True,
                block=runner.environment.alone,
                status=runner.status,
                output=encode(runner.outputs, where="the graph's outputs") if failure is None else None,
                error=error,
            )
            if waiting is not None:
                await waiting
        runner.emit("run_finished", "", runner.status)
        if failure is not None:
            raise failure
