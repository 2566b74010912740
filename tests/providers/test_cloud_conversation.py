"""Conversations, tools and objects on their way to services and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import pytest
from cloud_service import answers, anthropic_events, openai_chunks, record_of, service_running, stream
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Response

from workglow.ai import Finish, GenerationRequest, Models, ObjectDelta, TextDelta, ToolCall, ToolDefinition
from workglow.ai.messages import as_messages
from workglow.errors import ModelCallError, ModelOutputError, ModelUnavailableError, TruncatedOutputError
from workglow.providers.remote.collecting import GrowingObject

pytestmark = [
    pytest.mark.extra("openai"),
    pytest.mark.extra("anthropic"),
    pytest.mark.skipif(find_spec("openai") is None, reason="needs openai: pip install 'workglow[openai]'"),
    pytest.mark.skipif(find_spec("anthropic") is None, reason="needs anthropic: pip install 'workglow[anthropic]'"),
]

if find_spec("openai") and find_spec("anthropic"):
    from workglow.providers.anthropic.conversation import message_body, messages_of, system_of
    from workglow.providers.openai.completions import chat_body
    from workglow.providers.openai.conversation import chat_messages, response_items
    from workglow.providers.openai.schemas import is_strict

IMAGE = {"type": "image", "mimeType": "image/png", "data": "base64data"}
SEARCH = ToolDefinition("search", "Searches.", {"type": "object", "properties": {"query": {"type": "string"}}})
CONVERSATION = as_messages(
    messages=[
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Cats?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me search"},
                {"type": "tool_use", "id": "tc_1", "name": "search", "input": {"query": "cats"}},
                {"type": "tool_use", "id": "tc_2", "name": "search", "input": {"query": "dogs"}},
            ],
        },
        {
            "role": "tool",
            "content": [
                {"type": "tool_result", "tool_use_id": "tc_1", "content": [{"type": "text", "text": "found"}]},
                {
                    "type": "tool_result",
                    "tool_use_id": "tc_2",
                    "content": [{"type": "text", "text": "broken"}, IMAGE],
                    "is_error": True,
                },
            ],
        },
    ]
)

# ---------------------------------------------------------------------- what is sent


def test_openai_is_sent_texts_calls_and_results() -> None:
    system, user, assistant, first, second, images = chat_messages(CONVERSATION)
    assert system == {"role": "system", "content": "Be kind."}
    assert user == {"role": "user", "content": "Cats?"}
    assert assistant["content"] == "Let me search"
    assert assistant["tool_calls"][0]["id"] == "tc_1"
    assert assistant["tool_calls"][0]["type"] == "function"
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"query": "cats"}
    assert first == {"role": "tool", "content": "found", "tool_call_id": "tc_1"}
    assert second == {"role": "tool", "content": "Error: broken", "tool_call_id": "tc_2"}
    assert images["content"][0]["image_url"]["url"] == "data:image/png;base64,base64data"


@pytest.mark.parametrize(
    ("prompt", "content"),
    [
        ("Hello", "Hello"),
        (["Line one", "Line two"], "Line one\nLine two"),
        (
            ["Plain text", IMAGE],
            [
                {"type": "text", "text": "Plain text"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,base64data"}},
            ],
        ),
        (
            [{"type": "audio", "mimeType": "audio/mp3", "data": "d"}],
            [{"type": "input_audio", "input_audio": {"data": "d", "format": "mp3"}}],
        ),
    ],
)
def test_prompts_for_openai(prompt: Any, content: Any) -> None:
    assert chat_messages(as_messages(prompt)) == [{"role": "user", "content": content}]


def test_an_assistant_who_said_nothing_has_no_content() -> None:
    [_, empty] = chat_messages(
        as_messages(messages=[{"role": "user", "content": "?"}, {"role": "assistant", "content": ""}])
    )
    assert empty == {"role": "assistant", "content": None}


def test_the_responses_api_is_sent_items() -> None:
    items = response_items(CONVERSATION)
    assert [item["type"] for item in items] == [
        "message",
        "message",
        "message",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]
    assert items[2]["content"] == [{"type": "output_text", "text": "Let me search"}]
    assert items[5] == {"type": "function_call_output", "call_id": "tc_1", "output": "found"}
    assert items[6]["output"][0]["text"] == "Error:"
    assert items[6]["output"][2]["type"] == "input_image"


def test_anthropic_is_sent_blocks() -> None:
    assert system_of(CONVERSATION) == "Be kind."
    user, assistant, results = messages_of(CONVERSATION)
    assert user == {"role": "user", "content": [{"type": "text", "text": "Cats?"}]}
    assert [block["type"] for block in assistant["content"]] == ["text", "tool_use", "tool_use"]
    assert results["role"] == "user"
    assert results["content"][0]["content"] == [{"type": "text", "text": "found"}]
    assert results["content"][1]["is_error"] is True
    assert results["content"][1]["content"][1]["source"]["media_type"] == "image/png"


def test_anthropic_is_sent_no_empty_texts_and_no_two_neighbours_of_one_role() -> None:
    said = as_messages("two", messages=[{"role": "user", "content": "one"}, {"role": "assistant", "content": " "}])
    assert messages_of(said) == [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]}
    ]


def test_anthropic_takes_no_sound() -> None:
    with pytest.raises(ModelCallError, match="audio"):
        messages_of(as_messages([{"type": "audio", "mimeType": "audio/mp3", "data": "d"}]))


@pytest.mark.parametrize(
    ("choice", "openai", "anthropic"),
    [
        ("auto", "auto", {"type": "auto"}),
        ("none", "none", {"type": "none"}),
        ("required", "required", {"type": "any"}),
        ("search", {"type": "function", "function": {"name": "search"}}, {"type": "tool", "name": "search"}),
    ],
)
def test_which_tool_is_to_be_called(choice: str, openai: Any, anthropic: Any) -> None:
    request = GenerationRequest(as_messages("?"), tools=(SEARCH,), tool_choice=choice)
    assert chat_body(request, "max_tokens")["tool_choice"] == openai
    assert message_body(request, 100)["tool_choice"] == anthropic


def test_what_was_written_before_a_crash_is_the_beginning_of_the_answer() -> None:
    request = GenerationRequest(as_messages("?"), written="Once upon")
    assert chat_body(request, "max_tokens")["messages"][-1] == {"role": "assistant", "content": "Once upon"}
    assert message_body(request, 100)["messages"][-1]["role"] == "assistant"


CLOSED = {"additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], **CLOSED}, True),
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {"type": "string"}}, **CLOSED}, False),
        ({"type": "object", "properties": {}, **CLOSED}, True),
        ({"type": "array", "items": {"type": "string"}}, False),
        ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}, "required": ["a"], **CLOSED}, True),
        ({"type": "object", "properties": {"a": {"type": "array"}}, "required": ["a"], **CLOSED}, False),
        ({"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"], **CLOSED}, False),
        ({"type": "object", "properties": {"a": {"allOf": []}}, "required": ["a"], **CLOSED}, False),
        (
            {"type": "object", "properties": {"a": {"type": "string", "minLength": 1}}, "required": ["a"], **CLOSED},
            False,
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/A"}},
                "required": ["a"],
                **CLOSED,
                "$defs": {"A": {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 0}]}},
            },
            True,
        ),
        ({"type": "object", "properties": {"a": {"$ref": "http://x"}}, "required": ["a"], **CLOSED}, False),
    ],
)
def test_only_schemas_that_qualify_are_strict(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict
    sent = chat_body(GenerationRequest(as_messages("?"), schema=schema), "max_tokens")
    assert sent["response_format"]["json_schema"]["strict"] is strict
    assert sent["response_format"]["json_schema"]["schema"] == schema


# ---------------------------------------------------------------------- what comes back


@pytest.fixture(scope="module")
def running() -> Iterator[HTTPServer]:
    with service_running() as service:
        yield service


@pytest.fixture
def service(running: HTTPServer) -> Iterator[HTTPServer]:
    yield running
    running.clear()


def events_of(model: dict[str, Any], capability: str = "call_tools", **settings: Any) -> list[Any]:
    async def main() -> list[Any]:
        models = Models()
        request = GenerationRequest(as_messages("?"), **settings)
        events: AsyncIterator[Any] = models.model(model).stream(capability, request)
        return [event async for event in events]

    return asyncio.run(main())


def call_of(arguments: str, reason: str = "tool_calls") -> Response:
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "search", "arguments": arguments}}
    return stream(openai_chunks(calls=[call], reason=reason))


def use_of(arguments: str, reason: str = "tool_use") -> Response:
    return stream(anthropic_events(calls=[("c", "search", [arguments])], reason=reason))


@pytest.mark.parametrize(("provider", "made"), [("openai", call_of), ("anthropic", use_of)])
def test_inputs_of_tools(provider: str, made: Any, service: HTTPServer) -> None:
    model = record_of(provider, service.url_for(""))
    answers(service, provider, made('{"query": "cats"}'))
    assert events_of(model, tools=(SEARCH,)) == [ToolCall("c", "search", {"query": "cats"}), Finish("tool_calls")]
    answers(service, provider, made(""))
    assert events_of(model, tools=(SEARCH,))[0] == ToolCall("c", "search", {})
    for arguments in ("{not json", "[1]", "null", '"text"'):
        answers(service, provider, made(arguments))
        with pytest.raises(ModelOutputError, match="search"):
            events_of(model, tools=(SEARCH,))
    answers(service, provider, made('{"query": "ca', "length" if provider == "openai" else "max_tokens"))
    with pytest.raises(TruncatedOutputError, match="max_tokens"):
        events_of(model, tools=(SEARCH,))


def test_a_server_that_calls_tools_and_says_stop_wants_them_called(service: HTTPServer) -> None:
    answers(service, "openai", call_of("{}", "stop"))
    assert events_of(record_of("openai", service.url_for("")), tools=(SEARCH,))[-1] == Finish("tool_calls")


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_objects_grow_and_are_whole_at_the_end(provider: str, service: HTTPServer) -> None:
    text = json.dumps({"people": [{"name": f"name {number}"} for number in range(50)]})
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    schema = {"type": "object", "properties": {"people": {"type": "array"}}}
    made = (
        stream(openai_chunks(*pieces))
        if provider == "openai"
        else stream(anthropic_events(calls=[("1", "structured_output", pieces)], reason="tool_use"))
    )
    answers(service, provider, made)
    events = events_of(record_of(provider, service.url_for("")), "structured", schema=schema)
    objects = [event.value for event in events if isinstance(event, ObjectDelta)]
    assert objects[-1] == json.loads(text)
    assert len(objects) > 3
    assert events[-1] == Finish("stop")


def test_an_object_of_another_kind_is_wrapped_for_anthropic(service: HTTPServer) -> None:
    answers(
        service,
        "anthropic",
        stream(anthropic_events(calls=[("1", "structured_output", ['{"value": [1,', " 2]}"])], reason="tool_use")),
    )
    events = events_of(record_of("anthropic", service.url_for("")), "structured", schema={"type": "array"})
    assert events[-2:] == [ObjectDelta([1, 2]), Finish("stop")]
    assert service.log[0][0].json["tools"][0]["input_schema"]["properties"] == {"value": {"type": "array"}}


@pytest.mark.parametrize(("reason", "kind"), [("stop", ModelOutputError), ("length", TruncatedOutputError)])
def test_half_an_object_is_none(reason: str, kind: type[Exception], service: HTTPServer) -> None:
    answers(service, "openai", stream(openai_chunks('{"name": "Al', reason=reason)))
    with pytest.raises(kind):
        events_of(record_of("openai", service.url_for("")), "structured", schema={"type": "object"})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_an_object_is_the_same_however_it_is_cut(value: Any, data: st.DataObject) -> None:
    text = json.dumps({"value": value})
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=20)) | {0, len(text)})
    growing = GrowingObject("it")
    for begin, end in pairwise(cuts):
        growing.add(text[begin:end])
    assert growing.end(cut=False) == {"value": value}


# ---------------------------------------------------------------------- the Responses API


def response(kind: str, **more: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 9,
        "output_tokens": 3,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    whole = {"id": "r", "object": "response", "status": kind, "output": [], "usage": usage, **more}
    return {"type": f"response.{kind}", "sequence_number": 9, "response": whole}


def text_delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": text, "item_id": "i", "output_index": 0, "content_index": 0}


def responding(service: HTTPServer, *events: dict[str, Any]) -> dict[str, Any]:
    service.expect_ordered_request("/v1/responses").respond_with_response(stream(events))
    return record_of("openai", service.url_for(""), options={"api": "responses"})


def test_responses_are_read_like_chats(service: HTTPServer) -> None:
    model = responding(service, text_delta("Hel"), text_delta("lo"), response("completed"))
    assert events_of(model, "chat", max_tokens=5) == [TextDelta("Hel"), TextDelta("lo"), Finish("stop")]
    sent = service.log[0][0].json
    assert (sent["max_output_tokens"], sent["store"], sent["stream"]) == (5, False, True)
    assert "stream_options" not in sent


def test_responses_call_tools(service: HTTPServer) -> None:
    item = {"type": "function_call", "call_id": "c", "name": "search", "arguments": '{"query": "x"}', "id": "f"}
    done = {"type": "response.output_item.done", "item": item, "output_index": 0, "sequence_number": 1}
    model = responding(service, done, response("completed"))
    assert events_of(model, tools=(SEARCH,)) == [ToolCall("c", "search", {"query": "x"}), Finish("tool_calls")]


@pytest.mark.parametrize(
    ("last", "finish"),
    [
        (response("incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (response("incomplete", incomplete_details={"reason": "content_filter"}), "refused"),
    ],
)
def test_responses_that_stopped_early(last: dict[str, Any], finish: str, service: HTTPServer) -> None:
    assert events_of(responding(service, text_delta("Hel"), last), "chat")[-1] == Finish(finish)  # type: ignore[arg-type]


def test_responses_that_fail(service: HTTPServer) -> None:
    failed = response("failed", error={"code": "server_error", "message": "x"})
    with pytest.raises(ModelUnavailableError):
        events_of(responding(service, text_delta("Hel"), failed), "chat")
    with pytest.raises(ModelUnavailableError):  # broken off
        events_of(responding(service, text_delta("Hel")), "chat")
    error = {"type": "error", "code": "invalid_prompt", "message": "x", "param": None, "sequence_number": 1}
    with pytest.raises(ModelCallError):
        events_of(responding(service, error), "chat")
