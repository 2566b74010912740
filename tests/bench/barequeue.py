"""The least that a job queue in SQLite has to do: the physical limit of W3.

A job is a coroutine function that is called with its input and does nothing, as on the other side: the input is JSON,
and so is the result.  The log is kept short as SQLite does it unless told otherwise, by the commit that finds 1,000
pages in it: a file whose log grows for ever cannot stay open, so that is part of the least.
"""

from __future__ import annotations

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

Execute = Callable[..., Any]


async def noop(a: int) -> None:
    return None


def run(text: str) -> str:
    """Do a job: its result as JSON."""
    job = noop(**msgspec.json.decode(text))
    try:
        job.send(None)
    except StopIteration as stop:
        return msgspec.json.encode({"output": stop.value}).decode()
    raise AssertionError("it has nothing to wait for")


class BareQueue:
    """One table without constraints, one index of the ready jobs; no handlers, no retries, no limits, nobody dies."""

    def __init__(self, path: Path, synchronous: str = "NORMAL") -> None:
        self._db = apsw.Connection(str(path))
        for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}"):
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
        """Complete what was done and claim the next in one transaction, until nothing is left; how many.

        A claim is one UPDATE that returns the rows, the usual statement.
        """
        update = _CLAIM_FIRST if batch == 1 else _CLAIM_BATCH
        return self._drain(lambda execute: execute(update, (_NOW,)).fetchall())

    def drain_by_key(self, batch: int = BATCH) -> int:
        """The same when a claim is a SELECT, and an UPDATE by key for each row, which is quicker."""
        look = f"{_LOOK}{batch}"

        def claim(execute: Execute) -> list[Any]:
            rows = execute(look).fetchall()
            for row in rows:
                execute(_CLAIM, (row[1], _NOW, row[0]))
            return rows

        return self._drain(claim)

    def _drain(self, claim: Callable[[Execute], list[Any]]) -> int:
        execute = self._cursor.execute
        rows: list[Any] = []
        outputs: list[str] = []
        done = 0
        while True:
            execute("BEGIN IMMEDIATE")
            for row, output in zip(rows, outputs, strict=True):
                execute(_COMPLETE, (output, _NOW, row[0], row[1]))
            done += len(rows)
            rows = claim(execute)
            execute("COMMIT")
            if not rows:
                return done
            outputs = [run(row[2]) for row in rows]
