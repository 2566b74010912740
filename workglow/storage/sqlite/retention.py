"""Growth is bounded: which runs may go, and which values nothing refers to any more.

The policy.  An unfinished run or job never goes.  What a cached output refers to stays for as long as the output:
before a run goes, its cached outputs move to `task_output`.  Values are found by marking: every text that can hold a
reference is read once, under the write lock, so that nobody can begin to refer to a value that is being removed.  A job
goes when its queue says so, or when it is old and that was asked for; one that an unfinished job needs stays until that
is over.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from workglow.storage.sqlite.changes import note_run
from workglow.storage.sqlite.queued import keep_newest_number
from workglow.storage.sqlite.tasktypes import TaskTypes
from workglow.storage.sqlite.values import references

if TYPE_CHECKING:
    from collections.abc import Iterator

    import apsw

    from workglow.file import File

__all__ = ["RetentionPlan", "collect", "plan"]

_TEXTS = """
SELECT output FROM task_run    WHERE output LIKE '%"$value"%'
UNION ALL SELECT output FROM task_output WHERE output LIKE '%"$value"%'
UNION ALL SELECT input  FROM run         WHERE input  LIKE '%"$value"%'
UNION ALL SELECT output FROM run         WHERE output LIKE '%"$value"%'
UNION ALL SELECT state   FROM task_run   WHERE state   LIKE '%"$value"%'
UNION ALL SELECT content FROM answer     WHERE content LIKE '%"$value"%'
UNION ALL SELECT question FROM answer    WHERE question LIKE '%"$value"%'
UNION ALL SELECT content FROM sent_event WHERE content LIKE '%"$value"%'
UNION ALL SELECT input  FROM job         WHERE input  LIKE '%"$value"%'
UNION ALL SELECT output FROM job         WHERE output LIKE '%"$value"%'
UNION ALL SELECT input  FROM schedule    WHERE input  LIKE '%"$value"%'
UNION ALL SELECT definition FROM graph_task WHERE definition LIKE '%"$value"%'
UNION ALL SELECT data   FROM stream_chunk WHERE data  LIKE '%"$value"%'
"""

_WAITS = """
SELECT run_id, state FROM task_run WHERE state LIKE '%"$value"%'
UNION ALL SELECT run_id, content FROM answer JOIN task_run ON id = task_run_id WHERE content LIKE '%"$value"%'
UNION ALL SELECT run_id, question FROM answer JOIN task_run ON id = task_run_id WHERE question LIKE '%"$value"%'
UNION ALL SELECT run_id, content FROM sent_event WHERE content LIKE '%"$value"%'
"""

_OLD_JOBS = """
  FROM job
 WHERE finished_at < ?1
   AND NOT EXISTS (SELECT 1 FROM job_dependency JOIN job AS waiting ON waiting.id = job_dependency.job_id
                    WHERE needs_id = job.id AND waiting.finished_at IS NULL)
"""


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What would go: runs by their ids, unreferenced values by number, and roughly how many bytes that frees.

    `jobs` is how many finished jobs would go, those that ended before `jobs_before`, in milliseconds.
    """

    runs: tuple[str, ...]
    values: int
    bytes: int
    jobs: int = 0
    jobs_before: int | None = None


def plan(
    file: File,
    *,
    keep_runs: int | None = None,
    older_than_ms: int | None = None,
    jobs_older_than_ms: int | None = None,
) -> RetentionPlan:
    """Say what `collect` would remove; changes nothing.

    keep_runs: all finished runs but the newest so many may go.  older_than_ms: so may those that finished longer ago.
    jobs_older_than_ms: so may jobs that ended longer ago.  With none of them, only values that nothing refers to.
    """
    db, now = file.reader, file.clock.now()
    runs = _removable(db, now, keep_runs, older_than_ms)
    marks = ",".join("?" * len(runs))
    gone = db.execute(
        f"SELECT coalesce(sum(length(output) + length(path) + 100), 0) FROM task_run WHERE run_id IN ({marks})",
        tuple(runs),
    ).get
    before = None if jobs_older_than_ms is None else now - jobs_older_than_ms
    jobs, job_bytes = db.execute(
        f"SELECT count(*), coalesce(sum(length(input) + coalesce(length(output), 0) + 100), 0) {_OLD_JOBS}", (before,)
    ).get
    unreferenced = _unreferenced(db, exclude=frozenset(runs), jobs_before=before)
    freed = sum(size for _, size in unreferenced)
    return RetentionPlan(tuple(runs.values()), len(unreferenced), freed + gone + job_bytes, jobs, before)


def collect(file: File, chosen: RetentionPlan, *, keep_cache: bool = True) -> int:
    """Remove what was planned, and give the pages back to the system; returns the bytes by which the file shrank."""
    before = _size(file)
    now = file.clock.now()
    with file.transaction() as db:
        for uid in chosen.runs:
            row = db.execute("SELECT id FROM run WHERE uid = ? AND finished_at IS NOT NULL", (uid,)).fetchone()
            if row is not None:
                _remove_run(db, row[0], now, keep_cache=keep_cache)
        if chosen.jobs:
            _remove_jobs(db, chosen.jobs_before)
        for value_id, _ in _unreferenced(db):
            db.execute("DELETE FROM value WHERE id = ?", (value_id,))
        db.execute(
            """
            DELETE FROM graph WHERE NOT EXISTS (SELECT 1 FROM run WHERE graph_id = graph.id)
                                AND NOT EXISTS (SELECT 1 FROM graph_version WHERE graph_id = graph.id)
                                AND NOT EXISTS (SELECT 1 FROM schedule WHERE graph_id = graph.id)
            """
        )
    file.vacuum()
    return before - _size(file)


def _removable(db: apsw.Connection, now: int, keep_runs: int | None, older_than_ms: int | None) -> dict[int, str]:
    if keep_runs is None and older_than_ms is None:
        return {}
    finished = db.execute(
        "SELECT id, uid, finished_at FROM run WHERE finished_at IS NOT NULL ORDER BY id DESC"
    ).fetchall()
    if keep_runs is not None:
        finished = finished[keep_runs:]
    if older_than_ms is not None:
        finished = [row for row in finished if cast("int", row[2]) < now - older_than_ms]
    return {cast("int", row[0]): cast("str", row[1]) for row in finished}


def _remove_run(db: apsw.Connection, run_id: int, now: int, *, keep_cache: bool) -> None:
    if keep_cache:
        types = TaskTypes(db)
        cached: list[tuple[Any, ...]] = db.execute(
            """
            SELECT cache_key, run.graph_id, path, coalesce(model, ''), task_run.output,
                   coalesce(task_run.finished_at, ?)
              FROM task_run JOIN run ON run.id = run_id WHERE run_id = ? AND cache_key IS NOT NULL
            """,
            (now, run_id),
        ).fetchall()
        db.executemany(
            """
            INSERT INTO task_output (cache_key, type, model, output, created_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (cache_key) DO UPDATE
               SET output = excluded.output, created_at = excluded.created_at
             WHERE excluded.created_at > task_output.created_at
            """,
            ((key, types.of(graph_id, path), *rest) for key, graph_id, path, *rest in cached),
        )
    note_run(db.execute, "deleted", run_id, now, new=None)
    keep_newest_number(db)
    db.execute("DELETE FROM run WHERE id = ?", (run_id,))


def _remove_jobs(db: apsw.Connection, before: int | None) -> None:
    """Remove old jobs; the highest number that was ever used stays used."""
    db.execute(
        """
        INSERT INTO last_job (id, job_id) SELECT 1, max(id) FROM job HAVING max(id) IS NOT NULL
        ON CONFLICT (id) DO UPDATE SET job_id = max(job_id, excluded.job_id)
        """
    )
    db.execute(f"DELETE {_OLD_JOBS}", (before,))


def _unreferenced(
    db: apsw.Connection, exclude: frozenset[int] = frozenset(), *, jobs_before: int | None = None
) -> list[tuple[int, int]]:
    marked: set[str] = set()
    waiting = set(_references(db, exclude, jobs_before))
    while waiting:
        hash = waiting.pop()
        marked.add(hash)
        row = db.execute("SELECT kind, encoding, data FROM value WHERE hash = ?", (bytes.fromhex(hash),)).fetchone()
        if row is not None and row[0] == "json":
            data: bytes = zlib.decompress(row[2]) if row[1] == "zlib" else row[2]
            waiting.update(found for found in references(data.decode()) if found not in marked)
    return [
        (value_id, size)
        for value_id, hash, size in db.execute("SELECT id, hash, length(data) FROM value")
        if hash.hex() not in marked
    ]


def _references(db: apsw.Connection, exclude: frozenset[int], jobs_before: int | None) -> Iterator[str]:
    if not exclude and jobs_before is None:
        for (text,) in db.execute(_TEXTS):
            yield from references(text)
        return
    kept = "SELECT run_id, cache_key IS NOT NULL, output FROM task_run WHERE output LIKE '%\"$value\"%'"
    for run_id, cached, text in db.execute(kept):
        if cached or run_id not in exclude:
            yield from references(text)
    for run_id, input, output in db.execute("SELECT id, input, coalesce(output, '') FROM run"):
        if run_id not in exclude:
            yield from references(input + output)
    for run_id, text in db.execute(_WAITS):
        if run_id not in exclude:
            yield from references(text)
    for (text,) in db.execute(
        "SELECT output FROM task_output UNION ALL SELECT definition FROM graph_task"
        " UNION ALL SELECT data FROM stream_chunk"
        " UNION ALL SELECT input FROM schedule"
    ):
        yield from references(text)
    old = f"SELECT id {_OLD_JOBS}"
    for (text,) in db.execute(
        f"SELECT input || coalesce(output, '') FROM job WHERE ?1 IS NULL OR id NOT IN ({old})", (jobs_before,)
    ):
        yield from references(text)


def _size(file: File) -> int:
    return file.reader.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()").get
