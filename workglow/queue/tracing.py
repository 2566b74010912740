"""Attempts that are traced, each with a span.

A span begins when the handler is to be called, its inputs still unchecked, and ends when the attempt has come to
something here, before that is in the file.  A worker that is not traced has plain Attempts, and so pays nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from workglow.queue.attempts import Attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from workglow.queue.execution import Running
    from workglow.queue.job_queue import JobQueue
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import ClaimedJob, Settlement
    from workglow.telemetry import OpenSpan, Tracing

__all__ = ["TracedAttempts"]


class TracedAttempts(Attempts):
    """What a worker runs, and what the tracer is told of it."""

    def __init__(
        self,
        tracing: Tracing,
        queues: Queues,
        by_id: Mapping[int, JobQueue],
        *,
        began: Callable[[], None],
        awake: Callable[[], None],
    ) -> None:
        super().__init__(queues, by_id, began=began, awake=awake)
        self._tracing = tracing
        self._open: dict[ClaimedJob, OpenSpan] = {}

    def start(self, job: ClaimedJob) -> None:
        if self._queues.handlers.find(job.handler) is None:  # it is left to others, and so no attempt
            super().start(job)
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
            super().start(job)
        self._look_at(job)

    def _complete(self, running: Running, result: object) -> None:
        super()._complete(running, result)
        self._look_at(running.job)

    def _fail(self, running: Running, error: BaseException) -> None:
        super()._fail(running, error)
        self._look_at(running.job)

    def _drop(self, job_id: int) -> None:
        running = self.running.get(job_id)
        super()._drop(job_id)
        if running is not None:
            self._end(running.job, "lost")

    def stop_unwanted(self) -> None:
        before = [running.job for running in self.running.values()]
        super().stop_unwanted()
        for job in before:
            if job.id not in self.running:
                self._end(job, "lost")  # unless it was aborted, which has ended it

    async def close(self) -> None:
        try:
            await super().close()
        finally:
            for job in tuple(self._open):
                self._end(job, "returned")

    # ------------------------------------------------------------------ spans

    def _look_at(self, job: ClaimedJob) -> None:
        """End the span of an attempt that was just settled."""
        if self.settled and self.settled[-1].job is job:
            settled = self.settled[-1]
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
