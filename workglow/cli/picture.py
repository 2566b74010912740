"""What goes on in a project file at one moment, and what has changed since another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from workglow.cli.jobs import job_facts, told_error
from workglow.cli.projects import stored_runs
from workglow.cli.queues import label, queue_facts, worker_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workglow.cli.projects import StoredRun
    from workglow.project import Project
    from workglow.queue import QueueInfo, WorkerInfo
    from workglow.storage.jobs import JobRecord

__all__ = ["Photographer", "Picture", "changes"]

_FAILURES: Final = 8  # that are shown
_SHARE: Final = 10  # counting all jobs of a very large file takes at most one tenth of the time


@dataclass(frozen=True, slots=True)
class Picture:
    """Queues, workers, what they run, the runs that are not over, and the newest failed jobs; `at` is milliseconds."""

    at: int
    queues: tuple[QueueInfo, ...]
    workers: tuple[WorkerInfo, ...]
    running: tuple[JobRecord, ...]
    failed: tuple[JobRecord, ...]
    runs: tuple[StoredRun, ...]

    def facts(self) -> dict[str, object]:
        """Return it for other programs."""
        return {
            "at": self.at,
            "queues": list(map(queue_facts, self.queues)),
            "workers": list(map(worker_facts, self.workers)),
            "running": list(map(job_facts, self.running)),
            "failed": list(map(job_facts, self.failed)),
            "runs": [
                {"run": one.run.id, "status": one.status, "created_at": one.run.created_at, "tasks": one.counts}
                for one in self.runs
            ],
        }

    def state(self) -> dict[str, object]:
        """What of it changes only when something happens, and not because time goes by."""
        facts = self.facts()
        fading = dict.fromkeys(("last_minute", "last_hour", "oldest", "deferred"))
        return {**facts, "at": None, "queues": [{**queue_facts(queue), **fading} for queue in self.queues]}


class Photographer:
    """Takes pictures.  Counting all jobs is done less often when it takes long, everything else each time."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._counted: tuple[tuple[QueueInfo, ...], tuple[JobRecord, ...]] = ((), ())
        self._count_at = 0.0

    def take(self) -> Picture:
        """Look at the file."""
        project = self._project
        queues, clock = project.queues, project.file.clock
        if (begun := clock.monotonic()) >= self._count_at:
            failed = queues.repository.find(statuses=("failed",), limit=_FAILURES)
            self._counted = tuple(queues.info()), tuple(failed)
            ended = clock.monotonic()
            self._count_at = ended + _SHARE * (ended - begun)
        infos, failed = self._counted
        return Picture(
            at=clock.now(),
            queues=infos,
            workers=tuple(queues.workers()),
            running=tuple(queues.repository.running()),
            failed=failed,
            runs=tuple(stored_runs(project, open_only=True)),
        )


def changes(before: Picture | None, after: Picture, project: Project) -> Iterator[str]:
    """Say in lines what has changed; without a picture from before, what there is."""
    old = before or Picture(0, (), (), (), (), ())
    yield from _queues(old, after)
    yield from _workers(old, after)
    yield from _runs(old, after, project)
    known = {(job.id, job.claim) for job in old.failed}
    for job in reversed(after.failed):
        if (job.id, job.claim) not in known:
            yield f"job {job.id} of queue {job.queue} failed: {told_error(job.error)}"


def _queues(old: Picture, new: Picture) -> Iterator[str]:
    def told(queue: QueueInfo) -> str:
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(queue.counts.items())) or "empty"
        return f"queue {label(queue.name, queue.scope)}: {counts}{', paused' if queue.paused_at is not None else ''}"

    known = set(map(told, old.queues))
    yield from (line for line in map(told, new.queues) if line not in known)


def _workers(old: Picture, new: Picture) -> Iterator[str]:
    were = {worker.id: worker for worker in old.workers}
    are = {worker.id: worker for worker in new.workers}
    for worker in new.workers:
        before = were.get(worker.id)
        if before is None and worker.alive:
            takes = ", ".join(worker.queues) or "all queues"
            yield f"worker {worker.pid} on {worker.host} takes jobs of {takes}, {worker.concurrency} at a time"
        elif not worker.alive and (before is None or before.alive):
            yield f"worker {worker.pid} on {worker.host} is gone"
    for worker in old.workers:
        if worker.id not in are and worker.alive:
            yield f"worker {worker.pid} on {worker.host} has left"


def _runs(old: Picture, new: Picture, project: Project) -> Iterator[str]:
    def told(one: StoredRun) -> str:
        return f"run {one.run.id}: {one.status}, {one.counts.get('completed', 0)} of {sum(one.counts.values())} tasks"

    known = set(map(told, old.runs))
    yield from (line for line in map(told, new.runs) if line not in known)
    are = {one.run.id for one in new.runs}
    for one in old.runs:
        if one.run.id not in are:
            yield f"run {one.run.id}: {project.get(one.run.id).status}"
