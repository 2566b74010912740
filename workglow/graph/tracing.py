"""A run that is traced: a span for the run, for each attempt of a task, and for each turn of a loop.

The policy.  A task's span begins when its body does, or when it opens what it holds or begins to wait, and ends with
the attempt; a task whose outputs were found has one that takes no time, a task that never began has none.  What runs
inside a compound task is inside its span, and inside that of the turn where there are turns, which begin with their
first task.  Spans are for one process: when a run is left waiting or broken off, the open ones end, and whoever resumes
begins others.

A run that is not traced has a plain TaskGraphRunner, and so pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from workglow.errors import WorkglowError
from workglow.graph.compounds import Compounds
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.usage import read_parts, total
from workglow.storage.error_record import error_text
from workglow.telemetry import Tracing

if TYPE_CHECKING:
    from workglow.graph.environment import Environment
    from workglow.graph.events import EventKind
    from workglow.graph.recovery import Recovery
    from workglow.graph.schedule import Runnable, Scope, TaskRun
    from workglow.telemetry import OpenSpan, Tracer

__all__ = ["TracedRunner", "runner_for"]


def runner_for(graph: Runnable, environment: Environment) -> TaskGraphRunner:
    """Return what runs the graph: traced when the environment has a tracer."""
    tracer = environment.tracer
    return TaskGraphRunner(graph, environment) if tracer is None else TracedRunner(graph, environment, tracer)


class TracedRunner(TaskGraphRunner):
    """Runs one graph once, and tells the tracer."""

    def __init__(self, graph: Runnable, environment: Environment, tracer: Tracer) -> None:
        super().__init__(graph, environment)
        self.compounds = _TracedCompounds(self)
        self._tracing = Tracing(tracer)
        self._open: dict[str, tuple[TaskRun, OpenSpan]] = {}  # of tasks, by path
        self._turns: dict[TaskRun, dict[int, OpenSpan]] = {}

    async def run(self, root: Scope, recovery: Recovery | None = None) -> None:
        facts: dict[str, str | bool] = {"workglow.run.resumed": recovery is not None}
        if self._run_id:
            facts["workglow.run.id"] = self._run_id
        self._root = self._tracing.start("run", facts)
        failure: str | None = None
        try:
            with self._root.entered():
                await super().run(root, recovery)
        except BaseException as error:
            if isinstance(error, Exception) and self.status != "aborted":
                failure = f"{type(error).__name__}: {error_text(error)}"
            raise
        finally:
            status = "interrupted" if self.status == "running" else self.status
            for run, _ in reversed(tuple(self._open.values())):
                self._end(run, run.status if run.status == "waiting" else status)
            self._root.set({"workglow.run.status": status})
            self._root.end(failure)

    # ------------------------------------------------------------------ where spans begin and end

    def _begin(self, run: TaskRun) -> bool:
        if run.scope.graph.tasks[run.id].mode in ("compound", "wait"):
            self._span(run)
        return super()._begin(run)

    def _execute(self, run: TaskRun) -> None:
        with self._span(run).entered():  # what is launched here copies the context, into its coroutine or thread
            super()._execute(run)

    def _complete(self, run: TaskRun, kind: EventKind) -> None:
        self._end(run, "completed", cached=kind == "task_cached")
        super()._complete(run, kind)

    def ended(self, run: TaskRun, *, sync: bool = False) -> None:
        if run.status == "failed" or run.path in self._open:
            record = msgspec.json.decode(run.error) if run.status == "failed" and run.error else None
            self._end(run, run.status, None if record is None else (record["type"], record["message"]))
        super().ended(run, sync=sync)

    def emit(self, kind: EventKind, path: str, data: object = None) -> None:
        if kind == "task_retried" and path in self._open:
            error = cast("BaseException", data)
            self._end(self._open[path][0], "retried", (type(error).__name__, error_text(error)))
        super().emit(kind, path, data)

    def end_turn(self, scope: Scope) -> None:
        """A turn of a loop is over."""
        turns = self._turns.get(cast("TaskRun", scope.parent))
        turn = turns.pop(scope.index, None) if turns else None
        if turn is not None:
            turn.end()

    def fail_turn(self, scope: Scope, failure: WorkglowError) -> None:
        """A turn of a loop comes to nothing; its span ends when what is inside it has ended."""
        turn = self._turns.get(cast("TaskRun", scope.parent), {}).get(scope.index)
        if turn is not None:
            turn.error = f"{type(failure).__name__}: {failure}"

    # ------------------------------------------------------------------ spans

    def _span(self, run: TaskRun) -> OpenSpan:
        known = self._open.get(run.path)
        if known is not None:
            return known[1]
        type = run.scope.graph.tasks[run.id].type
        facts: dict[str, str | int] = {"workglow.task.type": type, "workglow.task.path": run.path}
        if self._run_id:
            facts["workglow.run.id"] = self._run_id
        span = self._tracing.start(f"task {type}", facts, self._around(run.scope))
        self._open[run.path] = (run, span)
        return span

    def _around(self, scope: Scope) -> OpenSpan:
        compound = scope.parent
        if compound is None:
            return self._root
        span = self._span(compound)
        if scope.prefix == compound.path + "/":
            return span
        turns = self._turns.setdefault(compound, {})
        if scope.index not in turns:
            facts = {"workglow.task.path": scope.prefix.rstrip("/"), "workglow.turn": scope.index}
            turns[scope.index] = self._tracing.start(f"turn {compound.task.type}", facts, span)
        return turns[scope.index]

    def _end(self, run: TaskRun, status: str, error: tuple[str, str] | None = None, *, cached: bool = False) -> None:
        span = self._span(run)
        del self._open[run.path]
        for turn in self._turns.pop(run, {}).values():
            turn.end()
        facts: dict[str, str | int | float | bool] = {
            "workglow.task.status": status,
            "workglow.task.attempt": run.attempt,
            "workglow.task.cached": cached,
        }
        facts |= _usage_facts(run)
        failure: str | None = None
        if error is not None:
            facts["error.type"] = error[0]
            failure = ": ".join(error)
        span.set(facts)
        span.end(failure)


def _usage_facts(run: TaskRun) -> dict[str, str | int | float | bool]:
    """What this attempt took, under the names that OpenTelemetry agreed on where there are such."""
    if run.usage is None:
        return {}
    parts = [part for part in read_parts(run.usage) if part.attempt == run.attempt]
    usage = total(parts)
    facts: dict[str, str | int | float | bool] = {
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "workglow.usage.model_seconds": usage.model_seconds,
        "workglow.usage.cost": usage.cost,
    }
    models = {part.model for part in parts if part.model}
    return {**facts, "gen_ai.request.model": models.pop()} if len(models) == 1 else facts


class _TracedCompounds(Compounds):
    """Carries out what the controllers of compound tasks decide, and tells when a turn is over."""

    def __init__(self, runner: TracedRunner) -> None:
        super().__init__(runner)
        self._traced = runner

    def closed(self, scope: Scope) -> None:
        self._traced.end_turn(scope)
        super().closed(scope)

    def go_on(self, scope: Scope, failure: WorkglowError) -> bool:
        self._traced.fail_turn(scope, failure)
        goes_on = super().go_on(scope, failure)
        if goes_on:
            self._traced.end_turn(scope)
        return goes_on
