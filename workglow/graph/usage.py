"""The usage that a task's row keeps: one part for each attempt and model, and their sum.

`{"input_tokens": 12, "cost": 0.5, "parts": [{"attempt": 1, "model": "a", "input_tokens": 12, "cost": 0.5}]}`, without
what is zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from workglow.errors import CorruptValueError
from workglow.tasks.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["UsagePart", "add_usage", "read_parts", "sum_by", "total", "write_parts"]

Key = TypeVar("Key")


class UsagePart(msgspec.Struct, omit_defaults=True):
    """What one attempt took of one model; `model` is empty when the task did not say which."""

    attempt: int
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    model_seconds: float = 0.0
    cost: float = 0.0

    @property
    def usage(self) -> Usage:
        """The amounts."""
        return Usage(self.input_tokens, self.output_tokens, self.model_seconds, self.cost)


class _Stored(msgspec.Struct):
    parts: list[UsagePart]


def read_parts(text: str | None) -> list[UsagePart]:
    """Read a row's usage; raises CorruptValueError for what is none."""
    if text is None:
        return []
    try:
        return msgspec.json.decode(text, type=_Stored).parts
    except msgspec.DecodeError as error:
        raise CorruptValueError(f"The usage of a task in the file cannot be read: {error}") from error


def add_usage(text: str | None, attempt: int, model: str, usage: Usage) -> str:
    """Return a row's usage with more of it."""
    parts = read_parts(text)
    before = next((part for part in parts if part.attempt == attempt and part.model == model), None)
    if before is None:
        parts.append(UsagePart(attempt, model, **usage.to_json()))  # pyright: ignore[reportArgumentType]
    else:
        whole = before.usage + usage
        parts[parts.index(before)] = UsagePart(attempt, model, **whole.to_json())  # pyright: ignore[reportArgumentType]
    return write_parts(parts)


def write_parts(parts: Iterable[UsagePart]) -> str:
    """Return a row's usage that has these parts."""
    parts = list(parts)
    amounts = {name: amount for name, amount in total(parts).to_json().items() if amount}
    return msgspec.json.encode({**amounts, "parts": parts}).decode()


def total(parts: Iterable[UsagePart]) -> Usage:
    """Add up."""
    return sum((part.usage for part in parts), Usage())


def sum_by(key: Callable[[UsagePart], Key], parts: Iterable[UsagePart]) -> dict[Key, Usage]:
    """Add up what has the same key, in the order of the first of each."""
    sums: dict[Key, Usage] = {}
    for part in parts:
        sums[key(part)] = sums.get(key(part), Usage()) + part.usage
    return sums
