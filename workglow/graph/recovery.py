"""Reading an unfinished run back: only what is open, a page at a time, while the first tasks already run.

Every unfinished scope has at least one open row, because the end of a task and the readiness of its successors were one
transaction.  So the open rows are the whole frontier.  What is finished is read when somebody needs its outputs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from workglow.errors import InterruptedTaskError, RunStateError
from workglow.graph.inputs import gather
from workglow.graph.schedule import Scope, TaskRun
from workglow.storage.records import FINAL_TASK_STATUSES, EventRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workglow.graph.control.compound import Controller
    from workglow.graph.runner import TaskGraphRunner
    from workglow.storage.protocols import Journal
    from workglow.storage.records import TaskRow

__all__ = ["Recovery"]

_LAST = re.compile(r"(?P<parent>.*?)(?:\[(?P<index>\d+)\])?/$")


class Recovery:
    """Puts the open rows of a run back into a schedule."""

    def __init__(self, journal: Journal, interrupted: str | None = None) -> None:
        self._journal = journal
        self._interrupted = interrupted
        self._rows = iter(journal.open_rows())
        self._scopes: dict[str, Scope] = {}
        self._readers: set[str] = set()  # paths that were restored with the task whose stream they read
        self._asked: set[str] = set()  # paths of those whose readers were restored

    def begin(self, runner: TaskGraphRunner, root: Scope) -> None:
        """Start reading back into this runner."""
        self._runner = runner
        runner.placing.interrupted = self._interrupted
        runner.compounds.reads_back = True
        self._hold(root)

    def _hold(self, scope: Scope) -> None:
        # Until every open row is back, a scope whose known tasks are finished must not count as finished.
        scope.open += 1
        self._scopes[scope.prefix] = scope

    def load_more(self, count: int) -> bool:
        """Read the next open rows, so many at most; True when there are no more."""
        for _ in range(count):
            row = next(self._rows, None)
            if row is None:
                self._release()
                return True
            if row.path not in self._readers:
                self._restore_with_readers(row)
        return False

    def _restore_with_readers(self, row: TaskRow) -> None:
        # Before a task streams again, those who read along must be known, and have been asked what they did.
        rows = [row]
        while rows:
            run = self._restore(rows.pop())
            while run is not None and run.path not in self._asked:
                if run.task.mode in ("stream", "compound"):
                    self._asked.add(run.path)
                    rows += self._readers_of(run)
                run = run.scope.parent  # it may stream what is inside it

    def _readers_of(self, run: TaskRun) -> Iterator[TaskRow]:
        graph, prefix = run.scope.graph, run.scope.prefix
        for edge in graph.outgoing[run.id]:
            path = prefix + edge.target
            if graph.tasks[edge.target].inputs.streaming and path not in self._readers:
                self._readers.add(path)
                found = self._journal.row(path)
                if found is not None and found.status not in FINAL_TASK_STATUSES:
                    yield found

    def _release(self) -> None:
        runner = self._runner
        for scope in reversed(list(self._scopes.values())):
            scope.open -= 1
            if scope.open == 0:
                runner.schedule.closed.append(scope)
        runner.after_resolve()
        runner.compounds.advance_all()

    def _restore(self, row: TaskRow) -> TaskRun | None:
        prefix, _, id = row.path.rpartition("/")
        scope = self._scope(prefix + "/" if prefix else "")
        run = scope.runs.get(id)
        if run is None:
            run = scope.runs[id] = TaskRun(scope, id)
        elif run.controller is not None:
            return None  # something inside it brought it back already
        run.adopt(row)
        run.task = scope.graph.tasks[id]
        run.has_chunks = run.task.mode == "stream"
        if run.task.inputs.streaming:
            self._readers.add(run.path)
            if run.task.mode != "compound" or run.status == "pending":
                scope.count(run)
        self._runner.schedule.restore(run)
        parent = scope.parent
        if parent is not None and parent.status != "running":
            self._runner.failures.abort(run)
        elif run.status == "running" and run.task.mode == "compound":
            self._restore_compound(run)
        elif run.status == "running":
            self._interrupt(run)
        elif run.status == "waiting":
            self._runner.waits.restore(run)
        else:
            self._wait_or_go(run)
        return run

    def _scope(self, prefix: str) -> Scope:
        found = self._scopes.get(prefix)
        if found is not None:
            return found
        match = _LAST.fullmatch(prefix)
        if match is None:
            raise RunStateError(f"The run has a task inside '{prefix}', which is no place in its graph.")
        above, _, id = match["parent"].rpartition("/")
        outer = self._scope(above + "/" if above else "")
        parent = outer.runs[id]
        if parent.controller is None:
            parent.task = outer.graph.tasks[id]
            self._runner.schedule.restore(parent)
            self._restore_compound(parent)
        index = int(match["index"] or 0)
        scope = self._runner.compounds.scope(parent, index, stored=self._journal.row)
        cast("Controller", parent.controller).reopened(index)
        self._hold(scope)
        return scope

    def _restore_compound(self, run: TaskRun) -> None:
        self._journal.keep_open(run)
        if run.task.inputs.streaming:
            self._runner.streams.reenter(run)
        inputs = run.task.check_inputs(gather(run, run.task, self._runner.outputs_of))
        self._runner.compounds.restore(run, inputs)

    def _interrupt(self, run: TaskRun) -> None:
        runner = self._runner
        task = run.task
        policy = self._interrupted or task.on_interrupt
        unknown = f"Task '{run.path}' was in flight when its process ended: whether its effect happened is not known."
        if task.side_effects and policy == "ask":
            raise InterruptedTaskError(
                f"{unknown}  Look, then resume with interrupted='retry' to run it again (same idempotency key) "
                "or interrupted='fail' to let it count as failed."
            )
        now = runner.environment.clock.now()
        self._journal.note(EventRecord(now, run.path, "interrupted", {"attempt": run.attempt}))
        if task.side_effects and policy == "fail":
            runner.failures.fail(run, InterruptedTaskError(unknown))
            return
        run.status = "pending"
        if task.continues_streams:
            runner.streams.continuing.recall(run)
        self._go(run)

    def _wait_or_go(self, run: TaskRun) -> None:
        runner = self._runner
        left = 0 if run.wake_at is None else run.wake_at - runner.environment.clock.now()
        if left > 0:
            runner.sleep(run, left / 1000)
        else:
            self._go(run)

    def _go(self, run: TaskRun) -> None:
        if run.remaining:  # it read along with a task that did not complete, and waits until that streams again
            run.scope.open -= 1
            self._runner.touch(run)
        else:
            self._runner.schedule.ready.append(run)
