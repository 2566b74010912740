"""Whether two values are surely the same, told quickly and never wrongly."""

from __future__ import annotations

from typing import Any, cast

__all__ = ["same"]


def same(one: Any, other: Any) -> bool:
    """Whether two values are surely the same.  What takes a closer look, such as an array, counts as another one."""
    kind = cast("Any", type(one))
    if one is other:
        return True
    if kind is not type(other):
        return False
    if kind in (str, int, bool, bytes):
        return one == other
    if kind is float:
        return one.hex() == other.hex()  # 0.0 and -0.0 are equal, and written differently
    if kind in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return kind is dict and list(one) == list(other) and all(map(same, one.values(), other.values()))
