"""W3: jobs put into a queue and taken out of it, against the transactions alone."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal

import apsw
from barequeue import BATCH, BareQueue
from measure import Row, compare

import workglow as wg
from workglow.queue import job

__all__ = ["rows"]

SIZE = 1000
WARM_UP = 5
KEPT = 1_000_000
SEED_BULK = 1e6 / 14_400
"""µs a job of the seed system's `submitBatch` (bun:sqlite, WAL set by hand), measured on the machine of the targets."""

WORKER = """
import sys, time
import workglow as wg
from workglow.queue import job

@job(name="bench_noop")
async def noop(a): return None

@job(name="bench_nap")
async def nap(a): time.sleep(0.001)

with wg.open(sys.argv[1], durability="process") as project:
    queue = project.queue("bench")
    print("ready", flush=True)
    for line in sys.stdin:
        print(queue.work_sync(concurrency=int(line)), flush=True)
"""

_started: list[float] = []


@job(name="bench_noop")
async def noop(a: int) -> None:
    return None


@job(name="bench_stamp")
async def stamp(a: int) -> None:
    _started.append(time.perf_counter())


def drain(queue: wg.JobQueue, concurrency: int, size: int = SIZE) -> Callable[[], float]:
    """Fill the queue, and return the seconds that one worker needs to empty it."""

    def run() -> float:
        queue.enqueue_many(noop, [{"a": number} for number in range(size)])
        begun = time.perf_counter()
        assert queue.work_sync(concurrency=concurrency) == size
        return time.perf_counter() - begun

    return run


def drain_bare(bare: BareQueue, drained: Callable[[int], int], batch: int, size: int = SIZE) -> Callable[[], float]:
    def run() -> float:
        bare.enqueue_bulk(size)
        begun = time.perf_counter()
        assert drained(batch) == size
        return time.perf_counter() - begun

    return run


def enqueue_each(queue: wg.JobQueue, size: int = SIZE) -> Callable[[], float]:
    def run() -> float:
        begun = time.perf_counter()
        for number in range(size):
            queue.enqueue(noop, {"a": number})
        return emptied(queue, time.perf_counter() - begun)

    return run


def enqueue_all(queue: wg.JobQueue, size: int = SIZE) -> Callable[[], float]:
    def run() -> float:
        begun = time.perf_counter()
        queue.enqueue_many(noop, [{"a": number} for number in range(size)])
        return emptied(queue, time.perf_counter() - begun)

    return run


def emptied(queue: wg.JobQueue, taken: float) -> float:
    queue.work_sync(concurrency=BATCH)
    return taken


def timed_bare(bare: BareQueue, call: Callable[[], None]) -> Callable[[], float]:
    def run() -> float:
        begun = time.perf_counter()
        call()
        taken = time.perf_counter() - begun
        bare.drain_by_key()
        return taken

    return run


def rows(peers: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        yield from against_the_limit(folder, "process", "NORMAL", (1 / 0.75, 1 / 0.6, 1 / 0.8, 1 / 0.5))
        yield from against_the_limit(folder, "power", "FULL", (1 / 0.7,) * 4)
        yield from with_processes(folder)
        yield from with_a_past(folder)
        if peers:
            yield from against_peers(folder)


def against_the_limit(
    folder: Path, durability: Literal["process", "power"], synchronous: str, targets: tuple[float, ...]
) -> Iterator[Row]:
    bare = BareQueue(folder / f"{synchronous}.db", synchronous)
    size = SIZE if durability == "process" else SIZE // 4
    texts = [f'{{"a":{number}}}' for number in range(SIZE)]
    rounds = 15 if durability == "process" else 7
    with wg.open(folder / f"{durability}.wg", durability=durability) as project:
        queue = project.queue("bench")
        for _ in range(WARM_UP):  # a log that grows costs a commit that waits for the disk twice as much
            enqueue_each(queue)()
            timed_bare(bare, lambda: bare.enqueue(SIZE))()
        each, bulk, one, many = targets

        def row(
            case: str,
            ours: Callable[[], float],
            against: str,
            theirs: Callable[[], float],
            target: float | None,
            each: int = size,
        ) -> Row:
            return compare(
                "W3",
                f"{case}, {durability}",
                ours,
                f"{against}, {synchronous}",
                theirs,
                target=target,
                each=each,
                unit="µs/job",
                rounds=rounds,
            )

        yield row("enqueue", enqueue_each(queue, size), "bare", timed_bare(bare, lambda: bare.enqueue(size)), each)
        yield row(
            "enqueue 1,000",
            enqueue_all(queue),
            "bare",
            timed_bare(bare, lambda: bare.enqueue_bulk(SIZE)),
            bulk,
            SIZE,
        )
        yield row(
            "enqueue 1,000",
            enqueue_all(queue),
            "… of ready JSON",
            timed_bare(bare, lambda: bare.enqueue_texts(texts)),
            None,
            SIZE,
        )
        if durability == "process":
            yield row("enqueue 1,000", enqueue_all(queue), "seed", lambda: SEED_BULK * SIZE / 1e6, 1 / 10, SIZE)
        for case, batch, jobs, target in (
            ("drain one by one", 1, 4 * size, one),
            ("drain in batches of 32", BATCH, 10 * SIZE, many),
        ):
            ours = drain(queue, batch, jobs)
            yield row(case, ours, "bare", drain_bare(bare, bare.drain, batch, jobs), target, jobs)
            yield row(case, ours, "… by key", drain_bare(bare, bare.drain_by_key, batch, jobs), None, jobs)
    bare.close()


class Crew:
    """Processes that work on one queue whenever they are told."""

    def __init__(self, path: Path, size: int) -> None:
        self._members = [
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(size)
        ]
        for member in self._members:
            assert member.stdout is not None
            assert member.stdout.readline() == "ready\n"

    def work(self, concurrency: int) -> int:
        """Empty the queue together; how many jobs that were."""
        done = 0
        for member in self._members:
            assert member.stdin is not None
            print(concurrency, file=member.stdin, flush=True)
        for member in self._members:
            assert member.stdout is not None
            done += int(member.stdout.readline())
        return done

    def leave(self) -> None:
        for member in self._members:
            assert member.stdin is not None
            assert member.stdout is not None
            member.stdin.close()
            member.wait(30)
            member.stdout.close()


def with_processes(folder: Path) -> Iterator[Row]:
    """Four processes that empty one queue, against one that does it alone, for long enough to take many turns."""
    path = folder / "crew.wg"
    with wg.open(path, durability="process") as project:
        queue = project.queue("bench")
        alone, four = Crew(path, 1), Crew(path, 4)

        def work(crew: Crew, handler: str, concurrency: int, size: int) -> Callable[[], float]:
            def run() -> float:
                queue.enqueue_many(handler, [{"a": number} for number in range(size)])
                begun = time.perf_counter()
                assert crew.work(concurrency) == size
                return time.perf_counter() - begun

            return run

        for case, handler, concurrency, size, target in (
            ("drain one by one", "bench_noop", 1, 40_000, 1.0),
            ("drain in batches of 32", "bench_noop", BATCH, 100_000, 1.0),
            ("jobs that wait 1 ms", "bench_nap", 1, 1000, None),
        ):
            yield compare(
                "W3",
                f"{case}, 4 procs",
                work(four, handler, concurrency, size),
                "ours, 1 process",
                work(alone, handler, concurrency, size),
                target=target,
                each=size,
                unit="µs/job",
            )
        alone.leave()
        four.leave()


def with_a_past(folder: Path) -> Iterator[Row]:
    """The 99th percentile of the time from one start to the next, in a file that keeps 10⁶ finished jobs."""
    old, new = folder / "old.wg", folder / "new.wg"
    for path in (old, new):
        with wg.open(path) as project:
            project.queue("bench")
    finish_many(old, KEPT)
    with wg.open(old, durability="process") as past, wg.open(new, durability="process") as empty:

        def slowest(project: wg.Project) -> Callable[[], float]:
            queue = project.queue("bench")

            def run() -> float:
                queue.enqueue_many(stamp, [{"a": number} for number in range(SIZE)])
                _started.clear()
                asyncio.run(queue.work())
                pauses = sorted(later - earlier for earlier, later in pairwise(_started))
                return pauses[len(pauses) * 99 // 100]

            return run

        yield compare(
            "W3",
            "claim p99, 10⁶ jobs kept",
            slowest(past),
            "ours, an empty file",
            slowest(empty),
            target=1.5,
            unit="µs/job",
            rounds=15,
        )


def finish_many(path: Path, count: int) -> None:
    """Put jobs that are over into a file that nobody has open."""
    db = apsw.Connection(str(path))
    db.execute(
        """
        WITH RECURSIVE number (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < ?)
        INSERT INTO job (id, queue_id, handler, status, priority, attempt, claim, input, output, max_attempts,
                         created_at, started_at, finished_at)
        SELECT n, (SELECT id FROM queue), 'bench_noop', 'completed', 0, 1, 1, '{"a":1}', '{"output":null}', 3,
               1700000000000, 1700000000000, 1700000000000 FROM number
        """,
        (count,),
    )
    db.close()


def against_peers(folder: Path) -> Iterator[Row]:
    from peers import dbos_queue, huey_queue

    with wg.open(folder / "peers.wg", durability="process") as project:
        queue = project.queue("bench")
        put, take = huey_queue(folder)
        yield compare(
            "W3",
            "enqueue, process",
            enqueue_each(queue),
            "huey, fsync off",
            put(SIZE),
            target=None,
            each=SIZE,
            unit="µs/job",
        )
        yield compare(
            "W3",
            "drain, process",
            drain(queue, BATCH),
            "huey, fsync off",
            take(SIZE),
            target=1 / 4,
            each=SIZE,
            unit="µs/job",
        )
        some = 100

        def both() -> float:
            return enqueue_each(queue, some)() + drain(queue, BATCH, some)()

        yield compare(
            "W3",
            "enqueue and drain",
            both,
            "DBOS",
            dbos_queue(folder, some),
            target=1 / 100,
            each=some,
            unit="µs/job",
            rounds=3,
        )
