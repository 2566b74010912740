"""The scopes inside compound tasks: opened, reopened after a crash, closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from workglow.errors import GraphFormatError, WorkglowError
from workglow.graph.delivery import deliver
from workglow.graph.json.codec import DEEPEST_GRAPH
from workglow.graph.results import scope_results
from workglow.graph.schedule import Scope, TaskRun
from workglow.graph.streams.borders import Inflow

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.control.compound import Controller, GraphAsTask, Recall
    from workglow.graph.runner import TaskGraphRunner
    from workglow.storage.records import TaskRow

__all__ = ["Compounds"]


class Compounds:
    """Carries out what the controllers of compound tasks decide."""

    def __init__(self, runner: TaskGraphRunner) -> None:
        self._runner = runner
        self.open_runs: dict[TaskRun, None] = {}
        self.reads_back = False  # rows of an earlier process: what is not known yet is not finished

    def open(self, run: TaskRun) -> None:
        """Begin a compound task whose inputs are known."""
        self.open_runs[run] = None
        try:
            run.controller = self._unfolded(run, run.inputs or {}).controller(
                run.inputs or {}, None, self._recaller(run)
            )
            run.holds_others = True
        except WorkglowError as error:
            self._runner.failures.fail_compound(run, error)
            return
        self.advance(run)

    def _unfolded(self, run: TaskRun, inputs: dict[str, object]) -> GraphAsTask:
        """A task whose graph comes with its inputs becomes one that holds it, for this run."""
        unfold = getattr(run.task, "unfold", None)
        if unfold is not None:
            around = run.scope.parent
            for _ in range(DEEPEST_GRAPH):
                around = around.scope.parent if around is not None else None
            if around is not None:  # a graph may write the next one, without end
                raise GraphFormatError(f"'{run.path}' is more than {DEEPEST_GRAPH} graphs deep.")
            environment = self._runner.environment
            run.task = unfolded = unfold(inputs, environment.registry, run.scope.graph.transforms)
            environment.options.check_size(len(unfolded.subgraph.tasks))
        return run.task  # pyright: ignore[reportReturnType]

    def advance(self, run: TaskRun) -> None:
        """Open the scopes that the controller asks for, and end the task when it asks for no more."""
        controller: Controller = run.controller
        outputs: dict[str, object] | None = None
        try:
            opened = self._open_scopes(run, controller)
            finished = controller.finished()
            if (opened or finished) and self._runner.environment.journal is not None:
                run.state = _state_text(controller)
                self._runner.touch(run)
            if finished:
                outputs = controller.outputs()
        except WorkglowError as error:
            self._runner.failures.fail_compound(run, error)
            return
        if outputs is not None:
            self._runner.complete_compound(run, outputs)

    def _open_scopes(self, run: TaskRun, controller: Controller) -> bool:
        opened = False
        for index in controller.openings():
            opened = True
            try:
                scope = self.scope(run, index, stored=None)
            except WorkglowError as error:
                if not controller.failed(index, error):
                    raise
            else:
                self._runner.schedule.open(scope)
        return opened

    def advance_all(self) -> None:
        """Go on with every compound task that an earlier process began, now that all rows are back."""
        self.reads_back = False
        for run in tuple(self.open_runs):
            if run.status == "running":
                self.advance(run)

    def scope(self, run: TaskRun, index: int, *, stored: Callable[[str], TaskRow | None] | None) -> Scope:
        """Make the scope of one iteration, without opening it."""
        controller: Controller = run.controller
        graph, prefix = controller.graph(index), controller.prefix(run.path, index)
        inputs = controller.inputs(index)
        scope = Scope(
            graph, deliver(graph, inputs, where=prefix), prefix=prefix, parent=run, index=index, stored=stored
        )
        scope.inflows = any(type(value) is Inflow for value in inputs.values())
        return scope

    def restore(self, run: TaskRun, inputs: dict[str, object]) -> None:
        """Give a compound task that an earlier process began its controller back."""
        self.open_runs[run] = None
        state = msgspec.json.decode(run.state or "null")
        run.controller = self._unfolded(run, inputs).controller(inputs, state, self._recaller(run))
        run.holds_others = True
        self._runner.rearm(run)

    def closed(self, scope: Scope) -> None:
        """Nothing is left to do in a scope."""
        run = scope.parent
        assert run is not None
        if run.status != "running":
            return
        controller: Controller = run.controller
        try:
            controller.closed(scope.index, scope_results(scope, self._runner.outputs_of))
        except WorkglowError as error:
            self._runner.failures.fail_compound(run, error)
            return
        progress = controller.progress() if self._runner.environment.listeners else None
        if progress is not None:
            run.progress = progress[0]
            self._runner.emit("task_progress", run.path, progress)
        self.advance(run)

    def forget(self, run: TaskRun) -> None:
        """A task run is over, or was none of a compound task."""
        self.open_runs.pop(run, None)

    def go_on(self, scope: Scope, failure: WorkglowError) -> bool:
        """A scope failed: when its task goes on all the same, let it, and end what is left of the scope."""
        run = scope.parent
        assert run is not None
        if not run.controller.failed(scope.index, failure):
            return False
        self._runner.failures.abort_inside(run, scope)
        if self._runner.environment.journal is not None:  # that it failed is known with the failure, not later
            run.state = _state_text(run.controller)
            self._runner.touch(run)
        if run.channel is not None:
            self._runner.streams.withdraw(run, failure)
        if not self.reads_back:
            self.advance(run)
        return True

    def _recaller(self, run: TaskRun) -> Recall:
        def recall(index: int) -> dict[str, object]:
            journal, controller = self._runner.environment.journal, cast("Controller", run.controller)
            assert journal is not None
            prefix = controller.prefix(run.path, index)
            scope = Scope(controller.graph(index), {}, prefix=prefix, parent=run, index=index, stored=journal.row)
            return scope_results(scope, self._runner.outputs_of)

        return recall


def _state_text(controller: Controller) -> str | None:
    state = controller.state()
    return None if state is None else msgspec.json.encode(state).decode()
