"""W13: a start that a limiter allows or denies, against the one-row update that any limiter in a file has to make."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
from measure import Row, compare

import workglow as wg
from workglow import ConcurrencyLimiter, HandlerRegistry, Limiter, RateLimiter, job

__all__ = ["rows"]

STARTS = 2000
FULL = 20_000
LATER = 10**15
RAW = "UPDATE limiter SET next = max(next, ?1) + 1 WHERE id = 1 AND next <= ?1 + ?2 RETURNING next"


def bare(path: Path) -> apsw.Connection:
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE limiter (id INTEGER PRIMARY KEY, next INTEGER NOT NULL)")
    db.execute("INSERT INTO limiter VALUES (1, 0)")
    return db


def update(db: apsw.Connection, slack: int) -> Callable[[], None]:
    """Ask for a start as a limiter does that is nothing but the time of the next one."""
    execute, numbers = db.cursor().execute, itertools.count(1)

    def run() -> None:
        for _ in range(STARTS):
            execute(RAW, (next(numbers), slack)).fetchall()

    return run


def take(limiter: Limiter, allowed: bool) -> Callable[[], None]:
    def run() -> None:
        for _ in range(STARTS):
            assert (limiter.take() is not None) is allowed

    return run


def drain(project: wg.Project, name: str, limits: list[Any]) -> Callable[[], None]:
    """Enqueue and run jobs that do nothing."""
    queue = project.queue(name, limits=limits, keep_completed=0)

    def run() -> None:
        queue.enqueue_many("bench_nothing", [{}] * STARTS)
        assert asyncio.run(queue.worker(concurrency=32).run(until_idle=True)) == STARTS

    return run


def pyrate(folder: Path, rate: int, filled: int = 0) -> Callable[[], bool]:
    """pyrate-limiter's bucket in SQLite, in which so much was started just now.

    It has the lock that several processes need: without it four of them start more than the rate allows.
    """
    from pyrate_limiter import Duration, Rate, SQLiteBucket
    from pyrate_limiter.abstracts.rate import RateItem

    path = str(folder / f"pyrate{rate}.db")
    bucket = SQLiteBucket.init_from_file([Rate(rate, Duration.MINUTE)], db_path=path, use_file_lock=True)
    if filled:
        bucket.put(RateItem("item", bucket.now(), weight=filled))
    return lambda: bool(bucket.put(RateItem("item", bucket.now(), weight=1)))


def repeated(call: Callable[[], bool], times: int, expected: bool) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            assert call() is expected

    return run


def rows(peers: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        db = bare(folder / "bare.db")
        handlers = HandlerRegistry()
        job(registry=handlers, name="bench_nothing", inline=True)(lambda: None)
        with wg.open(folder / "limits.wg", durability="process", handlers=handlers) as project:
            many = project.limiter("many", RateLimiter(10**9, per=60))
            few = project.limiter("few", RateLimiter(100, per=3600))
            while few.take() is not None:
                pass
            allowed, denied = update(db, LATER), update(db, -LATER)
            case = {"each": STARTS, "unit": "µs", "target": 1 / 0.6}
            yield compare("W13", "allowed, 10⁹ a minute", take(many, True), "bare update", allowed, **case)
            yield compare("W13", "denied, 100 an hour", take(few, False), "bare update", denied, **case)
            unlimited = drain(project, "unlimited", [])
            limited = {
                "jobs under a window": [RateLimiter(10**9, per=60)],
                "jobs under 32 at once": [ConcurrencyLimiter(32)],
            }
            for label, limits in limited.items():
                yield compare(
                    "W13",
                    label,
                    drain(project, label, limits),
                    "jobs without a limit",
                    unlimited,
                    target=None,
                    each=STARTS,
                    unit="µs/job",
                    rounds=5,
                )
            if peers:
                times = 200
                put, full = pyrate(folder, 10**9, FULL), pyrate(folder, 1)
                full()
                case = {"each": times, "unit": "µs"}
                mine = (lambda: many.take() is not None, lambda: few.take() is not None)
                for label, ours, theirs, expected, target in (
                    ("allowed, 20,000 in window", mine[0], put, True, 1 / 20),
                    ("denied", mine[1], full, False, None),
                ):
                    yield compare(
                        "W13",
                        label,
                        repeated(ours, times, expected),
                        "pyrate-limiter, with lock",
                        repeated(theirs, times, expected),
                        target=target,
                        **case,
                    )
        db.close()
