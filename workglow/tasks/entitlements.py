"""Entitlements: what a task needs to be allowed to do, and the rules that allow and deny it.

An id is a word, or words joined by colons: `files:read` is a part of `files`, so whoever may do `files` may do it too.
`*` stands for everything.  Written as a text an entitlement is `files:read=docs`; without `=` it is meant for every
resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import cast

from workglow.errors import TaskConfigurationError

__all__ = ["ANYTHING", "Entitlement", "covers", "merged", "related", "required"]

_ID = re.compile(r"\*|[a-z0-9][\w-]*(?::[\w-]+)*", re.ASCII)
_PORT = re.compile(r"\{(\w+)\}")

ANYTHING = "*"
"""The id that covers every other."""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The right to do something, such as 'network' or 'files:read'; without `resources`, to any of them.

    `reason` tells a person what for; a task can do without an `optional` one.  A task that declares the resource
    `{path}` means the value that its input `path` has in a run.  Raises TaskConfigurationError for an id that is none.
    """

    id: str
    resources: tuple[str, ...] = ()
    reason: str = ""
    optional: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TaskConfigurationError(
                f"{self.id!r} is no entitlement; write words joined by colons, such as 'files:read', and what it is "
                "limited to behind '=', such as 'files:read=docs'."
            )
        if isinstance(self.resources, str):
            raise TaskConfigurationError(f"The resources of {self.id!r} are a tuple of texts: ({self.resources!r},).")
        if self.id == ANYTHING and self.resources:
            raise TaskConfigurationError("'*' is everything; what is limited to something needs a name: 'files=docs'.")

    @classmethod
    def parse(cls, text: str) -> Entitlement:
        """Read `files:read`, or `files:read=docs`."""
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TaskConfigurationError(
                f"An entitlement is a text such as 'files:read', or an Entitlement(…), not {text!r:.80}."
            )
        id, equals, resource = text.partition("=")
        if equals and not resource:
            raise TaskConfigurationError(f"{text!r} names nothing behind '='; leave it out to mean every resource.")
        return cls(id.strip(), (resource,) if equals else ())

    def ports(self) -> tuple[str, ...]:
        """Return the inputs whose values are its resources."""
        return tuple(port[1] for resource in self.resources if (port := _PORT.fullmatch(resource)))

    def texts(self) -> tuple[str, ...]:
        """Return the texts that `parse` reads: one for each resource."""
        return tuple(f"{self.id}={resource}" for resource in self.resources) or (self.id,)

    def __str__(self) -> str:
        return ", ".join(self.texts())


def covers(wide: str, id: str) -> bool:
    """Whether the first id includes the second: `files` includes `files:read`, not the other way round."""
    return wide in (id, ANYTHING) or id.startswith(wide + ":")


def related(one: str, other: str) -> bool:
    """Whether one of the two ids includes the other."""
    return covers(one, other) or covers(other, one)


def required(
    declared: Iterable[str | Entitlement], inputs: Mapping[str, object] | None = None
) -> tuple[Entitlement, ...]:
    """Return what a task needs that declares these: with its inputs, when they are known, else for any resource."""
    needed = [one if isinstance(one, Entitlement) else Entitlement.parse(one) for one in declared]
    return tuple(found for one in needed if (found := _filled_in(one, inputs)) is not None)


def _filled_in(needed: Entitlement, inputs: Mapping[str, object] | None) -> Entitlement | None:
    if not needed.ports():
        return needed
    resources: list[str] = []
    for resource in needed.resources:
        port = _PORT.fullmatch(resource)
        named = [resource] if port is None else _names((inputs or {}).get(port[1]))
        if named is None:  # whatever it is, no name says what it is limited to
            return replace(needed, resources=())
        resources += named
    return replace(needed, resources=tuple(resources)) if resources else None


def _names(value: object) -> list[str] | None:
    """Return the names that an input gives; None when it gives something that is no name."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, PathLike):
        path = fspath(cast("PathLike[str]", value))
        return [path] if isinstance(path, str) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if isinstance(value, list | tuple):
        parts = [_names(item) for item in cast("list[object]", value)]
        if all(part is not None for part in parts):
            return [name for part in parts for name in part or ()]
    return None


def merged(one: Entitlement, other: Entitlement) -> Entitlement:
    """Return what allows both, which have the same id: any resource if one of them needs any."""
    broad = not one.resources or not other.resources
    return Entitlement(
        one.id,
        () if broad else tuple(dict.fromkeys((*one.resources, *other.resources))),
        one.reason or other.reason,
        one.optional and other.optional,
    )
