"""How many jobs the queues have, how old they are, and how fast they go."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from workglow.storage.jobs import QueueFigures

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from workglow.storage.jobs import JobRecord, JobStatus

__all__ = ["count_ahead", "figures"]

_FIGURES = """
SELECT queue_id, status, count(*),
       count(CASE WHEN run_after > ?1 THEN 1 END),
       count(CASE WHEN waits_for > 0 THEN 1 END),
       min(CASE WHEN waits_for = 0 AND coalesce(run_after, 0) <= ?1 THEN created_at END){}
  FROM job GROUP BY queue_id, status
"""
_AHEAD = """
SELECT 1 FROM job
 WHERE queue_id = (SELECT queue_id FROM job WHERE id = ?1)
   AND status = 'pending' AND run_after IS NULL AND waits_for = 0
"""
_ALL_AHEAD = f"""
SELECT count(*) FROM (
  SELECT 1 FROM ({_AHEAD} AND priority > ?2 LIMIT ?3)
  UNION ALL SELECT 1 FROM ({_AHEAD} AND priority = ?2 AND id < ?1 LIMIT ?3)
  LIMIT ?3
)
"""


def figures(db: apsw.Connection, now: int, since: Sequence[int]) -> dict[int, QueueFigures]:
    """Read every job once; by the queue's key.  A queue without jobs is not there."""
    ended = "".join(f", count(CASE WHEN finished_at >= ?{number} THEN 1 END)" for number in range(2, 2 + len(since)))
    by_queue: defaultdict[int, dict[JobStatus, tuple[Any, ...]]] = defaultdict(dict)
    for queue_id, status, *rest in db.execute(_FIGURES.format(ended), (now, *since)):
        by_queue[queue_id][status] = tuple(rest)  # pyright: ignore[reportArgumentType]
    none = (0, 0, 0, None) + (0,) * len(since)
    found: dict[int, QueueFigures] = {}
    for queue_id, rows in by_queue.items():
        _, deferred, needing, oldest, *_ = rows.get("pending", none)
        counts: dict[JobStatus, int] = {status: row[0] for status, row in rows.items()}
        found[queue_id] = QueueFigures(counts, deferred, needing, oldest, tuple(rows.get("completed", none)[4:]))
    return found


def count_ahead(db: apsw.Connection, job: JobRecord, most: int) -> int:
    """Count, up to `most`, the jobs that are claimed before this one."""
    return db.execute(_ALL_AHEAD, (job.id, job.priority, most)).get
