"""When are two values the same?  When their canonical JSON is."""

from __future__ import annotations

import hashlib
from typing import cast

from workglow.errors import UnstorableValueError
from workglow.values.encoder import HIGHEST, LONGEST_TEXT, LOWEST, Encoder, to_sorted_json
from workglow.values.refusal import Refusal
from workglow.values.registry import ValueTypes, value_types

__all__ = ["canonical", "fingerprint"]


def canonical(value: object, *, types: ValueTypes = value_types) -> bytes:
    """Return JSON in UTF-8 that is the same for equal values and differs for others.

    Keys are sorted at every depth, there is no white space, 1.0 is 1 and -0.0 is 0; what JSON has no word for is its
    tag, and long texts, bytes and arrays are their content hash.  NaN, infinities, secrets and what cannot be stored
    are an UnstorableValueError that names the place.
    """
    return _canonical(value, "the value", types)


def fingerprint(*parts: object, types: ValueTypes = value_types) -> bytes:
    """Return the SHA-256 (32 bytes) of the parts in their order; errors as in `canonical`, naming the part."""
    if all(map(_simple, parts)):
        try:
            return hashlib.sha256(to_sorted_json(parts)).digest()
        except UnicodeEncodeError:
            pass  # half a character somewhere: the slow way says where
    texts = (_canonical(part, f"part {number}", types) for number, part in enumerate(parts, 1))
    return hashlib.sha256(b"[" + b",".join(texts) + b"]").digest()


def _canonical(value: object, root: str, types: ValueTypes) -> bytes:
    try:
        return to_sorted_json(Encoder(types, canonical=True).encode(value))
    except RecursionError:
        refusal = Refusal("is nested too deep for the stack that is left", "flatten it")
    except Refusal as error:
        refusal = error
    raise UnstorableValueError(refusal.told("", root))


def _simple(value: object) -> bool:
    """Say whether plain sorted JSON is canonical for the value: a scalar or a dict of scalars."""
    if not isinstance(value, dict):
        return _simple_scalar(value)
    if type(cast("object", value)) is not dict:
        return False
    for key, item in cast("dict[object, object]", value).items():
        if type(key) is not str or key.startswith("$") or not _simple_scalar(item):
            return False
    return True


def _simple_scalar(value: object) -> bool:
    if type(value) is str:
        return len(value) <= LONGEST_TEXT
    if type(value) is int:
        return LOWEST <= value <= HIGHEST
    if type(value) is float:
        # NaN and the infinities are the floats whose difference to themselves is not 0.
        return value - value == 0.0 and not value.is_integer()
    return value is None or type(value) is bool
