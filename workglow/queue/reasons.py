"""Why a job has not started, in a few words; `why` says all there is to say.

Policy.  The reasons are asked in the order in which somebody would have to remove them: a queue that is paused, a time
that has not come, jobs that it needs, nobody who would run it, a limit, and at last the jobs that are before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workglow.errors import UnknownLimiterError
from workglow.storage.jobs import FINAL_JOB_STATUSES

if TYPE_CHECKING:
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import JobRecord

__all__ = ["Reasons"]

_COUNTED: Final = 1000  # jobs ahead that are counted one by one
_NAMED: Final = 3  # needed jobs that are named


class Reasons:
    """Says for any number of jobs why they wait; what holds for all of them is read once."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self._now = queues.clock.now()
        self._records = {(each.name, each.scope): each for each in queues.repository.queues()}
        self._workers = [worker for worker in queues.workers() if worker.alive]
        self._limits: dict[tuple[int, int], str] = {}

    def waiting(self, job: JobRecord) -> str:
        """Why a pending job has not started, in a few words; '' when it is not pending."""
        if job.status != "pending":
            return ""
        queue = self._records[job.queue, job.scope]
        if queue.paused_at is not None:
            return "the queue is paused"
        if job.run_after is not None and job.run_after > self._now:
            return f"{'next try' if job.attempt else 'due'} in {_span(job.run_after - self._now)}"
        if job.waits_for:
            return self._needs(job)
        return self._nobody(job) or self._limit(queue.row_id, job.cost) or self._ahead(job)

    def _needs(self, job: JobRecord) -> str:
        repository = self._queues.repository
        told: list[str] = []
        needs = repository.needs(job.id)
        for needed in needs[:_NAMED]:
            found = repository.get(needed)
            state = "gone" if found is None else found.status
            told.append(f"{needed}, which is {state}" if state in ("gone", *FINAL_JOB_STATUSES) else str(needed))
        more = f" and {len(needs) - _NAMED} more" if len(needs) > _NAMED else ""
        return f"needs job{'s' if len(needs) > 1 else ''} {', '.join(told)}{more}"

    def _nobody(self, job: JobRecord) -> str:
        """Whether there is a worker that would take it."""
        serving = [worker for worker in self._workers if worker.serves(job.queue)]
        if not serving:
            return "no worker is running" if not self._workers else "no worker takes from this queue"
        if not any(job.handler in worker.handlers for worker in serving):
            return f"no worker knows {job.handler}"
        return ""

    def _limit(self, queue_id: int, cost: int) -> str:
        """Which limit does not let a job of this cost start now."""
        known = self._limits.get((queue_id, cost))
        if known is None:
            limits = self._queues.limits
            try:
                wait = limits.repository.look_at_queue(queue_id, cost)
            except UnknownLimiterError:  # only the processes that know its kind can say more
                wait, known = None, "its queue has a limiter that is not known here"
            else:
                known = "" if wait is None else limits.describe(wait)
            if wait is not None and wait.until is not None:
                known += f", for {_span(max(0, wait.until - self._now))}"
            self._limits[queue_id, cost] = known
        return known

    def _ahead(self, job: JobRecord) -> str:
        count = self._queues.repository.ahead(job, _COUNTED)
        if count == _COUNTED:
            return f"{count:,} jobs or more ahead"
        return "next in line" if not count else f"{count:,} {'jobs' if count > 1 else 'job'} ahead"


def _span(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
