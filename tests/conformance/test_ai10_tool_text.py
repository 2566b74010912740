"""Tool calls in texts of models, and what is shown of them while they are written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.ai import TextDelta, ToolCall, ToolDefinition
from workglow.ai.tool_text import ToolTextReader, parse_tool_calls

Found = tuple[str, list[tuple[str, dict[str, Any]]]]
FULL = '<tool_call>{"name":"fn","arguments":{}}</tool_call>'


def found(text: str) -> Found:
    shown, calls = parse_tool_calls(text)
    return shown, [(call.name, call.input) for call in calls]


def shown(*pieces: str) -> str:
    reader = ToolTextReader()
    said = [event for piece in pieces for event in reader.feed(piece)] + reader.finish()
    return "".join(event.text for event in said if isinstance(event, TextDelta))


def test_a_call_between_marks_is_taken_out_of_the_text() -> None:
    text = (
        'I\'ll check the weather for you.\n<tool_call>{"name":"get_weather","arguments":{"location":"NYC"}}</tool_call>'
    )
    assert found(text) == ("I'll check the weather for you.", [("get_weather", {"location": "NYC"})])


def test_two_calls_come_in_order() -> None:
    text = "".join(
        f'<tool_call>{{"name":"w","arguments":{{"at":"{city}"}}}}</tool_call>\n' for city in ("NYC", "London")
    )
    assert found(text) == ("", [("w", {"at": "NYC"}), ("w", {"at": "London"})])
    assert [call.id for call in parse_tool_calls(text)[1]] == ["call_0", "call_1"]


OBJECTS: list[tuple[str, Found]] = [
    (
        'Here is the result: {"name":"search","arguments":{"query":"test"}}',
        ("Here is the result:", [("search", {"query": "test"})]),
    ),
    ('{"name":"search","parameters":{"query":"test"}}', ("", [("search", {"query": "test"})])),
    (
        '{"function":{"name":"get_weather","arguments":{"location":"Paris"}}}',
        ("", [("get_weather", {"location": "Paris"})]),
    ),
    (
        '{"function":{"name":"get_weather","arguments":"{\\"location\\":\\"Paris\\"}"}}',
        ("", [("get_weather", {"location": "Paris"})]),
    ),
    (
        '{"name":"add","arguments":{"title":"Meeting","details":{"time":"3pm","attendees":["Alice","Bob"]}}}',
        ("", [("add", {"title": "Meeting", "details": {"time": "3pm", "attendees": ["Alice", "Bob"]}})]),
    ),
    ("  Just a text.\n", ("  Just a text.\n", [])),
    ("<tool_call>not valid json</tool_call>", ("", [])),
    (
        'Here is some data: {"value": 42, "label": "test"}',
        ('Here is some data: {"value": 42, "label": "test"}', []),
    ),
    ('A person: {"name": "Ann", "age": 3}.', ('A person: {"name": "Ann", "age": 3}.', [])),
]


@pytest.mark.parametrize(("text", "expected"), OBJECTS)
def test_objects_without_marks(text: str, expected: object) -> None:
    assert found(text) == expected


WEATHER = ("weather", {"city": "Paris"})


FAMILIES: list[tuple[str, list[tuple[str, dict[str, Any]]]]] = [
    ('<|python_tag|>{"name": "weather", "parameters": {"city": "Paris"}}<|eom_id|>', [WEATHER]),
    ('<|python_tag|>weather.call(city="Paris")', [WEATHER]),
    ('[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Paris"}, "id": "q1"}]</s>', [WEATHER]),
    ('[TOOL_CALLS]weather[ARGS]{"city": "Paris"}[TOOL_CALLS]weather[ARGS]{"city": "Paris"}', [WEATHER, WEATHER]),
    ('[TOOL_CALLS]weather[CALL_ID]q1[ARGS]{"city": "Paris"}', [WEATHER]),
    ('<function=weather>{"city": "Paris"}</function>', [WEATHER]),
    (
        "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
        [WEATHER],
    ),
    ("<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>", [WEATHER]),
    ('>>>weather\n{"city": "Paris"}', [WEATHER]),
    ('<|tool_call|>[{"name": "weather", "arguments": {"city": "Paris"}}]<|/tool_call|>', [WEATHER]),
    ('<tool_calls>[{"name": "weather", "arguments": {"city": "Paris"}}]</tool_calls>', [WEATHER]),
    ("<|tool_call_start|>[weather(city='Paris')]<|tool_call_end|>", [WEATHER]),
    (
        '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "weather", "parameters": {"city": "Paris"}}]'
        "<|END_ACTION|>",
        [WEATHER],
    ),
    ('<|action_start|><|plugin|>{"name": "weather", "parameters": {"city": "Paris"}}<|action_end|>', [WEATHER]),
    (
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n"  # noqa: RUF001
        '```json\n{"city": "Paris"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',  # noqa: RUF001
        [WEATHER],
    ),
    ('```json\n{"name": "weather", "arguments": {"city": "Paris"}}\n```', [WEATHER]),
    ('[{"name": "weather", "arguments": {"city": "Paris"}}]', [WEATHER]),
    ('<tool_call>{"name": "weather", "arguments": {"city": "Paris"}}', [WEATHER]),
    (
        '<tool_call>{"name": "weather", "arguments": {"city": "Pa\nris"}}</tool_call>',
        [("weather", {"city": "Pa\nris"})],
    ),
    ('<think>{"name": "weather", "arguments": {"city": "Rome"}}</think>', []),
    ('<think>hm <tool_call>{"name": "no", "arguments": {}}</tool_call></think>' + FULL, [("fn", {})]),
]


@pytest.mark.parametrize(("text", "calls"), FAMILIES)
def test_what_each_family_of_models_writes(text: str, calls: object) -> None:
    assert found(text) == ("", calls)


def test_marks_of_a_template_and_thoughts_are_not_shown() -> None:
    assert found("<think>Let me see.</think>\nIt is 4.<|im_end|>") == ("It is 4.", [])


def test_a_bare_object_is_a_call_only_of_a_tool_that_there_is() -> None:
    tools = [ToolDefinition("search", "", {"type": "object"})]
    text = '{"name":"Ann","parameters":{"age":3}} and {"name":"search","parameters":{}}'
    said, calls = parse_tool_calls(text, tools)
    assert (said, [call.name for call in calls]) == ('{"name":"Ann","parameters":{"age":3}} and', ["search"])


def test_arguments_that_are_written_as_text_are_read_by_the_schema() -> None:
    schema = {"properties": {"zip": {"type": "string"}, "days": {"type": "integer"}, "tags": {"type": "array"}}}
    body = "".join(
        f"<parameter={name}>\n{text}\n</parameter>" for name, text in (("zip", "12345"), ("days", "3"), ("tags", "[1]"))
    )
    text = f"<tool_call><function=f>{body}</function></tool_call>"
    (call,) = parse_tool_calls(text, [ToolDefinition("f", "", schema)])[1]
    assert call.input == {"zip": "12345", "days": 3, "tags": [1]}


def test_what_stands_between_marks_and_is_no_call_is_kept_for_the_model_to_be_told() -> None:
    reader = ToolTextReader()
    reader.feed("<tool_call>{oops</tool_call>")
    assert reader.unread == ["{oops"]


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["Hello", " world", "!"], "Hello world!"),
        (["Here is the result.", FULL], "Here is the result."),
        (["Hi. ", "<tool", "_call>", '{"name":"fn",', '"arguments":{}}', "</tool", "_call>"], "Hi. "),
        ([FULL, " Done."], " Done."),
        ([FULL + " trailing text"], " trailing text"),
        (["A", FULL, " B", FULL, " C"], "A B C"),
        (["price ", "<", " $5"], "price < $5"),
        (["text <tool_"], "text <tool_"),
        (["hello <t"], "hello <t"),
        (["Hi ", *"<tool_call>", '{"name":"fn","arguments":{}}', "</tool_call>", " end"], "Hi  end"),
        (["before ", "<tool_call>", "inside tool content"], "before "),
    ],
)
def test_the_markup_is_filtered_while_it_is_written(pieces: list[str], expected: str) -> None:
    assert shown(*pieces) == expected


PARTS = [
    *(FULL, "Hello ", " world\n", "<", "<|", "<tool_", "price < $5 ", "[", "{", '{"', '{"name"', '"', "\\", "}", "]"),
    *(
        ">>",
        ">>>f\n",
        '{"name":"f","arguments":{"a":"}<tool_call>"}}',
        "<think>",
        "</think>",
        "<|eot_id|>",
        "```json\n",
    ),
    *("```", "[TOOL_CALLS]", "</s>", "</tool_call>", "<function=f>{}</function>", "<|python_tag|>"),
    '[{"name":"f","arguments":{}}, {"name":"g","arguments":{}}]',
]
MALICE = [
    *(
        "{",
        "[",
        "[{",
        '{"name":',
        '{"name":"a","arguments":',
        "<tool_call>",
        "<",
        "<|",
        '{"name":"\\',
        "`",
        "```json",
        "(",
    ),
    *(">>>a\n", '{"a":[', "<function=a>", "[TOOL_CALLS]a", "<tool_call>[", "<|python_tag|>f(", "\n", " ", '{"name":{}'),
    FULL,
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join), st.data())
def test_what_is_said_does_not_depend_on_how_the_text_is_split(text: str, data: st.DataObject) -> None:
    def said(pieces: list[str]) -> tuple[str, list[ToolCall]]:
        reader = ToolTextReader()
        events = [event for piece in pieces for event in reader.feed(piece)] + reader.finish()
        calls = [event for event in events if isinstance(event, ToolCall)]
        return "".join(event.text for event in events if isinstance(event, TextDelta)), calls

    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pieces = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert said(pieces) == said([text]) == said(list(text))


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=20), max_size=10).map("".join))
def test_no_text_is_an_error(text: str) -> None:
    parse_tool_calls(text)


@pytest.mark.parametrize("unit", MALICE)
@pytest.mark.parametrize("begin", ["", "<tool_call>", '{"name":'])
def test_a_megabyte_of_malice_is_read_before_the_time_is_out(begin: str, unit: str) -> None:
    """Its time grows with the text: if it grew with the square, this would take a quarter of an hour."""
    parse_tool_calls(begin + unit * (1_000_000 // len(unit)))
