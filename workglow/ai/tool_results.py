"""What a tool gave, as a model can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from workglow.ai.messages import Part

__all__ = ["content_of"]


def content_of(outputs: Mapping[str, object], longest: int) -> list[Part]:
    """Return the outputs of a task as the content of a tool's result: a text as it is, anything else as JSON.

    What no JSON can say is described.  A text of more than `longest` characters is cut, and says so.
    """
    only = next(iter(outputs.values())) if len(outputs) == 1 else None
    text = only if isinstance(only, str) else msgspec.json.encode(outputs, enc_hook=_described).decode()
    if len(text) > longest:
        text = f"{text[:longest]}\n[cut here: {len(text) - longest} of {len(text)} characters are left out]"
    return [{"type": "text", "text": text}]


def _described(value: object) -> Any:
    known = cast("Any", value)
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return known.item() if known.shape == () else f"[an array of {known.dtype}, shape {tuple(known.shape)}]"
    if hasattr(value, "model_dump"):
        return known.model_dump(mode="json")
    return f"[a {type(value).__name__}]"
