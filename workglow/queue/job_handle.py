"""A job, seen from outside: what became of it, and what can be done to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from workglow.errors import JobAbortedError, JobFailedError, JobStateError, UnknownJobError
from workglow.queue.context import Progress
from workglow.storage.jobs import FINAL_JOB_STATUSES
from workglow.values import decode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workglow.queue.queues import Queues
    from workglow.storage.jobs import AttemptRecord, JobRecord, JobStatus

__all__ = ["Job", "newest_report"]


class Job:
    """One job of a project file.  Two handles of the same job are equal; what they say is read when it is asked."""

    __slots__ = ("_queues", "_record", "id")

    def __init__(self, queues: Queues, job_id: int, record: JobRecord | None = None) -> None:
        """Use `queue.enqueue` or `project.job`."""
        self.id = job_id
        self._queues = queues
        self._record = record

    def _read(self) -> JobRecord:
        record = self._record
        if record is None or record.status not in FINAL_JOB_STATUSES:
            found = self._queues.repository.get(self.id)
            if found is None:
                raise UnknownJobError(
                    f"There is no job {self.id} any more: it had been kept for as long as its queue keeps jobs."
                )
            record = self._record = found
        return record

    def refresh(self) -> Job:
        """Read the job anew, also one that was over and may have been retried."""
        self._record = None
        self._read()
        return self

    @property
    def status(self) -> JobStatus:
        """'pending', 'running', 'completed', 'failed' or 'aborted'."""
        return self._read().status

    @property
    def record(self) -> JobRecord:
        """Everything that is stored of the job, as it is stored."""
        return self._read()

    @property
    def queue(self) -> str:
        """The name of its queue."""
        return self._read().queue

    @property
    def handler(self) -> str:
        """The name of the function that does it."""
        return self._read().handler

    @property
    def inputs(self) -> dict[str, object]:
        """What the handler is called with."""
        return decode(self._read().input, self._queues.load)

    @property
    def attempt(self) -> int:
        """How often it was started."""
        return self._read().attempt

    @property
    def attempts(self) -> list[AttemptRecord]:
        """The attempts that did not complete it, oldest first."""
        return self._queues.repository.attempts(self.id)

    @property
    def error(self) -> JobFailedError | None:
        """Why the last attempt failed; None when none has, or a later one completed the job."""
        record = self._read()
        if record.error is None or record.status == "completed":
            return None
        told: dict[str, Any] = msgspec.json.decode(record.error)
        kind = JobAbortedError if record.status == "aborted" else JobFailedError
        trace = told.get("trace") or ()
        text = f"Job {self.id} ({record.handler}): {told.get('type')}: {told.get('message')}"
        return kind(text, job=self.id, type=str(told.get("type", "")), trace=trace)

    @property
    def newest_report(self) -> Progress:
        """The newest report of the handler that was kept; 100 per cent when the job is completed."""
        return newest_report(self._read())

    def progress(self) -> AsyncIterator[Progress]:
        """Yield the reports of the handler as they come, to the end of the job: `async for report in job.progress():`.

        Of a job that another process runs the newest one is seen, at most ten times a second.
        """
        return self._queues.progress(self)

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the job to end and return what its handler returned.

        Raises JobFailedError when it failed, JobAbortedError when it was aborted, and TimeoutError after `timeout`
        seconds; the job goes on then.  A result that was returned cannot be lost to a power cut any more.  Of a job
        that is not kept it is only known in the process that ran it; elsewhere this is an UnknownJobError.
        """
        await self._queues.wait_for_end(self, timeout)
        return self._outcome()

    def remember(self, record: JobRecord) -> None:
        """Keep how the job ended, of which nothing is kept in the file."""
        self._record = record

    def result_sync(self, timeout: float | None = None) -> Any:
        """`result`, blocking."""
        from workglow.blocking import run_blocking

        return run_blocking(lambda: self.result(timeout))

    def _outcome(self) -> Any:
        record = self._read()
        if record.status != "completed":
            error = self.error
            raise error if error is not None else JobFailedError(f"Job {self.id} has {record.status}.", job=self.id)
        return decode(record.output or '{"output":null}', self._queues.load)["output"]

    def why(self) -> str:
        """Why it waits: a paused queue, a time, other jobs, a limit and until when, no worker; where it runs; or what
        became of it."""
        from workglow.queue.why import why_job

        return why_job(self._queues, self._read())

    def abort(self, reason: str = "The job was aborted.") -> bool:
        """End the job: at once when it is pending, as soon as its worker hears of it when it runs.

        False when it was over already: what is over stays as it is.
        """
        return bool(self._queues.repository.abort([self.id], reason))

    def retry(self) -> None:
        """Try a failed or aborted job again, with all its attempts; JobStateError when it is neither."""
        if not self._queues.repository.retry([self.id]):
            raise JobStateError(f"Job {self.id} is not retried: {self.why_not_retried()}.")
        self._record = None

    def why_not_retried(self) -> str:
        """Why `retry` leaves it as it is."""
        status = self.refresh().status
        if status not in ("failed", "aborted"):
            return f"it is {status}, and only failed and aborted jobs are"
        repository = self._queues.repository
        for needed in repository.needs(self.id):
            if repository.get(needed) is None:
                return f"it needs job {needed}, which is not kept any more"
        return "another unfinished job has its idempotency key"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id and other._queues is self._queues

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<job {self.id}>"


def newest_report(record: JobRecord) -> Progress:
    """The newest report that is stored of a job; 100 per cent when it is completed."""
    found = Progress(0.0) if record.progress is None else Progress(**msgspec.json.decode(record.progress))
    return found._replace(percent=100.0) if record.status == "completed" else found
