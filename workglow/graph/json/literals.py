"""Literals of a task as JSON, and back.

What JSON has is written as it is; what it has no word for as a tag (see `workglow.values.tags`).  A value that is too
large for a tag is written once beside the literals, under its hash, so that one task's JSON needs nothing else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast

from workglow.errors import CorruptValueError
from workglow.values import Blob, decode, encode, verify

__all__ = ["is_plain", "read_literals", "write_literals"]

_DEEPEST = 64
_HIGHEST = 2**63
_UNLIMITED = 1 << 40


def is_plain(value: object, *, tags: bool = False) -> bool:
    """Say whether JSON can hold the value as it is: every number finite, every key a text, nothing nested too deep.

    A key that begins with `$` belongs to a tag, and is plain only when `tags` are allowed.
    """
    level = [value]
    for _ in range(_DEEPEST):
        deeper: list[object] = []
        for part in level:
            if type(part) is dict:
                fields = cast("dict[object, object]", part)
                if not all(type(key) is str and _is_text(key) and (tags or key[:1] != "$") for key in fields):
                    return False
                deeper.extend(fields.values())
            elif type(part) is list:
                deeper.extend(cast("list[object]", part))
            elif not _is_plain_scalar(part):
                return False
        if not deeper:
            return True
        level = deeper
    return False


def _is_plain_scalar(value: object) -> bool:
    if type(value) is str:
        return _is_text(value)
    if type(value) is int:
        return -_HIGHEST <= value < _HIGHEST
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) is bool


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def write_literals(literals: Mapping[str, object], where: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the literals as JSON, and the large values that their tags refer to.

    Raises UnstorableValueError, which names `where`, for a value that has no JSON form.
    """
    written: dict[str, Any] = {}
    large: dict[str, list[str]] = {}
    for name, literal in literals.items():
        if is_plain(literal):
            written[name] = literal
            continue
        encoded = encode({name: literal}, inline=_UNLIMITED, where=where)
        written[name] = json.loads(encoded.text)[name]
        large.update((blob.hash.hex(), _write_blob(blob)) for blob in encoded.blobs)
    return written, large


def read_literals(written: Mapping[str, Any], large: Mapping[str, Any]) -> dict[str, object]:
    """Return what `write_literals` was given; CorruptValueError when it cannot be."""
    return {name: literal if is_plain(literal) else _read(name, literal, large) for name, literal in written.items()}


def _read(name: str, literal: object, large: Mapping[str, Any]) -> object:
    def load(digest: bytes) -> tuple[str, str, bytes]:
        blob = _read_blob(digest, large[digest.hex()])
        return blob.kind, blob.encoding, blob.data

    return decode(json.dumps({name: literal}), load)[name]


def _write_blob(blob: Blob) -> list[str]:
    from base64 import b64encode

    return [blob.kind, blob.encoding, b64encode(blob.data).decode()]


def _read_blob(digest: bytes, written: object) -> Blob:
    from base64 import b64decode

    from workglow.values.blob import unpack

    try:
        kind, encoding, data = cast("list[str]", written)
        packed = b64decode(data, validate=True)
        blob = Blob(digest, kind, encoding, len(unpack(encoding, packed)), packed)
    except (TypeError, ValueError, AttributeError) as error:
        raise CorruptValueError(f"The value {digest.hex()} is not [kind, encoding, base64].") from error
    if not verify(blob):
        raise CorruptValueError(f"The value {digest.hex()} is not what was written.")
    return blob
