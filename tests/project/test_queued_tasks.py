"""Promise: a task that a worker of a queue does ends like one that is done in place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import (
    Event,
    FallbackTask,
    GraphAsTask,
    HumanApprovalTask,
    MapTask,
    Project,
    Retry,
    Run,
    Stream,
    TaskContext,
    TaskGraph,
    Workflow,
)
from workglow.errors import (
    CodeChangedError,
    GraphFormatError,
    InterruptedTaskError,
    TaskConfigurationError,
    TaskEntitlementError,
    TaskFailedError,
    TaskTimeoutError,
    WorkglowError,
)
from workglow.file import doctor
from workglow.graph.stored import versions_of
from workglow.storage.sqlite.recovery import recover
from workglow.tasks import Task, TaskRegistry, task, task_registry

keys: list[tuple[str, int, str]] = []
"""Path, attempt and key of each body that began."""


def enter(context: TaskContext) -> None:
    keys.append((context.path, context.attempt, context.idempotency_key))


@task(name="q_sum", output="result")
def add(a: int = 1, b: int = 2) -> int:
    return a + b


@task(name="q_keyed", output="value", cache=False)
def keyed(value: int, context: TaskContext) -> int:
    enter(context)
    return value + 1


@task(name="q_slow", output="value", cache=False)
async def slow(value: int, context: TaskContext) -> int:
    enter(context)
    context.progress(0.5, "half")
    context.record_usage("tiny", input_tokens=value, cost=0.5)
    await asyncio.sleep(0)
    return value * 2


@task(name="q_inline", output="value", cache=False, inline=True)
def inline(value: int) -> int:
    return value - 1


class OwnError(Exception):
    """Known to nobody but this module."""


@task(name="q_fails", output="value", cache=False)
def fails(value: int, context: TaskContext) -> int:
    enter(context)
    raise OwnError(f"{value} is too much")


@task(name="q_falters", output="value", cache=False, retry=Retry(3, on=(OwnError,)))
def falters(value: int, context: TaskContext) -> int:
    enter(context)
    context.record_usage("tiny", input_tokens=1)
    if context.attempt < value:
        raise OwnError(f"attempt {context.attempt}")
    return context.attempt


@task(name="q_picky", output="value", cache=False, retry=Retry(3, on=(KeyError,)))
def picky(value: int, context: TaskContext) -> int:
    enter(context)
    raise OwnError("not worth it")


@task(name="q_late", output="value", cache=False, timeout=0.01)
async def late(value: int) -> int:
    await asyncio.Event().wait()
    return value


@task(name="q_wrong", output="value", cache=False)
def wrong(value: int) -> int:
    return "text"  # type: ignore[return-value]


@task(name="q_quits", output="value", cache=False)
async def quits(value: int) -> int:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


@task(name="q_streams", output="text", cache=False)
async def streams(value: int) -> AsyncIterator[str]:
    for number in range(value):
        yield str(number)


@task(name="q_reads", output="read", cache=False)
async def reads(text: Stream[str]) -> str:
    return "".join([piece async for piece in text]) + "!"


@task(name="q_comfort", output="value", cache=False)
def comfort(error: str, errorType: str) -> str:
    return f"{errorType}: {error}"


@task(name="q_asks", output="value", cache=False)
async def asks(value: int, context: TaskContext) -> int:
    return int((await context.ask("How much?")).content["answer"])


@task(name="q_guarded", output="value", cache=False, entitlements=("network",))
def guarded(value: int, context: TaskContext) -> bool:
    return context.is_allowed("files:write")


@task(name="q_cautious", output="value", side_effects=True, on_interrupt="ask")
def cautious(value: int, context: TaskContext) -> int:
    enter(context)
    return value


def chain(*kinds: Any) -> TaskGraph:
    """The tasks one behind the other, each with the port `value`."""
    flow = Workflow()
    for number, kind in enumerate(kinds):
        flow = flow.then(kind, id=f"t{number}")
    return flow.graph


def routed(kind: Any) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(kind, id="t0")
    graph.add_task(comfort, id="comfort")
    graph.add_dataflow("t0", "[error]", "comfort", "*")
    return graph


def inside(holder: Callable[..., Any], *kinds: Any, **options: Any) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(holder(chain(*kinds), id="holder", **options))
    return graph


def alternatives() -> TaskGraph:
    graph = TaskGraph()
    inner = TaskGraph()
    inner.add_task(fails, id="first")
    inner.add_task(keyed, id="second")
    graph.add_task(FallbackTask(inner, id="either"))
    return graph


SHAPES: dict[str, tuple[Callable[[], TaskGraph], Any]] = {
    "thread": (lambda: chain(keyed, keyed), 3),
    "async": (lambda: chain(slow, inline), 3),
    "fails": (lambda: chain(keyed, fails), 3),
    "retried": (lambda: chain(falters), 3),
    "retried in vain": (lambda: chain(falters), 9),
    "not worth a retry": (lambda: chain(picky), 9),
    "times out": (lambda: chain(late), 9),
    "wrong output": (lambda: chain(wrong), 9),
    "wrong input": (lambda: chain(keyed), "text"),
    "cancels itself": (lambda: chain(quits), 9),
    "error edge": (lambda: routed(fails), 3),
    "time-out on an error edge": (lambda: routed(late), 3),
    "loop": (lambda: inside(MapTask, keyed, slow, max_iterations=9), [1, 2, 3]),
    "group": (lambda: inside(GraphAsTask, keyed, slow), 4),
    "loop that fails": (lambda: inside(MapTask, keyed, fails, max_iterations=9), [7]),
    "alternatives": (alternatives, 4),
    "stream": (lambda: chain(streams, reads), 4),
}
KINDS = (keyed, slow, inline, fails, falters, picky, late, wrong, quits, streams, reads, comfort)
QUEUES = {"q_keyed": "gpu"}


def queues_of(graph: TaskGraph) -> dict[str, str]:
    """Every task with a body through the queue."""
    return {kind.task_type.type: "gpu" for kind in KINDS if kind.task_type.type in versions_of(graph)}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    keys.clear()
    with wg.open(tmp_path / "runs.wg", durability="process") as opened:
        yield opened
    assert doctor(tmp_path / "runs.wg").ok


async def finish(project: Project, graph: Any, inputs: Any, **options: Any) -> Run:
    """Run a graph beside a worker that does one thing at a time."""
    async with project.worker(concurrency=1):
        try:
            return await project.run(graph, inputs, **options)
        except WorkglowError as error:
            if not isinstance(error.run, Run):
                raise
            return error.run


def told(run: Run) -> object:
    """What a user sees of a run, but for times and traces."""
    tasks = {path: (one.status, one.attempt, dict(one.outputs or {}), one.error) for path, one in run.tasks.items()}
    return run.status, run.error, dict(run.outputs or {}), tasks, run.usage_by_task


@pytest.mark.parametrize("shape", SHAPES)
def test_a_queued_task_ends_like_one_done_in_place(project: Project, shape: str) -> None:
    build, value = SHAPES[shape]
    direct = asyncio.run(finish(project, build(), {"value": value}))
    began, keys[:] = [one[:2] for one in keys], []
    assert project.queues.jobs() == []
    queued = asyncio.run(finish(project, build(), {"value": value}, queues=queues_of(build())))
    assert told(queued) == told(direct)
    assert sorted(one[:2] for one in keys) == sorted(began)
    assert project.queues.jobs() or shape == "wrong input"


def test_a_task_that_names_its_queue_is_done_by_a_worker_and_by_nobody_else(project: Project) -> None:
    flow = Workflow().then(add, queue="sums")
    run = project.run_sync(flow, {}, wait=False)
    assert run.status == "waiting"
    assert [one.waits_for for one in run.tasks.values()] == ["for a worker of the queue 'sums'"]
    (job,) = project.queues.jobs()
    assert (job.queue, job.handler, job.status) == ("sums", "task:q_sum", "pending")
    assert project.resume_sync(run.id, wait=False).status == "waiting"
    project.queue("sums").work_sync()
    assert project.due() == [run.id]
    done = project.resume_sync(run.id)
    assert done.outputs == {"result": 3}


def test_the_queue_of_a_task_is_kept_in_json_and_refused_where_it_makes_no_sense(project: Project) -> None:
    graph = TaskGraph()
    graph.add_task(add.task_type(id="one", queue="sums"))
    again = TaskGraph.from_json(graph.to_json())
    assert again.tasks["one"].queue == "sums"
    assert add.task_type(id="one", queue="sums").replace(queue="other").queue == "other"
    with pytest.raises(TaskConfigurationError, match="in the process that drives the run"):
        HumanApprovalTask(id="ask", message="?", queue="people")
    with pytest.raises(TaskConfigurationError, match="in the process that drives the run"):
        GraphAsTask(chain(keyed), id="group", queue="gpu")
    with pytest.raises(TaskConfigurationError, match="queue has to be the name of a queue"):
        add.task_type(queue=3)
    item = graph.to_json()
    item["tasks"][0]["config"]["queue"] = 3
    with pytest.raises(GraphFormatError):
        TaskGraph.from_json(item)
    run = asyncio.run(finish(project, inside(GraphAsTask, keyed), {"value": 1}, queues={"GraphAsTask": "gpu"}))
    assert "take it out of queues=" in str(run.error)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("q_keyde", "  *Did you mean 'q_keyed'"),
        ("nothing like it", "of that type\\.$"),
        ("group", "as its id: name its type 'GraphAsTask'"),
    ],
)
def test_queues_for_what_is_no_type_in_the_graph_are_refused(project: Project, name: str, hint: str) -> None:
    queues = {"q_keyed": "gpu", name: "gpu"}
    graph = TaskGraph()
    graph.add_task(GraphAsTask(chain(keyed), id="group"))
    for begin in (graph.run_sync, partial(project.run_sync, graph), partial(project.submit, graph)):
        with pytest.raises(TaskConfigurationError, match=f"queues names '{name}', and no task.*{hint}"):
            begin({"value": 1}, queues=queues)
    assert project.runs() == []
    run = project.run_sync(graph, {"value": 1})
    with pytest.raises(TaskConfigurationError, match=hint):
        project.fork_sync(run.id, from_task="group", queues=queues)


def test_beside_a_graph_that_comes_with_its_inputs_every_registered_type_may_have_a_queue(project: Project) -> None:
    flow = Workflow().then(task_registry.get("JsonTask"))
    given = {"json": '[{"id": "one", "type": "q_sum"}]', "a": 1}
    run = project.run_sync(flow, given, queues={"q_sum": "gpu"}, wait=False)
    assert [one.queue for one in project.queues.jobs()] == ["gpu"]
    assert run.status == "waiting"
    with pytest.raises(TaskConfigurationError, match="queues names 'q_su'"):
        project.run_sync(flow, given, queues={"q_su": "gpu"})


def test_a_run_that_is_kept_nowhere_does_everything_itself() -> None:
    assert Workflow().then(add, queue="sums").run_sync({}).outputs == {"result": 3}


def test_the_key_is_the_same_in_a_worker_and_in_place(project: Project) -> None:
    run = project.run_sync(chain(keyed), {"value": 1}, queues=QUEUES, wait=False)
    context = TaskContext(run_id=run.id, path="t0", project_uid=project.file.uid)
    project.queue("gpu").work_sync()
    assert keys == [("t0", 1, context.idempotency_key)]


def test_progress_and_events_reach_who_looks_at_the_job(project: Project) -> None:
    async def look() -> list[str]:
        seen: list[str] = []
        project.queues.events.subscribe(lambda event: seen.append(event.kind))
        await finish(project, chain(slow), {"value": 1}, queues={"q_slow": "gpu"})
        return seen

    assert asyncio.run(look()) == ["job_started", "job_progress", "job_completed"]


def test_progress_reaches_who_listens_to_the_run(project: Project) -> None:
    heard = asyncio.Event()
    seen: list[object] = []

    @task(name="q_reports", output="value", cache=False)
    async def reports(value: int, context: TaskContext) -> int:
        context.progress(0.25, "a quarter")
        await heard.wait()
        return value

    def listen(event: Event) -> None:
        if event.kind == "task_progress":
            seen.append((event.path, event.data))
            heard.set()

    asyncio.run(finish(project, chain(reports), {"value": 1}, queues={"q_reports": "gpu"}, on_event=listen))
    assert seen == [("t0", (0.25, "a quarter"))]


def test_outputs_are_looked_up_before_a_job_is_made_and_kept_after_it(project: Project) -> None:
    flow = Workflow().then(add, queue="sums")
    run = project.run_sync(flow, {"a": 5}, wait=False)
    project.queue("sums").work_sync()
    assert project.resume_sync(run.id).outputs == {"result": 7}  # the process that goes on has to find the key anew
    assert project.run_sync(flow, {"a": 5}).outputs == {"result": 7}
    assert project.run_sync(Workflow().then(add), {"a": 5}, wait=False).outputs == {"result": 7}
    assert len(project.queues.jobs()) == 1


@pytest.mark.parametrize("granted", [["network"], ["network", "files:write"]])
def test_a_worker_may_do_what_the_run_may(project: Project, granted: list[str]) -> None:
    queues = {"q_guarded": "gpu"}
    with pytest.raises(TaskEntitlementError):
        project.run_sync(chain(guarded), {"value": 1}, queues=queues, entitlements=["files:write"])
    assert project.queues.jobs() == []
    run = asyncio.run(finish(project, chain(guarded), {"value": 1}, queues=queues, entitlements=granted))
    assert run.outputs == {"value": "files:write" in granted}


def test_what_is_granted_to_who_resumes_goes_to_the_worker(project: Project) -> None:
    data = TaskGraph.from_json(chain(guarded).to_json())
    begun = project.begin(data, {"value": 1}, queues={"q_guarded": "gpu"})
    run = project.resume_sync(begun.id, wait=False, entitlements=["network"])
    project.queue("gpu").work_sync()
    assert project.resume_sync(run.id, entitlements=["network"]).outputs == {"value": False}


def test_a_question_is_refused_in_a_worker(project: Project) -> None:
    run = asyncio.run(finish(project, chain(asks), {"value": 1}, queues={"q_asks": "gpu"}))
    assert run.status == "failed"
    assert "a worker of a queue cannot wait for" in str(run.error)


def test_aborting_a_run_aborts_its_jobs(project: Project) -> None:
    run = project.run_sync(inside(MapTask, keyed, max_iterations=9), {"value": [1, 2, 3]}, queues=QUEUES, wait=False)
    assert [job.status for job in project.queues.jobs()] == ["pending"] * 3
    assert project.abort(run.id).status == "aborted"
    assert [job.status for job in project.queues.jobs()] == ["aborted"] * 3
    project.queue("gpu").work_sync()
    assert keys == []


def test_a_failure_beside_a_job_that_runs_stops_it(project: Project) -> None:
    stopped: list[str] = []
    begun = asyncio.Event()

    @task(name="q_long", output="value", cache=False)
    async def long(value: int, context: TaskContext) -> int:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(context.path)
        return value

    @task(name="q_then_fails", output="value", cache=False)
    async def then_fails(value: int) -> int:
        await begun.wait()
        raise OwnError("now")

    graph = TaskGraph()
    graph.add_task(long, id="long")
    graph.add_task(then_fails, id="fails")
    run = asyncio.run(finish(project, graph, {"value": 1}, queues={"q_long": "gpu"}))
    assert (run.status, stopped) == ("failed", ["long"])
    assert [job.status for job in project.queues.jobs()] == ["aborted"]


def test_a_job_that_somebody_aborts_fails_its_task(project: Project) -> None:
    run = project.run_sync(routed(keyed), {"value": 1}, queues={"q_keyed": "gpu"}, wait=False)
    (job,) = project.queues.jobs()
    job.abort("No money left.")
    done = project.resume_sync(run.id)
    assert done.tasks["comfort"].outputs == {"value": "JobAbortedError: No money left."}


def test_a_job_that_is_retried_when_its_task_is_over_does_nothing(project: Project) -> None:
    run = project.run_sync(routed(fails), {"value": 1}, queues={"q_fails": "gpu"}, wait=False)
    project.queue("gpu").work_sync()
    assert project.resume_sync(run.id).status == "completed"
    (job,) = project.queues.jobs()
    job.retry()
    project.queue("gpu").work_sync()
    assert job.refresh().status == "aborted"
    assert len(keys) == 1


def test_a_job_of_an_earlier_attempt_ends_no_later_one(project: Project) -> None:
    run = project.run_sync(chain(falters), {"value": 2}, queues={"q_falters": "gpu"}, wait=False)
    project.queue("gpu").work_sync()
    assert project.resume_sync(run.id, wait=False).status == "waiting"
    second, first = project.queues.jobs()
    first.retry()
    project.queue("gpu").work_sync()
    assert (first.refresh().status, second.refresh().status) == ("aborted", "completed")
    assert project.resume_sync(run.id).outputs == {"value": 2}
    assert [one[:2] for one in keys] == [("t0", 1), ("t0", 2)]


def test_a_worker_that_does_not_know_the_type_leaves_the_job_to_others(tmp_path: Path, project: Project) -> None:
    run = project.run_sync(chain(keyed), {"value": 1}, queues=QUEUES, wait=False)
    with wg.open(project.path, registry=TaskRegistry([])) as other:
        assert other.queue("gpu").work_sync() <= 1
        assert [(job.status, job.attempt) for job in other.queues.jobs()] == [("pending", 0)]
    project.queue("gpu").work_sync()
    assert project.resume_sync(run.id).outputs == {"value": 2}


def test_a_worker_with_other_code_refuses(project: Project) -> None:
    run = project.run_sync(chain(keyed), {"value": 1}, queues=QUEUES, wait=False)
    known = task_registry.get("q_keyed")
    other: type[Task] = type("q_keyed", (known,), {"version": "other", "type": "q_keyed"})
    with wg.open(project.path, registry=TaskRegistry([other])) as worker:
        worker.queue("gpu").work_sync()
    with pytest.raises(CodeChangedError, match="q_keyed in this worker"):
        project.resume_sync(run.id)
    assert keys == []


def test_jobs_that_are_deleted_at_once_have_told_what_they_came_to(project: Project) -> None:
    project.queue("gpu", keep_completed=0, keep_failed=0)
    run = project.run_sync(inside(MapTask, keyed, max_iterations=9), {"value": [1, 2]}, queues=QUEUES, wait=False)
    project.queue("gpu").work_sync()
    assert project.queues.jobs() == []
    assert project.resume_sync(run.id).outputs == {"value": [2, 3]}


@pytest.mark.parametrize("lost", [False, True])
def test_a_recovered_file_goes_on_with_its_queued_tasks(tmp_path: Path, lost: bool) -> None:
    keys.clear()
    with wg.open(tmp_path / "old.wg") as project:
        run = project.run_sync(chain(keyed), {"value": 1}, queues=QUEUES, wait=False)
        if lost:
            with project.file.transaction() as db:
                db.execute("DELETE FROM job")
    recover(tmp_path / "old.wg", tmp_path / "new.wg")
    assert doctor(tmp_path / "new.wg").ok
    with wg.open(tmp_path / "new.wg") as project:
        if lost:
            assert project.resume_sync(run.id, wait=False).status == "waiting"
        project.queue("gpu").work_sync()
        assert project.resume_sync(run.id).outputs == {"value": 2}


def test_large_values_go_there_and_back(project: Project) -> None:
    text = "word " * 100_000

    @task(name="q_large", output="text", cache=False)
    def large(text: str) -> str:
        return text + "end"

    run = asyncio.run(finish(project, chain(large), {"text": text}, queues={"q_large": "gpu"}))
    assert run.outputs == {"text": text + "end"}


@pytest.mark.parametrize("decision", ["retry", "fail"])
def test_a_side_effect_whose_worker_was_lost_is_decided_by_who_resumes(project: Project, decision: Any) -> None:
    run = project.run_sync(chain(cautious), {"value": 1}, queues={"q_cautious": "gpu"}, wait=False)
    (job,) = project.queues.jobs()
    assert job.record.max_attempts == 1
    with project.file.transaction() as db:  # what a worker does that finds another one dead
        from workglow.storage.sqlite.job_ends import end_job

        db.execute("UPDATE job SET attempt = 1, claim = 1")
        end_job(db.execute, job.id, "failed", 1, error='{"type":"WorkerLostError","message":"gone","trace":""}')
    for _ in range(2):
        with pytest.raises(InterruptedTaskError, match="whether its effect happened is not known"):
            project.resume_sync(run.id)
    if decision == "fail":
        with pytest.raises(InterruptedTaskError):
            project.resume_sync(run.id, interrupted="fail")
        assert keys == []
    else:
        assert project.resume_sync(run.id, interrupted="retry", wait=False).status == "waiting"
        project.queue("gpu").work_sync()
        assert project.resume_sync(run.id).outputs == {"value": 1}
        assert [one[:2] for one in keys] == [("t0", 2)]


def test_whoever_listens_hears_that_a_task_waits_for_a_worker(project: Project) -> None:
    seen: list[Event] = []
    asyncio.run(finish(project, chain(keyed), {"value": 1}, queues=QUEUES, on_event=seen.append))
    assert [event.kind for event in seen] == [
        *("run_started", "task_started", "task_waiting", "task_completed", "run_finished"),
    ]
    assert seen[2].data.queue == "gpu"


def test_errors_of_our_own_come_back_as_what_they_were(project: Project) -> None:
    for kind, expected in ((late, TaskTimeoutError), (fails, TaskFailedError)):
        run = project.run_sync(chain(kind), {"value": 1}, queues={kind.task_type.type: "gpu"}, wait=False)
        project.queue("gpu").work_sync()
        with pytest.raises(expected) as caught:
            project.resume_sync(run.id)
        assert type(caught.value) is expected
    assert "Where it was raised" in "".join(getattr(caught.value.__cause__, "__notes__", ()))
