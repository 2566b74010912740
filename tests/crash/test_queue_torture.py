"""Promises of the queue under SIGKILL and SIGSTOP: nothing is lost, nothing is done twice, nobody is starved.

With WORKGLOW_TORTURE=full: 20,000 jobs and 200 kills, and 20,000 jobs between 8 processes.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from crash_jobs import brief, first_forever, first_sleeps, listed, nothing, poison, until
from crash_nursery import gone, kill, state, wait
from job_nursery import JobNursery, assert_all_completed, opened, rows

FULL = os.environ.get("WORKGLOW_TORTURE") == "full"
JOBS, KILLS = (20_000, 200) if FULL else (1_500, 20)
NO_OPS = 8 * 20_000
SEED = int(os.environ.get("WORKGLOW_SEED", "7"))


def until_true(condition: object) -> None:
    """Wait for something another process does; the test's own time-out is the limit."""
    assert callable(condition)
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.005)


@pytest.mark.timeout(900)
def test_kills_lose_nothing_and_nothing_is_completed_twice(tmp_path: Path, workers: JobNursery) -> None:
    moments = random.Random(SEED)
    path = tmp_path / "jobs.wg"
    alive: list[int] = []
    kills = added = 0
    begin = time.monotonic()
    with opened(path) as project:
        queue = project.queue("work")
        while kills < KILLS:
            idle = not project.file.read("SELECT 1 FROM job WHERE finished_at IS NULL LIMIT 1")
            while added * KILLS < JOBS * (kills + 1) or idle:  # there is always something to be killed in
                idle = False
                queue.enqueue_many(brief, [{"number": n} for n in range(added, added + 20)], max_attempts=KILLS)
                added += 20
            alive = [pid for pid in alive if not gone(pid)]
            while len(alive) < 4:
                alive.append(workers.fork(path, concurrency=8))
            victim = alive[0]
            until_true(lambda pid=victim: workers.has_begun(pid) or gone(pid))
            time.sleep(moments.uniform(0.0, 0.05))  # the moment of the kill; nothing waits for it
            if not gone(victim):
                kill(victim)
                kills += 1
    for pid in alive:
        wait(pid)
    wait(workers.fork(path, concurrency=4))
    took = time.monotonic() - begin
    repeats = sum(workers.begun().values()) - added
    print(f"seed {SEED}: {added} jobs, {kills} kills, {repeats} bodies repeated, {took:.1f} s")
    workers.assert_nothing_was_done_twice()
    assert_all_completed(path, workers, added)
    assert repeats > 0, "no kill hit anything"
    assert "Locked" not in workers.errors()


def sleep_through_a_takeover(tmp_path: Path, workers: JobNursery, broken: str) -> tuple[object, object]:
    """Stop a worker in the middle of its jobs, let another do them, wake it; the jobs before and after that."""
    path = tmp_path / "jobs.wg"
    with opened(path) as project:
        jobs = project.queue("work").enqueue_many(first_sleeps, [{"stops": n == 2} for n in range(3)])
        assert len(jobs) == 3
    sleeper = workers.fork(path, broken=broken, concurrency=3)
    until_true(lambda: state(sleeper) == "T")
    with opened(path) as project:
        with project.file.transaction() as db:  # a lease that is over soon
            db.execute("UPDATE session SET lease = 50 WHERE pid = ?", (sleeper,))
        time.sleep(0.15)  # three of them
    wait(workers.fork(path, concurrency=3))
    query = "SELECT id, status, attempt, claim, output, error, progress, finished_at FROM job ORDER BY id"
    before = rows(path, query) + rows(path, "SELECT * FROM job_attempt ORDER BY 1, 2")
    os.kill(sleeper, signal.SIGCONT)
    wait(sleeper)
    return before, rows(path, query) + rows(path, "SELECT * FROM job_attempt ORDER BY 1, 2")


def test_a_worker_that_slept_for_three_leases_writes_nothing(tmp_path: Path, workers: JobNursery) -> None:
    before, after = sleep_through_a_takeover(tmp_path, workers, broken="")
    assert after == before
    workers.assert_nothing_was_done_twice()
    assert_all_completed(tmp_path / "jobs.wg", workers, 3)
    assert rows(tmp_path / "jobs.wg", "SELECT outcome FROM job_attempt") == [("crashed",)] * 3


def test_without_the_fence_it_would(tmp_path: Path, workers: JobNursery) -> None:
    before, after = sleep_through_a_takeover(tmp_path, workers, broken="fence")
    assert after != before


@pytest.mark.timeout(900)
def test_eight_processes_get_fair_shares_and_never_hear_of_a_lock(tmp_path: Path, workers: JobNursery) -> None:
    path = tmp_path / "jobs.wg"
    with opened(path) as project:
        queue = project.queue("work")
        queue.enqueue_many(nothing, [{}] * NO_OPS)
        queue.pause()
        pids = [workers.fork(path) for _ in range(8)]
        until_true(lambda: len(rows(path, "SELECT 1 FROM worker")) == 8)
        begin = time.monotonic()
        queue.resume()
        for pid in pids:
            wait(pid)
    took = time.monotonic() - begin
    shares = sorted(int(str(row[0])) for row in rows(path, "SELECT count(*) FROM job GROUP BY session_id"))
    print(f"{NO_OPS} jobs in {took:.1f} s: {shares}")
    assert workers.errors() == ""
    assert rows(path, "SELECT DISTINCT status, attempt FROM job") == [("completed", 1)]
    workers.assert_nothing_was_done_twice()
    assert len(shares) == 8
    assert shares[-1] <= 3 * shares[0]


def let_poison_kill(path: Path, workers: JobNursery, broken: str) -> int:
    """Start workers as long as there is something to do, at most 8; how many were killed."""
    with opened(path) as project:
        queue = project.queue("work")
        queue.enqueue_many(listed, [{"number": n} for n in range(10)])
        queue.enqueue(poison, max_attempts=3)
        queue.enqueue_many(listed, [{"number": n} for n in range(10)])
    for deaths in range(8):
        pid = workers.fork(path, broken=broken)
        wait(pid)
        if not rows(path, "SELECT 1 FROM job WHERE finished_at IS NULL"):
            return deaths
    return 8


def test_a_job_that_kills_its_process_fails_and_harms_no_other(tmp_path: Path, workers: JobNursery) -> None:
    path = tmp_path / "jobs.wg"
    assert let_poison_kill(path, workers, "") == 3
    assert workers.begun()[11] == 3
    with opened(path) as project:
        job = project.job(11)
        assert (job.status, job.attempt) == ("failed", 3)
        assert [attempt.outcome for attempt in job.attempts] == ["crashed"] * 3
    assert rows(path, "SELECT count(*) FROM job WHERE status = 'completed' AND attempt = 1") == [(20,)]


def test_if_attempts_were_not_counted_at_the_claim_it_would_kill_for_ever(tmp_path: Path, workers: JobNursery) -> None:
    assert let_poison_kill(tmp_path / "jobs.wg", workers, "attempts") == 8


def test_150_orphans_are_all_done(tmp_path: Path, workers: JobNursery) -> None:
    path = tmp_path / "jobs.wg"
    with opened(path) as project:
        project.queue("work").enqueue_many(first_forever, [{}] * 150)
    parent = workers.fork(path, concurrency=150)
    until_true(lambda: len(workers.lines("begun")) == 150)
    kill(parent)
    wait(workers.fork(path, concurrency=20))
    assert_all_completed(path, workers, 150)
    assert rows(path, "SELECT DISTINCT attempt FROM job") == [(2,)]


def peers(path: Path, workers: JobNursery, broken: str = "") -> int:
    """One worker holds a job while another does a hundred; how often the one was begun."""
    gate = path.parent / "gate"
    with opened(path) as project:
        project.queue("work").enqueue(until, {"path": str(gate)})
        holder = workers.fork(path)
        until_true(lambda: workers.lines("begun"))
        project.queue("work").enqueue_many(brief, [{"number": n} for n in range(100)])
        other = workers.fork(path, broken=broken)
        until_true(lambda: len(workers.lines("begun")) >= 101 or workers.begun()[1] > 1)
        time.sleep(0.7)  # longer than between two looks for the dead
        gate.touch()
        wait(holder)
        wait(other)
    return workers.begun()[1]


def test_a_job_of_a_living_peer_is_never_taken(tmp_path: Path, workers: JobNursery) -> None:
    path = tmp_path / "jobs.wg"
    assert peers(path, workers) == 1
    workers.assert_nothing_was_done_twice()
    assert_all_completed(path, workers, 101)


def test_if_living_peers_were_taken_for_dead_this_would_be_noticed(tmp_path: Path, workers: JobNursery) -> None:
    assert peers(tmp_path / "jobs.wg", workers, broken="peers") > 1
