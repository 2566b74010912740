"""Ports and their values ⇄ one JSON text and the rows of `value` that it refers to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from workglow.errors import UnstorableValueError
from workglow.values.blob import Blob
from workglow.values.decoder import Decoder, Load, unreadable
from workglow.values.encoder import HIGHEST, LONGEST_TEXT, LOWEST, Encoder, to_json
from workglow.values.refusal import Refusal, checked_text
from workglow.values.registry import ValueTypes, value_types

__all__ = ["INLINE", "Encoded", "decode", "encode"]

INLINE: Final = 4096  # bytes of JSON

_parse = msgspec.json.Decoder(dict[str, Any]).decode


class Encoded(NamedTuple):
    """What is stored for a mapping: the JSON text, and the rows of `value` that it refers to, each once."""

    text: str
    blobs: tuple[Blob, ...]


def encode(
    values: Mapping[str, object], *, inline: int = INLINE, where: str = "", types: ValueTypes = value_types
) -> Encoded:
    """Return the text and rows from which `decode` gives ports and values back, equal and of the same types.

    Texts over 2,048 characters, bytes and arrays over 256 bytes and images become rows of their own, and so does a
    port whose JSON is still longer than `inline` bytes.  A value that cannot be stored is an UnstorableValueError whose
    text names `where` (such as "task 'summary'"), the port, the place in it and the remedy.
    """
    text = _simple_text(values, inline)
    return Encoded(text, ()) if text is not None else _encode_each(values, inline, where, types)


def _encode_each(values: Mapping[str, object], inline: int, where: str, types: ValueTypes) -> Encoded:
    encoder = Encoder(types)
    ports = {_port(port, where): _encode_port(encoder, port, value, inline, where) for port, value in values.items()}
    return Encoded(to_json(ports).decode(), tuple(encoder.blobs.values()))


def _simple_text(values: Mapping[str, object], inline: int) -> str | None:
    """Return the text when JSON can take every port as it is; most tasks give one number or short text."""
    if not isinstance(values, dict):
        return None
    for port, value in values.items():
        if type(value) is str:
            fits = len(value) <= LONGEST_TEXT
        elif type(value) is int:
            fits = LOWEST <= value <= HIGHEST
        elif type(value) is float:
            fits = math.isfinite(value)
        else:
            fits = value is None or type(value) is bool
        if not fits or type(port) is not str:
            return None
    try:
        data = to_json(values)
    except UnicodeEncodeError:
        return None  # half a character somewhere: the slow way says where
    return data.decode() if len(data) <= inline else None


def _port(port: object, where: str) -> str:
    try:
        if type(port) is str:
            checked_text(port)
            return port
        refusal = Refusal(f"has a name that is no text but {type(port).__qualname__}", "name the port with a str")
    except Refusal as error:
        refusal = error
    raise UnstorableValueError(refusal.told(where, f"a port ({port!r:.60})"))


def _encode_port(encoder: Encoder, port: str, value: object, inline: int, where: str) -> msgspec.Raw:
    try:
        data = to_json(encoder.encode(value))
        return msgspec.Raw(data if len(data) <= inline else to_json(encoder.leave("json", data)))
    except RecursionError:
        refusal = Refusal("is nested too deep for the stack that is left", "flatten it")
    except Refusal as error:
        refusal = error
    raise UnstorableValueError(refusal.told(where, f"port {port!r}"))


def decode(text: str, load: Load, *, types: ValueTypes = value_types) -> dict[str, object]:
    """Return the ports and values that `encode` was given.

    `load` gives kind, encoding and data of the row of `value` with a hash (32 bytes), or raises a LookupError.  Arrays
    come back read-only, without a copy: `array.copy()` can be written.  Hashes are not checked here, see `verify`.
    Data that `encode` never wrote, and classes that are not registered, are a CorruptValueError; nothing that the data
    names is ever imported.
    """
    try:
        values = _parse(text)
        if "$" in text and '"$' in text:  # only then can there be a tag; one character is found much faster than two
            decoder = Decoder(types, load)
            for port, value in values.items():
                values[port] = decoder.restore(value)
        return values
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise unreadable("The stored JSON", error) from error
