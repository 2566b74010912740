"""Limits that hold whatever processes do: real ones, that share a file and are really killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import workglow as wg
from workglow import ConcurrencyLimiter, RateLimiter

HERE = Path(__file__).parent
PROGRAM = HERE / "limited_program.py"
PROCESSES = 6


class Crowd:
    """Processes of the program, and the ledger that they write."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "limited.wg"
        self.ledger = folder / "ledger"
        self._alive: list[subprocess.Popen[str]] = []

    def start(self, count: int, *what: str) -> list[subprocess.Popen[str]]:
        """Start processes, and let them loose together."""
        command = [sys.executable, str(PROGRAM), str(self.file), str(self.ledger), *what]
        before = len(self.lines("ready"))
        new = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(count)]
        self._alive += new
        wait_for(lambda: len(self.lines("ready")) == before + count)
        for process in new:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return new

    def kill(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self._alive.remove(process)

    def end(self) -> None:
        for process in list(self._alive):
            self.kill(process)

    def lines(self, what: str) -> list[tuple[int, str, int]]:
        """When, of what, by which process."""
        if not self.ledger.exists():
            return []
        found: list[tuple[int, str, int]] = []
        for line in self.ledger.read_text().splitlines():
            at, event, pid = line.split()
            kind, _, name = event.partition(":")
            if kind == what:
                found.append((int(at), name, int(pid)))
        return found


def wait_for(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)


def most_at_once(crowd: Crowd, killed: dict[int, int]) -> int:
    """The most intervals of the ledger that overlap; one that a kill ended is over when the signal was sent.

    By the time that this process hears that the other is gone, its slot may have been given to the next for long.
    The ledger grows while it is read, so its beginnings are read before its ends: no end of theirs is missed.
    """
    begins = crowd.lines("begin")
    ends = {(name, pid): at for at, name, pid in crowd.lines("end")}
    moments: list[tuple[int, int]] = []
    for at, name, pid in begins:
        end = ends.get((name, pid), max(at, killed[pid]) if pid in killed else None)
        moments.append((at, 1))
        if end is not None:
            moments.append((end, -1))
    running = most = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    made = Crowd(tmp_path)
    yield made
    made.end()


def started_of_forty(crowd: Crowd, *broken: str) -> int:
    """Let six processes work on forty jobs under "four a minute", for a while after the first has begun."""
    with wg.open(crowd.file) as project:
        queue = project.queue("limited", limits=[RateLimiter(4, per=60)])
        queue.enqueue_many("limited_work", [{"seconds": 0}] * 40)
    crowd.start(PROCESSES, "work", *broken)
    wait_for(lambda: len(crowd.lines("begin")) >= 4)
    time.sleep(1.5)
    return len(crowd.lines("begin"))


def test_six_processes_start_exactly_four_of_forty_jobs_in_a_window_of_four(crowd: Crowd) -> None:
    assert started_of_forty(crowd) == 4


def test_a_check_outside_the_transaction_would_start_too_many(crowd: Crowd) -> None:
    assert started_of_forty(crowd, "broken") > 4


def under_kills(crowd: Crowd, what: str, kills: int) -> int:
    """The most that ran at once while processes were killed and replaced; every job is done in the end."""
    chance = random.Random(7)
    killed: dict[int, int] = {}
    living = crowd.start(PROCESSES, what)
    for _ in range(kills):
        before = len(crowd.lines("begin"))
        wait_for(lambda: len(crowd.lines("begin")) >= before + 5)  # noqa: B023
        victim = living.pop(chance.randrange(len(living)))
        killed[victim.pid] = time.monotonic_ns()  # from here on it may be dead, and its slot somebody else's
        crowd.kill(victim)
        living += crowd.start(1, what)
    before = len(crowd.lines("begin"))
    wait_for(lambda: len(crowd.lines("begin")) >= before + 5)
    most = most_at_once(crowd, killed)  # before they all end, for each is given the slots of those that ended before it
    crowd.end()
    return most


def test_slots_of_jobs_never_exceed_the_limit_and_no_kill_leaks_one(crowd: Crowd) -> None:
    with wg.open(crowd.file) as project:
        queue = project.queue("limited", limits=[ConcurrencyLimiter(3)])
        queue.enqueue_many("limited_work", [{"seconds": 0.03}] * 6000, max_attempts=1000)
    assert under_kills(crowd, "work", 6) == 3


def test_slots_that_are_counted_outside_the_transaction_would_exceed_the_limit(crowd: Crowd) -> None:
    with wg.open(crowd.file) as project:
        queue = project.queue("limited", limits=[ConcurrencyLimiter(3)])
        queue.enqueue_many("limited_work", [{"seconds": 0.03}] * 200)
    crowd.start(PROCESSES, "work", "broken")
    wait_for(lambda: len(crowd.lines("begin")) >= 40)
    assert most_at_once(crowd, {}) > 3


def test_slots_without_a_queue_never_exceed_the_limit_and_no_kill_leaks_one(crowd: Crowd) -> None:
    with wg.open(crowd.file) as project:
        project.limiter("few", ConcurrencyLimiter(2))
    assert under_kills(crowd, "slots", 6) == 2
