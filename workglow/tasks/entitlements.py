"""What a task needs to be allowed to do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Entitlement"]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The right to do something, such as 'network' or 'files:read'; without `resources`, to any of them.

    `reason` tells a person what for; a task can do without an `optional` one.
    """

    id: str
    resources: tuple[str, ...] = ()
    reason: str = ""
    optional: bool = False
