"""Values as other programs and people read them: whole, as plain JSON, or in a few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any, cast

import msgspec

__all__ = ["describe", "size", "to_json"]

_LONG = 200
"""Characters of a value inside another value before it is cut."""

_FEW = 6
"""Items that are shown of a long list."""


def to_json(value: object, *, indent: int = 2) -> str:
    """Return JSON, in one line with `indent=0`.

    Arrays are lists of numbers, bytes are base64, and what JSON has no word for is text.
    """
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_plain), indent=indent).decode()


def _plain(value: Any) -> object:
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {str(key): item for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, Set):
        return list(cast("Set[object]", value))
    return describe(value)


def describe(value: object, *, whole: bool = True) -> str:
    """Say what a value is: text as it is, arrays and pictures by their shape, long lists by their first items.

    `whole=False` cuts long text too.
    """
    if isinstance(value, str):
        return value if whole else _cut(value)
    if isinstance(value, bytes | bytearray):
        return f"{size(len(value))} of bytes"
    if isinstance(value, Mapping):
        fields = cast("Mapping[object, object]", value)
        return _listed([f"{key}: {describe(item, whole=False)}" for key, item in _first(fields.items())], len(fields))
    if isinstance(value, Sequence | Set):
        items = cast("Sequence[object]", value)
        return _listed([describe(item, whole=False) for item in _first(items)], len(items))
    return _shaped(value) or _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def size(count: int) -> str:
    """Write a number of bytes for people."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _shaped(value: Any) -> str | None:
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and shape is not None:
        if not shape:
            return str(value)
        first = ", ".join(f"{item:.4g}" if isinstance(item, float) else str(item) for item in value.flat[:4].tolist())
        more = ", …" if value.size > 4 else ""
        return f"{dtype} array {' x '.join(map(str, shape))}: {first}{more}"
    mode, extent = getattr(value, "mode", None), getattr(value, "size", None)
    if isinstance(mode, str) and isinstance(extent, tuple):
        return f"image {' x '.join(map(str, cast('tuple[int, ...]', extent)))} {mode}"
    return None


def _first(items: Any) -> list[Any]:
    return [item for item, _ in zip(items, range(_FEW), strict=False)]


def _listed(shown: list[str], count: int) -> str:
    if count == 0:
        return "empty"
    more = f", … ({count} in all)" if count > len(shown) else ""
    return ", ".join(shown) + more
