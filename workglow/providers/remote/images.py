"""Images on their way to a service."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any, Final

from workglow.ai.messages import Message, user_message

__all__ = ["image_message", "image_part"]

_KEPT: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})


def image_part(image: Any) -> dict[str, Any]:
    """Return a PIL image as the part of a message."""
    buffer = BytesIO()
    (image if image.mode in _KEPT else image.convert("RGB")).save(buffer, "PNG")
    return {"type": "image", "mimeType": "image/png", "data": base64.b64encode(buffer.getvalue()).decode()}


def image_message(image: Any, prompt: str) -> Message:
    """Return the question that asks what an image shows."""
    return user_message([image_part(image), prompt or "Describe this image in one or two sentences."])
