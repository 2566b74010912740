"""The change feed: what happened to jobs and runs, in the order of the commits, from any number on."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import workglow as wg
from workglow import HumanApprovalTask, JobChange, JobContext, RunChange, job, task
from workglow.errors import (
    EventsLostError,
    FileReadOnlyError,
    PermanentJobError,
    RetryableJobError,
    TaskConfigurationError,
    TaskFailedError,
)
from workglow.queue import HandlerRegistry
from workglow.storage.sqlite.retention import collect, plan
from workglow.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

    from workglow import Project


@pytest.fixture(autouse=True)
def echo(handlers: HandlerRegistry) -> None:
    register(handlers)


def register(handlers: HandlerRegistry) -> None:
    @job(registry=handlers, inline=True)
    def echo(data: str) -> dict[str, str]:
        return {"result": data}

    @job(registry=handlers, inline=True)
    def refuse(data: str) -> None:
        raise PermanentJobError(data)

    @job(registry=handlers, inline=True)
    def stumble(data: str) -> None:
        raise RetryableJobError(data, after=1)


def steps(changes: list[Any]) -> list[tuple[object, ...]]:
    return [(each.kind, each.job if isinstance(each, JobChange) else each.run, each.old, each.new) for each in changes]


def rows(project: Project) -> int:
    return project.file.reader.execute("SELECT count(*) FROM change").get


# ---------------------------------------------------------------------- what is told


def test_a_job_is_told_of_from_its_adding_to_its_deletion(
    project: Project, handlers: HandlerRegistry, clock: FakeClock
) -> None:
    @job(registry=handlers)
    async def work(data: str, context: JobContext) -> dict[str, str]:
        context.progress(0.5, "Halfway done", {"step": 2})
        await asyncio.sleep(0)
        clock.advance(0.1)
        return {"result": "completed"}

    one, other = project.events(), project.events(0)
    queue = project.queue("work", keep_completed=10)
    added = queue.enqueue(work, {"data": "test-job"})
    queue.work_sync()
    first = one.read()
    assert steps(first) == [
        ("added", added.id, None, "pending"),
        ("started", added.id, "pending", "running"),
        ("progress", added.id, "running", "running"),
        ("completed", added.id, "running", "completed"),
    ]
    assert first[2].data == {"percent": 50.0, "message": "Halfway done", "details": {"step": 2}}
    assert [each.attempt for each in first] == [0, 1, 1, 1]
    assert project.job(first[0].job).inputs == {"data": "test-job"}
    assert project.job(first[3].job).result_sync() == {"result": "completed"}
    clock.advance(10)
    queue.work_sync()
    assert steps(one.read()) == [("deleted", added.id, "completed", None)]
    assert [each.seq for each in other.read()] == list(range(first[0].seq, first[0].seq + 5))
    assert one.read() == other.read() == []


def test_failures_retries_and_aborts_are_told_with_their_errors(project: Project, clock: FakeClock) -> None:
    feed = project.events()
    queue = project.queue("work")
    refused = queue.enqueue("refuse", {"data": "no"})
    follower = queue.enqueue("echo", {"data": "x"}, needs=[refused])
    stumbling = queue.enqueue("stumble", {"data": "wait"}, max_attempts=2)
    dropped = queue.enqueue("echo", {"data": "y"}, delay=100)
    dropped.abort("not wanted")
    queue.work_sync()
    clock.advance(1)
    queue.work_sync()
    refused.retry()
    changes = feed.read()

    def of(one: wg.Job) -> list[tuple[object, ...]]:
        return [step[:1] + step[2:] for step in steps(changes) if step[1] == one.id][1:]

    assert of(refused) == [
        ("started", "pending", "running"),
        ("failed", "running", "failed"),
        ("retried", "failed", "pending"),
    ]
    assert of(follower) == [("failed", "pending", "failed")]
    assert of(stumbling) == [
        ("started", "pending", "running"),
        ("retried", "running", "pending"),
        ("started", "pending", "running"),
        ("failed", "running", "failed"),
    ]
    assert of(dropped) == [("aborted", "pending", "aborted")]
    told = {(each.kind, each.job): each.data for each in changes}
    assert told["failed", refused.id] == {"type": "PermanentJobError", "message": "no"}
    assert told["aborted", dropped.id] == {"type": "JobAbortedError", "message": "not wanted"}


def test_stopping_a_running_job_is_told_before_it_has_stopped(project: Project, handlers: HandlerRegistry) -> None:
    @job(registry=handlers)
    async def wait(context: JobContext) -> None:
        project.job(context.job_id).abort("enough")
        await asyncio.Event().wait()

    feed = project.events(queue="work")
    project.queue("other").enqueue("echo", {"data": "x"})
    project.queue("work").enqueue(wait)
    project.queue("work").work_sync()
    assert [each.kind for each in feed.read()] == ["added", "started", "aborting", "aborted"]


def test_runs_are_told_of_from_their_beginning_to_their_removal(project: Project) -> None:
    @task(output="y", cache=False)
    def add(x: int) -> int:
        return 1 // x

    feed = project.events(jobs=False)
    done = project.run_sync(add, {"x": 1})
    with pytest.raises(TaskFailedError):
        project.run_sync(add, {"x": 0})
    asked = project.run_sync(HumanApprovalTask(id="ask", message="?"))
    project.abort(asked.id)
    begun = project.begin(add, {"x": 1})
    project.resume_sync(begun.id)
    failed = project.runs()[1].id
    changes = feed.read()
    assert steps(changes) == [
        ("begun", done.id, None, "running"),
        ("completed", done.id, "running", "completed"),
        ("begun", failed, None, "running"),
        ("failed", failed, "running", "failed"),
        ("begun", asked.id, None, "running"),
        ("waiting", asked.id, "running", "waiting"),
        ("resumed", asked.id, "waiting", "running"),
        ("aborted", asked.id, "running", "aborted"),
        ("begun", begun.id, None, "pending"),
        ("resumed", begun.id, "pending", "running"),
        ("completed", begun.id, "running", "completed"),
    ]
    assert all(isinstance(each, RunChange) for each in changes)
    assert changes[3].data is not None
    assert changes[3].data.keys() == {"type", "message"}
    collect(project.file, plan(project.file, keep_runs=0))
    assert sorted(step[1] for step in steps(feed.read()) if step[0] == "deleted") == sorted(
        [done.id, failed, asked.id, begun.id]
    )


def test_a_scope_chooses_the_jobs_of_the_queues_that_have_it(project: Project) -> None:
    scopes: list[dict[str, object]] = [
        {"user": "u1", "of": "p1"},
        {"user": "u1", "of": "p2"},
        {"user": "u2", "of": "p1"},
    ]
    feeds = {
        name: project.events(scope=scope) for name, scope in (("all", {}), ("u1", {"user": "u1"}), ("own", scopes[0]))
    }
    ids = [project.queue("q", scope=scope).enqueue("echo", {"data": "x"}).id for scope in scopes]
    found = {name: [each.job for each in feed.read() if isinstance(each, JobChange)] for name, feed in feeds.items()}
    assert found == {
        "all": ids, "u1": ids[:2], "own": ids[:1],
    }  # fmt: skip


# ---------------------------------------------------------------------- while nobody listens


def test_nothing_is_written_until_somebody_listens(project: Project) -> None:
    queue = project.queue("work")
    queue.enqueue("echo", {"data": "before"})
    queue.work_sync()
    assert rows(project) == 0
    feed = project.events()
    after = queue.enqueue("echo", {"data": "after"})
    assert [each.job for each in feed.read() if isinstance(each, JobChange)] == [after.id]


def test_what_was_not_kept_is_an_error_that_says_where_to_go_on(project: Project) -> None:
    queue = project.queue("work")
    feed = project.events()
    queue.enqueue("echo", {"data": "1"})
    assert len(feed.read()) == 1
    project.keep_events(0)
    assert rows(project) == 1  # it keeps its number
    with pytest.raises(EventsLostError, match="not kept any more") as raised:
        feed.read()
    assert raised.value.first is None
    queue.enqueue("echo", {"data": "nobody knows"})
    project.keep_events(days=1)
    for number in (feed.seq, 1):
        with pytest.raises(EventsLostError, match="is not kept") as raised:
            project.events(number)
    assert raised.value.first is not None
    again = project.events(raised.value.first)
    last = queue.enqueue("echo", {"data": "2"})
    changes = again.read()
    assert [each.job for each in changes if isinstance(each, JobChange)] == [last.id]
    assert changes[0].seq > feed.seq
    with pytest.raises(EventsLostError, match="another file"):
        project.events(changes[0].seq + 2)


def test_old_changes_go_by_number_and_by_age(project: Project, clock: FakeClock) -> None:
    project.keep_events(days=1, rows=300)
    feed, queue = project.events(0), project.queue("work")
    for _ in range(20):
        queue.enqueue_many("echo", [{"data": "x"}] * 50)
        assert rows(project) <= 301  # the row that says from where on, until it is old itself
    with pytest.raises(EventsLostError) as raised:
        feed.read()
    assert [each.seq for each in project.events(raised.value.first).read()] == list(range(703 - 1, 1002))
    clock.advance(86_401)
    queue.enqueue_many("echo", [{"data": "y"}])
    assert rows(project) == 1
    for _ in range(600):  # one by one too
        clock.advance(600)
        queue.enqueue("echo", {"data": "z"}).abort()
    assert rows(project) <= 2 * 145


def test_a_file_that_may_not_be_written_is_followed_when_it_keeps_changes(tmp_path: Path, project: Project) -> None:
    with wg.open(project.path, read_only=True) as reader:
        with pytest.raises(FileReadOnlyError):
            reader.events()
        project.keep_events()
        feed = reader.events()
        project.queue("work").enqueue("echo", {"data": "x"})
        assert [each.kind for each in feed.read()] == ["added"]


@pytest.mark.parametrize(
    ("days", "rows", "said"),
    [
        (-1, 1, "days is -1; give 0 or more"),
        (float("nan"), 1, "days is nan"),
        ("7", 1, "days is '7'"),
        (1, 0, "rows is 0; give a whole number, at least 1"),
        (1, 1.5, "rows is 1.5"),
        (1, float("inf"), "rows is inf"),
    ],
)
def test_a_strange_retention_is_refused(project: Project, days: Any, rows: Any, said: str) -> None:
    with pytest.raises(TaskConfigurationError, match=f"keep_events: {said}"):
        project.keep_events(days, rows=rows)


def test_a_choice_that_there_is_not_is_refused(project: Project) -> None:
    with pytest.raises(TypeError, match="'handler'; it has jobs, runs, queue, scope"):
        project.events(0, handler="note")  # pyright: ignore[reportCallIssue]


# ---------------------------------------------------------------------- properties

ACTIONS = st.lists(
    st.sampled_from(["echo", "refuse", "stumble", "many", "abort", "work", "retry", "run", "wait"]), max_size=25
)
_names = itertools.count()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(ACTIONS, st.data())
def test_a_replay_from_any_number_is_the_tail_and_folds_to_the_state(
    tmp_path: Path, actions: list[str], data: st.DataObject
) -> None:
    clock, handlers = FakeClock(), HandlerRegistry()
    register(handlers)

    @task(output="y", cache=False)
    def one(x: int) -> int:
        return x

    with wg.open(":memory:", clock=clock, handlers=handlers) as project:
        live, whole = project.events(), list[Any]()
        queue = project.queue("q", keep_completed=30)
        for action in actions:
            if action in ("echo", "refuse", "stumble"):
                queue.enqueue(action, {"data": "x"})
            elif action == "many":
                queue.enqueue_many("echo", [{"data": "x"}] * 3)
            elif action == "work":
                queue.work_sync()
            elif action == "run":
                project.run_sync(one, {"x": 1})
            elif action == "wait":
                clock.advance(20)
            elif jobs := queue.jobs("failed", "aborted") if action == "retry" else queue.jobs("pending"):
                (jobs[0].retry if action == "retry" else jobs[0].abort)()
            if data.draw(st.booleans(), label="read now"):
                whole += live.read()
        whole += live.read()
        state: dict[object, str | None] = {}
        for number, change in enumerate(whole):
            key = change.job if isinstance(change, JobChange) else change.run
            assert state.get(key) == change.old
            state[key] = change.new
            assert change.seq == whole[0].seq + number
        assert {key: status for key, status in state.items() if status} == {
            **{each.id: each.status for each in project.queues.jobs(limit=1000)},
            **{each.id: each.status for each in project.runs()},
        }
        if whole:
            start = data.draw(st.integers(0, len(whole) - 1), label="from")
            assert project.events(whole[start].seq).read() == whole[start:]
