"""The walk through a value that leaves only what JSON can say, with tags for the rest.

Policy.  A value is taken by its exact type: a subclass would come back as its base, so it is refused unless it is
registered.  Items are walked depth first; where something cannot be stored, the exception collects the place on its
way out, so that the usual case pays nothing for it.  What is large leaves as a row of its own (`blobs`), known by its
content.  In canonical order (for fingerprints) equal numbers are written the same, members and pairs are sorted, and
large things leave only their hash.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from decimal import Decimal
from types import NoneType
from typing import Any, ClassVar

import msgspec

from workglow.values.arrays import array_kind, is_array, is_scalar, take_array, take_scalar
from workglow.values.blob import LARGEST, Blob, content_hash, pack
from workglow.values.images import image_parts, is_image, write_image
from workglow.values.refusal import Refusal, checked_text, too_deep, unstorable
from workglow.values.registry import ValueTypes, fields_of, member_of
from workglow.values.tags import WRITE, to_base64

__all__ = ["DEEPEST", "HIGHEST", "LONGEST_TEXT", "LOWEST", "Encoder", "to_json", "to_sorted_json"]

DEEPEST = 200  # JSON levels; far below Python's recursion limit, so that what was written can be read anywhere
LONGEST_TEXT = 2048  # characters of a text that stays inline
LOWEST, HIGHEST = -(2**63), 2**63 - 1  # what SQLite and most readers of JSON call an integer
_LONGEST_BYTES = 256  # bytes of an array or bytes that stay inline, before base64

to_json = msgspec.json.Encoder().encode
to_sorted_json = msgspec.json.Encoder(order="sorted").encode


class Encoder:
    """One encoding of one mapping: `encode` any number of values, then take `blobs`."""

    def __init__(self, types: ValueTypes, *, canonical: bool = False) -> None:
        self.blobs: dict[bytes, Blob] = {}
        self._types = types
        self._canonical = canonical
        self._json = to_sorted_json if canonical else to_json

    def encode(self, value: object, depth: int = 0) -> object:
        """Return what JSON says for the value; Refusal when it cannot be stored."""
        handler = self._handlers.get(type(value))
        if handler is not None:
            return handler(self, value, depth)
        return self._rare(value, depth)

    def leave(self, kind: str, data: bytes) -> dict[str, str]:
        """Put decoded bytes into a row of their own, and return the reference to it."""
        if len(data) > LARGEST:
            raise Refusal(f"has {len(data)} bytes, more than one row can hold", "store it in a file, and its path here")
        known = content_hash(kind, data)
        if not self._canonical and known not in self.blobs:
            self.blobs[known] = pack(kind, data, known)
        return {"$value": known.hex()}

    def _same(self, value: object, depth: int) -> object:
        return value

    def _integer(self, value: int, depth: int) -> object:
        return value if LOWEST <= value <= HIGHEST else {"$int": hex(value)}

    def _float(self, value: float, depth: int) -> object:
        if not self._canonical:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if not math.isfinite(value):
            raise _incomparable(value)
        return self._integer(int(value), depth) if value.is_integer() else value

    def _text(self, value: str, depth: int) -> object:
        if len(value) <= LONGEST_TEXT:
            if not value.isascii():
                checked_text(value)
            return value
        return self.leave("text", checked_text(value))

    def _bytes(self, value: bytes, depth: int) -> object:
        return {"$bytes": to_base64(value)} if len(value) <= _LONGEST_BYTES else self.leave("bytes", value)

    def _items(self, value: list[Any] | tuple[Any, ...], depth: int) -> object:
        if depth >= DEEPEST:
            raise too_deep(value, DEEPEST)
        if self._plain(value):
            return value
        encoded: list[object] = []
        try:
            for item in value:
                encoded.append(self.encode(item, depth + 1))
        except Refusal as refusal:
            refusal.climb(value, f"[{len(encoded)}]")
            raise
        return encoded

    def _plain(self, value: list[Any] | tuple[Any, ...]) -> bool:
        """Say whether JSON can take the items as they are.  Vectors and columns are long, so this runs in C."""
        kinds = set(map(type, value))
        if len(kinds) > 1:
            return kinds == {bool, NoneType}
        if float in kinds:
            # NaN and infinities survive a sum; a sum that overflows only costs the slow way.
            return not self._canonical and math.isfinite(sum(value))
        if int in kinds:
            return min(value) >= LOWEST and max(value) <= HIGHEST
        if str in kinds:
            return all(map(str.isascii, value)) and max(map(len, value)) <= LONGEST_TEXT
        return kinds <= {bool, NoneType}

    def _tuple(self, value: tuple[Any, ...], depth: int) -> object:
        return {"$tuple": self._items(value, depth + 1)}

    def _members(self, value: set[Any] | frozenset[Any], depth: int) -> object:
        if depth >= DEEPEST:
            raise too_deep(value, DEEPEST)
        try:
            members = sorted(self._json(self.encode(member, depth + 2)) for member in value)
        except Refusal as refusal:
            refusal.climb(value, "{a member}")
            raise
        return {"$set" if type(value) is set else "$frozenset": [msgspec.Raw(member) for member in members]}

    def _dict(self, value: dict[Any, Any], depth: int, step: str = "[{!r:.60}]") -> object:
        if depth >= DEEPEST:
            raise too_deep(value, DEEPEST)
        encoded: dict[str, object] = {}
        key = None
        try:
            for key, item in value.items():
                if type(key) is not str or key.startswith("$"):
                    break
                if not key.isascii():
                    checked_text(key)
                encoded[key] = self.encode(item, depth + 1)
            else:
                return encoded
        except Refusal as refusal:
            refusal.climb(value, step.format(key))
            raise
        return self._pairs(value, depth)

    def _pairs(self, value: dict[Any, Any], depth: int) -> object:
        pairs: list[list[object]] = []
        for key, item in value.items():
            try:
                pairs.append([self.encode(key, depth + 3), self.encode(item, depth + 3)])
            except Refusal as refusal:
                refusal.climb(value, f"[{_shown(key)}]")
                raise
        if self._canonical:
            pairs.sort(key=lambda pair: self._json(pair[0]))
        return {"$dict": pairs}

    def _decimal(self, value: Decimal, depth: int) -> object:
        if self._canonical and not value.is_finite():
            raise _incomparable(value)
        return {"$decimal": str(value)}

    def _rare(self, value: object, depth: int) -> object:
        kind = type(value)
        if (tagged := WRITE.get(kind)) is not None:
            tag, write = tagged
            return {tag: write(value)}
        if (name := self._types.name_of(kind)) is not None:
            return self._registered(name, value, depth)
        if is_array(value):
            dtype, shape, data = take_array(value)
            if len(data) > _LONGEST_BYTES:
                return self.leave(array_kind(dtype, shape), data)
            return {"$array": [dtype, shape, to_base64(data)]}
        if is_scalar(value):
            dtype, held = take_scalar(value)
            return {"$scalar": [dtype, self.encode(held, depth)]}
        if is_image(value):
            # Compressors differ between versions, so what tells images apart are their pixels.
            parts = self._canonical and {"$image": self._dict(image_parts(value), depth)}
            return parts or self.leave("image png", write_image(value))
        raise unstorable(value)

    def _registered(self, name: str, value: Any, depth: int) -> object:
        if isinstance(value, enum.Enum):
            return {"$enum": [name, self.encode(member_of(value), depth)]}
        if depth + 2 >= DEEPEST:
            raise too_deep(value, DEEPEST)
        try:
            return {"$object": [name, self._dict(fields_of(value), depth + 2, ".{}")]}
        except Refusal as refusal:
            refusal.climb(value, "")
            raise

    _handlers: ClassVar[dict[type, Callable[[Encoder, Any, int], object]]] = {
        NoneType: _same,
        bool: _same,
        int: _integer,
        float: _float,
        str: _text,
        bytes: _bytes,
        list: _items,
        dict: _dict,
        tuple: _tuple,
        set: _members,
        frozenset: _members,
        Decimal: _decimal,
    }


def _incomparable(value: float | Decimal) -> Refusal:
    return Refusal(f"is {value}, which equals nothing", "leave it out, or use None")


def _shown(key: object) -> str:
    # Only keys that are known to be short and harmless are shown; the others could hold anything.
    return f"{key!r:.60}" if isinstance(key, str | int | float) else f"a {type(key).__qualname__} key"
