"""What running jobs tell of their progress, on its way into the file: at most ten rows a second of each job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from workglow.errors import FileLockedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.queue.context import Progress
    from workglow.queue.execution import Running
    from workglow.queue.queues import Queues

__all__ = ["Reports"]

_EVERY: Final = 0.1  # seconds between two rows of one job's progress


class Reports:
    """The newest reports of a worker's jobs; `running` are those that still run."""

    def __init__(self, queues: Queues, running: Mapping[int, Running]) -> None:
        self._queues = queues
        self._running = running
        self._told: set[int] = set()
        self._waiting = False

    def take(self, running: Running, progress: Progress) -> None:
        """Have a report kept soon, unless a newer one comes before that."""
        running.progress = msgspec.json.encode(progress._asdict()).decode()
        self._told.add(running.job.id)
        self._keep_soon()

    def _keep_soon(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._queues.clock.call_later(_EVERY, self._keep)

    def _keep(self) -> None:
        self._waiting = False
        told, self._told = self._told, set()
        rows = [
            (running.job, running.progress)
            for job_id in told
            if (running := self._running.get(job_id)) is not None and running.progress is not None
        ]
        if not rows:
            return
        try:
            self._queues.repository.report(rows)
        except FileLockedError:  # somebody else is writing: there is no hurry
            self._told |= told
            self._keep_soon()
        else:
            self._queues.file.notify()
