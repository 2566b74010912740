"""JSON of unknown origin, taken apart with care: what has the wrong shape is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, cast

from workglow.errors import GraphFormatError

__all__ = ["Item", "as_list", "as_object", "as_text", "check_keys", "parse_object", "parse_text", "refuse", "within"]

Item = Mapping[str, Any]

_ENDS = 3  # levels of a deep place that are shown at each of its ends


def refuse(path: str, reason: str) -> NoReturn:
    """Raise GraphFormatError for the place in the JSON."""
    raise GraphFormatError(f"{path}: {reason}.")


def within(path: str, key: str) -> str:
    """Return the place of the graph that a task has under a key; of one that is deep inside, the middle is left out."""
    levels = path.split(f".{key}")
    if len(levels) > 2 * _ENDS:
        levels = [*levels[:_ENDS], "…", *levels[-_ENDS:]]
    return f".{key}".join([*levels, ""])


def parse_text(text: str | bytes) -> object:
    """Parse JSON text; GraphFormatError says what is wrong with it."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        refuse("$", "is nested too deep")
    except ValueError as error:
        raise GraphFormatError(f"$: this is not JSON: {error}.") from error


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")


def parse_object(data: str | bytes | Item) -> Item:
    """Return an object, given as text or parsed already."""
    return as_object(parse_text(data) if isinstance(data, str | bytes) else data, "$")


def as_object(value: object, path: str) -> Item:
    """Return the value if it is an object."""
    return cast("Item", value) if isinstance(value, Mapping) else refuse(path, "has to be an object")


def as_list(value: object, path: str) -> list[Any]:
    """Return the value if it is a list."""
    return cast("list[Any]", value) if isinstance(value, list) else refuse(path, "has to be a list")


def as_text(value: object, path: str) -> str:
    """Return the value if it is a text."""
    return value if isinstance(value, str) else refuse(path, "has to be a text")


def check_keys(item: Item, known: Collection[str], path: str, required: Collection[str] = ()) -> None:
    """Refuse keys that mean nothing here, and the lack of those that have to be there."""
    for key in item:
        if key not in known:
            refuse(f"{path}.{key}", f"is not known here; the keys are {', '.join(sorted(known))}")
    for key in required:
        if key not in item:
            refuse(path, f"lacks {key!r}")
