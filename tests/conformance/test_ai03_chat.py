"""The chat of a person and a model.  Ours waits in the file; a run in memory asks through `on_question`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import workglow as wg
from workglow import AiChatTask, Answer, Question, Workflow
from workglow.ai import Finish, GenerationRequest, ModelEvent, ModelRecord, Provider, TextDelta
from workglow.ai.registry import provider_registry
from workglow.errors import RunStateError, TaskAbortedError
from workglow.testing import ScriptedProvider

MODEL = "scripted:chat"
MORE = {"content": [{"type": "text", "text": "more"}]}


class Person:
    """Gives one answer after the other, the last again and again."""

    def __init__(self, *says: object) -> None:
        self.says = list(says)
        self.asked: list[Question] = []

    def __call__(self, question: Question) -> object:
        self.asked.append(question)
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(said, Exception):
            raise said
        return said


def chat(person: Person | None, answers: list[object], prompt: Any = "Hi", **settings: Any) -> tuple[Any, Any]:
    """Return the outputs, and what the model was asked."""
    given = {name: settings.pop(name) for name in ("system", "messages") if name in settings}
    with ScriptedProvider(answers=answers) as script:
        run = (
            Workflow()
            .then(AiChatTask(id="chat", **settings))
            .run_sync({"model": MODEL, "prompt": prompt, **given}, on_question=person)
        )
        return run.outputs, script.requests


def test_1_who_declines_ends_it_after_one_answer() -> None:
    person = Person(Answer(action="decline"))
    outputs, requests = chat(person, [["Hello", " there", Finish()]])
    assert (outputs["text"], outputs["iterations"], len(requests)) == ("Hello there", 1, 1)
    (question,) = person.asked
    assert (question.kind, question.message) == ("elicit", "Hello there")
    assert question.metadata == {"iteration": 1, "taskId": "chat"}


def test_2_a_second_answer_takes_the_place_of_the_first() -> None:
    outputs, requests = chat(Person(MORE, Answer(action="cancel")), ["Turn 1", "Turn 2"])
    assert (outputs["text"], outputs["iterations"], len(requests)) == ("Turn 2", 2, 2)
    said = [(message["role"], message["content"][0]["text"]) for message in outputs["messages"]]
    assert said == [("user", "Hi"), ("assistant", "Turn 1"), ("user", "more"), ("assistant", "Turn 2")]
    assert [len(request.messages) for request in requests] == [1, 3]


def test_3_it_ends_after_max_iterations_and_does_not_ask_in_vain() -> None:
    person = Person("go on")
    outputs, requests = chat(person, ["1", "2", "3", "4"], max_iterations=3)
    assert (outputs["iterations"], len(requests), len(person.asked)) == (3, 3, 2)


@pytest.mark.parametrize("said", [{}, {"content": ""}, {"content": " \n"}, {"content": []}])
def test_4_who_says_nothing_ends_it(said: object) -> None:
    outputs, _ = chat(Person(said), ["Turn 1"])
    assert outputs["iterations"] == 1


def test_5_without_anybody_to_ask_a_run_that_is_not_kept_fails() -> None:
    with pytest.raises(RunStateError, match="nobody can answer"):
        chat(None, ["Turn 1"])


def test_6_what_the_handler_raises_fails_the_chat() -> None:
    with pytest.raises(RuntimeError, match="boom"):
        chat(Person(RuntimeError("boom")), ["Turn 1"])


def test_6_cancelled_while_the_model_is_at_it_the_chat_ends_at_once() -> None:
    workflow = Workflow().then(AiChatTask(id="chat"))

    class Endless(Provider):
        name = "endless"

        async def chat(self, model: ModelRecord, request: GenerationRequest) -> AsyncIterator[ModelEvent]:
            yield TextDelta("I ")
            workflow.abort("enough")
            await asyncio.Event().wait()

    provider_registry.register(Endless)
    try:
        with pytest.raises(TaskAbortedError, match="enough"):
            workflow.run_sync({"model": "endless:x", "prompt": "Hi"}, on_question=Person("go on"))
    finally:
        provider_registry.unregister("endless")


def test_7_parts_go_in_as_they_are_and_the_system_prompt_is_first() -> None:
    parts = [{"type": "text", "text": "Look"}, {"type": "image", "mimeType": "image/png", "data": "AAAA"}]
    outputs, _ = chat(Person(Answer(action="cancel")), ["Nice"], prompt=parts)
    assert outputs["messages"][0] == {"role": "user", "content": parts}
    outputs, requests = chat(Person(Answer(action="cancel")), ["Nice"], prompt=parts, system="Be kind")
    assert [message["role"] for message in outputs["messages"]] == ["system", "user", "assistant"]
    assert requests[0].messages[0]["role"] == "system"


def test_8_each_turn_keeps_only_what_is_new(project: wg.Project) -> None:
    with ScriptedProvider(answers=["Turn 1", "Turn 2"]):
        run = project.run_sync(
            Workflow().then(AiChatTask(id="chat")),
            {"model": MODEL, "prompt": "Hi"},
            on_question=Person("more", Answer(action="cancel")),
        )
    assert {path: dict(task.outputs) for path, task in run.tasks.items() if path != "chat"} == {
        "chat[0]/model": {"text": "Turn 1", "finish_reason": "stop"},
        "chat[0]/person": {"content": "more", "action": "accept"},
        "chat[1]/model": {"text": "Turn 2", "finish_reason": "stop"},
        "chat[1]/person": {"action": "cancel"},
    }


def test_a_chat_waits_in_the_file_and_goes_on_with_the_answer(project: wg.Project) -> None:
    with ScriptedProvider(answers=["Turn 1", "Turn 2"]) as script:
        run = project.run_sync(Workflow().then(AiChatTask(id="chat", target="ann")), {"model": MODEL, "prompt": "Hi"})
        assert run.status == "waiting"
        (question,) = project.questions()
        assert (question.task, question.message, question.target) == ("chat[0]/person", "Turn 1", "ann")
        project.answer(question.run, question.task, "more")
        assert project.resume_sync().status == "waiting"
        assert len(script.requests) == 2
        project.answer(question.run, "chat[1]/person", None, action="cancel")
        assert project.resume_sync().outputs["text"] == "Turn 2"


def test_what_the_model_writes_streams_as_it_comes() -> None:
    pieces: list[str] = []
    with ScriptedProvider(answers=[["Hel", "lo", Finish()]]):
        workflow = Workflow().then(AiChatTask(id="chat", max_iterations=1))
        workflow.events.on("task_chunk", lambda event: pieces.append(event.data.data))
        workflow.run_sync({"model": MODEL, "prompt": "Hi"})
    assert pieces[:2] == ["Hel", "lo"]


def test_a_stored_chat_needs_no_graph_of_its_own() -> None:
    given = {"tasks": [{"id": "chat", "type": "AiChatTask", "config": {"maxIterations": 2}}], "dataflows": []}
    workflow = Workflow.from_json(given)
    task: Any = workflow.graph.tasks["chat"]
    assert (task.config["max_iterations"], [*task.subgraph.tasks]) == (2, ["model", "person"])
    assert Workflow.from_json(workflow.to_json()).to_json() == workflow.to_json()
