"""Putting together what comes in pieces: the inputs of tools, and objects that are shown while they grow."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic_core import from_json

from workglow.ai.events import ToolCall
from workglow.errors import ModelOutputError, TruncatedOutputError

__all__ = ["GrowingObject", "GrowingText", "tool_call"]

_MOST: Final = 16 * 1024 * 1024
"""Characters that one object or one tool's input may have."""


class GrowingText:
    """A text in pieces; ModelOutputError when it grows beyond all measure."""

    def __init__(self, who: str) -> None:
        self._who = who
        self._pieces: list[str] = []
        self.length = 0

    def add(self, piece: str) -> None:
        """Add to the end."""
        self._pieces.append(piece)
        self.length += len(piece)
        if self.length > _MOST:
            raise ModelOutputError(f"{self._who} wrote an object of more than {_MOST:,} characters.")

    def whole(self) -> str:
        """Return all of it."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""


class GrowingObject:
    """An object of which more and more is known.

    It is read again when it has grown by an eighth: reading a long one takes a few times its length, not its square.
    """

    def __init__(self, who: str) -> None:
        self.text = GrowingText(who)
        self._who = who
        self._next = 1
        self._shown: Any = None

    def add(self, piece: str) -> Any:
        """Return the object as far as it is known, when more of it is; else None."""
        self.text.add(piece)
        if self.text.length < self._next:
            return None
        self._next = self.text.length + max(8, self.text.length // 8)
        try:
            known = from_json(self.text.whole(), allow_partial="trailing-strings")
        except ValueError:
            return None  # not enough of it, or no JSON, which the end will tell
        if known == self._shown or not isinstance(known, dict | list):
            return None
        self._shown = known
        return known  # pyright: ignore[reportUnknownVariableType]

    def end(self, *, cut: bool) -> Any:
        """Return the whole object; TruncatedOutputError when there was no room, ModelOutputError when it is none."""
        try:
            return json.loads(self.text.whole())
        except ValueError:
            if cut:
                raise TruncatedOutputError(
                    f"{self._who} had no more room for the object; give it more max_tokens."
                ) from None
            raise ModelOutputError(f"{self._who} wrote what is no JSON: {self.text.whole()!r:.80}") from None


def tool_call(who: str, id: str, name: str, text: str, *, cut: bool) -> ToolCall:
    """Return the call of a tool whose input is that JSON; none at all is an empty object."""
    try:
        given: Any = json.loads(text) if text.strip() else {}
    except ValueError:
        if cut:
            raise TruncatedOutputError(
                f"{who} had no more room for the input of the tool {name!r}; give it more max_tokens."
            ) from None
        raise ModelOutputError(f"{who} called the tool {name!r} with what is no JSON: {text!r:.80}") from None
    if not isinstance(given, dict):
        raise ModelOutputError(f"{who} called the tool {name!r} with what is no object: {text!r:.80}")
    return ToolCall(id, name, given)  # pyright: ignore[reportUnknownArgumentType]
