"""Embeddings: batches within the limits of a request, and vectors out of its answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from workglow.errors import ModelOutputError

if TYPE_CHECKING:
    from workglow.ai.provider import Vectors

__all__ = ["DIMENSIONS", "batches", "vectors_of"]

DIMENSIONS: Final = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""Numbers of the vectors of well-known models."""

_BYTES_AT_ONCE: Final = 280_000
"""A request may have 300,000 tokens, and no token is shorter than a byte."""


def batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    """Split texts so that each request is within its limits."""
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode("utf-8", "surrogatepass"))
        if batch and (len(batch) == most or size + length > _BYTES_AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += length
    if batch:
        yield batch


def vectors_of(answer: Any, count: int, who: str) -> Vectors:
    """Return float32 of shape (count, dimensions), in the order of the texts."""
    items: Any = getattr(answer, "data", None)
    if not isinstance(items, list) or len(items) != count:  # pyright: ignore[reportUnknownArgumentType]
        raise ModelOutputError(f"{who} did not answer with {count} vectors.  Is its base_url right?")
    rows: list[Any] = [None] * count
    for at, item in enumerate(items):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        index: Any = getattr(item, "index", at)  # pyright: ignore[reportUnknownArgumentType]
        if not isinstance(index, int) or not 0 <= index < count or rows[index] is not None:
            raise ModelOutputError(f"{who} numbered its vectors wrongly.")
        rows[index] = _row(getattr(item, "embedding", None), who)  # pyright: ignore[reportUnknownArgumentType]
    if len({len(row) for row in rows}) != 1:
        raise ModelOutputError(f"{who} answered with vectors of several lengths.")
    return np.stack(rows)


def _row(given: Any, who: str) -> Any:
    try:
        if isinstance(given, str):
            return np.frombuffer(base64.b64decode(given, validate=True), dtype="<f4").astype(np.float32)
        row = np.asarray(given, dtype=np.float32)
    except (ValueError, TypeError):
        raise ModelOutputError(f"{who} answered with what is no vector.") from None
    if row.ndim != 1 or not row.size:
        raise ModelOutputError(f"{who} answered with what is no vector.")
    return row
