"""What a handler may ask of the job it runs."""

from __future__ import annotations

import hashlib
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from workglow.errors import JobInputError
from workglow.tasks.context import TaskContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.clock import Clock

__all__ = ["JobContext", "Progress"]


class Progress(NamedTuple):
    """How far a job is: `percent` from 0 to 100, a message for people, and details for programs."""

    percent: float
    message: str = ""
    details: Mapping[str, object] | None = None


class JobContext(TaskContext):
    """Given to a handler that asks for it, by annotation or by naming a parameter `context` or `ctx`.

    `job_id` and `queue` name the job, `attempt` counts from 1.  `signal` says when to stop, `own` keeps a resource
    until the job ends, `idempotency_key` is the same for every attempt of the job and for no other.
    """

    __slots__ = ("_on_report", "job_id", "queue", "spent")

    def __init__(
        self,
        *,
        job_id: int,
        queue: str,
        attempt: int,
        clock: Clock,
        project: Any = None,
        project_uid: str = "",
        on_report: Callable[[Progress], None] | None = None,
    ) -> None:
        super().__init__(attempt=attempt, clock=clock, project=project, project_uid=project_uid)
        self.job_id = job_id
        self.queue = queue
        self._on_report = on_report
        self.spent: int | None = None
        """What it has really cost, if that was said."""

    @property
    def idempotency_key(self) -> str:
        """64 hex digits that are the same for every attempt of this job, and for no other job."""
        identity = "\n".join((self._project_uid, "job", str(self.job_id)))
        return hashlib.sha256(identity.encode()).hexdigest()

    def spend(self, cost: int) -> None:
        """Say what the job has really cost, tokens say, when that is not what was reserved for it."""
        if isinstance(cost, bool) or not isinstance(cost, int) or not 0 <= cost < 2**63:  # pyright: ignore
            raise JobInputError(f"spend({cost!r}): give a whole number, 0 or more.")
        self.spent = cost

    def progress(self, fraction: float, message: str = "", details: Mapping[str, object] | None = None) -> None:
        """Report how much is done, from 0 to 1, with a message for people and details for programs.

        The newest report is kept in the file, at most ten times a second.  JobInputError for what cannot be kept.
        """
        if not isinstance(cast("object", fraction), int | float) or isnan(fraction):
            raise JobInputError(f"progress({fraction!r:.60}): give a number from 0 to 1.")
        if not isinstance(cast("object", message), str):
            raise JobInputError(f"progress(message={message!r:.60}): give a text.")
        try:
            msgspec.json.encode((message, details))
        except (TypeError, ValueError) as error:  # a lone surrogate is a ValueError
            raise JobInputError(f"progress(): its message and details are kept as JSON, and {error}") from error
        if self._on_report is not None:
            percent = min(max(float(fraction), 0.0), 1.0) * 100
            self._on_report(Progress(percent, message, details))
