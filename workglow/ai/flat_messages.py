"""Conversations with tools as models see them that know of no tools: all of it is text.

A call is written as the model is told to write one itself, so what it did before is an example of what it can do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, cast

import msgspec

from workglow.ai.messages import Message, Part

if TYPE_CHECKING:
    from workglow.ai.request import GenerationRequest, ToolDefinition

__all__ = ["FlatMessage", "result_text", "text_flat", "with_prompted_tools", "without_tool_parts"]


class FlatMessage(TypedDict):
    """What one side said, as one text."""

    role: str
    content: str


def text_flat(messages: Iterable[Message]) -> list[FlatMessage]:
    """Return a conversation as texts: images and sounds are left out, and messages of which nothing is left.

    Calls become text of the assistant; each result is a message of the tool.
    """
    flat: list[FlatMessage] = []
    for message in messages:
        results = [part for part in message["content"] if part["type"] == "tool_result"]
        if message["role"] == "tool":
            flat.extend(FlatMessage(role="tool", content=result_text(part)) for part in results)
            continue
        text = "\n".join(found for part in message["content"] if (found := _text(part)) is not None)
        if text:
            flat.append({"role": message["role"], "content": text})
    return flat


def without_tool_parts(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Return a conversation in which calls and results are texts, the results said by the user."""
    told: list[Message] = []
    for message in messages:
        parts: list[Part] = []
        for part in message["content"]:
            text = _text(part) if part["type"].startswith("tool_") else None
            parts.append(part if text is None else {"type": "text", "text": text})
        told.append({"role": "user" if message["role"] == "tool" else message["role"], "content": parts})
    return tuple(told)


def with_prompted_tools(request: GenerationRequest) -> GenerationRequest:
    """Return the request for a model that has no tools of its own: it is told of them, and how to call them."""
    messages = list(without_tool_parts(request.messages))
    if request.tools and request.tool_choice != "none":
        told = _instructions(request.tools, request.tool_choice)
        if messages and messages[0]["role"] == "system":
            messages[0] = {"role": "system", "content": [*messages[0]["content"], {"type": "text", "text": told}]}
        else:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": told}]})
    return replace(request, messages=tuple(messages), tools=(), tool_choice="auto")


def _instructions(tools: Sequence[ToolDefinition], choice: str) -> str:
    listed = "\n".join(
        msgspec.json.encode(
            {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
        ).decode()
        for tool in tools
    )
    when = {"auto": "Call one when you need it; otherwise just answer.", "required": "Call at least one of them now."}
    return (
        "You can call tools.  To call one, write exactly this, with its name and its arguments as JSON:\n"
        '<tool_call>\n{"name": "tool", "arguments": {"argument": "value"}}\n</tool_call>\n'
        "Stop after your calls; what the tools return is given to you then.\n"
        f"{when.get(choice, f'Call {choice} now.')}\nThe tools, one on each line:\n{listed}"
    )


def result_text(part: Part) -> str:
    """Return what a tool gave as a text, which says so when it is an error."""
    content = cast("list[Any]", part["content"])
    text = "\n".join(one if isinstance(one, str) else str(one.get("text", "")) for one in content)
    return f"Error: {text}" if part.get("is_error") else text


def _text(part: Part) -> str | None:
    match part["type"]:
        case "text":
            return part["text"]
        case "tool_use":
            call = msgspec.json.encode({"name": part["name"], "arguments": part["input"]}).decode()
            return f"<tool_call>\n{call}\n</tool_call>"
        case "tool_result":
            said = result_text(part).replace("</tool_response>", "<\\/tool_response>")  # it may come from anywhere
            return f"<tool_response>\n{said}\n</tool_response>"
        case _:
            return None
