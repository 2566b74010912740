"""Copies of values that a definition keeps, so that nobody can change them from outside."""

from __future__ import annotations

from typing import Any, cast

from workglow.errors import TaskConfigurationError

__all__ = ["clone", "is_mutable"]

_CIRCULAR = "Circular reference detected in input data. Give values that do not contain themselves."


def clone(value: Any) -> Any:
    """Copy dicts, lists, sets, tuples and arrays at every depth; keep instances of classes as they are.

    An object that occurs twice is copied twice.  Raises TaskConfigurationError when a value contains itself.
    """
    return _clone(value, ())


def _clone(value: Any, above: tuple[int, ...]) -> Any:
    kind = cast("Any", type(value))
    if kind is dict or kind is list or kind is tuple:
        if id(value) in above:
            raise TaskConfigurationError(_CIRCULAR)
        above = (*above, id(value))
        if kind is dict:
            return {key: _clone(item, above) for key, item in value.items()}
        return kind(_clone(item, above) for item in value)
    return value.copy() if is_mutable(value) else value


def is_mutable(value: Any) -> bool:
    """Whether `clone` makes a new object of the value."""
    kind = cast("Any", type(value))
    if kind in (dict, list, tuple, set, bytearray):
        return bool(value) or kind is not tuple
    return kind.__module__ == "numpy" and kind.__name__ == "ndarray"
