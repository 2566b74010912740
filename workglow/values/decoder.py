"""The way back: JSON with tags, from a file that may mean harm, to values.

Policy.  Children are restored before their tag is read, so reading a tag never recurses.  Whatever a tag's reader
raises means that the data is not what was written: a CorruptValueError.  What `load` raises is the caller's own and
passes, except that a LookupError means a missing row.  A row of JSON never refers to another row of JSON (nothing
writes that), which rules out cycles and data that unfolds without end.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from types import NoneType
from typing import Any, cast

import msgspec

from workglow.errors import CorruptValueError, WorkglowError
from workglow.values.arrays import read_array, read_array_kind, read_scalar
from workglow.values.blob import unpack
from workglow.values.images import read_image
from workglow.values.registry import ValueTypes, rebuild, rebuild_member
from workglow.values.tags import READ, from_base64, items, text

__all__ = ["Decoder", "Load", "unreadable"]

Load = Callable[[bytes], tuple[str, str, bytes]]
"""Returns kind, encoding and data of the row of `value` with that hash; a LookupError when there is none."""

_from_json = msgspec.json.Decoder().decode
_FLAT = frozenset((str, int, float, bool, NoneType))
_DOCTOR = "The file is damaged or was changed by hand; `workglow doctor` finds every such place"


def unreadable(what: str, reason: object) -> CorruptValueError:
    """Return the error for stored data that is not what was written."""
    # The reason may quote what the file holds, which has any length and form.
    words = " ".join(str(reason).split()) or type(reason).__name__
    return CorruptValueError(f"{what} cannot be read: {words:.300}. {_DOCTOR}.")


class Decoder:
    """One decoding of one text: rows that it refers to several times are loaded once."""

    def __init__(self, types: ValueTypes, load: Load) -> None:
        self._types = types
        self._load = load
        self._leaves: dict[bytes, object] = {}
        self._inside = False  # a row of JSON

    def restore(self, value: object) -> object:
        """Return what the parsed JSON stands for; lists and dicts are restored in place."""
        if isinstance(value, dict):
            return self._object(cast("dict[str, object]", value))
        if isinstance(value, list):
            found = cast("list[object]", value)
            if not _FLAT.issuperset(map(type, found)):
                found[:] = map(self.restore, found)
            return found
        return value

    def _object(self, value: dict[str, object]) -> object:
        for key, item in value.items():
            if key.startswith("$"):
                if len(value) == 1:
                    return self._tag(key, item)
                raise unreadable(f"An object with the key {key!r:.60}", "a tag has no other key beside it")
            if type(item) not in _FLAT:
                value[key] = self.restore(item)
        return value

    def _tag(self, tag: str, payload: object) -> object:
        if tag == "$value":
            return self._row(payload)
        payload = self.restore(payload)
        try:
            return self._read(tag, payload)
        except (WorkglowError, MemoryError):
            raise
        except Exception as error:
            raise unreadable(f"A {tag!r:.60} tag", error) from error

    def _read(self, tag: str, payload: object) -> object:
        if (read := READ.get(tag)) is not None:
            return read(payload)
        if tag == "$array":
            dtype, shape, data = items(payload, 3)
            return read_array(dtype, shape, from_base64(data))
        if tag == "$scalar":
            return read_scalar(payload)
        if tag in ("$enum", "$object"):
            name, held = items(payload, 2)
            return self._registered(tag, text(name), held)
        raise ValueError("this workglow knows no such tag; a newer one may")

    def _registered(self, tag: str, name: str, held: Any) -> object:
        cls = self._types.get(name)
        if cls is None:
            raise CorruptValueError(
                f"A value of the class {name!r:.200} cannot be read, because this program has not registered it: call "
                f"workglow.values.value_types.register(…, name={name!r:.200}) with that class first."
            )
        if issubclass(cls, enum.Enum) != (tag == "$enum"):
            raise ValueError(f"the class {name!r} is {'not ' * (tag == '$enum')}an enum")
        if tag == "$enum":
            return rebuild_member(cls, held)
        if type(held) is not dict:
            raise ValueError("fields were expected")
        return rebuild(cls, held)  # pyright: ignore[reportUnknownArgumentType] - a dict from JSON holds anything

    def _row(self, payload: object) -> object:
        known = self._hash(payload)
        if known in self._leaves:
            return self._leaves[known]
        what = f"The value {known.hex()}"
        try:
            kind, encoding, data = self._load(known)
        except LookupError as error:
            raise unreadable(what, "the file does not hold it") from error
        try:
            content = self._content(kind, unpack(encoding, data))
        except (WorkglowError, MemoryError, RecursionError):
            raise
        except Exception as error:
            raise unreadable(what, error) from error
        if kind != "json":
            if kind != "image png":  # the only leaf that can be changed, so each place has its own
                self._leaves[known] = content
            return content
        self._inside = True
        try:
            return self.restore(content)
        finally:
            self._inside = False

    def _hash(self, payload: object) -> bytes:
        try:
            known = bytes.fromhex(text(payload))
        except ValueError as error:
            raise unreadable("A '$value' tag", error) from error
        if known.hex() != payload or len(known) != 32:
            raise unreadable("A '$value' tag", "it holds no SHA-256")
        return known

    def _content(self, kind: str, data: bytes) -> object:
        if kind == "json":
            if self._inside:
                raise ValueError("JSON that was stored by itself refers to more such JSON")
            return _from_json(data)
        if kind == "text":
            return data.decode()
        if kind == "bytes":
            return data
        if kind == "image png":
            return read_image(data)
        if kind.startswith("array "):
            return read_array_kind(kind, data)
        raise ValueError(f"this workglow knows no values of kind {kind!r:.60}; a newer one may")
