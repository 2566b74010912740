"""Worker processes that are really killed, and what their ledger says of the jobs they began and completed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import apsw
from crash_jobs import handlers
from crash_nursery import HERE

import workglow as wg
from workglow import Project
from workglow.file import doctor


class JobNursery:
    """A process that has imported everything and forks a worker whenever it is asked to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "crash_jobs.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}"},
            start_new_session=True,
        )
        self.ledger = Path()
        self._read: dict[Path, int] = {}
        self._busy: set[int] = set()

    def fork(
        self,
        path: Path,
        *,
        point: str = "",
        broken: str = "",
        concurrency: int = 1,
        enqueue: int = 0,
        hasty: bool = False,
    ) -> int:
        """Start a worker that ends when no job is unfinished, or a process that only enqueues so many.

        A `hasty` one gives up when nothing happens for a second.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = {"path": str(path), "ledger": str(self.ledger), "point": point, "broken": broken, "hasty": hasty}
        self._process.stdin.write(json.dumps({**wanted, "concurrency": concurrency, "enqueue": enqueue}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # a worker that a test left behind holds the end of the pipe
        self._process.communicate()

    def errors(self) -> str:
        """What the workers complained about."""
        return Path(f"{self.ledger}.errors").read_text()

    def lines(self, kind: str) -> list[list[str]]:
        if not self.ledger.exists():
            return []
        return [line.split() for line in self.ledger.read_text().splitlines() if line.startswith(kind)]

    def has_begun(self, pid: int) -> bool:
        """Whether a worker has entered a handler; each line is read once."""
        if self.ledger.exists():
            with self.ledger.open() as ledger:
                ledger.seek(self._read.get(self.ledger, 0))
                found = ledger.read()
                self._read[self.ledger] = ledger.tell()
            self._busy |= {int(line.split()[-1]) for line in found.splitlines() if line.startswith("begun")}
        return pid in self._busy

    def begun(self) -> Counter[int]:
        """How often the handler of each job was entered."""
        return Counter(int(job) for _, job, *_ in self.lines("begun"))

    def assert_nothing_was_done_twice(self) -> None:
        """No job is completed twice or begun after it was, no attempt begins twice, and each job has one key."""
        done = Counter(job for _, job, _ in self.lines("done"))
        assert set(done.values()) <= {1}, "completed twice"
        attempts = Counter((job, attempt) for _, job, attempt, *_ in self.lines("begun"))
        assert set(attempts.values()) <= {1}, "one attempt was begun twice"
        over: set[str] = set()
        keys: dict[str, set[str]] = defaultdict(set)
        for kind, job, *rest in self.lines(""):
            if kind == "done":
                over.add(job)
            else:
                assert job not in over, f"job {job} had completed, and began again"
                keys[job].add(rest[1])
        assert all(len(found) == 1 for found in keys.values())
        assert len({key for found in keys.values() for key in found}) == len(keys)


def opened(path: Path) -> Project:
    return wg.open(path, handlers=handlers)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """Read the file as a stranger does, on a connection of its own."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(10_000)  # whoever opens a file after a kill recovers its log first
    try:
        return list(db.execute(query))
    finally:
        db.close()


def assert_all_completed(path: Path, nursery: JobNursery, count: int) -> None:
    """All jobs are there and completed, and their attempts are those that were made."""
    found = rows(path, "SELECT id, status, attempt, claim FROM job")
    assert len(found) == count
    assert {status for _, status, _, _ in found} == {"completed"}
    past = Counter(job for (job,) in rows(path, "SELECT job_id FROM job_attempt"))
    begun = nursery.begun()
    for job, _, attempt, claim in found:
        assert claim == past[job] + 1
        assert attempt == claim
        assert begun[job] <= attempt  # type: ignore[index, operator]
    assert doctor(path).ok, doctor(path).failures
