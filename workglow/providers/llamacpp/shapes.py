"""Answers that a program reads: objects of a JSON Schema, and calls of tools."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from workglow.ai.events import Finish, ModelEvent, ObjectDelta, TextDelta, ToolCall
from workglow.ai.tool_text import ToolTextReader
from workglow.errors import ModelCallError
from workglow.providers.llamacpp.library import grammar_of
from workglow.values.partial_json import parse_partial_json

if TYPE_CHECKING:
    from workglow.ai.request import ToolDefinition

__all__ = [
    "call_schema",
    "calls_in_text",
    "grammar_for",
    "object_instruction",
    "objects",
    "only_call",
]

_SHARE: Final = 16
"""An object is read anew when its text has grown by this part, so that reading it takes no longer than writing it."""


def object_instruction(schema: Mapping[str, Any]) -> str:
    """What the model is told about the object that it shall write."""
    return f"Answer with nothing but a JSON object that fits this JSON Schema:\n{_json(schema)}"


def call_schema(tools: Sequence[ToolDefinition], choice: str) -> dict[str, Any]:
    """Return the schema of a call of one of the tools, or of the one that `choice` names."""
    chosen = [tool for tool in tools if choice in ("required", tool.name)]
    if not chosen:
        known = ", ".join(repr(tool.name) for tool in tools)
        raise ModelCallError(f"tool_choice is {choice!r}, which is no tool of the call; there is {known}.")
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": {"type": "object", **tool.input_schema}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in chosen
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def grammar_for(schema: Mapping[str, Any]) -> str:
    """Return the grammar of what fits a schema; ModelCallError when it cannot be said by one."""
    try:
        return grammar_of(schema)
    except ValueError as error:
        raise ModelCallError(f"llama.cpp cannot keep an answer to this JSON Schema: {error}") from error


def objects(events: Iterator[ModelEvent]) -> Iterator[ModelEvent]:
    """Turn a text of JSON into the object as it grows."""
    text, due, last = "", 0, None
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
            if len(text) < due:
                continue
            due = len(text) + len(text) // _SHARE
        if isinstance(event, TextDelta | Finish):
            found = parse_partial_json(text)
            if found is not None and found != last:
                last = found
                yield ObjectDelta(found)
        if not isinstance(event, TextDelta):
            yield event


def only_call(events: Iterator[ModelEvent]) -> Iterator[ModelEvent]:
    """Turn a text that is nothing but a call into the call; one that was not finished is none."""
    text = ""
    for event in events:
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, Finish) and event.reason == "stop":
            call = json.loads(text)
            yield ToolCall(_new_id(), call["name"], call["arguments"])
            yield Finish("tool_calls")
        else:
            yield event


def calls_in_text(events: Iterator[ModelEvent], tools: Sequence[ToolDefinition]) -> Iterator[ModelEvent]:
    """Tell the calls in a text from what is said."""
    reader, calls = ToolTextReader(tools), 0
    for event in events:
        if isinstance(event, TextDelta):
            said = reader.feed(event.text)
        elif isinstance(event, Finish):
            said = reader.finish()
        else:
            yield event
            continue
        for found in said:
            if isinstance(found, ToolCall):
                calls += 1
                yield ToolCall(_new_id(), found.name, found.input)  # the reader's ids are unique in one answer only
            else:
                yield found
        if isinstance(event, Finish):
            yield Finish("tool_calls") if calls else event


def _new_id() -> str:
    return f"call_{uuid4().hex[:16]}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
