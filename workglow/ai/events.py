"""What a model says while it writes: the events of its stream.

A stream that came to its end has exactly one Finish, and it is the last.  A stream that ends without one was cut.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

__all__ = ["Finish", "FinishReason", "ModelEvent", "ObjectDelta", "TextDelta", "ToolCall", "UsageReport"]

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "refused"]
"""Why a model stopped: it was done, it had no more room, it wants tools called, or it would not answer."""


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """More text."""

    text: str


class ObjectDelta(msgspec.Struct, frozen=True):
    """The object as far as it is known; it takes the place of the one before."""

    value: Any


class ToolCall(msgspec.Struct, frozen=True):
    """The model wants a tool called; it comes once, when its input is whole."""

    id: str
    name: str
    input: dict[str, Any]


class UsageReport(msgspec.Struct, frozen=True, gc=False):
    """Tokens that a call took; reports of one call add up.  `cached_tokens` are part of `input_tokens`."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


class Finish(msgspec.Struct, frozen=True, gc=False):
    """The end."""

    reason: FinishReason = "stop"


ModelEvent: TypeAlias = TextDelta | ObjectDelta | ToolCall | UsageReport | Finish
