"""What one execution of a graph gives: its named outputs, or the outputs of its last tasks merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from workglow.errors import FileCorruptError
from workglow.graph.graph import TaskGraph
from workglow.graph.schemas import PROPERTY_ARRAY, merge_results, result_plan
from workglow.storage.records import FINAL_TASK_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.schedule import Scope, TaskRun
    from workglow.graph.stored import StoredGraph

__all__ = ["scope_results"]


def scope_results(scope: Scope, outputs_of: Callable[[TaskRun], dict[str, object]]) -> dict[str, object]:
    """Collect a finished scope's outputs; what was disabled or aborted gives none.

    What came into a condition is no result when a task that should have given another did not end well.
    """
    graph = scope.graph if isinstance(scope.graph, TaskGraph) else cast("StoredGraph", scope.graph).whole()
    plan = result_plan(graph)
    finished: dict[str, dict[str, object]] = {}
    for run in map(scope.runs.__getitem__, plan.tasks):
        if run.status == "completed":
            outputs = run.outputs
            finished[run.id] = outputs_of(run) if outputs is None else outputs
        elif run.status not in FINAL_TASK_STATUSES:
            raise FileCorruptError(
                f"Nothing is left to do, but task '{run.path}' was never reached: the file does not say what is open "
                "in the run, which is not finished.  See what `workglow doctor` says of the file."
            )
        elif plan.passing and run.status != "disabled":
            for task_id in plan.passing:  # which come before all others
                finished.pop(task_id, None)
    if len(finished) == 1 and not (plan.gathered or plan.passing or graph.outputs) and graph.merge == PROPERTY_ARRAY:
        return {**next(iter(finished.values()))}  # what nearly every turn of a loop gives
    return merge_results(graph, finished)
