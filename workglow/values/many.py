"""Many mappings at once → JSON lists of the texts that `encode` gives for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from math import inf, isfinite
from operator import itemgetter
from types import NoneType
from typing import Any, Final, NamedTuple, TypeVar

from workglow.values.blob import Blob
from workglow.values.codec import INLINE, encode
from workglow.values.encoder import HIGHEST, LONGEST_TEXT, LOWEST, to_json
from workglow.values.registry import ValueTypes, value_types

__all__ = ["Columns", "EncodedMany", "columns_of", "encode_many"]

Columns = Mapping[str, list[Any]]
"""Port → its value in each of many mappings."""

_TOGETHER: Final = 1_000  # mappings in one list: SQLite takes no text of more than 10⁹ bytes


class EncodedMany(NamedTuple):
    """What is stored for many mappings: JSON lists of their texts, in order, and the rows of `value` that any of them
    refers to, each once."""

    lists: list[str]
    blobs: tuple[Blob, ...]


_Item = TypeVar("_Item")


def columns_of(many: list[Any]) -> Columns | None:
    """Return the values by port, when these are dicts that all have the same ports, else None.

    To ask something of a whole column takes C a tenth of the time that Python takes for one value after the other.
    """
    if set(map(type, many)) != {dict} or len(set(map(len, many))) != 1:
        return None
    if set(map(type, chain.from_iterable(many))) != {str}:
        return None
    try:
        return {port: list(map(itemgetter(port), many)) for port in many[0]}
    except KeyError:
        return None


def encode_many(
    many: Iterable[Mapping[str, object]],
    columns: Columns | None = None,
    *,
    inline: int = INLINE,
    where: str = "",
    types: ValueTypes = value_types,
) -> EncodedMany:
    """Encode each as `encode` does, before the next is asked for; the text of an error names it: `where[3]`.

    `columns` are those of the mappings, which are a list then: numbers and short texts take a quarter of the time.
    """
    if columns is not None and isinstance(many, list) and all(_longest(each) <= inline for each in columns.values()):
        try:
            return EncodedMany([to_json(part).decode() for part in _parts(many)], ())
        except UnicodeEncodeError:
            pass  # half a character somewhere: `encode` says where
    texts: list[str] = []
    blobs: dict[bytes, Blob] = {}
    for number, values in enumerate(many):
        text, rows = encode(values, inline=inline, where=f"{where}[{number}]", types=types)
        blobs.update((blob.hash, blob) for blob in rows)
        texts.append(text)
    return EncodedMany([f"[{','.join(part)}]" for part in _parts(texts)], tuple(blobs.values()))


def _parts(many: list[_Item]) -> Iterable[list[_Item]]:
    return (many[start : start + _TOGETHER] for start in range(0, len(many), _TOGETHER))


def _longest(column: list[Any]) -> float:
    """How many bytes the JSON of a value has at most; infinite when JSON cannot take all of them as they are."""
    kind, *others = set(map(type, column))
    return inf if others or kind not in _LONGEST else _LONGEST[kind](column)


def _longest_text(column: list[str]) -> float:
    longest = max(map(len, column))
    return 6 * longest + 2 if longest <= LONGEST_TEXT else inf  # "\u001f"


_LONGEST: Final[Mapping[type, Callable[[list[Any]], float]]] = {
    str: _longest_text,
    int: lambda column: 20 if min(column) >= LOWEST and max(column) <= HIGHEST else inf,
    float: lambda column: 25 if all(map(isfinite, column)) else inf,
    bool: lambda column: 5,
    NoneType: lambda column: 4,
}
