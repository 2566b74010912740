"""Why a job is where it is, in plain words.

Policy.  The reasons are asked in the order in which somebody would have to remove them: a queue that is paused, a time
that has not come, jobs that it needs, nobody who would run it, and at last the jobs that are before it in the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workglow.storage.jobs import FINAL_JOB_STATUSES

if TYPE_CHECKING:
    from workglow.queue.overview import WorkerInfo
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
        self._paused = {(each.name, each.scope) for each in queues.repository.queues() if each.paused_at is not None}
        self._workers = [worker for worker in queues.workers() if worker.alive]

    def waiting(self, job: JobRecord) -> str:
        """Why a pending job has not started, in a few words; '' when it is not pending."""
        if job.status != "pending":
            return ""
        if (job.queue, job.scope) in self._paused:
            return "the queue is paused"
        if job.run_after is not None and job.run_after > self._now:
            return f"{'next try' if job.attempt else 'due'} in {_span(job.run_after - self._now)}"
        if job.waits_for:
            return self._needs(job)
        return self._nobody(job) or self._ahead(job)

    def explain(self, job: JobRecord) -> str:
        """Say in whole sentences why the job is in its state."""
        if job.status == "pending":
            said = f"It waits: {self.waiting(job)}."
            if job.deadline_at is not None:
                said += f"  It fails if it is not over in {_span(max(0, job.deadline_at - self._now))}."
            return said
        if job.status == "running":
            return self._running(job)
        tries = f"after {job.attempt} attempts" if job.attempt != 1 else "at the first attempt"
        return f"It {'was' if job.status == 'aborted' else 'has'} {job.status} {tries}."

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

    def _ahead(self, job: JobRecord) -> str:
        count = self._queues.repository.ahead(job, _COUNTED)
        if count == _COUNTED:
            return f"{count:,} jobs or more ahead"
        return "next in line" if not count else f"{count:,} {'jobs' if count > 1 else 'job'} ahead"

    def _running(self, job: JobRecord) -> str:
        where = next((worker for worker in self._queues.workers() if worker.session_id == job.session_id), None)
        since = "" if job.started_at is None else f" for {_span(self._now - job.started_at)}"
        if where is None or not where.alive:
            return "Its worker is gone; the next worker that is free takes the job over."
        stops = f"  It is to stop: {job.abort_reason}" if job.abort_reason is not None else ""
        return f"It runs{since}, in {_place(where)}.{stops}"


def _place(worker: WorkerInfo) -> str:
    return f"process {worker.pid} on {worker.host}"


def _span(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
