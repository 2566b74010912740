"""Conversations as Anthropic's messages write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from workglow.ai.messages import Message
from workglow.errors import ModelCallError

if TYPE_CHECKING:
    from workglow.ai.messages import Part
    from workglow.ai.request import GenerationRequest, ToolDefinition

__all__ = ["STRUCTURED_TOOL", "message_body", "messages_of", "object_schema", "system_of"]

STRUCTURED_TOOL: Final = "structured_output"
"""The tool that a model is made to call when it is to write an object: the tool's input is the object."""

_UNKNOWN: Final = ("frequency_penalty", "presence_penalty", "seed")


def message_body(request: GenerationRequest, max_tokens: int) -> dict[str, Any]:
    """Return what is sent, without the model's name; ModelCallError for settings that this protocol lacks."""
    for name in _UNKNOWN:
        if getattr(request, name):
            raise ModelCallError(f"Anthropic's models have no {name}: leave it out.")
    messages = request.messages
    if request.written:
        messages = (*messages, Message(role="assistant", content=[{"type": "text", "text": request.written}]))
    body: dict[str, Any] = {"messages": messages_of(messages), "max_tokens": max_tokens}
    named = {
        "system": system_of(messages) or None,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "stop_sequences": list(request.stop) or None,
    }
    body |= {name: value for name, value in named.items() if value is not None}
    if request.schema is not None:
        schema, _ = object_schema(request.schema)
        body["tools"] = [
            {"name": STRUCTURED_TOOL, "description": "Give the answer in this form.", "input_schema": schema}
        ]
        body["tool_choice"] = {"type": "tool", "name": STRUCTURED_TOOL}
    elif request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        body["tool_choice"] = _choice(request.tool_choice)
    return body


def object_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema that a tool can have, and whether it wraps the given one, which is of no object, in `value`."""
    if schema.get("type") == "object":
        return dict(schema), False
    definitions = {word: schema[word] for word in ("$defs", "definitions") if word in schema}
    inner = {word: value for word, value in schema.items() if word not in definitions}
    return {"type": "object", "properties": {"value": inner}, "required": ["value"], **definitions}, True


def system_of(messages: Iterable[Message]) -> str:
    """Return what all system messages say; they stand outside the conversation."""
    texts = [
        part["text"]
        for message in messages
        if message["role"] == "system"
        for part in message["content"]
        if part["type"] == "text"
    ]
    return "\n\n".join(text for text in texts if text)


def messages_of(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Write a conversation.  Results of tools are the user's; neighbours of the same role become one message."""
    written: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "system":
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _blocks(message["content"], message["role"])
        if not blocks:
            continue
        if written and written[-1]["role"] == role:
            written[-1]["content"] += blocks
        else:
            written.append({"role": role, "content": blocks})
    return written


def _blocks(content: Sequence[Part], role: str) -> list[dict[str, Any]]:
    # Empty texts are refused by the service.
    return [_block(part, role) for part in content if part["type"] != "text" or part["text"].strip()]


def _block(part: Part, role: str) -> dict[str, Any]:
    kind = part["type"]
    if kind == "text":
        return {"type": "text", "text": part["text"]}
    if kind == "image":
        source = {"type": "base64", "media_type": part["mimeType"], "data": part["data"]}
        return {"type": "image", "source": source}
    if kind == "tool_use" and role == "assistant":
        return {"type": "tool_use", "id": part["id"], "name": part["name"], "input": part["input"]}
    if kind == "tool_result" and role == "tool":
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part["tool_use_id"]}
        if inner := _blocks(part["content"], "user"):
            block["content"] = inner
        if part.get("is_error"):
            block["is_error"] = True
        return block
    raise ModelCallError(f"Anthropic's models take no part of type {kind!r} in a message of the role {role!r}.")


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    schema = {"type": "object", **tool.input_schema}
    return {"name": tool.name, "description": tool.description, "input_schema": schema}


def _choice(choice: str) -> dict[str, Any]:
    known = {"auto": "auto", "none": "none", "required": "any"}.get(choice)
    return {"type": "tool", "name": choice} if known is None else {"type": known}
