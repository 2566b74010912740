"""Runs that workers drive: one step of a run as a job, waiting for a run's end, and aborting one.

The policy.  The job of a run goes on with it as far as that is possible without waiting, and is over when the run is
finished or left as waiting; whatever comes for the run then enqueues the next such job.  So a worker is never blocked
by what it would have to do itself.  A run that failed is not tried again; one whose worker was lost is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from workglow.errors import JobFailedError, LeaseLostError, RetryableJobError, RunStateError, WorkglowError
from workglow.graph.run import Run
from workglow.graph.waiting.answering import is_for_job
from workglow.storage.jobs import FINAL_JOB_STATUSES
from workglow.storage.records import FINAL_RUN_STATUSES

if TYPE_CHECKING:
    from workglow.file import File
    from workglow.graph.engine import Engine
    from workglow.queue import Job, JobContext
    from workglow.storage.records import RunRecord

__all__ = ["abort_run", "drive_run", "wait_for_run"]

_LATER: Final = 1.0  # seconds after which a run that somebody else drives is looked at again


async def drive_run(engine: Engine, uid: str, context: JobContext) -> dict[str, str]:
    """Go on with a run until it is finished or waits; its failure is raised."""
    runs = engine.repositories.runs
    record = runs.get(uid)
    if record.status not in FINAL_RUN_STATUSES and not runs.is_abandoned(record):
        raise RetryableJobError(f"Run {uid} is driven by another process.", after=_LATER, counts=False)
    try:
        run = await engine.resume(uid, wait=False)
    except LeaseLostError:
        return {"run": uid, "status": "taken over"}
    except asyncio.CancelledError:
        _abort_if_asked(engine, uid, context)
        raise
    except WorkglowError as error:
        if isinstance(error.run, Run):
            raise
        if isinstance(error, RunStateError) and not runs.is_abandoned(runs.get(uid)):
            raise RetryableJobError(str(error), after=_LATER, counts=False) from error
        raise
    if run.status in ("failed", "aborted"):  # by a worker that was lost before it could say so
        raise JobFailedError(f"Run {uid} has {run.status}: {run.error}", job=context.job_id)
    return {"run": uid, "status": run.status}


def _abort_if_asked(engine: Engine, uid: str, context: JobContext) -> None:
    """A job was told to stop: the run goes on with another worker, unless somebody aborted the job itself."""
    assert engine.queues is not None
    job = engine.queues().repository.get(context.job_id)
    if job is not None and job.abort_reason is not None:
        engine.abort(uid, job.abort_reason)


def abort_run(engine: Engine, run: str, reason: str) -> Run:
    """End a run for good; the worker that drives it is told to."""
    record = engine.repositories.runs.get(run)
    job = _driving(engine, record)
    if job is not None and job.status == "running" and not engine.repositories.runs.is_abandoned(record):
        job.abort(reason)
        return engine.view(engine.repositories.runs.get(record.uid))
    return engine.abort(run, reason)


def _driving(engine: Engine, record: RunRecord) -> Job | None:
    """The newest job that drives a run, unless it is over."""
    job_id = engine.repositories.runs.driving_job(record)
    if job_id is None or engine.queues is None:
        return None
    found = engine.queues().repository.get(job_id)
    return None if found is None or found.status in FINAL_JOB_STATUSES else engine.queues().job(job_id)


async def wait_for_run(engine: Engine, file: File, uid: str, timeout: float | None) -> Run:
    """Return a run when nothing goes on in it; see Project.wait."""
    clock, runs = file.clock, engine.repositories.runs
    until = None if timeout is None else clock.monotonic() + timeout
    while True:
        version = file.version()
        record = runs.get(uid)
        if not _goes_on(engine, record) and file.version() == version:  # else it was looked at in between two states
            file.sync()
            return engine.view(record)
        left = None if until is None else until - clock.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError(
                f"Run {record.uid} is {record.status} after {timeout:g} s; it goes on without this waiter."
            )
        await file.wait_for_change(min(left, _LATER) if left is not None else _LATER, since=version)


def _goes_on(engine: Engine, record: RunRecord) -> bool:
    """Whether a process drives the run, or workers will by themselves."""
    if record.status in FINAL_RUN_STATUSES:
        return False
    if not engine.repositories.runs.is_abandoned(record) or _driving(engine, record) is not None:
        return True
    submitted = engine.repositories.runs.driving_job(record) is not None
    return submitted and any(is_for_job(row) for row in engine.repositories.waiting.rows(record))
