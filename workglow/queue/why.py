"""Why a job waits, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from workglow.errors import UnknownLimiterError

if TYPE_CHECKING:
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import JobRecord, QueueRecord

__all__ = ["why_job"]

_COUNTED: Final = 100_000  # jobs before it that are counted one by one


def why_job(queues: Queues, job: JobRecord) -> str:
    """Say why a job has not started, a line for each reason, or what became of it."""
    if job.status == "running":
        return _running(queues, job)
    if job.status != "pending":
        return f"Job {job.id} is {job.status}{_told(job)}."
    queue = queues.repository.queue(job.queue, job.scope)
    reasons = _reasons(queues, queue, job)
    first = f"Job {job.id} waits in queue {job.queue!r}"
    return "\n".join([f"{first}:", *(f"  {reason}" for reason in reasons)])


def _reasons(queues: Queues, queue: QueueRecord, job: JobRecord) -> list[str]:
    reasons: list[str] = []
    if queue.paused_at is not None:
        reasons.append(f"the queue is paused since {_time(queue.paused_at)}")
    if job.waits_for:
        needed = queues.repository.needs(job.id)
        reasons.append(f"it needs {', '.join(f'job {other}' for other in needed)} to be completed first")
    if job.run_after is not None:
        reasons.append(f"it is not to start before {_when(queues, job.run_after)}{_after(job)}")
    try:
        wait = queues.limits.repository.look_at_queue(queue.row_id, job.cost)
    except UnknownLimiterError as error:
        wait = None
        reasons.append(str(error))
    if wait is not None:
        until = "until a slot is given back" if wait.until is None else f"until {_when(queues, wait.until)}"
        reasons.append(f"{queues.limits.describe(wait)}, {until}")
    worker = _no_worker(queues, job)
    if worker:
        reasons.append(worker)
    ahead = queues.repository.ahead(job, _COUNTED)
    if ahead and job.run_after is None:
        more = " or more" if ahead == _COUNTED else ""
        reasons.append(f"{ahead:,}{more} {'job is' if ahead == 1 else 'jobs are'} before it")
    return reasons or ["nothing is in its way: the next free worker takes it"]


def _running(queues: Queues, job: JobRecord) -> str:
    worker = next((worker for worker in queues.workers() if job.id in worker.jobs), None)
    if worker is None or not worker.alive:
        return f"Job {job.id} ran in a process that is gone; the next worker that is free takes it over."
    stops = "" if job.abort_reason is None else f"\n  it is to stop: {job.abort_reason}"
    return (
        f"Job {job.id} runs: attempt {job.attempt} of {job.max_attempts}, {_since(queues, job.started_at)}, "
        f"in process {worker.pid} on {worker.host}.{stops}"
    )


def _no_worker(queues: Queues, job: JobRecord) -> str:
    """Why no worker that lives would take it; '' when one would."""
    serving = [worker for worker in queues.workers() if worker.alive and worker.serves(job.queue)]
    if not serving:
        return "no worker takes jobs of this queue; start one: workglow worker FILE"
    if not any(job.handler in worker.handlers for worker in serving):
        return f"no worker of this queue knows the handler {job.handler!r}; start one that imports it"
    return ""


def _after(job: JobRecord) -> str:
    return "" if job.error is None else f", after {_error(job.error)}"


def _told(job: JobRecord) -> str:
    return "" if job.error is None or job.status == "completed" else f": {_error(job.error).rstrip('.')}"


def _error(text: str) -> str:
    told = msgspec.json.decode(text)
    return f"{told.get('type')}: {told.get('message')}"


def _since(queues: Queues, at: int | None) -> str:
    return "" if at is None else f"since {_span(queues.clock.now() - at)}"


def _when(queues: Queues, at: int) -> str:
    left = at - queues.clock.now()
    return f"{_time(at)}, in {_span(left)}" if left > 0 else _time(at)


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(milliseconds: int) -> str:
    seconds = max(0, milliseconds) / 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
