"""A worker that is traced: a span for each attempt of a job that it runs.

A span begins when the handler is to be called, its inputs still unchecked, and ends when the attempt has come to
something here, before that is in the file.  A worker that is not traced is a plain Worker, and so pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from workglow.queue.worker import Worker

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from workglow.queue.execution import Running
    from workglow.queue.job_queue import JobQueue
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import ClaimedJob, Settlement
    from workglow.telemetry import OpenSpan, Tracing

__all__ = ["TracedWorker"]


class TracedWorker(Worker):
    """Runs jobs in this process, and tells the tracer."""

    def __init__(
        self,
        queues: Queues,
        chosen: Sequence[JobQueue],
        names: Sequence[str] = (),
        *,
        tracing: Tracing,
        concurrency: int = 1,
        alone: bool = False,
    ) -> None:
        super().__init__(queues, chosen, names, concurrency=concurrency, alone=alone)
        self._tracing = tracing
        self._open: dict[ClaimedJob, OpenSpan] = {}

    def _start(self, job: ClaimedJob) -> None:
        if self._queues.handlers.find(job.handler) is None:  # it is left to others, and so no attempt
            super()._start(job)
            return
        span = self._open[job] = self._tracing.start(
            "workglow.job",
            {
                "workglow.queue": self._by_id[job.queue_id].name,
                "workglow.job.id": job.id,
                "workglow.job.handler": job.handler,
                "workglow.job.attempt": job.attempt,
            },
        )
        with span.entered():  # what is launched here copies the context, into its coroutine or thread
            super()._start(job)
        self._look_at(job)

    def _complete(self, running: Running, result: object) -> None:
        super()._complete(running, result)
        self._look_at(running.job)

    def _fail(self, running: Running, error: BaseException) -> None:
        super()._fail(running, error)
        self._look_at(running.job)

    def _drop(self, job_id: int) -> None:
        running = self._running.get(job_id)
        super()._drop(job_id)
        if running is not None:
            self._end(running.job, "lost")

    def _stop_unwanted(self) -> None:
        before = [running.job for running in self._running.values()]
        super()._stop_unwanted()
        for job in before:
            if job.id not in self._running:
                self._end(job, "lost")  # unless it was aborted, which has ended it

    async def _leave(self, watching: asyncio.Task[None]) -> None:
        try:
            await super()._leave(watching)
        finally:
            for job in tuple(self._open):
                self._end(job, "returned")

    # ------------------------------------------------------------------ spans

    def _look_at(self, job: ClaimedJob) -> None:
        """End the span of an attempt that was just settled."""
        if self._settled and self._settled[-1].job is job:
            settled = self._settled[-1]
            self._end(job, settled.outcome, settled)

    def _end(self, job: ClaimedJob, outcome: str, settled: Settlement | None = None) -> None:
        span = self._open.pop(job, None)
        if span is None:
            return
        facts = {"workglow.job.outcome": outcome}
        failure: str | None = None
        if settled is not None and settled.error is not None and outcome != "aborted":
            error = msgspec.json.decode(settled.error)
            failure = f"{error['type']}: {error['message']}"
            facts |= {"error.type": error["type"], "workglow.job.error": failure}
        span.set(facts)
        span.end(failure)
