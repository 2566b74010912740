"""Queue, clock, workers and deaths against a small pure model of what a queue is.

Two files that are open at once stand for two processes.  Half a second passes before a turn, so that it does all that
time brings: the model need not know how often that is looked at.  In a rush no time passes between one turn and the
next.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from taken_turns import take

from workglow.file import File, doctor
from workglow.file.examination import invariants
from workglow.storage.jobs import Ask, ClaimedJob, NewJob, Settlement
from workglow.storage.sqlite import claims
from workglow.storage.sqlite.jobs import SqliteJobs
from workglow.testing import FakeClock
from workglow.values import encode

RESULT = encode({"output": 1})
FINAL = ("completed", "failed", "aborted")
RUSH = ["turn"] * 12 + ["other", "enqueue", "abort", "retry", "pause_or_resume"]
KEEP_FAILED, KEEP_COMPLETED = 3000, 2000  # milliseconds


@dataclass
class One:
    """A job of the model."""

    id: int
    priority: int
    run_after: int
    deadline: int | None
    key: str | None
    needs: set[int]
    most: int
    status: str = "pending"
    attempt: int = 0
    claim: int = 0
    abort: bool = False
    ended: int = 0


@dataclass
class Model:
    """What a queue is."""

    jobs: dict[int, One] = field(default_factory=dict)
    last: int = 0
    paused: bool = False

    def add(self, now: int, **terms: object) -> int | None:
        """The id; None when what it needs has failed."""
        for job in self.jobs.values():
            if job.key is not None and job.key == terms["key"] and job.status not in FINAL:
                return job.id
        needs = [self.jobs[job] for job in terms["needs"]]  # type: ignore[attr-defined]
        if any(job.status in ("failed", "aborted") for job in needs):
            return None
        self.last += 1
        waits = {job.id for job in needs if job.status != "completed"}
        self.jobs[self.last] = One(self.last, **{**terms, "needs": waits})  # type: ignore[arg-type]
        return self.last

    def end(self, job: One, status: str, now: int) -> None:
        job.status, job.ended, job.run_after = status, now, 0
        for other in list(self.jobs.values()):
            if job.id in other.needs:
                if status == "completed":
                    other.needs.discard(job.id)
                elif other.status == "pending":
                    self.end(other, "failed", now)

    def settle(self, job: One, outcome: str, now: int, retry_at: int | None) -> None:
        if job.abort:
            self.end(job, "aborted", now)
        elif outcome == "returned":
            job.status, job.attempt, job.run_after = "pending", job.attempt - 1, now
        elif outcome == "failed" and retry_at is not None and job.attempt < job.most:
            job.status, job.run_after = "pending", retry_at
        else:
            self.end(job, outcome, now)

    def crash(self, job: One, now: int) -> None:
        if job.abort:
            self.end(job, "aborted", now)
        elif job.attempt >= job.most:
            self.end(job, "failed", now)
        else:
            job.status, job.run_after = "pending", now

    def expire(self, now: int) -> None:
        for job in list(self.jobs.values()):
            if job.status == "pending" and job.deadline is not None and job.deadline <= now:
                self.end(job, "failed", now)

    def prune(self, now: int) -> None:
        for job in list(self.jobs.values()):
            keep = {"completed": KEEP_COMPLETED, "failed": KEEP_FAILED}.get(job.status)
            if keep is not None and job.ended + keep <= now:
                for other in list(self.jobs.values()):
                    if job.id in other.needs and other.status == "pending":
                        self.end(other, "failed", now)
                del self.jobs[job.id]

    def claim(self, now: int, limit: int) -> list[tuple[int, int, int]]:
        ready = [
            job
            for job in self.jobs.values()
            if not self.paused and job.status == "pending" and not job.needs and job.run_after <= now
        ]
        ready.sort(key=lambda job: (-job.priority, job.id))
        for job in ready[:limit]:
            job.status, job.attempt, job.claim = "running", job.attempt + 1, job.claim + 1
        return [(job.id, job.claim, job.attempt) for job in ready[:limit]]

    def retry(self, job: One) -> bool:
        keys = {other.key for other in self.jobs.values() if other.status not in FINAL and other.key}
        if job.status not in ("failed", "aborted") or job.key in keys or not job.needs <= self.jobs.keys():
            return False
        job.status, job.attempt, job.deadline, job.abort = "pending", 0, None, False
        return True


class Process:
    """A process: its file, its worker, and the claims that it has."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.file = File.open(path, clock=clock, durability="process")
        self.jobs = SqliteJobs(self.file)
        self.worker = self.jobs.begin_worker("[]", "[]", 1)
        self.claims: list[ClaimedJob] = []


class JobMachine(RuleBasedStateMachine):
    """One queue, from an empty file on."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="workglow-model-"))
        self.clock = FakeClock()
        self.model = Model()
        self.open = [Process(self.folder / "jobs.wg", self.clock) for _ in range(2)]
        self.dead: list[Process] = []
        keep = f'{{"keep_failed":{KEEP_FAILED / 1000},"keep_completed":{KEEP_COMPLETED / 1000}}}'
        self.queue = self.open[0].jobs.queue("work", "{}", keep).row_id

    @property
    def jobs(self) -> SqliteJobs:
        return self.open[0].jobs

    @rule(
        priority=st.integers(-1, 1), delay=st.sampled_from([0, 0, 700, 5000]),
        deadline=st.sampled_from([None, None, 600, 4000]), key=st.sampled_from([None, None, "a", "b"]),
        most=st.integers(1, 3), data=st.data(),
    )  # fmt: skip
    def enqueue(
        self, priority: int, delay: int, deadline: int | None, key: str | None, most: int, data: st.DataObject
    ) -> None:
        now = self.clock.now()
        ids = sorted(self.model.jobs)
        needs = data.draw(st.lists(st.sampled_from(ids), max_size=2, unique=True)) if ids else []
        until = None if deadline is None else now + deadline
        expected = self.model.add(
            now, priority=priority, run_after=now + delay, deadline=until, key=key, needs=needs, most=most
        )
        if expected is not None:
            after = now + delay if delay else None
            job = NewJob("do", encode({}), most, priority, after, until, key, needs=needs)
            assert self.jobs.add(self.queue, [job]) == [expected]

    @rule(
        who=st.integers(0, 1), limit=st.integers(0, 3), data=st.data(),
        outcomes=st.lists(st.sampled_from(["completed", "failed", "again", "later", "returned", None]), max_size=3),
    )  # fmt: skip
    def turn(self, who: int, limit: int, outcomes: list[str | None], data: st.DataObject) -> None:
        self.clock.advance(0.5)
        process = self.open[who]
        order = data.draw(st.permutations(process.claims))
        settled = [(job, outcome) for job, outcome in zip(order, outcomes, strict=False) if outcome is not None]
        self._turn(process, settled, limit)

    @rule(
        who=st.integers(0, 1), data=st.data(),
        steps=st.lists(st.sampled_from(RUSH), min_size=5, max_size=20),
        outcomes=st.lists(st.sampled_from(["completed"] * 9 + ["failed", "again", "returned", "later"]), min_size=20),
    )  # fmt: skip
    def rush(self, who: int, steps: list[str], outcomes: list[str], data: st.DataObject) -> None:
        """One turn follows the other, each claims one job, and now and then something comes between."""
        self.turn(who, 0, [], data)
        for step, outcome in zip(steps, outcomes, strict=False):
            process = self.open[who if step != "other" else 1 - who]
            if step in ("turn", "other"):
                self._turn(process, [(claim, outcome) for claim in process.claims], 1)
            elif step == "enqueue":
                self.enqueue(data.draw(st.integers(-1, 1)), 0, None, None, 2, data)
            elif step == "pause_or_resume":
                self.pause_or_resume()
            elif self.model.jobs:
                getattr(self, step)(data)

    def _turn(self, process: Process, settled: list[tuple[ClaimedJob, str]], limit: int) -> None:
        now, model = self.clock.now(), self.model
        told: list[Settlement] = []
        lost: list[int] = []
        for claim, chosen in settled:
            again = {"again": now, "later": now + 900, "returned": now}.get(chosen)
            outcome = "failed" if chosen in ("again", "later") else chosen
            output, counts = (RESULT if outcome == "completed" else None), outcome != "returned"
            keep = now + KEEP_COMPLETED
            told.append(Settlement(claim, outcome, output, None, again, counts, delete_at=keep))  # type: ignore[arg-type]
            job = model.jobs.get(claim.id)
            if job is None or job.status != "running" or job.claim != claim.claim:
                lost.append(claim.id)
            else:
                model.settle(job, outcome, now, again)
            if claim in process.claims:
                process.claims.remove(claim)
        self._bury(now)
        model.expire(now)
        model.prune(now)
        turn = take(process.jobs, Ask(process.worker, [self.queue], told, limit))
        assert turn.lost == lost
        assert [(job.id, job.claim, job.attempt) for job in turn.claimed] == model.claim(now, limit)
        process.claims += turn.claimed

    def _bury(self, now: int) -> None:
        for process in self.dead:
            for claim in sorted(process.claims):
                job = self.model.jobs.get(claim.id)
                if job is not None and (job.status, job.claim) == ("running", claim.claim):
                    self.model.crash(job, now)

    @rule(who=st.integers(0, 1))
    def die(self, who: int) -> None:
        """The process is gone: another one has its number.  What it has not written is lost."""
        process = self.open[who]
        assert process.file.session is not None
        with process.file.transaction() as db:
            db.execute("UPDATE session SET pid_started = 'earlier' WHERE id = ?", (process.file.session.id,))
        self.dead.append(process)
        self.open[who] = Process(self.folder / "jobs.wg", self.clock)

    @precondition(lambda self: any(process.claims for process in self.dead))
    @rule(data=st.data())
    def write_late(self, data: st.DataObject) -> None:
        """What was taken for dead was only asleep: nothing of what it writes may count once its jobs were taken."""
        self.turn(0, 0, [], data)  # which takes them
        process = data.draw(st.sampled_from([process for process in self.dead if process.claims]))
        before = self._stored()
        told = [Settlement(claim, "completed", RESULT) for claim in process.claims]
        for claim in process.claims:
            process.jobs.report([(claim, "{}")])
        turn = take(process.jobs, Ask(process.worker, [self.queue], told, 0))
        assert turn.lost == [claim.id for claim in process.claims]
        assert set(process.jobs.unwanted(process.claims)) == set(turn.lost)
        assert self._stored() == before
        process.claims.clear()

    @rule(seconds=st.sampled_from([0.3, 1, 3]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def pause_or_resume(self) -> None:
        self.model.paused = not self.model.paused
        self.jobs.pause(self.queue, paused=self.model.paused)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(sorted(self.model.jobs)))]
        assert self.jobs.abort([job.id], "enough") == ([] if job.status in FINAL else [job.id])
        if job.status == "pending":
            self.model.end(job, "aborted", self.clock.now())
        elif job.status == "running":
            job.abort = True

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = self.model.jobs[data.draw(st.sampled_from(sorted(self.model.jobs)))]
        assert self.jobs.retry([job.id]) == ([job.id] if self.model.retry(job) else [])

    @rule()
    def prune(self) -> None:
        self.jobs.prune()
        self.model.prune(self.clock.now())

    def _stored(self) -> dict[int, tuple[object, ...]]:
        return {
            record.id: (record.status, record.attempt, record.claim, record.finished_at, record.progress)
            for record in self.jobs.find(limit=10_000)
        }

    @invariant()
    def the_file_agrees_with_the_model(self) -> None:
        stored = {job: record[:3] for job, record in self._stored().items()}
        assert stored == {job.id: (job.status, job.attempt, job.claim) for job in self.model.jobs.values()}
        for name, _, query in invariants():
            assert self.open[0].file.db.execute(query).fetchall() == [], name

    def teardown(self) -> None:
        self._finish()
        for process in (*self.open, *self.dead):
            process.file.close()
        assert doctor(self.folder / "jobs.wg").ok
        shutil.rmtree(self.folder)

    def _finish(self) -> None:
        """Whatever happened, everything that can be done is done in the end."""
        if self.model.paused:
            self.pause_or_resume()
        for _ in range(3 * len(self.model.jobs) + 3):
            for process in self.open:
                self.clock.advance(1)
                self._turn(process, [(claim, "completed") for claim in process.claims], 50)
        open_ones = [job for job in self.model.jobs.values() if job.status not in FINAL]
        assert all(job.needs for job in open_ones), "only what waits for a failed job is left"


class RangeMachine(JobMachine):
    """The same when already two jobs whose numbers follow each other are written as one range."""

    def __init__(self) -> None:
        self.usual, claims._WORTH = claims._WORTH, 2  # type: ignore[misc]
        super().__init__()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            claims._WORTH = self.usual  # type: ignore[misc]


TestJobMachine, TestRangeMachine = JobMachine.TestCase, RangeMachine.TestCase
TestJobMachine.settings = TestRangeMachine.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
