"""Conversations as the text that a model was trained to read, by the template that its file brings."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from workglow.ai.messages import text_of
from workglow.errors import ModelCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.ai.messages import Message
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
    for message in messages:
        strange = {part["type"] for part in message["content"]} - {"text", "tool_use", "tool_result"}
        if strange:
            raise ModelCallError(f"The model reads text only; a message holds {', '.join(sorted(strange))}.")
        results = [part for part in message["content"] if part["type"] == "tool_result"]
        for part in results:
            found.append(_result_as_text(part) if tools_as_text else _result(part))
        calls = [part for part in message["content"] if part["type"] == "tool_use"]
        text = text_of(message)
        if calls and tools_as_text:
            written = (f"<tool_call>\n{_json(_named(part))}\n</tool_call>" for part in calls)
            found.append({"role": message["role"], "content": "\n".join((text, *written)).strip()})
        elif calls:
            tool_calls = [{"id": part["id"], "type": "function", "function": _named(part)} for part in calls]
            found.append({"role": message["role"], "content": text, "tool_calls": tool_calls})
        elif text or not results:
            found.append({"role": message["role"], "content": text})
    return found


def _named(part: dict[str, Any]) -> dict[str, Any]:
    return {"name": part["name"], "arguments": part["input"]}


def _result(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": part["tool_use_id"], "content": _text_of_result(part)}


def _result_as_text(part: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": f"<tool_response>\n{_text_of_result(part)}\n</tool_response>"}


def with_instruction(messages: Sequence[Message], instruction: str) -> tuple[Message, ...]:
    """Return the conversation with something more in its system prompt."""
    told: Message = {"role": "system", "content": [{"type": "text", "text": instruction}]}
    if messages and messages[0]["role"] == "system":
        told["content"] = [*messages[0]["content"], *told["content"]]
        return (told, *messages[1:])
    return (told, *messages)


def _text_of_result(part: dict[str, Any]) -> str:
    return "\n".join(
        str(piece.get("text", piece)) if isinstance(piece, dict) else str(piece) for piece in part["content"]
    )


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
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template)


def _json(value: object, indent: int | None = None, **_: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)
