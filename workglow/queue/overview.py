"""What goes on in the queues of a file: how many jobs they have, and who runs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from workglow.storage.jobs import QueueFigures

if TYPE_CHECKING:
    from workglow.queue.queues import Queues
    from workglow.storage.jobs import JobStatus

__all__ = ["QueueInfo", "WorkerInfo", "queue_infos", "worker_infos"]

_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE
_EMPTY: Final = QueueFigures({}, 0, 0, None, (0, 0))


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker of any process that has the file open; times are milliseconds since 1970 (UTC).

    `alive` is False when its process is gone: its jobs are taken over by the next worker that looks.  With no `queues`
    it takes jobs of all.  `jobs` are the numbers of those that it runs.
    """

    id: int
    pid: int
    host: str
    alive: bool
    queues: tuple[str, ...]
    handlers: frozenset[str]
    concurrency: int
    started_at: int
    session_id: int
    jobs: tuple[int, ...] = ()

    def serves(self, queue: str) -> bool:
        """Whether it takes jobs of a queue of that name."""
        return not self.queues or queue in self.queues


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """Figures of one queue; times are milliseconds since 1970 (UTC).

    `deferred` and `needing` of the pending jobs wait for a time, or for other jobs; `oldest` is when the oldest of the
    rest was enqueued.  `last_minute` and `last_hour` count the jobs that were completed and are still kept.
    """

    name: str
    scope: dict[str, Any]
    paused_at: int | None
    counts: dict[JobStatus, int]
    deferred: int
    needing: int
    oldest: int | None
    last_minute: int
    last_hour: int
    workers: int


def worker_infos(queues: Queues) -> list[WorkerInfo]:
    """Every worker on record, with what it runs."""
    records = queues.repository.workers()
    takes = {record.row_id: tuple(msgspec.json.decode(record.queues, type=list[str])) for record in records}
    running: dict[int, list[int]] = {record.row_id: [] for record in records}
    for job in queues.repository.running():
        # A job names its process.  Of several workers in one it belongs to one that takes from its queue and has room.
        mine = (one for one in records if one.session_id == job.session_id)
        able = [one for one in mine if not takes[one.row_id] or job.queue in takes[one.row_id]]
        if able:
            free = [one for one in able if len(running[one.row_id]) < one.concurrency]
            running[(free or able)[0].row_id].append(job.id)
    return [
        WorkerInfo(
            id=record.row_id,
            pid=record.pid,
            host=record.host,
            alive=record.is_alive,
            queues=takes[record.row_id],
            handlers=frozenset(msgspec.json.decode(record.handlers, type=list[str])),
            concurrency=record.concurrency,
            started_at=record.started_at,
            session_id=record.session_id,
            jobs=tuple(running[record.row_id]),
        )
        for record in records
    ]


def queue_infos(queues: Queues) -> list[QueueInfo]:
    """Every queue with its figures; it reads every job once."""
    now = queues.clock.now()
    figures = queues.repository.figures(now, (now - _MINUTE, now - _HOUR))
    alive = [worker for worker in worker_infos(queues) if worker.alive]
    found: list[QueueInfo] = []
    for record in queues.repository.queues():
        known = figures.get(record.row_id, _EMPTY)
        minute, hour = known.ended or (0, 0)
        found.append(
            QueueInfo(
                name=record.name,
                scope=msgspec.json.decode(record.scope),
                paused_at=record.paused_at,
                counts=known.counts,
                deferred=known.deferred,
                needing=known.needing,
                oldest=known.oldest,
                last_minute=minute,
                last_hour=hour,
                workers=sum(worker.serves(record.name) for worker in alive),
            )
        )
    return found
