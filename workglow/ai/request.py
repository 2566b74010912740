"""What a model is asked to write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.ai.messages import Message

__all__ = ["GenerationRequest", "ToolDefinition"]


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool that a model may call: its name, what it is for, and the JSON Schema of its input."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A conversation so far, and how to go on with it.  None leaves a setting to the model.

    `tool_choice` is 'auto', 'none', 'required' or the name of a tool.  `schema` is the JSON Schema of the object that
    `structured` is to write.  `stop` are texts before which the model stops.  `written` is the beginning of the answer,
    which the model wrote before a crash: it goes on from there, and gives only what is new.
    """

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: str = "auto"
    schema: Mapping[str, Any] | None = None
    written: str = ""

    def with_messages(self, *messages: Message) -> Self:
        """Return the request with more messages at the end."""
        return replace(self, messages=(*self.messages, *messages))
