"""What a person said."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["Action", "Answer"]

Action = Literal["accept", "decline", "cancel"]


class Answer(msgspec.Struct, frozen=True):
    """What a person said: `content` fits the question's schema; who declines or cancels gives none.

    The action "default" is nobody's: the deadline has passed, and `content` is the default of the question.
    """

    content: dict[str, Any] = {}
    action: Action | Literal["default"] = "accept"
