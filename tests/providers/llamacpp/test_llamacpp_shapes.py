"""Answers for programs: whatever a model would rather say, it writes objects of the schema, and calls of the tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from asking import asked
from pydantic import TypeAdapter

from workglow.ai import Finish, Model, ModelEvent, ObjectDelta, TextDelta, ToolCall, ToolDefinition
from workglow.errors import ModelCallError
from workglow.providers.llamacpp.conversation import prompt_of
from workglow.providers.llamacpp.shapes import calls_in_text, objects

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 12},
        "kind": {"enum": ["note", "letter"]},
        "count": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1, "maxItems": 2},
    },
    "required": ["title", "kind", "count", "tags"],
    "additionalProperties": False,
}
WEATHER = ToolDefinition(
    "weather",
    "Tells the weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string", "maxLength": 8}}, "required": ["city"]},
)
CLOCK = ToolDefinition("clock", "Tells the time.", {"type": "object", "properties": {}})


@pytest.mark.parametrize("seed", range(5))
def test_nonsense_fits_the_schema_too(model: Model, seed: int) -> None:
    told = asked(model, capability="structured", schema=SCHEMA, seed=seed, max_tokens=400)
    found = [event.value for event in told.events if isinstance(event, ObjectDelta)]
    assert told.reason == "stop"
    assert list(found[-1]) == list(SCHEMA["properties"])  # in the order of the schema
    assert found[-1]["kind"] in ("note", "letter")
    assert isinstance(found[-1]["count"], int)
    assert 1 <= len(found[-1]["tags"]) <= 2
    assert all(len(tag) <= 3 for tag in found[-1]["tags"])
    assert len(found[-1]["title"]) <= 12
    assert not told.text


def test_the_object_grows(model: Model) -> None:
    told = asked(model, capability="structured", schema=SCHEMA, seed=1, max_tokens=400)
    found = [event.value for event in told.events if isinstance(event, ObjectDelta)]
    assert len(found) > 4
    for before, after in pairwise(found):
        assert list(after)[: len(before)] == list(before)
        assert after.get("title", "").startswith(before.get("title", ""))


def test_an_object_without_room_for_its_end_says_so(model: Model) -> None:
    told = asked(model, capability="structured", schema=SCHEMA, seed=1, max_tokens=10)
    assert told.reason == "length"


def test_reading_an_object_takes_no_longer_than_it_is_long() -> None:
    text = json.dumps({"text": "x" * 20_000})
    events: list[ModelEvent] = [*map(TextDelta, text), Finish()]
    found = [event.value for event in objects(iter(events)) if isinstance(event, ObjectDelta)]
    assert found[-1] == json.loads(text)
    assert len(found) < 200


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/nowhere"},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}},
        {"type": "mystery"},
    ],
)
def test_a_schema_that_no_grammar_can_say_is_refused(model: Model, schema: dict[str, Any]) -> None:
    with pytest.raises(ModelCallError, match="JSON Schema"):
        asked(model, capability="structured", schema=schema)


@pytest.mark.parametrize("seed", range(3))
def test_a_tool_that_has_to_be_called_is(model: Model, seed: int) -> None:
    told = asked(
        model, capability="call_tools", tools=(WEATHER, CLOCK), tool_choice="required", seed=seed, max_tokens=200
    )
    (call,) = (event for event in told.events if isinstance(event, ToolCall))
    assert call.name in ("weather", "clock")
    assert (told.reason, told.text) == ("tool_calls", "")


def test_the_tool_that_was_named_is_called(model: Model) -> None:
    for tool, wanted in ((WEATHER, {"city": str}), (CLOCK, {})):
        told = asked(
            model, capability="call_tools", tools=(WEATHER, CLOCK), tool_choice=tool.name, seed=1, max_tokens=300
        )
        (call,) = (event for event in told.events if isinstance(event, ToolCall))
        assert call.name == tool.name
        assert {name: type(value) for name, value in call.input.items() if name in wanted} == wanted


def test_a_call_without_room_for_its_end_is_none(model: Model) -> None:
    told = asked(model, capability="call_tools", tools=(WEATHER,), tool_choice="required", seed=1, max_tokens=5)
    assert told.reason == "length"
    assert not any(isinstance(event, ToolCall) for event in told.events)


def test_a_tool_that_is_not_there_cannot_be_named(model: Model) -> None:
    with pytest.raises(ModelCallError, match=r"'wether'.*there is 'weather'"):
        asked(model, capability="call_tools", tools=(WEATHER,), tool_choice="wether")


def test_tools_that_must_not_be_called_are_not_offered(model: Model) -> None:
    none = asked(model, capability="call_tools", tools=(WEATHER,), tool_choice="none", max_tokens=5)
    assert none.usage.input_tokens == asked(model, max_tokens=5).usage.input_tokens


def test_calls_in_a_text_are_told_from_the_text() -> None:
    said = 'Let me see. <tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'
    events: Iterator[ModelEvent] = iter([*map(TextDelta, said), Finish()])
    found = list(calls_in_text(events, [WEATHER]))
    assert "".join(event.text for event in found if isinstance(event, TextDelta)).strip() == "Let me see."
    (call,) = (event for event in found if isinstance(event, ToolCall))
    assert (call.name, call.input) == ("weather", {"city": "Bonn"})
    assert found[-1] == Finish("tool_calls")


HISTORY: list[Any] = TypeAdapter(list[Any]).validate_python(
    [
        {"role": "user", "content": [{"type": "text", "text": "How is it?"}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "1", "name": "weather", "input": {"city": "Bonn"}}],
        },
        {
            "role": "tool",
            "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "Rain"}]}],
        },
    ]
)


def test_a_template_without_tools_reads_their_calls_and_results_as_text() -> None:
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    assert prompt_of(template, HISTORY) == (
        'user: How is it?\nassistant: <tool_call>\n{"name":"weather","arguments":{"city":"Bonn"}}\n</tool_call>\n'
        "user: <tool_response>\nRain\n</tool_response>\n"
    )


def test_a_template_with_tools_gets_them_as_it_was_written_for() -> None:
    template = (
        "{% for tool in tools or [] %}{{ tool | tojson }}\n{% endfor %}{% for m in messages %}{{ m['role'] }}: "
        "{{ m['content'] }}{% for c in m.tool_calls or [] %}{{ c.function.name }} {{ c.function.arguments | tojson }}"
        "{% endfor %}{{ '\\n' }}{% endfor %}"
    )
    prompt = prompt_of(template, HISTORY, [CLOCK])
    assert json.loads(prompt.splitlines()[0])["function"]["name"] == "clock"
    assert prompt.splitlines()[1:] == ["user: How is it?", 'assistant: weather {"city": "Bonn"}', "tool: Rain"]


def test_a_template_of_a_stranger_cannot_reach_out() -> None:
    for template in ("{{ ''.__class__.__mro__ }}", "{{ messages.append(1) }}", "{% include '/etc/passwd' %}"):
        with pytest.raises(ModelCallError, match="chat template"):
            print(prompt_of(template, HISTORY))


def test_a_template_may_ask_for_the_day() -> None:
    assert prompt_of("{{ strftime_now('%Y') | length }}", HISTORY) == "4"
