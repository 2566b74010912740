"""Real processes that are really killed, and the ledger that says what they had begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import apsw

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: a task body that began."""

    path: str
    attempt: int
    key: str
    run: str
    pid: int


class Nursery:
    """A process that has imported everything and forks a driver whenever it is asked to."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "crash_tasks.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parents[1]}"},
            start_new_session=True,
        )
        self.ledger = Path()

    def fork(self, project: Path, *, point: str = "", ahead: int = 0, broken: str = "", sleepy: int = -1) -> int:
        """Start a driver, perhaps with a crash point, a clock `ahead`, a `broken` guard, or a stop in a task."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{project}\t{self.ledger}\t{point}\t{ahead}\t{broken}\t{sleepy}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # a driver that a test left behind holds the end of the pipe
        self._process.communicate()

    def errors(self) -> str:
        """What the drivers complained about."""
        return Path(f"{self.ledger}.errors").read_text()

    def entries(self) -> list[Entry]:
        if not self.ledger.exists():
            return []
        fields = (line.split() for line in self.ledger.read_text().splitlines())
        return [Entry(path, int(attempt), key, run, int(pid)) for path, attempt, key, run, pid in fields]


def state(pid: int) -> str:
    """The letter that the kernel gives a process: T for a stopped one, Z for a zombie, '' for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def gone(pid: int) -> bool:
    """Has the process ended?  Its first thread may be a zombie while others still hold its files and their locks."""
    if state(pid) not in ("", "Z"):
        return False
    try:
        return len(os.listdir(f"/proc/{pid}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait(pid: int) -> None:
    """Wait until the process has ended; the test's own time-out is the limit."""
    while not gone(pid):
        os.sched_yield()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait(pid)


def completed(project: Path) -> set[tuple[str, str]]:
    """Run and path of every task run that the file says is completed, read by another connection."""
    db = apsw.Connection(str(project), flags=apsw.SQLITE_OPEN_READONLY)
    db.set_busy_timeout(10_000)  # whoever opens a file after a kill recovers its log first
    try:
        rows = db.execute(
            "SELECT uid, path FROM task_run JOIN run ON run.id = run_id WHERE task_run.status = 'completed'"
        ).fetchall()
    finally:
        db.close()
    return set(rows)


def assert_nothing_finished_ran_again(entries: list[Entry], finished: dict[int, set[tuple[str, str]]]) -> None:
    """`finished` says what was committed when the ledger had so many lines; none of it may begin later."""
    for lines, done in finished.items():
        again = {(entry.run, entry.path) for entry in entries[lines:]} & done
        assert not again, f"finished before line {lines}, and begun again: {sorted(again)[:5]}"


def assert_same_key_for_every_attempt(entries: list[Entry]) -> None:
    keys: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in entries:
        keys[entry.run, entry.path].add(entry.key)
    assert all(len(found) == 1 for found in keys.values())
    assert len({key for found in keys.values() for key in found}) == len(keys)
