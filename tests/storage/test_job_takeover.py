"""Jobs of processes that died, or were taken for dead; here several files open at once stand for several processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from taken_turns import take

from workglow.errors import WorkglowError
from workglow.file import File, copy, doctor
from workglow.storage.jobs import Ask, ClaimedJob, NewJob, Settlement, Turn
from workglow.storage.sqlite.jobs import SqliteJobs
from workglow.storage.sqlite.recovery import recover
from workglow.storage.sqlite.retention import collect, plan
from workglow.testing import FakeClock
from workglow.values import encode

INPUT = encode({"value": 1})
RESULT = encode({"output": 2})


@dataclass
class Process:
    """A file that is open, and its worker; it can be made to look dead to the others."""

    file: File
    jobs: SqliteJobs
    worker: int

    def turn(self, *settled: Settlement, limit: int = 1) -> Turn:
        queue = self.jobs.queue("work", "{}").row_id
        return take(self.jobs, Ask(self.worker, [queue], settled, limit))

    def claim(self) -> ClaimedJob:
        (job,) = self.turn().claimed
        return job

    def add(self, **terms: object) -> int:
        job = NewJob(**{"handler": "do", "input": INPUT, "max_attempts": 3, **terms})  # type: ignore[arg-type]
        return self.jobs.add(self.jobs.queue("work", "{}").row_id, [job])[0]

    def seem_dead(self) -> None:
        """From now on another process has the number that this one had."""
        assert self.file.session is not None
        with self.file.transaction() as db:
            db.execute("UPDATE session SET pid_started = 'earlier' WHERE id = ?", (self.file.session.id,))

    def orphans(self) -> list[int]:
        """Running jobs that nobody would find, should their process die now."""
        query = """SELECT id FROM job WHERE status = 'running' AND NOT EXISTS (
                     SELECT 1 FROM worker WHERE worker.session_id = job.session_id AND jobs_from <= job.id)"""
        return [row[0] for row in self.file.read(query)]


@pytest.fixture
def start(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[..., Process]]:
    opened: list[File] = []

    def process(name: str = "jobs.wg", **options: str) -> Process:
        file = File.open(tmp_path / name, clock=clock, **options)  # type: ignore[arg-type]
        opened.append(file)
        jobs = SqliteJobs(file)
        return Process(file, jobs, jobs.begin_worker('["work"]', '["do"]', 1))

    yield process
    for file in opened:
        file.close()


Start = Callable[..., Process]


def ended(job: ClaimedJob) -> Settlement:
    return Settlement(job, "completed", RESULT)


def test_jobs_of_the_dead_are_done_by_the_living_and_the_dead_write_nothing(start: Start, clock: FakeClock) -> None:
    one, two = start(), start()
    job_id = one.add()
    old = one.claim()
    one.seem_dead()
    clock.advance(1)
    new = two.claim()
    assert (new.id, new.claim, new.attempt) == (job_id, 2, 2)
    assert one.turn(ended(old), limit=0).lost == [job_id]
    assert two.turn(ended(new), limit=0).lost == []
    assert [each.outcome for each in two.jobs.attempts(job_id)] == ["crashed"]


def test_a_job_of_a_living_peer_is_never_taken(start: Start, clock: FakeClock) -> None:
    one, two = start(), start()
    one.add()
    job = one.claim()
    for _ in range(20):
        clock.advance(3600)
        assert two.turn().claimed == []
    assert one.turn(ended(job), limit=0).lost == []


def test_all_the_orphans_are_taken_at_once(start: Start, clock: FakeClock) -> None:
    one, two = start(), start()
    ids = [one.add() for _ in range(150)]
    assert len(one.turn(limit=200).claimed) == 150
    one.seem_dead()
    clock.advance(1)
    assert [job.id for job in two.turn(limit=200).claimed] == ids


def test_a_job_that_kills_its_process_is_not_tried_for_ever(start: Start, clock: FakeClock) -> None:
    first = start()
    poison = first.add(max_attempts=2)
    healthy = first.add(needs=[])
    for _ in range(2):
        victim = start()
        assert victim.claim().id == poison
        victim.seem_dead()
        clock.advance(1)
    assert first.claim().id == healthy
    record = first.jobs.get(poison)
    assert record is not None
    assert (record.status, record.attempt) == ("failed", 2)
    assert [each.outcome for each in first.jobs.attempts(poison)] == ["crashed", "crashed"]


@pytest.mark.parametrize("ending", ["its worker's row is gone", "its session was ended for another reason"])
def test_a_worker_taken_for_dead_leaves_no_orphans_when_it_goes_on(start: Start, clock: FakeClock, ending: str) -> None:
    one, two = start(), start()
    kept = one.add()
    old = one.claim()
    if ending == "its worker's row is gone":
        one.seem_dead()
        clock.advance(1)
        assert two.claim().id == kept
        fresh = start()  # a worker that may get the row that is free now
    else:
        assert one.file.session is not None
        with two.file.transaction() as db:
            db.execute("UPDATE session SET ended_at = 0, ended_by = 'lease' WHERE id = ?", (one.file.session.id,))
        one.file.begin_anew()
    more = one.add()
    clock.advance(1)
    assert more in [job.id for job in one.turn(limit=5).claimed]
    assert one.orphans() == []
    if ending == "its worker's row is gone":
        assert one.turn(ended(old), limit=0).lost == [kept]
        one.jobs.end_worker(one.worker)
        assert fresh.worker in {worker.row_id for worker in two.jobs.workers()}
    else:
        assert one.turn(ended(old), limit=0).lost == []


def test_what_an_undone_turn_had_in_mind_is_forgotten(start: Start, clock: FakeClock) -> None:
    first = start()
    low = first.add()
    one = start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.jobs._claims._chores, "next_at", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            one.turn(limit=2)
    assert one.claim().id == low
    assert one.orphans() == [], "the row would say that all its jobs have higher numbers"


def test_both_halves_of_a_turn_are_found_when_its_worker_dies(start: Start, clock: FakeClock) -> None:
    first = start()
    low = first.add(run_after=clock.now() + 20, priority=-1)
    high = first.add()
    one = start()
    one.turn(limit=0)
    one.jobs._claims._chores._next_at = clock.now() + 100  # so that it first claims, then looks what has become due
    clock.advance(0.02)
    assert [job.id for job in one.turn(limit=5).claimed] == [high, low]
    assert one.orphans() == []


def test_a_turn_that_is_cancelled_while_it_is_written_hands_its_jobs_back(start: Start) -> None:
    one = start(durability="power")
    job_id = one.add()
    begun, go_on = threading.Event(), threading.Event()
    turn = one.jobs._claims.turn

    def slow(*asked: object, **options: object) -> Turn:
        done = turn(*asked, **options)  # type: ignore[arg-type]
        begun.set()
        go_on.wait()
        return done

    async def main() -> None:
        queue = one.jobs.queue("work", "{}").row_id

        async def claim() -> None:
            waiting = one.jobs.turn(Ask(one.worker, [queue], (), 1))
            assert not isinstance(waiting, Turn)
            await waiting

        task = asyncio.create_task(claim())
        await asyncio.to_thread(begun.wait)
        task.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.jobs._claims, "turn", slow)
        asyncio.run(main())
    one.jobs.end_worker(one.worker)
    record = one.jobs.get(job_id)
    assert record is not None
    assert (record.status, record.attempt) == ("pending", 0)


def test_a_worker_whose_end_could_not_be_written_ends_at_the_next_try(start: Start) -> None:
    one = start()
    job_id = one.add()
    one.claim()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.file, "transaction", lambda **_: (_ for _ in ()).throw(WorkglowError("full")))
        with pytest.raises(WorkglowError):
            one.jobs.end_worker(one.worker)
    one.jobs.end_worker(one.worker)
    record = one.jobs.get(job_id)
    assert record is not None
    assert record.status == "pending"


# ---------------------------------------------------------------------- elsewhere, and after damage


def test_a_copy_goes_on_with_the_jobs_that_ran(start: Start, tmp_path: Path, clock: FakeClock) -> None:
    one = start()
    ran, waiting = one.add(), one.add(priority=-1)
    one.claim()
    copy(tmp_path / "jobs.wg", tmp_path / "copy.wg")
    elsewhere = start("copy.wg")
    clock.advance(1)
    assert [(job.id, job.attempt) for job in elsewhere.turn(limit=5).claimed] == [(ran, 2), (waiting, 1)]
    assert one.jobs.get(ran).status == "running"  # type: ignore[union-attr]


def test_values_are_kept_for_as_long_as_a_job_refers_to_them(start: Start, tmp_path: Path) -> None:
    one = start()
    given, made = encode({"text": "in" * 50_000}), encode({"output": "out" * 50_000})
    assert given.blobs
    assert made.blobs
    job_id = one.add(input=given)
    one.turn(Settlement(one.claim(), "completed", made, delete_at=one.file.clock.now() + 10), limit=0)
    one.add(input=encode({"text": "in" * 50_000}))
    waste = encode({"text": "waste" * 50_000})
    with one.file.transaction() as db:
        for blob in waste.blobs:
            db.execute("INSERT INTO value (hash, kind, encoding, size, data) VALUES (?, ?, ?, ?, ?)", blob)
    for before, keep in ((3, 2), (2, 2), (2, 1), (1, 0)):
        assert one.file.read("SELECT count(*) FROM value") == [(before,)]
        chosen = plan(one.file, keep_runs=0)
        assert chosen.values == before - keep
        collect(one.file, chosen)
        assert one.file.read("SELECT count(*) FROM value") == [(keep,)]
        if (before, keep) == (2, 2):
            one.file.clock.advance(1)  # type: ignore[attr-defined]
            assert one.jobs.prune() == 1
        elif keep == 1:
            one.jobs.queue("work", "{}", '{"keep_aborted":0}')
            one.jobs.abort([job_id + 1], "")


def test_a_recovered_file_has_its_jobs_and_goes_on_with_them(start: Start, tmp_path: Path, clock: FakeClock) -> None:
    one = start()
    big = encode({"text": "in" * 50_000})
    done, running, last = one.add(), one.add(), one.add(max_attempts=1)
    one.turn(ended(one.claim()), limit=0)
    one.turn(limit=2)
    waiting, lost, needs_lost = one.add(needs=[running]), one.add(input=big), 0
    needs_lost = one.add(needs=[lost], key="k")
    with one.file.transaction() as db:
        db.execute("UPDATE value SET data = x'00'")
    copy(tmp_path / "jobs.wg", tmp_path / "damaged.wg")
    found = recover(tmp_path / "damaged.wg", tmp_path / "new.wg", clock=clock)
    assert found.tables["job"].rows == 6
    assert doctor(tmp_path / "new.wg").ok
    two = start("new.wg")

    def status(*ids: int) -> list[str]:
        return [two.jobs.get(job_id).status for job_id in ids]  # type: ignore[union-attr]

    assert status(done, running, last, waiting, lost, needs_lost) == [
        "completed", "pending", "failed", "pending", "failed", "failed",
    ]  # fmt: skip
    job = two.claim()
    assert (job.id, job.attempt) == (running, 2)
    assert [job.id for job in two.turn(ended(job)).claimed] == [waiting]
    assert two.add() == needs_lost + 1
