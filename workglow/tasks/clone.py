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
    if kind not in (dict, list, tuple):
        return value.copy() if is_mutable(value) else value
    if id(value) in above:
        raise TaskConfigurationError(_CIRCULAR)
    above = (*above, id(value))
    if kind is dict:
        return {key: _clone(item, above) for key, item in value.items()}
    copies: list[Any] = [_clone(item, above) for item in value]
    return copies if kind is list else tuple(copies)


def is_mutable(value: Any) -> bool:
    """Whether `clone` makes a new object of the value."""
    kind = cast("Any", type(value))
    if kind in (dict, list, set, bytearray):
        return True
    if kind is tuple:
        return any(is_mutable(item) for item in value)
    return kind.__module__ == "numpy" and kind.__name__ == "ndarray"
