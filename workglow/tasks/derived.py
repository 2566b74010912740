"""Class attributes that are worked out when somebody first asks for them."""

from __future__ import annotations

from typing import Any

__all__ = ["Derived", "renew"]


class Derived:
    """Computed by the class method `_derive_<name>` on first use, then an ordinary attribute that costs nothing."""

    name: str

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: Any) -> object:
        value = getattr(owner, f"_derive_{self.name}")()
        # remembered by class, so that a subclass knows that no author wrote this
        owner._derived_names = owner.__dict__.get("_derived_names", frozenset()) | {self.name}
        setattr(owner, self.name, value)
        return value


def renew(subclass: type, names: tuple[str, ...]) -> None:
    """Let a new subclass derive these attributes itself, except those that an author wrote out."""
    for name in names:
        owner = next(kind for kind in subclass.__mro__ if name in vars(kind))
        if isinstance(vars(owner)[name], Derived) or name in vars(owner).get("_derived_names", ()):
            attribute = Derived()
            attribute.__set_name__(subclass, name)
            setattr(subclass, name, attribute)
