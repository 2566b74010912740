"""Conversations as OpenAI's two protocols write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from workglow.errors import ModelCallError

if TYPE_CHECKING:
    from workglow.ai.messages import Message, Part
    from workglow.ai.request import ToolDefinition

__all__ = [
    "chat_messages",
    "chat_tool_choice",
    "chat_tools",
    "response_items",
    "response_tool_choice",
    "response_tools",
]

_AUDIO: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}


# ---------------------------------------------------------------------- chat completions


def chat_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Write a conversation for chat completions.

    Each result of a tool is a message of its own; images in results, which a tool's message cannot hold, follow in one
    of the user's.
    """
    written: list[dict[str, Any]] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "assistant":
            written.append(_assistant(content))
        elif role == "tool":
            written += _results(content)
        elif role == "system":
            written.append({"role": "system", "content": _joined(content)})
        else:
            written.append({"role": "user", "content": _content(content)})
    return written


def _assistant(content: Sequence[Part]) -> dict[str, Any]:
    calls = [
        {
            "id": part["id"],
            "type": "function",
            "function": {"name": part["name"], "arguments": json.dumps(part["input"], ensure_ascii=False)},
        }
        for part in content
        if part["type"] == "tool_use"
    ]
    message: dict[str, Any] = {"role": "assistant", "content": _joined(content) or None}
    if calls:
        message["tool_calls"] = calls
    return message


def _results(content: Sequence[Part]) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    for part in content:
        if part["type"] != "tool_result":
            raise ModelCallError(f"A tool's message holds results, and no part of type {part['type']!r}.")
        written.append({"role": "tool", "content": _result_text(part), "tool_call_id": part["tool_use_id"]})
        images += [_chat_part(inner) for inner in part["content"] if inner["type"] == "image"]
    if images:
        written.append({"role": "user", "content": images})
    return written


def _result_text(part: Part) -> str:
    text = _joined(part["content"])
    return f"Error: {text}" if part.get("is_error") else text


def _content(content: Sequence[Part]) -> str | list[dict[str, Any]]:
    if all(part["type"] == "text" for part in content):
        return _joined(content)
    return [_chat_part(part) for part in content]


def _chat_part(part: Part) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    if part["type"] == "image":
        return {"type": "image_url", "image_url": {"url": _data_url(part)}}
    if part["type"] == "audio":
        format = part["mimeType"].partition("/")[2]
        return {"type": "input_audio", "input_audio": {"data": part["data"], "format": _AUDIO.get(format, format)}}
    raise ModelCallError(f"A user's message cannot hold a part of type {part['type']!r}.")


def chat_tools(tools: Iterable[ToolDefinition]) -> list[dict[str, Any]]:
    """Write what tools there are."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.input_schema)},
        }
        for tool in tools
    ]


def chat_tool_choice(choice: str) -> str | dict[str, Any]:
    """Write which tool is to be called."""
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


# ---------------------------------------------------------------------- responses


def response_items(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Write a conversation for the Responses API, where calls of tools and their results are items of their own."""
    items: list[dict[str, Any]] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "tool":
            items += [_output_item(part) for part in content]
            continue
        spoken = [_response_part(part, role) for part in content if part["type"] != "tool_use"]
        spoken = [part for part in spoken if part.get("text", True)]  # an empty text is refused
        if spoken:
            items.append({"type": "message", "role": role, "content": spoken})
        items += [
            {
                "type": "function_call",
                "call_id": part["id"],
                "name": part["name"],
                "arguments": json.dumps(part["input"], ensure_ascii=False),
            }
            for part in content
            if part["type"] == "tool_use"
        ]
    return items


def _output_item(part: Part) -> dict[str, Any]:
    if part["type"] != "tool_result":
        raise ModelCallError(f"A tool's message holds results, and no part of type {part['type']!r}.")
    output: Any = _result_text(part)
    if any(inner["type"] == "image" for inner in part["content"]):
        output = [_response_part(inner, "user") for inner in part["content"]]
        if part.get("is_error"):
            output.insert(0, {"type": "input_text", "text": "Error:"})
    return {"type": "function_call_output", "call_id": part["tool_use_id"], "output": output}


def _response_part(part: Part, role: str) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    if part["type"] == "image":
        return {"type": "input_image", "image_url": _data_url(part), "detail": "auto"}
    raise ModelCallError(f"The Responses API takes no part of type {part['type']!r} in a message of the {role}.")


def response_tools(tools: Iterable[ToolDefinition]) -> list[dict[str, Any]]:
    """Write what tools there are."""
    return [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.input_schema),
            "strict": False,
        }
        for tool in tools
    ]


def response_tool_choice(choice: str) -> str | dict[str, Any]:
    """Write which tool is to be called."""
    return choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}


# ---------------------------------------------------------------------- both


def _joined(content: Iterable[Part]) -> str:
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _data_url(part: Part) -> str:
    return f"data:{part['mimeType']};base64,{part['data']}"
