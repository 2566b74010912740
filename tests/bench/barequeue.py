"""The least that a job queue in SQLite has to do: the physical limit of W3."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec

__all__ = ["BATCH", "BareQueue"]

BATCH = 32

_INSERT = "INSERT INTO job (queue, status, input) VALUES (1, 'pending', ?)"
_FIRST = "FROM job WHERE queue = 1 AND status = 'pending' AND run_after IS NULL ORDER BY id LIMIT"
_CLAIM_FIRST = f"""
UPDATE job SET status = 'running', owner = 1, claim = claim + 1, started_at = ?
 WHERE id = (SELECT id {_FIRST} 1) RETURNING id, claim, input
"""
_CLAIM_BATCH = _CLAIM_FIRST.replace("id = (", "id IN (").replace("LIMIT 1", f"LIMIT {BATCH}")
_LOOK = f"SELECT id, claim + 1, input {_FIRST} "
_CLAIM = "UPDATE job SET status = 'running', owner = 1, claim = ?, started_at = ? WHERE id = ?"
_COMPLETE = "UPDATE job SET status = 'completed', output = ?, finished_at = ? WHERE id = ? AND claim = ?"
_NOW = 1_700_000_000_000
_OUTPUT = '{"output":null}'

Claim = Callable[[], list[Any]]


class BareQueue:
    """One table without constraints and one index of the ready jobs; no handlers, no retries, no limits, nobody dies.

    Each claim is done in the two ways that there are, an UPDATE with a subquery and a SELECT with UPDATEs by key, and
    the limit is the quicker one on this machine.
    """

    def __init__(self, path: Path, synchronous: str = "NORMAL") -> None:
        self._db = apsw.Connection(str(path))
        for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}", "wal_autocheckpoint = 0"):
            self._db.execute(f"PRAGMA {pragma}").fetchall()
        self._db.execute(
            """
            CREATE TABLE job (
              id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, status TEXT NOT NULL, run_after INTEGER,
              input TEXT NOT NULL, output TEXT, claim INTEGER NOT NULL DEFAULT 0, owner INTEGER,
              started_at INTEGER, finished_at INTEGER
            ) STRICT
            """
        )
        self._db.execute("CREATE INDEX ready ON job (queue, id) WHERE status = 'pending' AND run_after IS NULL")
        self._cursor = self._db.cursor()
        self._claims = {batch: self._choose(batch) for batch in (1, BATCH)}

    def close(self) -> None:
        self._db.close()

    def enqueue(self, count: int) -> None:
        """One transaction a job."""
        execute = self._cursor.execute
        for number in range(count):
            execute("BEGIN IMMEDIATE")
            execute(_INSERT, (msgspec.json.encode({"a": number}).decode(),))
            execute("COMMIT")

    def enqueue_bulk(self, count: int) -> None:
        """All of them in one transaction."""
        self.enqueue_texts([msgspec.json.encode({"a": number}).decode() for number in range(count)])

    def enqueue_texts(self, texts: list[str]) -> None:
        """The same for inputs that are JSON already."""
        self._cursor.execute("BEGIN IMMEDIATE")
        self._cursor.executemany(_INSERT, [(text,) for text in texts])
        self._cursor.execute("COMMIT")

    def drain(self, batch: int) -> int:
        """Complete what was claimed and claim the next batch in one transaction, until nothing is left; how many."""
        return self._drain(self._claims[batch])

    def _drain(self, claim: Claim) -> int:
        execute = self._cursor.execute
        rows: list[Any] = []
        done = 0
        while True:
            execute("BEGIN IMMEDIATE")
            for row in rows:
                execute(_COMPLETE, (_OUTPUT, _NOW, row[0], row[1]))
            done += len(rows)
            rows = claim()
            execute("COMMIT")
            if not rows:
                return done

    def _choose(self, batch: int) -> Claim:
        """The quicker one of the two ways to claim, tried out."""
        execute = self._cursor.execute
        update = _CLAIM_FIRST if batch == 1 else _CLAIM_BATCH
        look = f"{_LOOK}{batch}"

        def at_once() -> list[Any]:
            return execute(update, (_NOW,)).fetchall()

        def one_by_one() -> list[Any]:
            rows = execute(look).fetchall()
            for row in rows:
                execute(_CLAIM, (row[1], _NOW, row[0]))
            return rows

        times: dict[Claim, list[float]] = {at_once: [], one_by_one: []}
        for _ in range(5):
            for claim, taken in times.items():
                self.enqueue_bulk(320)
                begun = time.perf_counter()
                self._drain(claim)
                taken.append(time.perf_counter() - begun)
        return min(times, key=lambda claim: statistics.median(times[claim]))
