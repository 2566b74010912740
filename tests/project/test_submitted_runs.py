"""Promise: a submitted run is driven by workers to its end, and nobody has to resume it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import workglow as wg
from workglow import DelayTask, HumanInputTask, MapTask, Project, TaskContext, TaskGraph, WaitForEventTask, Workflow
from workglow.errors import JobFailedError, RunStateError, TaskConfigurationError
from workglow.file import doctor
from workglow.storage.sqlite.retention import collect, plan
from workglow.tasks import task
from workglow.testing import FakeClock

begun: list[str] = []


@task(name="s_add", output="value", cache=False)
def add(value: int, context: TaskContext) -> int:
    begun.append(context.path)
    return value + 1


@task(name="s_sum", output="result", queue="sums")
def total(a: int = 1, b: int = 2) -> int:
    return a + b


@task(name="s_fails", output="value", cache=False)
def fails(value: int) -> int:
    raise ValueError(f"{value} is too much")


@task(name="s_guarded", output="value", cache=False, entitlements=("network",))
def guarded(value: int) -> int:
    return value


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock) -> Iterator[Project]:
    begun.clear()
    with wg.open(tmp_path / "runs.wg", durability="process", clock=clock) as opened:
        yield opened
    assert doctor(tmp_path / "runs.wg").ok


def work(project: Project) -> int:
    """Do everything there is to do now, one thing at a time."""

    async def drain() -> int:
        return await project.worker(concurrency=1).run(until_idle=True)

    return asyncio.run(drain())


def jobs(project: Project) -> list[tuple[str, str]]:
    return [(job.handler, job.status) for job in project.queues.jobs()][::-1]


def graph_of(*kinds: object) -> TaskGraph:
    flow = Workflow()
    for number, kind in enumerate(kinds):
        flow = flow.then(kind, id=f"t{number}")  # type: ignore[arg-type]
    return flow.graph


def test_a_worker_drives_a_run_that_was_submitted(project: Project) -> None:
    run = project.submit(graph_of(add, add), {"value": 1})
    assert (run.status, begun) == ("pending", [])
    assert jobs(project) == [("workglow.run", "pending")]
    assert project.queues.jobs()[0].queue == "runs"
    assert work(project) == 1
    done = project.wait_sync(run.id)
    assert (done.status, done.outputs, begun) == ("completed", {"value": 3}, ["t0", "t1"])
    assert project.queues.jobs()[0].result_sync() == {"run": run.id, "status": "completed"}


def test_one_worker_with_one_place_drives_a_run_and_does_its_tasks(project: Project) -> None:
    body = graph_of(add)
    graph = TaskGraph()
    graph.add_task(MapTask(body, id="map", max_iterations=9))
    run = project.submit(graph, {"value": [1, 2, 3]}, queue="all", queues={"s_add": "all"})
    assert work(project) >= 5
    assert project.get(run.id).outputs == {"value": [2, 3, 4]}
    assert {status for _, status in jobs(project)} == {"completed"}


def test_a_task_in_a_queue_without_workers_is_not_done(project: Project) -> None:
    run = project.submit(Workflow().then(total), queue="runs")
    project.queue("runs").work_sync()
    assert (project.get(run.id).status, project.get(run.id).outputs) == ("waiting", {})
    assert jobs(project) == [("workglow.run", "completed"), ("task:s_sum", "pending")]
    project.queue("sums").work_sync()
    project.queue("runs").work_sync()
    assert project.get(run.id).outputs == {"result": 3}


def test_a_failure_of_the_run_is_that_of_its_job_and_is_not_tried_again(project: Project) -> None:
    run = project.submit(graph_of(fails), {"value": 1})
    work(project)
    assert project.wait_sync(run.id).status == "failed"
    (job,) = project.queues.jobs()
    assert (job.status, job.attempt) == ("failed", 1)
    with pytest.raises(JobFailedError, match="1 is too much"):
        job.result_sync()
    job.retry()
    work(project)
    assert job.refresh().status == "failed"


def test_an_answer_has_the_run_driven_on(project: Project) -> None:
    ask = HumanInputTask(id="ask", message="How much?", content_schema={"type": "object", "properties": {"n": {}}})
    run = project.submit(Workflow().then(ask).graph, {})
    work(project)
    assert project.wait_sync(run.id).status == "waiting"  # for somebody outside: nothing goes on by itself
    assert [status for _, status in jobs(project)] == ["completed"]
    project.answer(run.id, "ask", {"n": 3})
    assert [status for _, status in jobs(project)] == ["completed", "pending"]
    work(project)
    assert project.get(run.id).status == "completed"


def test_an_event_has_the_run_driven_on_and_only_once(project: Project) -> None:
    graph = TaskGraph()
    for name in ("red", "blue"):
        graph.add_task(WaitForEventTask(id=name, event=name))
    run = project.submit(graph, {})
    work(project)
    project.send_event("red")
    project.send_event("blue")
    project.send_event("nobody waits for this")
    assert [status for _, status in jobs(project)] == ["completed", "pending"]
    work(project)
    assert project.get(run.id).status == "completed"


def test_a_time_has_the_run_driven_on_when_it_comes(project: Project, clock: FakeClock) -> None:
    run = project.submit(graph_of(DelayTask(seconds=60.0)), {"value": 1})
    work(project)
    assert project.get(run.id).status == "waiting"
    assert [status for _, status in jobs(project)] == ["completed", "pending"]
    work(project)
    assert project.get(run.id).status == "waiting"
    clock.advance(61)
    work(project)
    assert project.get(run.id).status == "completed"


def test_an_answer_that_comes_before_the_deadline_is_acted_on_at_once(project: Project) -> None:
    graph = TaskGraph()
    graph.add_task(WaitForEventTask(id="event", event="red", timeout=60.0))
    run = project.submit(graph, {})
    work(project)
    (_, later) = project.queues.jobs()[::-1]
    assert later.record.run_after is not None
    project.send_event("red")
    work(project)
    assert project.get(run.id).status == "completed"
    assert [status for _, status in jobs(project)] == ["completed", "completed"]


def test_aborting_a_run_that_waits_aborts_the_job_that_was_to_drive_it(project: Project) -> None:
    run = project.submit(graph_of(DelayTask(seconds=60.0)), {"value": 1})
    work(project)
    assert project.abort(run.id).status == "aborted"
    assert [status for _, status in jobs(project)] == ["completed", "aborted"]
    other = project.submit(graph_of(add), {"value": 1})
    project.abort(other.id)
    work(project)
    assert begun == []


def test_aborting_a_run_that_a_worker_drives_has_the_worker_do_it(project: Project) -> None:
    begins = asyncio.Event()

    @task(name="s_long", output="value", cache=False)
    async def long(value: int) -> int:
        begins.set()
        await asyncio.Event().wait()
        return value

    async def abort() -> str:
        run = project.submit(graph_of(long), {"value": 1})
        async with project.worker():
            await begins.wait()
            with pytest.raises(TimeoutError):
                await project.wait(run.id, timeout=0)
            assert project.abort(run.id, "Enough.").status == "running"
            return str((await project.wait(run.id)).status)

    assert asyncio.run(abort()) == "aborted"
    assert jobs(project) == [("workglow.run", "aborted")]


def test_a_worker_that_stops_hands_the_run_back(project: Project) -> None:
    begins = asyncio.Event()
    stays: list[bool] = [True]

    @task(name="s_stays", output="value", cache=False)
    async def long(value: int) -> int:
        begins.set()
        if stays:
            await asyncio.Event().wait()
        return value

    async def leave() -> None:
        working = asyncio.ensure_future(project.worker().run())
        await begins.wait()
        working.cancel()
        await asyncio.wait((working,))

    run = project.submit(graph_of(add, long), {"value": 1})
    asyncio.run(leave())
    assert [(job.status, job.attempt) for job in project.queues.jobs()] == [("pending", 0)]
    stays.clear()
    work(project)
    assert project.get(run.id).outputs == {"value": 2}
    assert begun == ["t0"]


def test_a_run_that_somebody_else_drives_is_left_to_him(tmp_path: Path, project: Project) -> None:
    begins, goes_on = asyncio.Event(), asyncio.Event()

    @task(name="s_held", output="value", cache=False)
    async def held(value: int) -> int:
        begins.set()
        await goes_on.wait()
        return value

    async def both() -> None:
        run = project.submit(graph_of(held), {"value": 1})
        driving = asyncio.ensure_future(project.resume(run.id))
        await begins.wait()
        await project.worker().run(until_idle=True)
        (job,) = project.queues.jobs()
        assert (job.status, job.attempt, job.attempts[0].outcome) == ("pending", 0, "returned")
        goes_on.set()
        assert (await driving).status == "completed"
        assert job.refresh().status == "aborted"

    asyncio.run(both())


def test_what_the_run_may_do_is_kept_with_it(project: Project) -> None:
    data = TaskGraph.from_json(graph_of(guarded).to_json())
    refused = project.submit(data, {"value": 1})
    allowed = project.submit(data, {"value": 1}, entitlements=["network"])
    work(project)
    assert project.get(allowed.id).outputs == {"value": 1}
    assert "Denied entitlements" in str(project.queues.jobs()[-1].error)
    assert project.get(refused.id).status == "pending"
    assert project.wait_sync(refused.id).status == "pending"  # nobody will go on with it: it does not wait for ever


def test_bad_options_and_inputs_are_refused_where_the_run_is_submitted(project: Project) -> None:
    with pytest.raises(TaskConfigurationError, match="give types of tasks with names of queues"):
        project.submit(graph_of(add), {"value": 1}, queues={"s_add": 3})  # type: ignore[dict-item]
    with pytest.raises(TaskConfigurationError, match="1 to 200 characters"):
        project.submit(graph_of(add), {"value": 1}, queue="")
    assert project.runs() == []
    assert jobs(project) == []


def test_deleting_the_newest_job_with_its_task_frees_no_number(project: Project) -> None:
    run = project.run_sync(Workflow().then(total), wait=False)
    (job,) = project.queues.jobs()
    project.abort(run.id)
    assert collect(project.file, plan(project.file, keep_runs=0)) >= 0
    assert run.id not in [one.id for one in project.runs()]
    assert project.queues.jobs() == []
    project.submit(graph_of(add), {"value": 1})
    assert project.queues.jobs()[0].id > job.id


def test_a_finished_run_is_no_place_for_another_job(project: Project) -> None:
    run = project.submit(graph_of(add), {"value": 1})
    work(project)
    with pytest.raises(RunStateError):
        project.abort(run.id)
    with pytest.raises(RunStateError):
        project.send_event("red", run=run.id)
    assert len(jobs(project)) == 1
