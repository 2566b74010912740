"""AI cases 1, 2 and 12's structured part: objects that are judged, sent back, and given up."""

from __future__ import annotations

from typing import Any

import pytest
from fixture_runs import graph_of

from workglow.ai import Finish, ObjectDelta
from workglow.ai.messages import text_of
from workglow.ai.structured import StructuredGenerationTask
from workglow.errors import (
    ModelCallError,
    StructuredOutputError,
    TaskConfigurationError,
    TruncatedOutputError,
    WorkglowError,
)
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.testing import ScriptedProvider

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
BAD = {"name": "Alice", "age": "thirty"}
GOOD = {"name": "Alice", "age": 30}
PROMPT = "Give me a person"


def generated(provider: ScriptedProvider, *, schema: object = PERSON, **inputs: Any) -> tuple[Any, list[Any], int]:
    """Return the object, the pieces that were heard, and how often the task was completed."""
    events: list[Event] = []
    task = StructuredGenerationTask(id="person", defaults={"model": "scripted:a"})
    with provider:
        run = run_in_memory_sync(
            graph_of(task), {"prompt": PROMPT, "output_schema": schema, **inputs}, on_event=events.append
        )
    pieces = [event.data.data for event in events if event.kind == "task_chunk"]
    return run.outputs["object"], pieces, sum(event.kind == "task_completed" for event in events)


def failure(provider: ScriptedProvider, **inputs: Any) -> BaseException:
    with pytest.raises(WorkglowError) as caught:
        generated(provider, **inputs)
    return caught.value.__cause__ or caught.value


def told(provider: ScriptedProvider, at: int) -> str:
    return "\n".join(map(text_of, provider.requests[at].messages))


# ---------------------------------------------------------------------- 1


def test_ai01_what_does_not_fit_is_sent_back_with_what_is_wrong() -> None:
    provider = ScriptedProvider(answers=[BAD, GOOD])
    found, pieces, completed = generated(provider, max_retries=2)
    assert found == GOOD
    assert len(provider.requests) == 2
    assert told(provider, 0) == PROMPT
    assert PROMPT in told(provider, 1)
    assert "validation" in told(provider, 1).lower()
    assert "/age" in told(provider, 1)
    assert len(pieces) >= 3
    assert (pieces[0], pieces[-1]) == (BAD, GOOD)
    assert pieces[pieces.index({}) - 1] == BAD  # it begins anew behind the bad one
    assert completed == 1


def test_ai01_a_good_object_is_returned_unchanged_after_one_call() -> None:
    provider = ScriptedProvider(answers=[GOOD])
    assert generated(provider, max_retries=0)[0] == GOOD
    assert len(provider.requests) == 1


# ---------------------------------------------------------------------- 2


@pytest.mark.parametrize(("given", "calls"), [({"max_retries": 2}, 3), ({"max_retries": 0}, 1), ({}, 3)])
def test_ai02_when_no_attempt_fits_the_error_holds_each(given: dict[str, int], calls: int) -> None:
    provider = ScriptedProvider(answers=[BAD] * 5)
    error = failure(provider, **given)
    assert isinstance(error, StructuredOutputError)
    assert len(provider.requests) == len(error.attempts) == calls
    assert [attempt["attempt"] for attempt in error.attempts] == list(range(1, calls + 1))
    assert error.attempts[0]["object"] == BAD
    assert error.attempts[0]["errors"] == [{"path": "/age", "message": '"thirty" is not of type "integer"'}]


def test_ai02_a_missing_field_is_named() -> None:
    error = failure(ScriptedProvider(answers=[{"name": "Alice"}]), max_retries=0)
    assert "required" in str(error).lower()
    assert '"age"' in str(error)


@pytest.mark.parametrize(
    "schema",
    [None, 3, "text", {"type": "nope"}, {"type": "array"}, {"$ref": "#/nowhere"}, {"$ref": "file:///etc/hosts"}],
)
def test_ai02_a_schema_that_is_none_is_refused_before_any_call(schema: object) -> None:
    provider = ScriptedProvider(answers=[GOOD])
    error = failure(provider, schema=schema)
    assert isinstance(error, TaskConfigurationError)
    assert "StructuredGenerationTask): invalid output_schema" in str(error)
    assert provider.requests == []


def test_ai02_a_schema_that_is_none_is_refused_when_the_task_is_made() -> None:
    with pytest.raises(TaskConfigurationError, match="invalid output_schema"):
        StructuredGenerationTask(defaults={"output_schema": {"type": "nope"}})


def test_ai02_what_else_goes_wrong_is_not_tried_again() -> None:
    provider = ScriptedProvider(answers=[ModelCallError("The account is closed."), GOOD])
    assert isinstance(failure(provider), ModelCallError)
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    "events", [[BAD, Finish("length")], ['{"name": "Al', Finish("length")], [GOOD, Finish("length")]]
)
def test_ai02_what_was_cut_off_is_said_to_be_so_and_not_tried_again(events: list[Any]) -> None:
    provider = ScriptedProvider(answers=[events, GOOD])
    error = failure(provider)
    assert isinstance(error, TruncatedOutputError)
    assert "truncated" in str(error)
    assert len(provider.requests) == 1


# ---------------------------------------------------------------------- 12, and ours


def test_ai12_both_keys_are_there_and_the_object_grows() -> None:
    provider = ScriptedProvider(answers=[[ObjectDelta({"name": "Al"}), ObjectDelta(GOOD), Finish()]])
    found, pieces, _ = generated(provider)
    assert found.keys() == {"name", "age"}
    assert pieces[:2] == [{"name": "Al"}, GOOD]
    assert provider.requests[0].schema == PERSON


CHAT = {"name": "scripted:a", "provider": "scripted", "capabilities": ["chat"]}


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Alice", "age": 30}',
        'Of course!\n```json\n{"name": "Alice", "age": 30}\n```\nAnything else?',
        '<think>{"name": 3}</think>{"name": "Alice", "age": 30}',
    ],
)
def test_ai12_a_model_that_can_only_chat_is_asked_for_json(text: str) -> None:
    provider = ScriptedProvider(answers=[[*text, Finish()]])
    found, pieces, _ = generated(provider, model=CHAT, system="Be kind.")
    assert found == GOOD
    assert pieces[-1] == GOOD
    (request,) = provider.requests
    assert [message["role"] for message in request.messages] == ["system", "user"]
    assert "Be kind." in told(provider, 0)
    assert '"additionalProperties": false' in told(provider, 0)


@pytest.mark.parametrize("text", ["I cannot.", '{"name": "Alice"', '{"name": NaN}', "", "[1]"])
def test_ai12_what_holds_no_object_is_sent_back_too(text: str) -> None:
    provider = ScriptedProvider(answers=[text, '{"name": "Alice", "age": 30}'])
    assert generated(provider, model=CHAT)[0] == GOOD
    assert "holds no JSON object" in told(provider, 1)
    assert [message["role"] for message in provider.requests[1].messages] == ["system", "user", "assistant", "user"]


def test_ai12_a_task_made_with_a_schema_says_what_it_gives() -> None:
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str
        age: int

    task = StructuredGenerationTask(id="person", defaults={"model": "scripted:a", "output_schema": Person})
    assert task.outputs["object"].schema["properties"].keys() == {"name", "age"}
    assert task.defaults["output_schema"]["required"] == ["name", "age"]
    with ScriptedProvider(answers=[GOOD]):
        assert graph_of(task).run_sync({"prompt": "x"}).outputs == {"object": GOOD}


def test_ai12_an_object_is_read_in_time_that_grows_with_its_length() -> None:
    names = ", ".join(f'"{number}"' for number in range(20_000))
    text = f'{{"names": [{names}]}}'
    schema = {"type": "object", "required": ["names"]}
    provider = ScriptedProvider(answers=[[*(text[at : at + 8] for at in range(0, len(text), 8)), Finish()]])
    found, pieces, _ = generated(provider, schema=schema, model=CHAT)
    assert len(found["names"]) == 20_000
    assert len(pieces) < 120  # read again each time it is an eighth longer
