"""Delays, events and persons in runs that are kept: what waits, who may end it; nothing before it runs again."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workglow as wg
from workglow import (
    DelayTask,
    HumanApprovalTask,
    HumanInputTask,
    Project,
    Question,
    Retry,
    Run,
    TaskContext,
    TaskGraph,
    WaitForEventTask,
    WaitUntilTask,
    Workflow,
    task,
)
from workglow.errors import (
    AnswerError,
    CorruptValueError,
    RunStateError,
    TaskConfigurationError,
    TaskInputError,
    TaskTimeoutError,
)
from workglow.file import doctor
from workglow.graph.events import Event
from workglow.testing import FakeClock

begun: Counter[str] = Counter()
NAME = {"type": "object", "properties": {"name": {"type": "string", "minLength": 1}}, "required": ["name"]}


@task(name="waiting_draft", output="text", cache=False)
def draft(topic: str, context: TaskContext) -> str:
    begun[context.path] += 1
    return f"about {topic}"


@task(name="waiting_publish", output="url", cache=False, side_effects=True)
def publish(text: str, context: TaskContext) -> str:
    begun[context.path] += 1
    return f"https://{text}"


@pytest.fixture(autouse=True)
def _clean() -> None:
    begun.clear()


@pytest.fixture
def reopen(project_path: Path, clock: FakeClock) -> Iterator[Callable[[], Project]]:
    """Close the file and open it again, as another process does."""
    opened: list[Project] = []

    def again() -> Project:
        if opened:
            opened.pop().close()
            assert doctor(project_path).ok
        opened.append(wg.open(project_path, clock=clock))
        return opened[-1]

    yield again
    if opened:
        opened.pop().close()
    assert doctor(project_path).ok


def around(waiting: Any) -> Workflow:
    return Workflow().then(draft, id="draft").then(waiting).then(publish, id="publish")


APPROVAL = HumanApprovalTask(id="approve", message="Publish this?")


def test_a_person_answers_and_nothing_before_runs_again(reopen: Callable[[], Project]) -> None:
    run = reopen().run_sync(around(APPROVAL), {"topic": "bees"})
    assert run.status == "waiting"
    assert begun == {"draft": 1}
    project = reopen()
    (question,) = project.questions()
    assert (question.run, question.task, question.message) == (run.id, "approve", "Publish this?")
    assert question.data == {"text": "about bees"}
    assert project.due() == []
    project.answer(run.id, "approve", True)
    assert project.questions() == []
    project = reopen()
    assert project.due() == [run.id]
    (run,) = project.resume_due_sync()
    assert (run.status, run.outputs) == ("completed", {"url": "https://about bees"})
    assert run.tasks["approve"].outputs == {"text": "about bees", "approved": True, "action": "accept"}
    assert begun == {"draft": 1, "publish": 1}
    assert run.tasks["approve"].attempt == 1


@pytest.mark.parametrize(("value", "action"), [(False, "accept"), (None, "decline"), (None, "cancel")])
def test_what_is_not_approved_goes_no_further(reopen: Callable[[], Project], value: object, action: Any) -> None:
    project = reopen()
    run = project.run_sync(around(APPROVAL), {"topic": "bees"})
    project.answer(run.id, "approve", value, action=action)
    run = reopen().resume_sync(run.id)
    assert run.status == "completed"
    assert run.tasks["publish"].status == "disabled"
    assert (run.tasks["approve"].outputs["approved"], run.tasks["approve"].outputs["action"]) == (False, action)
    assert begun == {"draft": 1}


def test_a_reason_can_be_given_with_no(project: Project) -> None:
    run = project.run_sync(around(APPROVAL), {"topic": "bees"})
    project.answer(run.id, "approve", {"reason": "too short"}, action="decline")
    outputs = project.resume_sync(run.id).tasks["approve"].outputs
    assert outputs == {"text": "about bees", "approved": False, "action": "decline", "reason": "too short"}


def test_the_first_answer_stands(project: Project) -> None:
    run = project.run_sync(around(APPROVAL), {"topic": "bees"})
    project.answer(run.id, "approve", False)
    with pytest.raises(RunStateError, match=r"answered already.*first answer stands"):
        project.answer(run.id, "approve", True)
    assert project.resume_sync(run.id).tasks["approve"].outputs["approved"] is False
    with pytest.raises(RunStateError, match="is completed and waits for no answer"):
        project.answer(run.id, "approve", True)


def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays(project: Project) -> None:
    flow = Workflow().then(HumanInputTask(id="ask", message="Who?", content_schema=NAME))
    run = project.run_sync(flow)
    for wrong in ({}, {"name": 3}, {"name": ""}, 3, None):
        with pytest.raises(AnswerError, match=r"'ask'.*name"):
            project.answer(run.id, "ask", wrong)
    with pytest.raises(AnswerError, match="'agree' is no way to answer"):
        project.answer(run.id, "ask", "Ann", action="agree")  # type: ignore[arg-type]
    assert len(project.questions(run.id)) == 1
    project.answer(run.id, "ask", "Ann")
    assert project.resume_sync(run.id).outputs == {"name": "Ann", "action": "accept"}


def test_only_what_asks_can_be_answered(project: Project) -> None:
    run = project.run_sync(around(WaitForEventTask(id="paid", event="paid")), {"topic": "bees"})
    for path, said in {
        "draft": "'draft' .* is completed and waits for no answer",
        "publish": "has not been reached",
        "paid": "asks nobody; it waits for the event 'paid'",
    }.items():
        with pytest.raises(RunStateError, match=said):
            project.answer(run.id, path, True)


def test_a_run_that_waits_is_returned_as_it_is(project: Project) -> None:
    run = project.run_sync(around(APPROVAL), {"topic": "bees"})
    before = len(run.events)
    assert project.resume_sync(run.id).status == "waiting"
    assert [one.status for one in project.resume_all_sync()] == ["waiting"]
    assert len(project.get(run.id).events) == before


def test_other_branches_go_on_while_one_waits(project: Project) -> None:
    graph = TaskGraph()
    graph.add_task(APPROVAL)
    graph.add_task(draft, id="first", topic="ants")
    graph.add_task(publish, id="second")
    graph.add_dataflow("first", "text", "second", "text")
    run = project.run_sync(graph)
    assert run.status == "waiting"
    assert {path: one.status for path, one in run.tasks.items()} == {
        "approve": "waiting", "first": "completed", "second": "completed",
    }  # fmt: skip


# ---------------------------------------------------------------------- time


def run_on(clock: FakeClock, project: Project, flow: Any, inputs: dict[str, object], *, step: float) -> Run:
    """Run, and move the clock each time something waits."""

    def listener(event: Event) -> None:
        if event.kind == "task_waiting":
            asyncio.get_running_loop().call_later(0.01, clock.advance, step)

    return project.run_sync(flow, inputs, on_event=listener)


def test_a_delay_is_waited_for_in_the_process(reopen: Callable[[], Project], clock: FakeClock) -> None:
    run = run_on(clock, reopen(), around(DelayTask(id="delay", seconds=3600)), {"topic": "bees"}, step=3600)
    assert run.outputs == {"url": "https://about bees"}
    delay = run.tasks["delay"]
    assert (delay.seconds, delay.outputs) == (3600, {"text": "about bees"})


def test_a_delay_goes_on_while_no_process_lives(reopen: Callable[[], Project], clock: FakeClock) -> None:
    project = reopen()
    run = project.run_sync(around(DelayTask(id="delay", seconds=60)), {"topic": "bees"}, wait=False)
    assert (run.status, run.tasks["delay"].wake_at) == ("waiting", clock.now() + 60_000)
    assert project.resume_sync(run.id, wait=False).status == "waiting"
    assert project.due() == []
    clock.advance(61)
    project = reopen()
    assert project.due() == [run.id]
    assert project.resume_sync(run.id).status == "completed"
    assert begun == {"draft": 1, "publish": 1}


def test_a_number_of_seconds_is_how_long_a_process_stays(project_path: Path) -> None:
    with wg.open(project_path) as project:
        assert project.run_sync(around(DelayTask(seconds=0.01)), {"topic": "a"}, wait=5).status == "completed"
        assert project.run_sync(around(DelayTask(seconds=3600)), {"topic": "a"}, wait=0.01).status == "waiting"


@pytest.mark.parametrize("wrong", [-1, float("nan")])
def test_how_long_is_checked(project: Project, wrong: float) -> None:
    with pytest.raises(TaskConfigurationError, match="wait is"):
        project.run_sync(around(DelayTask(seconds=1)), {"topic": "a"}, wait=wrong)


def test_a_time_may_be_an_input_and_one_that_is_over_does_not_wait(project: Project) -> None:
    @task(name="waiting_when", output="at")
    def when(topic: str) -> datetime:
        return datetime(2001, 1, 1, tzinfo=UTC)

    flow = Workflow().then(when).then(WaitUntilTask(id="until")).then(draft, id="d", topic="bees")
    assert [edge.id for edge in flow.to_graph().dataflows()] == ["waiting_when[at] ==> until[at]", "until[*] ==> d[*]"]
    run = project.run_sync(flow, {"topic": "x"})
    assert (run.status, run.tasks["d"].outputs) == ("completed", {"text": "about bees"})


@pytest.mark.parametrize("at", ["tomorrow", "2030-01-01T00:00:00", datetime(2030, 1, 1)])
def test_a_time_without_a_zone_is_refused_where_it_is_given(at: Any) -> None:
    with pytest.raises(TaskInputError, match="WaitUntilTask"):
        WaitUntilTask(at=at)
    with pytest.raises(TaskInputError, match="HumanApprovalTask"):
        HumanApprovalTask(message="?", deadline=at)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_a_span_that_is_none_fails_the_task(project: Project, seconds: float) -> None:
    with pytest.raises(TaskInputError, match="no number of seconds"):
        project.run_sync(around(DelayTask(seconds=seconds)), {"topic": "bees"})


# ---------------------------------------------------------------------- deadlines


def test_a_deadline_that_passes_while_no_process_lives_takes_the_default(
    reopen: Callable[[], Project], clock: FakeClock
) -> None:
    approve = HumanApprovalTask(id="approve", message="?", timeout=60, default=True)
    run = reopen().run_sync(around(approve), {"topic": "bees"})
    assert run.status == "waiting"
    clock.advance(60)
    project = reopen()
    with pytest.raises(RunStateError, match=r"deadline of 'approve' .* has passed"):
        project.answer(run.id, "approve", False)
    (run,) = project.resume_due_sync()
    assert run.tasks["approve"].outputs == {"text": "about bees", "approved": True, "action": "default"}
    assert begun == {"draft": 1, "publish": 1}


def test_without_a_default_the_task_fails_and_says_so(reopen: Callable[[], Project], clock: FakeClock) -> None:
    deadline = datetime.fromtimestamp(clock.now() / 1000 + 60, UTC)
    approve = HumanApprovalTask(id="approve", message="Publish?", deadline=deadline)
    run = reopen().run_sync(around(approve), {"topic": "bees"})
    clock.advance(60)
    project = reopen()
    with pytest.raises(TaskTimeoutError, match=r"nobody answered by 2023-.* UTC: Publish"):
        project.resume_sync(run.id)
    assert project.get(run.id).status == "failed"
    assert begun == {"draft": 1}


def test_an_answer_before_the_deadline_counts_even_when_it_is_seen_after_it(
    reopen: Callable[[], Project], clock: FakeClock
) -> None:
    approve = HumanApprovalTask(id="approve", message="?", timeout=60, default=False)
    project = reopen()
    run = project.run_sync(around(approve), {"topic": "bees"})
    clock.advance(59)
    project.answer(run.id, "approve", True)
    clock.advance(10)
    assert reopen().resume_sync(run.id).tasks["approve"].outputs["approved"] is True


def test_a_retry_asks_again(reopen: Callable[[], Project], clock: FakeClock) -> None:
    approve = HumanApprovalTask(id="approve", message="?", timeout=60, retry=Retry(attempts=2))
    project = reopen()
    run = project.run_sync(around(approve), {"topic": "bees"})
    clock.advance(60)
    project = reopen()
    assert project.resume_sync(run.id).status == "waiting"
    (question,) = project.questions()
    assert question.deadline == clock.now() + 60_000
    project.answer(run.id, "approve", True)
    assert project.resume_sync(run.id).tasks["approve"].attempt == 2


# ---------------------------------------------------------------------- events


def test_an_event_wakes_every_run_that_waits_for_it(reopen: Callable[[], Project]) -> None:
    project = reopen()
    flow = around(WaitForEventTask(id="paid", event="paid"))
    runs = [project.run_sync(flow, {"topic": topic}) for topic in ("bees", "ants")]
    other = project.run_sync(around(WaitForEventTask(id="shipped", event="shipped")), {"topic": "wasps"})
    assert project.send_event("paid", {"amount": 3}, run=runs[0].id) == [runs[0].id]
    assert project.due() == [runs[0].id]
    assert project.send_event("paid", np.arange(100)) == [runs[0].id, runs[1].id, other.id]
    project = reopen()
    done = project.resume_due_sync()
    assert [run.id for run in done] == [run.id for run in runs]
    assert done[0].tasks["paid"].outputs == {"text": "about bees", "payload": {"amount": 3}}
    payload: Any = done[1].tasks["paid"].outputs["payload"]
    assert payload.tolist() == list(range(100))
    assert begun["publish"] == 2


def test_an_event_that_comes_before_the_task_waits_is_kept(reopen: Callable[[], Project]) -> None:
    project = reopen()
    flow = around(APPROVAL).then(WaitForEventTask(id="paid", event="paid"))
    run = project.run_sync(flow, {"topic": "bees"})
    assert project.send_event("paid", 1) == [run.id]
    project.send_event("paid", 2)
    project.answer(run.id, "approve", True)
    assert reopen().resume_sync(run.id).outputs["payload"] == 1


def test_an_event_that_does_not_come_is_a_default_or_a_failure(reopen: Callable[[], Project], clock: FakeClock) -> None:
    project = reopen()
    calm = project.run_sync(around(WaitForEventTask(id="e", event="e", timeout=5, default="none")), {"topic": "a"})
    strict = project.run_sync(around(WaitForEventTask(id="e", event="e", timeout=5)), {"topic": "a"})
    clock.advance(5)
    project = reopen()
    assert project.resume_sync(calm.id).tasks["e"].outputs["payload"] == "none"
    with pytest.raises(TaskTimeoutError, match="event 'e' did not come by"):
        project.resume_sync(strict.id)


def test_a_finished_run_gets_no_events(project: Project) -> None:
    run = project.run_sync(Workflow().then(draft, topic="a"))
    with pytest.raises(RunStateError, match="no event reaches it"):
        project.send_event("paid", run=run.id)
    assert project.send_event("paid") == []


# ---------------------------------------------------------------------- inside others


def several() -> Workflow:
    body = Workflow().then(draft, id="draft").then(APPROVAL).then(publish, id="publish")
    return Workflow().map(body, max_iterations=10, id="map")


def test_each_item_of_a_loop_asks_for_itself(reopen: Callable[[], Project]) -> None:
    project = reopen()
    run = project.run_sync(several(), {"topic": ["a", "b", "c"]})
    assert [question.task for question in project.questions()] == [f"map[{n}]/approve" for n in range(3)]
    project.answer(run.id, "map[1]/approve", True)
    project = reopen()
    assert project.resume_sync(run.id).status == "waiting"
    assert begun == {"map[0]/draft": 1, "map[1]/draft": 1, "map[2]/draft": 1, "map[1]/publish": 1}
    project.answer(run.id, "map[0]/approve", False)
    project.answer(run.id, "map[2]/approve", True)
    run = reopen().resume_sync(run.id)
    assert run.outputs == {"url": [None, "https://about b", "https://about c"]}
    assert max(begun.values()) == 1


def test_a_fork_asks_anew(project: Project) -> None:
    run = project.run_sync(around(APPROVAL), {"topic": "bees"})
    fork = project.fork_sync(run.id, inputs={"topic": "ants"})
    assert (fork.status, len(project.questions())) == ("waiting", 2)
    project.answer(run.id, "approve", True)
    done = project.resume_sync(run.id)
    again = project.fork_sync(done.id, "approve")
    assert again.status == "waiting"
    assert begun == {"draft": 2, "publish": 1}
    assert project.resume_sync(again.id).forked_from == run.id


def test_a_failure_elsewhere_ends_the_wait(project: Project) -> None:
    @task(name="waiting_breaks", cache=False)
    def breaks(text: str) -> str:
        raise ValueError(text)

    graph = TaskGraph()
    graph.add_task(APPROVAL)
    graph.add_task(breaks, text="no")
    with pytest.raises(wg.WorkglowError, match="ValueError: no"):
        project.run_sync(graph)
    (run,) = project.runs()
    assert (run.status, run.tasks["approve"].status) == ("failed", "aborted")
    assert project.questions() == []
    with pytest.raises(RunStateError, match="is aborted"):
        project.answer(run.id, "approve", True)


def test_a_run_that_waits_can_be_aborted(reopen: Callable[[], Project]) -> None:
    run = reopen().run_sync(around(APPROVAL), {"topic": "bees"})
    project = reopen()
    project.answer(run.id, "approve", True)
    run = project.abort(run.id, "not needed any more")
    assert (run.status, run.error, run.tasks["approve"].status) == ("aborted", "not needed any more", "aborted")
    assert (project.questions(), project.due()) == ([], [])
    with pytest.raises(RunStateError, match="already aborted"):
        project.abort(run.id)
    with pytest.raises(RunStateError, match="is aborted"):
        project.answer(run.id, "approve", True)
    again = project.rerun_failed_sync(run.id)
    assert (again.status, begun) == ("waiting", {"draft": 1})


def test_a_run_that_is_driven_is_not_aborted_from_elsewhere(project: Project) -> None:
    async def go() -> None:
        running = asyncio.ensure_future(project.run(around(APPROVAL), {"topic": "bees"}, wait=True))
        await asked(project)
        with pytest.raises(RunStateError, match="is being run by process"):
            project.abort(project.runs()[0].id)
        project.answer(project.runs()[0].id, "approve", True)
        assert (await running).status == "completed"

    asyncio.run(go())


def test_a_stored_question_that_was_damaged_says_so(project: Project) -> None:
    project.run_sync(around(APPROVAL), {"topic": "bees"})
    with project.file.transaction() as db:
        db.execute('UPDATE task_run SET state = \'{"waits_for":"person","message":3}\' WHERE path = \'approve\'')
    with pytest.raises(CorruptValueError, match="question cannot be read"):
        project.questions()
    assert "waits for a person: 3" in project.why("0", "approve")


def test_changed_code_asks_again_only_behind_the_change(reopen: Callable[[], Project]) -> None:
    graph = TaskGraph()
    graph.add_task(APPROVAL)
    graph.add_task(draft, id="draft", topic="x")
    project = reopen()
    run = project.run_sync(graph)
    project.answer(run.id, "approve", True)
    kind: Any = draft.task_type
    before = kind.version
    kind.version = "another"
    try:
        run = reopen().resume_sync(run.id, on_change="rerun")
    finally:
        kind.version = before
    assert run.status == "completed"
    assert begun == {"draft": 2}


# ---------------------------------------------------------------------- a process that stays


async def asked(project: Project) -> None:
    """Return when the question is in the file."""
    while not project.questions():
        await project.file.wait_for_change(0.01)


def test_an_answer_wakes_the_process_that_drives_the_run(project_path: Path) -> None:
    asked = threading.Event()

    def answer() -> None:
        asked.wait()
        (question,) = project.questions()
        project.answer(question.run, question.task, True)

    with wg.open(project_path) as project:
        thread = threading.Thread(target=answer)
        thread.start()

        def listener(event: Event) -> None:
            if event.kind == "task_waiting":
                asyncio.get_running_loop().call_later(0.05, asked.set)

        run = project.run_sync(around(APPROVAL), {"topic": "bees"}, wait=True, on_event=listener)
        thread.join()
        assert run.status == "completed"
        assert [event.kind for event in run.events] == []


def test_a_run_in_a_memory_project_waits_and_is_answered_too() -> None:
    async def go(project: Project) -> Run:
        running = asyncio.ensure_future(project.run(around(APPROVAL), {"topic": "bees"}, wait=True))
        await asked(project)
        project.answer(project.questions()[0].run, "approve", True)
        return await running

    with wg.open(":memory:") as project:
        assert asyncio.run(go(project)).status == "completed"


def test_a_handler_answers_in_the_process(project: Project) -> None:
    def approve(question: Question) -> bool | None:
        return question.data["text"] == "about bees" or None

    assert project.run_sync(around(APPROVAL), {"topic": "bees"}, on_question=approve).status == "completed"
    run = project.run_sync(around(APPROVAL), {"topic": "ants"}, on_question=approve)
    assert run.status == "waiting"
    assert project.resume_sync(run.id, on_question=lambda question: True).status == "completed"


@pytest.mark.parametrize("kept", [False, True])
def test_a_handler_is_asked_in_the_order_of_the_questions(project: Project, kept: bool) -> None:
    ask = HumanInputTask(id="ask", message="Who?", content_schema=NAME)
    asked: list[str] = []

    def answer(question: Question) -> str:
        asked.append(question.task)
        return question.task

    given: dict[str, Any] = {"prompt": ["a", "b", "c"]}
    workflow = Workflow().map(ask)
    if kept:
        run = project.run_sync(workflow, given, on_question=answer)
    else:
        run = workflow.run_sync(given, on_question=answer)
    assert run.outputs["name"] == asked
    assert asked == ["map[0]/ask", "map[1]/ask", "map[2]/ask"]


def test_cancelling_a_process_that_waits_loses_nothing(project: Project) -> None:
    async def go() -> None:
        running = asyncio.ensure_future(project.run(around(APPROVAL), {"topic": "bees"}, wait=True))
        await asked(project)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(go())
    (run,) = project.runs()
    project.answer(run.id, "approve", True)
    assert project.due() == [run.id]
    assert project.resume_sync(run.id).status == "completed"
    assert begun == {"draft": 1, "publish": 1}


def test_a_question_shows_values_of_every_kind_and_gc_keeps_them(project: Project) -> None:
    from workglow.storage.sqlite import retention

    ask = HumanInputTask(id="ask", message="x" * 5000, content_schema=NAME)

    @task(name="waiting_picture", output="pixels")
    def picture(size: int) -> np.ndarray:
        return np.zeros((size, size))

    run = project.run_sync(Workflow().then(picture, size=40).then(ask))
    retention.collect(project.file, retention.plan(project.file))
    (question,) = project.questions()
    assert question.message == "x" * 5000
    assert question.data["pixels"].shape == (40, 40)
    project.answer(run.id, "ask", {"name": "y" * 5000})
    retention.collect(project.file, retention.plan(project.file))
    assert project.resume_sync(run.id).outputs["name"] == "y" * 5000


def test_the_graph_is_the_same_after_json() -> None:
    graph = TaskGraph()
    graph.add_task(HumanInputTask(id="ask", message="Who?", content_schema=NAME, default={"name": "?"}, timeout=5))
    graph.add_task(HumanApprovalTask(id="approve", deadline="2030-01-01T00:00Z", default=True))
    graph.add_task(DelayTask(id="delay", seconds=3))
    graph.add_task(WaitUntilTask(id="until", at=datetime(2030, 1, 1, tzinfo=UTC)))
    graph.add_task(WaitForEventTask(id="event", event="e", default=[1]))
    again = TaskGraph.from_json(graph.to_json())
    assert again.to_json() == graph.to_json()
    assert again.content_hash() == graph.content_hash()


def test_a_default_answer_has_to_fit(project: Project) -> None:
    with pytest.raises(TaskConfigurationError, match=r"default: .*'name'"):
        HumanInputTask(content_schema=NAME, default={"name": 3})
    with pytest.raises(TaskConfigurationError, match="type object"):
        HumanInputTask(content_schema={"type": "string"})
