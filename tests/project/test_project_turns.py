"""Tasks that ask several times: what was answered is never asked again, wherever the process ends in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import workglow as wg
from workglow import Answer, HumanInputTask, Project, Question, Retry, TaskContext, TaskGraph, Workflow, task
from workglow.errors import (
    AnswerError,
    QuestionChangedError,
    RunStateError,
    TaskConfigurationError,
    TaskFailedError,
    TaskTimeoutError,
    UnknownTaskError,
)
from workglow.file import doctor
from workglow.graph.events import Event
from workglow.testing import FakeClock

begun: Counter[str] = Counter()
words: dict[str, str] = {}
NUMBER = {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
STEP = {"type": "object", "properties": {"step": {"type": "integer"}}, "required": ["step"]}


class Place(BaseModel):
    city: str
    zip: int = 0


@task(name="turns_before", output="topic", cache=False)
def before(topic: str) -> str:
    begun["before"] += 1
    return topic


@task(name="turns_interview", output="said")
async def interview(topic: str, context: TaskContext) -> list[Any]:
    begun["interview"] += 1
    first = await context.ask(f"{words.get('first', 'What about')} {topic}?")
    begun["between"] += 1
    second = await context.ask(f"How many {first.content['answer']}?", NUMBER, data={"so far": first.content})
    return [first.content["answer"], second.content["number"]]


FLOW = Workflow().then(before, id="before").then(interview, id="talk")


@pytest.fixture(autouse=True)
def _clean() -> None:
    begun.clear()
    words.clear()


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


def test_a_conversation_goes_on_after_the_process_ended_between_turns(reopen: Callable[[], Project]) -> None:
    project = reopen()
    run = project.run_sync(FLOW, {"topic": "bees"})
    assert run.status == "waiting"
    (question,) = project.questions()
    assert (question.message, question.turn, question.task) == ("What about bees?", 1, "talk")
    project = reopen()
    project.answer(run.id, "talk", "wings")
    assert project.due() == [run.id]
    assert project.resume_due_sync()[0].status == "waiting"
    (question,) = project.questions()
    assert (question.message, question.turn, question.data) == ("How many wings?", 2, {"so far": {"answer": "wings"}})
    assert "turn 2" in project.why(run.id, "talk")
    project = reopen()
    with pytest.raises(AnswerError, match="'number'"):
        project.answer(run.id, "talk", "four")
    project.answer(run.id, "talk", 4)
    run = project.resume_sync(run.id)
    assert run.outputs == {"said": ["wings", 4]}
    assert run.tasks["talk"].attempt == 1
    assert begun == {"before": 1, "interview": 3, "between": 2}
    told = [
        (one.question.turn, one.question.message, one.action, one.content) for one in project.answers(run.id, "talk")
    ]
    assert told == [
        (1, "What about bees?", "accept", {"answer": "wings"}),
        (2, "How many wings?", "accept", {"number": 4}),
    ]


def test_in_a_process_that_stays_the_body_goes_on_where_it_was(project: Project) -> None:
    asked: list[Question] = []

    def person(question: Question) -> object:
        asked.append(question)
        return "legs" if question.turn == 1 else 6

    assert project.run_sync(FLOW, {"topic": "ants"}, on_question=person).outputs == {"said": ["legs", 6]}
    assert begun == {"before": 1, "interview": 1, "between": 1}
    assert [question.turn for question in asked] == [1, 2]


def test_an_answer_from_outside_wakes_the_body(project: Project) -> None:
    async def go() -> None:
        def listen(event: Event) -> None:
            if event.kind == "task_waiting":
                said: Any = "legs" if event.data.turn == 1 else 6
                asyncio.get_running_loop().call_later(0, answer, event, said)

        def answer(event: Event, said: object) -> None:
            try:
                project.answer(event.run, event.path, said, turn=event.data.turn)
            except RunStateError:  # not committed yet
                asyncio.get_running_loop().call_later(0, answer, event, said)

        run = await project.run(FLOW, {"topic": "ants"}, wait=True, on_event=listen)
        assert run.outputs == {"said": ["legs", 6]}

    asyncio.run(go())
    assert begun["interview"] == 1


def test_a_run_in_memory_is_asked_in_turns() -> None:
    run = FLOW.run_sync({"topic": "ants"}, on_question=lambda question: 6 if question.turn == 2 else "legs")
    assert run.outputs == {"said": ["legs", 6]}
    with pytest.raises(RunStateError, match="kept nowhere"):
        FLOW.run_sync({"topic": "ants"})


def test_an_answer_to_an_earlier_turn_is_refused(project: Project) -> None:
    run = project.run_sync(FLOW, {"topic": "bees"})
    project.answer(run.id, "talk", "wings", turn=1)
    with pytest.raises(RunStateError, match="answered already"):
        project.answer(run.id, "talk", "legs", turn=1)
    project.resume_sync(run.id)
    with pytest.raises(RunStateError, match=r"asks its turn 2 now.*How many wings"):
        project.answer(run.id, "talk", "legs", turn=1)
    project.answer(run.id, "talk", 4, turn=2)
    assert project.resume_sync(run.id).outputs == {"said": ["wings", 4]}


def test_a_body_that_asks_something_else_than_was_answered_fails(project: Project) -> None:
    run = project.run_sync(FLOW, {"topic": "bees"})
    project.answer(run.id, "talk", "wings")
    words["first"] = "And what about"
    with pytest.raises(QuestionChangedError) as caught:
        project.resume_sync(run.id)
    assert "'And what about bees?'" in str(caught.value)
    assert "'What about bees?'" in str(caught.value)


def test_what_was_said_is_not_cached_for_other_runs(project: Project) -> None:
    for said in (1, 2):
        run = project.run_sync(FLOW, {"topic": "bees"}, on_question=lambda q, n=said: "x" if q.turn == 1 else n)
        assert run.outputs == {"said": ["x", said]}


tries: list[str] = []


@task(name="turns_flaky", output="said", retry=Retry(attempts=3, delay=0))
async def flaky(context: TaskContext) -> str:
    answer = await context.ask("Name?")
    tries.append(answer.content["answer"])
    if len(tries) < 3:
        raise OSError("again")
    return tries[-1]


@pytest.mark.parametrize("kept", [True, False])
def test_another_attempt_asks_nobody_twice(project: Project, kept: bool) -> None:
    tries.clear()
    asked: list[int] = []

    def person(question: Question) -> str:
        asked.append(question.turn)
        return "Ann"

    flow = Workflow().then(flaky)
    run = project.run_sync(flow, on_question=person) if kept else flow.run_sync({}, on_question=person)
    assert run.outputs == {"said": "Ann"}
    assert (asked, tries) == ([1], ["Ann"] * 3)


@task(name="turns_timed", output="said")
async def timed(context: TaskContext) -> list[Any]:
    first = await context.ask("First?", timeout=10, default={"answer": "nobody"})
    second = await context.ask("Second?", timeout=10)
    return [first.action, first.content["answer"], second.content["answer"]]


def test_each_turn_has_a_deadline_and_a_default_of_its_own(reopen: Callable[[], Project], clock: FakeClock) -> None:
    project = reopen()
    run = project.run_sync(Workflow().then(timed, id="t"))
    assert project.questions()[0].deadline == clock.now() + 10_000
    clock.advance(11)
    with pytest.raises(RunStateError, match="deadline"):
        project.answer(run.id, "t", "late")
    project = reopen()
    assert project.resume_sync(run.id).status == "waiting"
    (question,) = project.questions()
    assert (question.turn, question.deadline, question.asked_at) == (2, clock.now() + 10_000, clock.now())
    project = reopen()
    project.answer(run.id, "t", "Ann")
    assert project.resume_sync(run.id).outputs == {"said": ["default", "nobody", "Ann"]}
    assert [one.action for one in project.answers(run.id, "t")] == ["expired", "accept"]


def test_a_deadline_without_a_default_is_a_timeout(reopen: Callable[[], Project], clock: FakeClock) -> None:
    project = reopen()
    run = project.run_sync(Workflow().then(timed, id="t"))
    project.answer(run.id, "t", "Ann")
    project.resume_sync(run.id)
    clock.advance(11)
    with pytest.raises(TaskTimeoutError, match="nobody answered in time: Second"):
        reopen().resume_sync(run.id)


@task(name="turns_declined", output="action", timeout=5)
async def declined(context: TaskContext) -> str:
    return (await context.ask("Well?", Place)).action


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_who_declines_is_heard_and_the_timeout_of_the_task_stands_still(
    reopen: Callable[[], Project], clock: FakeClock, action: Any
) -> None:
    project = reopen()
    run = project.run_sync(Workflow().then(declined, id="d"))
    clock.advance(100)
    project.answer(run.id, "d", action=action)
    assert reopen().resume_sync(run.id).outputs == {"action": action}


def test_the_timeout_counts_what_the_task_works_and_not_what_it_waits(clock: FakeClock) -> None:
    def person(question: Question) -> Answer:
        clock.advance(100)
        return Answer({"city": "Rome"})

    from workglow.graph.launch import run_in_memory_sync

    run = run_in_memory_sync(Workflow().then(declined).to_graph(), {}, clock=clock, on_question=person)
    assert run.outputs == {"action": "accept"}


first_asked = asyncio.Event()


@task(name="turns_impatient", output="said")
async def impatient(context: TaskContext) -> str:
    first = asyncio.ensure_future(context.ask("First?"))
    await first_asked.wait()
    first.cancel()
    await asyncio.wait((first,))
    return (await context.ask("Second?")).content["answer"]


def test_a_body_may_stop_waiting_for_an_answer(project: Project) -> None:
    async def person(question: Question) -> str | None:
        if question.turn == 1:
            first_asked.set()
            await asyncio.Event().wait()
        return "yes"

    assert project.run_sync(Workflow().then(impatient, id="i"), on_question=person).outputs == {"said": "yes"}
    assert [one.question.turn for one in project.answers(project.runs()[0].id, "i")] == [2]


@task(name="turns_together", output="said")
async def together(context: TaskContext) -> list[str]:
    answers = await asyncio.gather(*(context.ask(f"Number {number}?") for number in range(3)))
    return [answer.content["answer"] for answer in answers]


def test_questions_that_are_asked_together_come_one_after_the_other(reopen: Callable[[], Project]) -> None:
    run = reopen().run_sync(Workflow().then(together, id="t"))
    for number in range(3):
        project = reopen()
        (question,) = project.questions()
        assert question.message == f"Number {number}?"
        project.answer(run.id, "t", str(number))
        run = project.resume_sync(run.id)
    assert run.outputs == {"said": ["0", "1", "2"]}


@task(name="turns_failing", output="said")
async def failing(context: TaskContext) -> str:
    async def fail() -> None:
        raise ValueError("broken")

    await asyncio.gather(context.ask("Name?"), fail())
    return ""


def test_a_body_that_fails_while_it_asks_fails(project: Project) -> None:
    with pytest.raises(TaskFailedError, match="broken"):
        project.run_sync(Workflow().then(failing, id="f"), wait=True)
    assert project.questions() == []


@task(name="turns_plain", output="said")
def plain(context: TaskContext) -> str:
    context.ask("Name?").send(None)  # type: ignore
    return ""


def test_only_a_coroutine_function_can_ask(project: Project) -> None:
    with pytest.raises(TaskConfigurationError, match="'p' cannot ask: write it as `async def`"):
        project.run_sync(Workflow().then(plain, id="p"))


@task(name="turns_wrong", output="said")
async def wrong(schema: dict[str, Any], default: dict[str, Any], context: TaskContext) -> str:
    await context.ask("Name?", schema, default=default)
    return ""


@pytest.mark.parametrize(
    ("schema", "default", "said"),
    [({"type": "string"}, {}, "type object"), (NUMBER, {"number": "x"}, "default: .*'number'")],
)
def test_a_question_that_is_none_is_refused_where_it_is_asked(
    project: Project, schema: object, default: object, said: str
) -> None:
    graph = TaskGraph()
    graph.add_task(wrong, id="w", schema=schema, default=default)
    with pytest.raises(TaskConfigurationError, match=said):
        project.run_sync(graph)


def test_each_item_of_a_loop_has_a_conversation_of_its_own(reopen: Callable[[], Project]) -> None:
    flow = Workflow().map(Workflow().then(interview, id="talk"), id="map", max_iterations=9)
    project = reopen()
    run = project.run_sync(flow, {"topic": ["bees", "ants"]})
    project.answer(run.id, "map[1]/talk", "legs")
    project.resume_sync(run.id)
    assert {question.task: question.turn for question in project.questions()} == {"map[0]/talk": 1, "map[1]/talk": 2}
    for path, said in [("map[1]/talk", 6), ("map[0]/talk", "wings"), ("map[0]/talk", 4)]:
        project = reopen()
        project.answer(run.id, path, said)
        run = project.resume_sync(run.id)
    assert run.outputs == {"said": [["wings", 4], ["legs", 6]]}
    assert begun["between"] == 4


def test_several_turns_of_an_input_task_are_rows_of_their_own(reopen: Callable[[], Project]) -> None:
    ask = HumanInputTask(id="ask", message="Next?", content_schema=STEP, mode="multi-turn")
    project = reopen()
    run = project.run_sync(Workflow().then(before, id="before").then(ask), {"topic": "x"})
    for step in (1, 2):
        project = reopen()
        project.answer(run.id, "ask", {"step": step, "done": False}, turn=step)
        assert project.resume_sync(run.id).status == "waiting"
    assert project.questions()[0].data["previous"] == {"step": 2}
    project.answer(run.id, "ask", {"step": 3})
    assert project.resume_sync(run.id).outputs == {"step": 3, "action": "accept"}
    assert [one.content["step"] for one in project.answers(run.id, "ask")] == [1, 2, 3]
    assert begun == {"before": 1}


def test_who_was_never_reached_has_no_answers(project: Project) -> None:
    run = project.run_sync(
        Workflow().then(HumanInputTask(id="ask", content_schema=STEP)).then(before, topic="x", id="b")
    )
    assert project.answers(run.id, "ask") == []
    with pytest.raises(UnknownTaskError, match="no task at 'b' so far"):
        project.answers(run.id, "b")


def test_a_fork_asks_anew(project: Project) -> None:
    run = project.run_sync(FLOW, {"topic": "bees"}, on_question=lambda q: "wings" if q.turn == 1 else 4)
    again = project.fork_sync(run.id, "talk")
    assert [(question.run, question.turn) for question in project.questions()] == [(again.id, 1)]
