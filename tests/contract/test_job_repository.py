"""What counts as keeping queues and jobs: one suite for every place that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest
from taken_turns import take

from workglow.errors import JobStateError, UnknownJobError
from workglow.file import File
from workglow.storage.jobs import (
    FINAL_JOB_STATUSES,
    MOVES,
    Ask,
    ClaimedJob,
    JobRecord,
    JobRepository,
    JobStatus,
    NewJob,
    Outcome,
    Settlement,
    Turn,
)
from workglow.storage.sqlite import claims
from workglow.storage.sqlite.claims import Claims
from workglow.storage.sqlite.jobs import SqliteJobs
from workglow.storage.sqlite.workers import Workers
from workglow.testing import FakeClock
from workglow.values import Encoded, encode

INPUT = encode({"value": 1})
RESULT = encode({"output": 2})
ERROR = '{"type":"OSError","message":"no","trace":""}'


@dataclass
class Place:
    """A repository with one queue and one worker, and the shortest words for what is done to them."""

    jobs: JobRepository
    clock: FakeClock
    queue: int = 0
    worker: int = 0

    def begin(self, **settings: object) -> Place:
        self.queue = self.jobs.queue("work", "{}", json.dumps(settings)).row_id
        self.worker = self.jobs.begin_worker('["work"]', '["do"]', 1)
        return self

    def add(self, **terms: Any) -> int:
        return self.jobs.add(self.queue, [new(**terms)])[0]

    def turn(self, *settled: Settlement, limit: int = 1, **options: Any) -> Turn:
        return take(self.jobs, Ask(self.worker, [self.queue], settled, limit, **options))

    def claim(self) -> ClaimedJob:
        (job,) = self.turn().claimed
        return job

    def settle(self, job: ClaimedJob, outcome: Outcome, **more: Any) -> Turn:
        return self.turn(ended(job, outcome, **more), limit=0)

    def status(self, job_id: int) -> JobStatus | None:
        record = self.jobs.get(job_id)
        return None if record is None else record.status


def new(**terms: Any) -> NewJob:
    return NewJob(**{"handler": "do", "input": INPUT, "max_attempts": 3, **terms})


def ended(job: ClaimedJob, outcome: Outcome, **more: Any) -> Settlement:
    return Settlement(job, outcome, RESULT if outcome == "completed" else None, **more)


@pytest.fixture(params=["memory", "file"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    clock = FakeClock()
    file = File.open(":memory:" if request.param == "memory" else tmp_path / "a.wg", clock=clock)
    yield Place(SqliteJobs(file), clock)
    file.close()


@pytest.fixture
def place(bare: Place) -> Place:
    return bare.begin()


# ---------------------------------------------------------------------- queues


def test_a_queue_is_made_once_for_each_name_and_scope(bare: Place) -> None:
    queue = bare.jobs.queue
    one, other = queue("work", "{}"), queue("work", '{"user":"u1"}')
    assert queue("work", "{}") == one
    assert {one.row_id, other.row_id} == {record.row_id for record in bare.jobs.queues()}
    assert (one.paused_at, one.settings, one.created_at) == (None, "{}", bare.clock.now())
    assert queue("work", "{}", '{"timeout":5.0}').settings == '{"timeout":5.0}'
    assert queue("work", "{}").settings == '{"timeout":5.0}'
    assert queue("work", '{"user":"u1"}').settings == "{}"


def test_a_paused_queue_gives_nothing_and_what_runs_goes_on(place: Place) -> None:
    place.add()
    place.add()
    running = place.claim()
    place.jobs.pause(place.queue, paused=True)
    since = place.clock.now()
    place.clock.advance(5)
    place.jobs.pause(place.queue, paused=True)
    assert place.jobs.queue("work", "{}").paused_at == since
    assert place.turn().claimed == []
    assert place.settle(running, "completed").lost == []
    place.jobs.pause(place.queue, paused=False)
    assert place.claim().id != running.id


def test_scopes_share_nothing(place: Place) -> None:
    other = place.jobs.queue("work", '{"user":"u1"}').row_id
    mine = place.add(key="k")
    (theirs,) = place.jobs.add(other, [new(key="k")])
    assert mine != theirs
    assert [record.id for record in place.jobs.find(queue_id=other)] == [theirs]
    assert [job.id for job in place.turn(limit=9).claimed] == [mine]
    assert place.jobs.count(other) == {"pending": 1}
    record = place.jobs.get(theirs)
    assert record is not None
    assert (record.queue, record.scope) == ("work", '{"user":"u1"}')


# ---------------------------------------------------------------------- the states


def put(place: Place, status: JobStatus) -> tuple[int, ClaimedJob]:
    """A job in this status, and a claim of it: the one that counts, if there is one."""
    job_id = place.add()
    job = ClaimedJob(job_id, 0, 0, "do", INPUT.text, None, place.queue)
    if status == "pending":
        return job_id, job
    job = place.claim()
    if status != "running":
        place.settle(job, status)  # type: ignore[arg-type]
    return job_id, job


def settle_as(outcome: Outcome, again: bool = False) -> Any:
    def act(place: Place, job: ClaimedJob) -> None:
        place.settle(job, outcome, retry_at=place.clock.now() if again else None)

    return act


def expire(place: Place, job: ClaimedJob) -> None:
    """A deadline can only be given to a new job; what is tested is who is ended by it."""
    other = place.add(deadline_at=place.clock.now())
    place.jobs.pause(place.queue, paused=True)
    place.turn()
    place.jobs.pause(place.queue, paused=False)
    assert place.status(other) == "failed"


ACTS: dict[str, tuple[Any, dict[JobStatus, JobStatus]]] = {
    "claim": (lambda place, _: place.turn(), {"pending": "running"}),
    "complete": (settle_as("completed"), {"running": "completed"}),
    "fail": (settle_as("failed"), {"running": "failed"}),
    "fail, again": (settle_as("failed", again=True), {"running": "pending"}),
    "time out, again": (settle_as("timed out", again=True), {"running": "pending"}),
    "hand back": (settle_as("returned", again=True), {"running": "pending"}),
    "stop": (settle_as("aborted"), {"running": "aborted"}),
    "stop, again": (settle_as("aborted", again=True), {"running": "aborted"}),
    "abort": (lambda place, job: place.jobs.abort([job.id], "enough"), {"pending": "aborted"}),
    "retry": (
        lambda place, job: place.jobs.retry([job.id]), {"failed": "pending", "aborted": "pending"},
    ),
    "leave": (lambda place, _: place.jobs.end_worker(place.worker), {"running": "pending"}),
    "report": (lambda place, job: place.jobs.report([(job, "{}")]), {}),
    "expire another": (expire, {}),
    "prune": (lambda place, _: place.jobs.prune(), {}),
}  # fmt: skip


@pytest.mark.parametrize("status", MOVES)
@pytest.mark.parametrize("act", ACTS)
def test_a_status_changes_only_as_the_table_says(place: Place, act: str, status: JobStatus) -> None:
    job_id, job = put(place, status)
    before = place.jobs.get(job_id)
    do, moves = ACTS[act]
    do(place, job)
    after = place.jobs.get(job_id)
    assert before is not None
    assert after is not None
    wanted = moves.get(status, status)
    assert after.status == wanted
    assert wanted == status or wanted in MOVES[status]
    assert (after.finished_at is not None) == (after.status in FINAL_JOB_STATUSES)
    if status in FINAL_JOB_STATUSES and wanted == status:
        assert after == before


def test_every_legal_move_is_made_by_some_act() -> None:
    made = {(old, new) for _, moves in ACTS.values() for old, new in moves.items()}
    made |= {("pending", "failed")}  # a deadline, or what it needs: below
    assert made == {(old, new) for old, following in MOVES.items() for new in following}


def test_a_claim_tells_what_the_worker_needs_and_counts_the_attempt_first(place: Place) -> None:
    job_id = place.add(options='{"timeout":3.0}')
    assert place.claim() == ClaimedJob(job_id, 1, 1, "do", INPUT.text, '{"timeout":3.0}', place.queue)
    record = place.jobs.get(job_id)
    assert record is not None
    assert (record.attempt, record.claim, record.started_at) == (1, 1, place.clock.now())


def test_the_last_attempt_is_the_last(place: Place) -> None:
    job_id = place.add(max_attempts=2)
    first = place.settle(place.claim(), "failed", retry_at=place.clock.now(), error=ERROR)
    assert (first.retried, first.lost) == ([job_id], [])
    assert place.settle(place.claim(), "failed", retry_at=place.clock.now()).retried == []
    assert place.status(job_id) == "failed"
    record = place.jobs.get(job_id)
    assert record is not None
    assert (record.attempt, record.claim, record.error) == (2, 2, ERROR)
    assert [(each.attempt, each.outcome) for each in place.jobs.attempts(job_id)] == [(1, "failed"), (2, "failed")]


@pytest.mark.parametrize("outcome", ["returned", "limited"])
def test_an_attempt_that_does_not_count_is_given_back(place: Place, outcome: Outcome) -> None:
    job_id = place.add(max_attempts=1)
    for claim in (1, 2, 3):
        job = place.claim()
        assert (job.attempt, job.claim) == (1, claim)
        assert place.settle(job, outcome, retry_at=place.clock.now(), counts=False).retried == [job_id]
        place.clock.advance(600)  # a refusal of the service holds the queue for a while


def test_a_retry_gives_all_attempts_anew(place: Place) -> None:
    job_id = place.add(max_attempts=1, deadline_at=place.clock.now() + 10, options='{"timeout":2.0,"deadline_at":10}')
    place.settle(place.claim(), "failed", error=ERROR, progress='{"percent":50}')
    place.clock.advance(60)
    assert place.jobs.retry([job_id, 99]) == [job_id]
    record = place.jobs.get(job_id)
    assert record is not None
    assert (record.status, record.attempt, record.deadline_at, record.progress) == ("pending", 0, None, None)
    assert record.options == '{"timeout":2.0}', "a deadline that has passed would end every further attempt"
    job = place.claim()
    assert (job.attempt, job.claim) == (1, 2)
    place.settle(job, "completed")
    assert place.jobs.retry([job_id]) == []


# ---------------------------------------------------------------------- the fence


def lose(place: Place) -> tuple[int, ClaimedJob, ClaimedJob]:
    """A job that was claimed, handed back and claimed again: the old claim, and the one that counts."""
    job_id = place.add(max_attempts=9)
    old = place.claim()
    place.settle(old, "returned", retry_at=place.clock.now(), counts=False)
    return job_id, old, place.claim()


@pytest.mark.parametrize("outcome", ["completed", "failed", "timed out", "crashed", "aborted", "returned", "limited"])
@pytest.mark.parametrize("again", [False, True])
def test_an_old_claim_settles_nothing(place: Place, outcome: Outcome, again: bool) -> None:
    job_id, old, current = lose(place)
    before, attempts = place.jobs.get(job_id), place.jobs.attempts(job_id)
    turn = place.settle(old, outcome, retry_at=place.clock.now() if again else None)
    assert (turn.lost, turn.retried) == ([job_id], [])
    assert (place.jobs.get(job_id), place.jobs.attempts(job_id)) == (before, attempts)
    assert place.settle(current, "completed").lost == []


def test_an_old_claim_reports_nothing_and_is_told_so(place: Place) -> None:
    job_id, old, current = lose(place)
    place.jobs.report([(old, '{"percent":1}')])
    assert place.jobs.unwanted([old, current]) == {job_id: ""}
    place.jobs.report([(current, '{"percent":2}')])
    record = place.jobs.get(job_id)
    assert record is not None
    assert record.progress == '{"percent":2}'
    place.settle(current, "completed")
    place.jobs.report([(current, '{"percent":3}')])
    assert place.jobs.unwanted([current]) == {job_id: ""}
    assert place.settle(current, "completed").lost == [job_id]


def test_two_claims_of_one_job_in_one_turn_count_once(place: Place) -> None:
    job_id, old, current = lose(place)
    waiting = place.add(needs=[job_id])
    turn = place.turn(ended(current, "completed"), ended(old, "completed"))
    assert turn.lost == [job_id]
    assert [job.id for job in turn.claimed] == [waiting]


def test_of_many_that_end_together_only_those_count_that_still_may(place: Place) -> None:
    ids = [place.add(max_attempts=9) for _ in range(40)]
    first = place.turn(limit=40).claimed
    assert [(job.id, job.claim, job.attempt) for job in first] == [(job_id, 1, 1) for job_id in ids]
    place.settle(first[10], "returned", retry_at=place.clock.now(), counts=False)
    again = place.claim()
    place.jobs.abort([ids[20]], "enough")
    settled = [ended(job, "completed") for job in first]
    settled[30] = Settlement(first[30], "completed", encode({"output": "another"}))
    turn = place.turn(*settled, limit=0)
    assert turn.lost == [ids[10]]
    found = {record.id: (record.status, record.claim, record.output) for record in place.jobs.find(limit=100)}
    others = {
        ids[10]: ("running", 2, None),
        ids[20]: ("aborted", 1, None),
        ids[30]: ("completed", 1, '{"output":"another"}'),
    }
    assert found == {**dict.fromkeys(ids, ("completed", 1, RESULT.text)), **others}
    assert place.settle(again, "completed").lost == []


def test_what_lies_between_those_that_are_claimed_or_end_together_is_left_as_it_is(place: Place) -> None:
    ids = [place.add(priority=number % 2) for number in range(40)]
    claimed = place.turn(limit=20).claimed
    assert [job.id for job in claimed] == ids[1::2]
    assert [place.status(job_id) for job_id in ids] == ["pending", "running"] * 20
    others = place.turn(limit=20).claimed
    assert place.turn(*(ended(job, "completed") for job in claimed), limit=0).lost == []
    assert [place.status(job_id) for job_id in ids] == ["running", "completed"] * 20
    assert place.turn(*(ended(job, "completed") for job in reversed(others)), limit=0).lost == []
    assert {place.status(job_id) for job_id in ids} == {"completed"}


def test_what_a_turn_says_of_the_worker_counts_only_with_the_turn(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Claims, "_claim", lambda *_, **__: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            place.turn(concurrency=5)
    assert [worker.concurrency for worker in place.jobs.workers()] == [1]
    place.turn(concurrency=5)
    assert [worker.concurrency for worker in place.jobs.workers()] == [5]


# ---------------------------------------------------------------------- what is read before it is wanted


class Steady:
    """A worker that claims one job after the other, and completes each, until it reads further than it claims."""

    def __init__(self, place: Place, options: str | None = None) -> None:
        """Of the jobs the sixth has options."""
        self.place = place
        self.ids = [place.add(options=options if number == 5 else None) for number in range(40)]
        place.turn(limit=0)
        self.job = place.claim()
        for _ in range(4):
            self.next()

    def next(self, outcome: Outcome = "completed", **more: Any) -> int:
        """End the job that runs, and claim the next; its id, or 0."""
        turn = self.place.turn(ended(self.job, outcome, **more))
        assert turn.lost == []
        if not turn.claimed:
            return 0
        (self.job,) = turn.claimed
        return self.job.id


@pytest.fixture
def steady(place: Place) -> Steady:
    return Steady(place)


def test_a_worker_that_is_alone_does_not_look_for_each_job(steady: Steady, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_ALL_READY", "this is not asked")
    assert [steady.next() for _ in range(3)] == steady.ids[5:8]


def test_a_job_that_comes_first_is_claimed_first_whatever_was_read_before(steady: Steady) -> None:
    ids, place = steady.ids, steady.place
    first = place.add(priority=1)
    assert steady.next() == first
    assert [steady.next(), steady.next()] == ids[5:7]
    place.jobs.abort([ids[7]], "enough")
    assert [steady.next(), steady.next()] == ids[8:10]
    assert steady.next("failed", retry_at=place.clock.now()) == ids[9], "it is the first again"
    assert [steady.next("returned", retry_at=place.clock.now(), counts=False), steady.next()] == ids[9:11]
    place.jobs.pause(place.queue, paused=True)
    assert steady.next() == 0


def test_what_a_job_was_needed_for_comes_before_what_was_read(steady: Steady) -> None:
    needing = steady.place.add(priority=1, needs=[steady.ids[6]])
    assert [steady.next(), steady.next()] == steady.ids[5:7]
    assert steady.next() == needing
    assert steady.next() == steady.ids[7]


def test_another_worker_of_the_process_does_not_get_the_same_job(place: Place) -> None:
    one, other = place.worker, place.jobs.begin_worker('["work"]', '["do"]', 1)
    steady = Steady(place)
    place.worker = other
    (theirs,) = place.turn(handlers=["do"]).claimed
    assert theirs.id == steady.ids[5]
    place.worker = one
    assert [steady.next(), steady.next()] == steady.ids[6:8]


def test_what_becomes_ready_as_time_goes_by_comes_before_what_was_read(place: Place) -> None:
    first = place.add(priority=1, run_after=place.clock.now() + 30)
    steady = Steady(place)
    place.clock.advance(0.06)
    assert [steady.next(), steady.next()] == [first, steady.ids[5]]


def test_after_a_job_that_a_task_may_wait_for_it_is_looked_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the task does then may make other jobs ready."""
    steady = Steady(place, options="{}")
    assert steady.next() == steady.ids[5]
    monkeypatch.setattr(claims, "_ALL_READY", "nothing that SQLite knows")
    with pytest.raises(apsw.SQLError):
        steady.next()


def test_a_deadline_that_passes_between_two_turns_counts(place: Place) -> None:
    soon = place.clock.now() + 20
    ids = [place.add(deadline_at=soon if number == 9 else None) for number in range(12)]
    place.turn(limit=0)
    job = place.claim()
    for number in range(1, 9):
        (job,) = place.turn(ended(job, "completed")).claimed
        assert job.id == ids[number]
    place.clock.advance(0.03)
    assert place.turn(ended(job, "completed")).claimed[0].id == ids[10]


def test_a_turn_that_is_undone_takes_nothing_with_it(steady: Steady, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Workers, "keep_low_mark", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            steady.next()
    assert [steady.next(), steady.next()] == steady.ids[5:7]


@pytest.mark.parametrize("shared", [False, True])
def test_what_shares_the_transaction_of_a_turn_is_seen_by_the_next(tmp_path: Path, shared: bool) -> None:
    """With durability "power" turns are written by a thread, together with whatever waits for it."""
    with File.open(tmp_path / "a.wg", clock=FakeClock()) as file:
        jobs = SqliteJobs(file)
        place = Place(jobs, FakeClock()).begin()
        steady = Steady(place)
        ask = Ask(place.worker, [place.queue], [ended(steady.job, "completed")], 1)
        with file.transaction() as db:
            turn = jobs._claims.turn(db, ask, shared=shared)
            db.execute("UPDATE queue SET paused_at = 1")
        jobs._claims.committed(ask, turn)
        (steady.job,) = turn.claimed
        assert (steady.next() == 0) is shared, "who says that nobody else writes is believed"


# ---------------------------------------------------------------------- jobs that are alike


@pytest.mark.parametrize("needing", [False, True])
def test_jobs_that_are_alike_are_what_they_would_be_one_by_one(place: Place, needing: bool) -> None:
    now = place.clock.now()
    needs = [place.add(), place.add()] if needing else ()
    terms: dict[str, Any] = {
        "priority": 2,
        "run_after": now + 1000,
        "deadline_at": now + 5000,
        "group": "g",
        "cost": 7,
        "options": '{"timeout":3.0}',
        "needs": needs,
    }
    texts = ['{"value":1}', '{"value":"\\"\\u0000 \U0001f600 \\\\"}', '{"value":[null,"]"]}']
    single = [place.jobs.add(place.queue, [new(**terms, input=Encoded(text, ()))])[0] for text in texts]
    alike = place.jobs.add_alike(place.queue, new(**terms), [f"[{','.join(texts[:2])}]", f"[{texts[2]}]"])
    assert list(alike) == [single[-1] + 1, single[-1] + 2, single[-1] + 3]
    for one, other in zip(single, alike, strict=True):
        assert replace(found(place, one), id=0) == replace(found(place, other), id=0)
        assert sorted(place.jobs.needs(other)) == sorted(needs)
    assert [found(place, job_id).input for job_id in alike] == texts


def test_none_or_all_of_them_are_added(place: Place) -> None:
    assert list(place.jobs.add_alike(place.queue, new(), [])) == []
    with pytest.raises(UnknownJobError):
        place.jobs.add_alike(place.queue, new(needs=[99]), ["[{},{}]"])
    assert place.jobs.count(place.queue) == {}


def test_their_numbers_go_on_from_the_newest_that_there_ever_was(place: Place) -> None:
    first, newest = place.add(), place.add(priority=1)
    place.settle(place.claim(), "completed", delete_at=place.clock.now())
    assert place.jobs.get(newest) is None
    alike = place.jobs.add_alike(place.queue, new(), ['[{"value":1},{"value":2}]', '[{"value":3}]'])
    assert list(alike) == [newest + 1, newest + 2, newest + 3]
    assert [found(place, job_id).input for job_id in alike] == ['{"value":1}', '{"value":2}', '{"value":3}']
    assert place.jobs.count(place.queue) == {"pending": 4}
    assert found(place, first).id == first


def found(place: Place, job_id: int) -> JobRecord:
    record = place.jobs.get(job_id)
    assert record is not None
    return record


# ---------------------------------------------------------------------- abort


def test_a_running_job_is_asked_to_stop_and_a_result_after_that_is_too_late(place: Place) -> None:
    job_id = place.add()
    job = place.claim()
    assert place.jobs.abort([job_id], "enough") == [job_id]
    assert place.jobs.abort([job_id], "again") == [job_id]
    assert place.jobs.unwanted([job]) == {job_id: "enough"}
    assert place.settle(job, "completed").lost == []
    record = place.jobs.get(job_id)
    assert record is not None
    assert (record.status, record.output) == ("aborted", None)
    assert "enough" in (record.error or "")
    assert [each.outcome for each in place.jobs.attempts(job_id)] == ["aborted"]
    assert place.jobs.abort([job_id, 99], "late") == []


def test_an_abort_without_a_reason_is_one(place: Place) -> None:
    job = place.jobs.get(place.add())
    assert job is not None
    claim = place.claim()
    place.jobs.abort([job.id], "")
    assert place.jobs.unwanted([claim])[job.id], "an empty reason means that somebody else has the job"


def test_what_is_aborted_is_not_tried_again(place: Place) -> None:
    job_id = place.add()
    job = place.claim()
    place.jobs.abort([job_id], "enough")
    place.settle(job, "failed", retry_at=place.clock.now())
    assert place.status(job_id) == "aborted"
    other = place.add()
    place.claim()
    place.jobs.abort([other], "enough")
    place.jobs.end_worker(place.worker)
    assert place.status(other) == "aborted"


# ---------------------------------------------------------------------- order, time, keys


def test_priority_first_and_then_the_order_of_the_ids(place: Place) -> None:
    ids = [place.add(priority=priority) for priority in (0, -5, 7, 0, 7)]
    assert [job.id for job in place.turn(limit=9).claimed] == [ids[i] for i in (2, 4, 0, 3, 1)]


def test_only_known_handlers_are_claimed_when_they_are_named(place: Place) -> None:
    place.add(handler="other", priority=9)
    mine = place.add()
    assert [job.id for job in place.turn(limit=9, handlers=["do"]).claimed] == [mine]
    assert place.turn(limit=9, handlers=[]).claimed == []


def test_a_deferred_job_is_claimed_when_it_is_due(place: Place) -> None:
    now = place.clock.now()
    job_id = place.add(run_after=now + 1000)
    assert place.add(run_after=now - 1) == place.claim().id
    turn = place.turn()
    assert (turn.claimed, turn.next_at) == ([], now + 1000)
    place.clock.advance(0.999)
    assert place.turn().claimed == []
    place.clock.advance(0.001)
    assert place.claim().id == job_id


def test_a_failure_waits_as_long_as_it_was_told_to(place: Place) -> None:
    place.add()
    until = place.clock.now() + 10
    turn = place.turn(ended(place.claim(), "failed", retry_at=until))
    assert (turn.claimed, turn.next_at) == ([], until)
    place.clock.advance(0.010)
    assert place.claim().attempt == 2


def test_a_deadline_ends_what_has_not_begun(place: Place) -> None:
    now = place.clock.now()
    late, deferred = place.add(deadline_at=now + 50), place.add(deadline_at=now + 50, run_after=now + 9000)
    waiting = place.add(needs=[deferred])
    running = place.claim()
    assert place.turn().next_at == now + 50
    place.clock.advance(0.050)
    turn = place.turn()
    assert (turn.claimed, turn.next_at) == ([], None), "a deadline that a running job has missed wakes nobody"
    assert [place.status(job) for job in (late, deferred, waiting)] == ["running", "failed", "failed"]
    assert place.settle(running, "completed").lost == []


def test_of_a_key_one_job_is_unfinished(place: Place) -> None:
    first, second = place.jobs.add(place.queue, [new(key="k"), new(key="k")])
    assert first == second
    other = place.add(key="other")
    assert place.add(key="k") == first
    job = place.claim()
    assert place.add(key="k", needs=[99]) == job.id, "what is there needs nothing more"
    place.settle(job, "failed")
    again = place.add(key="k")
    assert again not in (first, other)
    assert place.jobs.retry([first]) == []
    place.jobs.abort([again], "")
    assert place.jobs.retry([first, again]) == [first], "of two with one key the first is retried"
    assert place.add(key="k") == first


def test_all_are_added_or_none(place: Place) -> None:
    with pytest.raises(UnknownJobError, match="99"):
        place.jobs.add(place.queue, [new(), new(needs=[99])])
    assert place.jobs.find() == []
    ids = place.jobs.add(place.queue, [new(), new(key="k"), new(), new(key="k"), new(priority=1)])
    assert ids == [1, 2, 3, 2, 4]
    assert place.jobs.add(place.queue, []) == []


# ---------------------------------------------------------------------- needs


def needing(place: Place, *needs: Sequence[int]) -> list[int]:
    """Jobs that need others of them, by their places in the list."""
    ids: list[int] = []
    for needed in needs:
        ids.append(place.add(needs=[ids[i] for i in needed]))
    return ids


def test_a_diamond_starts_from_its_top(place: Place) -> None:
    top, left, right, bottom = needing(place, [], [0], [0], [1, 2, 2])
    assert place.jobs.needs(bottom) == [left, right]
    assert [job.id for job in place.turn(limit=9).claimed] == [top]
    turn = place.turn(ended(ClaimedJob(top, 1, 1, "do", "{}", None, place.queue), "completed"), limit=9)
    assert [job.id for job in turn.claimed] == [left, right]
    assert place.turn(ended(turn.claimed[0], "completed")).claimed == []
    assert [job.id for job in place.turn(ended(turn.claimed[1], "completed")).claimed] == [bottom]
    assert place.jobs.needs(bottom) == []
    after = place.add(needs=[top, left])
    assert [job.id for job in place.turn().claimed] == [after], "what it needs was completed long ago"


@pytest.mark.parametrize("how", ["fail", "abort"])
def test_a_failure_goes_down_the_diamond_and_a_retry_too(place: Place, how: str) -> None:
    ids = top, left, right, bottom = needing(place, [], [0], [0], [1, 2])
    if how == "fail":
        place.settle(place.claim(), "failed")
    else:
        place.jobs.abort([top], "enough")
    assert [place.status(job) for job in ids] == ["failed" if how == "fail" else "aborted", *["failed"] * 3]
    assert place.jobs.needs(bottom) == [left, right]
    with pytest.raises(JobStateError, match=f"Retry job {top} first"):
        place.add(needs=[top])
    assert place.jobs.retry([bottom, right, left, top]) == [bottom, right, left, top]
    for expected in ([top], [left, right], [bottom], []):
        turn = place.turn(limit=9)
        assert [job.id for job in turn.claimed] == expected
        place.turn(*(ended(job, "completed") for job in turn.claimed), limit=0)
    assert [place.status(job) for job in ids] == ["completed"] * 4


def test_an_aborted_job_releases_nobody_although_another_of_its_turn_completes(place: Place) -> None:
    one, two = place.add(), place.add()
    waiting = place.add(needs=[one, two])
    first, second = place.turn(limit=2).claimed
    place.jobs.abort([one], "enough")
    place.turn(ended(first, "completed"), ended(second, "completed"), limit=0)
    assert [place.status(job) for job in (one, two, waiting)] == ["aborted", "completed", "failed"]
    assert place.jobs.needs(waiting) == [one]
    place.jobs.retry([waiting])
    assert place.turn().claimed == []


def test_a_long_chain_fails_at_once(place: Place) -> None:
    ids = needing(place, [], *([i] for i in range(2500)))
    place.settle(place.claim(), "failed")
    assert place.jobs.count(place.queue) == {"failed": len(ids)}


def test_what_needs_a_job_that_is_not_kept_is_not_left_waiting(bare: Place) -> None:
    place = bare.begin(keep_failed=0.010)
    one = place.add()
    place.clock.advance(1)
    waiting, later = needing(place, []), 0
    waiting = [place.add(needs=[one]), place.add(needs=[one])]
    job = next(job for job in place.turn(limit=9).claimed if job.id == one)
    place.settle(job, "failed")
    place.jobs.queue("work", "{}", "{}")
    later, gone = waiting
    assert place.jobs.retry([later]) == [later]
    place.clock.advance(0.010)
    place.jobs.prune()
    assert (place.status(one), place.status(later)) == (None, "failed")
    record = place.jobs.get(later)
    assert record is not None
    assert f"It needs job {one}, which is not kept any more" in (record.error or "")
    assert place.jobs.retry([later, gone]) == [], "they could never start"


# ---------------------------------------------------------------------- what is kept


def finish(place: Place, how: str) -> int:
    """End a job in one of the ways there are; its id."""
    now = place.clock.now()
    if how == "never began":
        job_id = place.add(deadline_at=now)
        place.turn()
        return job_id
    if how == "needed another":
        needed = place.add(key=f"{now}")
        job_id = place.add(needs=[needed])
        place.settle(place.claim(), "failed")
        return job_id
    job_id = place.add()
    if how == "aborted":
        place.jobs.abort([job_id], "enough")
        return job_id
    job = place.claim()
    if how == "stopped":
        place.jobs.abort([job_id], "enough")
    place.settle(job, "failed" if how == "failed" else "completed", delete_at=None)
    return job_id


@pytest.mark.parametrize("how", ["failed", "aborted", "stopped", "never began", "needed another"])
def test_a_job_is_kept_as_its_queue_says_however_it_ended(bare: Place, how: str) -> None:
    kept = "keep_aborted" if how in ("aborted", "stopped") else "keep_failed"
    place = bare.begin(**{kept: 0.010})
    job_id = finish(place, how)
    place.clock.advance(0.009)
    place.jobs.prune()
    assert place.status(job_id) is not None
    place.clock.advance(0.001)
    assert place.jobs.prune() >= 1
    assert place.status(job_id) is None
    place.jobs.queue("work", "{}", json.dumps({kept: 0}))
    assert place.status(finish(place, how)) is None, "nothing of it was to be kept"
    place.jobs.queue("work", "{}", "{}")
    job_id = finish(place, how)
    place.clock.advance(1e9)
    place.jobs.prune()
    assert place.status(job_id) is not None, "it was to be kept for good"


def test_a_completed_job_is_kept_until_the_time_it_was_settled_with(place: Place) -> None:
    one, two = place.add(), place.add()
    waiting = place.add(needs=[two])
    now = place.clock.now()
    first, second = place.turn(limit=2).claimed
    place.turn(ended(first, "completed", delete_at=now + 10), ended(second, "completed", delete_at=now), limit=0)
    assert (place.status(one), place.status(two)) == ("completed", None)
    assert place.claim().id == waiting
    place.clock.advance(0.010)
    assert (place.jobs.prune(), place.status(one)) == (1, None)


def test_no_number_is_used_twice(bare: Place) -> None:
    place = bare.begin(keep_aborted=0)
    used = {place.add() for _ in range(3)}
    for order in ([3, 2, 1], [6, 5]):
        for job_id in order:
            assert place.jobs.abort([job_id], "") == [job_id]
            assert place.status(job_id) is None
        ids = {place.add() for _ in range(3)}
        assert not ids & used, f"{sorted(ids & used)} were used before"
        used |= ids


def test_pruning_keeps_pace(bare: Place) -> None:
    place = bare.begin(keep_aborted=0.001)
    place.jobs.abort([place.add() for _ in range(400)], "")
    place.clock.advance(1)
    turns = next(n for n in count(1) if not place.turn().claimed and not place.jobs.count(place.queue))
    assert turns <= 10


# ---------------------------------------------------------------------- looking


def test_jobs_are_found_newest_first_page_by_page(place: Place) -> None:
    ids = [place.add(group="even" if n % 2 == 0 else None) for n in range(10)]
    place.turn(limit=2)
    place.jobs.abort(ids[4:6], "")

    def found(**terms: Any) -> list[int]:
        return [record.id for record in place.jobs.find(**terms)]

    assert found(limit=3) == ids[:6:-1]
    pages, before = [], None
    while page := found(limit=4, before=before):
        pages += page
        before = page[-1]
    assert pages == ids[::-1]
    assert found(group="even", statuses=["pending"]) == [ids[8], ids[6], ids[2]]
    assert found(statuses=["running", "aborted"]) == [ids[5], ids[4], ids[1], ids[0]]
    assert found(group="none") == found(queue_id=99) == []
    assert place.jobs.count(place.queue) == {"pending": 6, "running": 2, "aborted": 2}
    assert (place.jobs.get(99), place.jobs.attempts(99), place.jobs.needs(99)) == (None, [], [])


def test_everything_that_was_given_is_kept(place: Place) -> None:
    job_id = place.add(priority=3, run_after=place.clock.now() + 5, deadline_at=place.clock.now() + 9, key="k",
                       group="g", cost=7, options='{"timeout":1.0}')  # fmt: skip
    record = place.jobs.get(job_id)
    assert record is not None
    assert (record.priority, record.run_after, record.deadline_at, record.key, record.group, record.cost) == (
        3, place.clock.now() + 5, place.clock.now() + 9, "k", "g", 7,
    )  # fmt: skip
    assert (record.input, record.options, record.created_at) == (INPUT.text, '{"timeout":1.0}', place.clock.now())


def test_workers_are_listed_and_what_they_had_is_handed_back(place: Place) -> None:
    job_id = place.add(max_attempts=1)
    place.claim()
    second = place.jobs.begin_worker("[]", "[]", 3)
    (one, two) = place.jobs.workers()
    assert (one.queues, one.handlers, one.concurrency, one.is_alive) == ('["work"]', '["do"]', 1, True)
    assert (two.row_id, two.concurrency) == (second, 3)
    place.jobs.end_worker(second)
    assert place.status(job_id) == "running", "another worker's end is not its own"
    place.jobs.end_worker(place.worker)
    record = place.jobs.get(job_id)
    assert record is not None
    assert (record.status, record.attempt) == ("pending", 0)
    assert [each.outcome for each in place.jobs.attempts(job_id)] == ["returned"]
    assert place.jobs.workers() == []
