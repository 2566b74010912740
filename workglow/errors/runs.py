"""What happens to runs and their tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors.root import WorkglowError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "BudgetError",
    "CodeChangedError",
    "GraphTimeoutError",
    "InterruptedTaskError",
    "LeaseLostError",
    "MaxIterationsError",
    "QuestionChangedError",
    "ResumeError",
    "RunError",
    "RunStateError",
    "TaskAbortedError",
    "TaskEntitlementError",
    "TaskFailedError",
    "TaskTimeoutError",
    "UnknownGraphError",
    "UnknownRunError",
]


class TaskFailedError(WorkglowError):
    """A task raised.  The original exception is the `__cause__`; `task` is the task's path."""

    task: str | None = None


class TaskAbortedError(TaskFailedError):
    """A task or run was told to stop."""


class TaskTimeoutError(TaskAbortedError):
    """A task took longer than its timeout."""


class GraphTimeoutError(TaskTimeoutError):
    """A whole graph took longer than its timeout."""


class MaxIterationsError(TaskFailedError):
    """A loop was given more items than its `max_iterations` allows."""


class TaskEntitlementError(WorkglowError):
    """Tasks need what was not granted to the run; the text says which, what for, and how to grant it.

    `missing` holds an EntitlementRequest for each.
    """

    missing: tuple[object, ...] = ()


class RunError(WorkglowError):
    """Something about a stored run."""


class UnknownRunError(RunError):
    """The file has no run with that id."""


class UnknownGraphError(RunError):
    """The file has no graph of that name."""


class RunStateError(RunError):
    """The run is in a state that does not allow this."""


class CodeChangedError(RunError):
    """Tasks changed since the run began; the text names them and the choices."""


class ResumeError(RunError):
    """Of several runs that were resumed, some failed or could not go on; all of them had their turn.

    `runs` are those that went on without an error; `errors` maps the ids of the others to what each raised.
    """

    def __init__(self, runs: Sequence[object], errors: Mapping[str, Exception]) -> None:
        self.runs = list(runs)
        self.errors = dict(errors)
        said = "".join(f"\n  {uid}: {type(error).__name__}: {error}" for uid, error in self.errors.items())
        super().__init__(
            f"{len(self.errors)} of {len(self.runs) + len(self.errors)} runs failed or did not go on:{said}"
        )


class InterruptedTaskError(RunError):
    """A task with side effects was in flight at a crash, and its policy forbids a silent repeat."""


class QuestionChangedError(RunError):
    """A task that is begun anew asks something else than what was answered in that turn before."""


class BudgetError(RunError):
    """A run has taken of models what it may, and nobody can give it more."""


class LeaseLostError(RunError):
    """Another process took the run over; nothing more is written by this one."""
