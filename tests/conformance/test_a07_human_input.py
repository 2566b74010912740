"""A7: a person is asked.  Ours asks through `on_question`, which is given the question and returns the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from fixture_runs import graph_of, outcome, run_task

from workglow import Answer, HumanApprovalTask, HumanInputTask, Question, Workflow, task
from workglow.errors import AnswerError, RunStateError, TaskAbortedError, TaskConfigurationError
from workglow.graph.environment import Environment
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.runner import TaskGraphRunner
from workglow.graph.schedule import Scope

NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Person:
    """Answers with what it was told to say, and remembers what it was asked."""

    def __init__(self, says: object) -> None:
        self.says = says
        self.asked: list[Question] = []

    def __call__(self, question: Question) -> object:
        self.asked.append(question)
        return self.says


def ask(person: Person, inputs: dict[str, object] | None = None, **config: Any) -> dict[str, object]:
    graph = graph_of(HumanInputTask(id="ask", **{"content_schema": NAME, **config}))
    return dict(run_in_memory_sync(graph, inputs, on_question=person).tasks["ask"].outputs)


def test_a7_what_is_accepted_comes_out_and_is_asked_once() -> None:
    person = Person({"name": "Alice"})
    assert ask(person) == {"action": "accept", "name": "Alice"}
    assert len(person.asked) == 1


@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_a7_who_declines_or_cancels_gives_only_that(action: Any) -> None:
    assert ask(Person(Answer(action=action))) == {"action": action}


def test_a7_the_message_and_the_prompt_are_one_text() -> None:
    person = Person("Alice")
    ask(person, {"prompt": "Dynamic prompt"}, message="Base message")
    assert person.asked[0].message == "Base message\n\nDynamic prompt"


def test_a7_metadata_and_context_are_merged() -> None:
    person = Person("Alice")
    ask(person, {"context": {"extra": "data"}}, metadata={"source": "test"})
    assert person.asked[0].metadata == {"source": "test", "extra": "data"}


@pytest.mark.parametrize(("given", "target"), [({}, "default"), ({"target": "admin"}, "admin")])
def test_a7_the_person_who_is_asked(given: dict[str, Any], target: str) -> None:
    person = Person("Alice")
    ask(person, **given)
    assert person.asked[0].target == target


def test_a7_without_anybody_to_ask_it_fails_and_says_how() -> None:
    result = run_task(HumanInputTask(id="ask", content_schema=NAME))
    assert result.status == "failed"
    assert "on_question=" in str(result.error)
    with pytest.raises(RunStateError, match="gave no answer"):
        ask(Person(None))


def test_a7_an_answer_has_to_fit() -> None:
    with pytest.raises(AnswerError, match="'ask' does not fit its schema: 'name'"):
        ask(Person({"name": 3}))


def test_a7_several_turns_go_on_until_the_answer_is_done() -> None:
    schema = {"type": "object", "properties": {"step": {"type": "integer"}, "final": {"type": "boolean"}}}
    asked: list[Question] = []

    def person(question: Question) -> object:
        asked.append(question)
        step = len(asked)
        return {"step": step, "done": step == 3, **({"final": True} if step == 3 else {})}

    graph = graph_of(HumanInputTask(id="ask", content_schema=schema, mode="multi-turn"))
    run = run_in_memory_sync(graph, {}, on_question=person)
    assert run.tasks["ask"].outputs == {"action": "accept", "step": 3, "final": True}
    assert [question.turn for question in asked] == [1, 2, 3]
    assert [question.data for question in asked] == [{}, {"previous": {"step": 1}}, {"previous": {"step": 2}}]


@pytest.mark.parametrize("given", [{"kind": "notify"}, {"content_schema": {"properties": {"done": {}}}}])
def test_a7_what_cannot_have_several_turns_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(TaskConfigurationError, match="its own field 'done'"):
        HumanInputTask(**{"content_schema": NAME, "mode": "multi-turn", **given})


def test_a7_an_abort_reaches_who_is_asked() -> None:
    stopped: list[bool] = []

    async def never(question: Question) -> object:
        try:
            return await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(True)
            raise

    async def run() -> None:
        def listener(event: Event) -> None:
            if event.kind == "task_waiting":
                asyncio.get_running_loop().call_soon(runner.ending.abort)

        graph = graph_of(HumanInputTask(id="ask", content_schema=NAME))
        runner = TaskGraphRunner(graph, Environment(listeners=(listener,), on_question=never))
        with pytest.raises(TaskAbortedError):
            await runner.run(Scope(graph, {}))
        assert runner.task_runs[0].status == "aborted"

    asyncio.run(run())
    assert stopped == [True]


def test_a7_the_output_schema_has_the_action_and_the_content() -> None:
    schema = HumanInputTask(content_schema=NAME).outputs.schema
    assert list(schema["properties"]) == ["name", "action"]
    assert schema["required"] == ["action"]


def test_a7_the_question_is_one_that_wants_an_answer() -> None:
    person = Person("Alice")
    ask(person)
    (question,) = person.asked
    assert (question.kind, question.expects_answer, question.schema) == ("elicit", True, NAME)


@pytest.mark.parametrize("kind", ["notify", "display"])
def test_a7_what_is_only_told_waits_for_nothing(kind: str) -> None:
    person = Person({"ignored": True})
    assert ask(person, {"content_data": {"rows": [1, 2]}}, kind=kind) == {"action": "accept"}
    (question,) = person.asked
    assert (question.expects_answer, question.data) == (False, {"rows": [1, 2]})
    assert run_task(HumanInputTask(kind=kind)).outputs == {"action": "accept"}


def test_a7_what_a_person_says_flows_on() -> None:
    @task(name="A7Upper", output="text")
    def upper(text: str) -> str:
        return text.upper()

    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    flow = Workflow().then(HumanInputTask(content_schema=schema)).then(upper)
    assert flow.run_sync(on_question=Person({"text": "hello"})).outputs == {"text": "HELLO"}


def test_a7_an_approval() -> None:
    graph = graph_of(HumanApprovalTask(id="approve", message="?"))
    for says, approved, action in (
        (True, True, "accept"),
        (False, False, "accept"),
        (Answer({}, "cancel"), False, "cancel"),
    ):
        run = outcome(graph, on_question=Person(says))
        assert run.tasks["approve"].outputs == {"approved": approved, "action": action}


def test_a7_the_keys_of_the_other_system_are_read() -> None:
    from workglow import TaskGraph

    config = {"targetHumanId": "admin", "contentSchema": NAME, "message": "Who?", "metadata": {"a": 1}}
    data = {"tasks": [{"id": "ask", "type": "HumanInputTask", "defaults": {}, "config": config}], "dataflows": []}
    graph = TaskGraph.from_json(data)
    person = Person("Bob")
    assert run_in_memory_sync(graph, on_question=person).outputs == {"name": "Bob", "action": "accept"}
    assert (person.asked[0].target, person.asked[0].metadata) == ("admin", {"a": 1})
    assert graph.to_json()["tasks"][0]["config"] == config


def test_a7_a_coroutine_and_a_function_that_raise_end_the_run() -> None:
    class Gone(Exception):
        pass

    async def away(question: Question) -> object:
        raise Gone

    def gone(question: Question) -> object:
        raise Gone

    graph = graph_of(HumanInputTask(id="ask", content_schema=NAME))
    for handler in (away, gone):
        with pytest.raises(Gone):
            run_in_memory_sync(graph, on_question=handler)


def test_a7_the_run_goes_on_once_somebody_was_told() -> None:
    told: list[str] = []

    async def tell(question: Question) -> None:
        await asyncio.sleep(0)
        told.append(question.message)

    @task(name="A7Count", output="count", cache=False)
    def count() -> int:
        return len(told)

    flow = Workflow().then(HumanInputTask(kind="notify", message="Look.")).then(count)
    assert flow.run_sync(on_question=tell).outputs == {"count": 1}

    async def fails(question: Question) -> None:
        raise ValueError("nobody there")

    with pytest.raises(ValueError, match="nobody there"):
        flow.run_sync(on_question=fails)
