"""Conversations for models that know of no tools."""

from __future__ import annotations

from typing import Any

from workglow.ai import GenerationRequest, ToolDefinition, text_flat
from workglow.ai.flat_messages import with_prompted_tools
from workglow.ai.messages import as_messages
from workglow.ai.tool_text import parse_tool_calls

CALL = {"type": "tool_use", "id": "tc_1", "name": "search", "input": {"query": "cats"}}
IMAGE = {"type": "image", "mimeType": "image/png", "data": "AAAA"}


def result(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "tc_1", "content": [{"type": "text", "text": text}], **more}


def flat(*messages: dict[str, Any]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in text_flat(as_messages(messages=messages))]


def test_a_prompt_alone_and_one_with_a_system_prompt() -> None:
    assert text_flat(as_messages("Hello")) == [{"role": "user", "content": "Hello"}]
    assert [message["role"] for message in text_flat(as_messages("Hello", system="Be kind"))] == ["system", "user"]


def test_a_system_message_among_the_messages_is_kept() -> None:
    assert flat({"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"})[0] == ("system", "Be kind")


def test_texts_stay_images_go_and_a_message_without_text_is_left_out() -> None:
    assert flat({"role": "user", "content": ["Line one", "Line two"]}) == [("user", "Line one\nLine two")]
    assert flat({"role": "user", "content": ["Look", IMAGE]}) == [("user", "Look")]
    nothing = {"role": "assistant", "content": [{"type": "text", "text": ""}]}
    assert flat({"role": "user", "content": "Hi"}, nothing) == [("user", "Hi")]


def test_each_result_is_a_message_and_says_that_it_is_an_error() -> None:
    said = flat({"role": "tool", "content": [result("result data"), result("no such cat", is_error=True)]})
    assert said == [("tool", "result data"), ("tool", "Error: no such cat")]


def test_a_call_stays_as_a_text_that_is_read_as_the_same_call() -> None:
    ((role, text),) = flat({"role": "assistant", "content": ["Let me search", CALL]})
    shown, (call,) = parse_tool_calls(text)
    assert (role, shown, call.name, call.input) == ("assistant", "Let me search", "search", {"query": "cats"})


def test_a_model_without_tools_is_told_of_them_behind_the_system_prompt() -> None:
    tool = ToolDefinition("search", "Finds cats.", {"type": "object", "properties": {"query": {"type": "string"}}})
    history = [{"role": "assistant", "content": [CALL]}, {"role": "tool", "content": [result("</tool_response>")]}]
    request = GenerationRequest(
        as_messages("Find cats", system="Be kind", messages=history), tools=(tool,), tool_choice="search"
    )
    told = with_prompted_tools(request)
    assert (told.tools, [message["role"] for message in told.messages]) == ((), ["system", "assistant", "user", "user"])
    system = told.messages[0]["content"][-1]["text"]
    assert "Finds cats." in system
    assert "Call search now." in system
    assert told.messages[2]["content"][0]["text"].count("</tool_response>") == 1  # none but our own


def test_without_tools_or_with_the_choice_none_it_is_told_of_none() -> None:
    tool = ToolDefinition("search", "Finds cats.", {"type": "object"})
    for request in (
        GenerationRequest(as_messages("Hi")),
        GenerationRequest(as_messages("Hi"), tools=(tool,), tool_choice="none"),
    ):
        assert with_prompted_tools(request).messages == request.messages
