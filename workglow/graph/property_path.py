"""Values inside values, by a path such as `customer.orders.0`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from workglow.tasks.fields import values_of

__all__ = ["value_at"]


def value_at(value: object, path: str) -> object:
    """Follow a path such as `customer.orders.0` through mappings, structures and lists; None where it leads nowhere."""
    for step in path.split(".") if path else ():
        if isinstance(value, list | tuple):
            items = cast("Sequence[object]", value)
            value = items[int(step)] if step.isdecimal() and int(step) < len(items) else None
        else:
            fields = values_of(value)
            value = None if fields is None else fields.get(step)
    return value
