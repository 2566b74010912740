"""Conversations as the text that a model was trained to read, by the template that its file brings."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workglow.ai.flat_messages import result_text, without_tool_parts
from workglow.ai.messages import text_of
from workglow.clock import SystemClock
from workglow.errors import ModelCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.ai.messages import Message, Part
    from workglow.ai.request import ToolDefinition

__all__ = ["knows_tools", "prompt_of", "templated", "with_instruction"]


def knows_tools(template: str) -> bool:
    """Whether a template has a place for tools of its own."""
    return "tools" in template


def prompt_of(
    template: str, messages: Sequence[Message], tools: Sequence[ToolDefinition] = (), *, bos: str = "", eos: str = ""
) -> str:
    """Write a conversation up to where the assistant's answer begins; ModelCallError when the template refuses it."""
    try:
        return _compiled(template).render(
            messages=templated(messages, tools_as_text=not knows_tools(template)),
            tools=[_function(tool) for tool in tools] or None,
            add_generation_prompt=True,
            bos_token=bos,
            eos_token=eos,
        )
    except jinja2.TemplateError as error:
        raise ModelCallError(f"The model's chat template refuses the conversation: {error}") from error
    except Exception as error:  # a template is a program of a stranger's, and fails in any way
        raise ModelCallError(f"The model's chat template failed: {type(error).__name__}: {error}") from error


def templated(messages: Sequence[Message], *, tools_as_text: bool) -> list[dict[str, Any]]:
    """Return messages in the shape that templates were written for; ModelCallError for an image or a sound.

    A template without a place for tools gets their calls and results as text.
    """
    found: list[dict[str, Any]] = []
    for message in without_tool_parts(messages) if tools_as_text else messages:
        strange = {part["type"] for part in message["content"]} - {"text", "tool_use", "tool_result"}
        if strange:
            raise ModelCallError(f"The model reads text only; a message holds {', '.join(sorted(strange))}.")
        results = [part for part in message["content"] if part["type"] == "tool_result"]
        found += [
            {"role": "tool", "tool_call_id": part["tool_use_id"], "content": result_text(part)} for part in results
        ]
        calls = [_call(part) for part in message["content"] if part["type"] == "tool_use"]
        text = text_of(message)
        if calls:
            found.append({"role": message["role"], "content": text, "tool_calls": calls})
        elif text or not results:
            found.append({"role": message["role"], "content": text})
    return found


def _call(part: Part) -> dict[str, Any]:
    return {"id": part["id"], "type": "function", "function": {"name": part["name"], "arguments": part["input"]}}


def with_instruction(messages: Sequence[Message], instruction: str) -> tuple[Message, ...]:
    """Return the conversation with something more in its system prompt."""
    told: Message = {"role": "system", "content": [{"type": "text", "text": instruction}]}
    if messages and messages[0]["role"] == "system":
        told["content"] = [*messages[0]["content"], *told["content"]]
        return (told, *messages[1:])
    return (told, *messages)


def _function(tool: ToolDefinition) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": dict(tool.input_schema),
        },
    }


@lru_cache(maxsize=16)
def _compiled(template: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _json
    known: dict[str, Any] = environment.globals
    known["raise_exception"] = _refuse
    known["strftime_now"] = _now
    return environment.from_string(template)


def _json(value: object, indent: int | None = None, **_: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _now(form: str) -> str:
    return datetime.fromtimestamp(SystemClock().now() / 1000).strftime(form)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
