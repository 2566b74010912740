"""Why a value cannot be stored, found deep inside it and told with its place."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import io
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

import msgspec

from workglow.values.secret import Secret

__all__ = ["Refusal", "checked_text", "is_text", "too_deep", "unstorable"]

_MOST_STEPS = 12  # a place that is longer than this is shown with its middle left out


class Refusal(Exception):
    """What is wrong, and the remedy; the way to it is added step by step while the exception climbs out."""

    def __init__(self, reason: str, remedy: str, container: object = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self._container = container  # set when the nesting is too deep: is it inside itself?
        self._steps: list[str] = []

    def climb(self, container: object, step: str) -> None:
        """Note that the trouble lies behind `step` of `container`."""
        if step:
            self._steps.append(step)
        if container is self._container:
            self.reason = "contains itself"
            self.remedy = "store numbers or names that refer to the other items instead"
            self._steps.clear()

    def told(self, where: str, root: str) -> str:
        """Return the whole text: `where`, the place below `root`, the reason and the remedy."""
        steps = self._steps[::-1]
        if len(steps) > _MOST_STEPS:
            steps = [*steps[: _MOST_STEPS - 2], "…", *steps[-2:]]
        prefix = f"{where}: " if where else ""
        return f"{prefix}{root}{''.join(steps)} {self.reason}: {self.remedy}."


def too_deep(container: object, deepest: int) -> Refusal:
    """Return the refusal of what is nested further than `deepest` levels, or without end."""
    remedy = "flatten it, for example into a list of records that refer to each other by number"
    return Refusal(f"is nested more than {deepest} levels deep", remedy, container)


def checked_text(text: str) -> bytes:
    """Return the text in UTF-8; half a surrogate pair, as in undecodable file names, is refused."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        reason = f"holds a lone surrogate (U+{ord(text[error.start]):04X}, character {error.start}), which is not text"
        raise Refusal(reason, "store bytes, or replace it: text.encode('utf-8', 'replace').decode()") from None


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a text that a file can hold, so without half a surrogate pair."""
    try:
        return isinstance(value, str) and (value.isascii() or bool(value.encode()))
    except UnicodeEncodeError:
        return False


_OPAQUE: tuple[tuple[Callable[[object], bool], str, str], ...] = (
    (inspect.isclass, "is a class ({})", "store its name"),
    (inspect.isroutine, "is a function ({})", "store its name, or what it returns"),
    (inspect.ismodule, "is a module", "store its name"),
    (inspect.isawaitable, "is a {} that was not awaited", "await it and store the result"),
    (inspect.isasyncgen, "is an async generator", "collect it into a list: [item async for item in …]"),
    (lambda value: isinstance(value, io.IOBase), "is an open file ({})", "store its path, or its contents as bytes"),
    (lambda value: isinstance(value, Iterator), "is a {}, which can be read only once", "make it a list: list(…)"),
)

_BUILT_IN: tuple[tuple[type, str], ...] = (
    (bytearray, "bytes"),
    (memoryview, "bytes"),
    (str, "str"),
    (bytes, "bytes"),
    (int, "int"),
    (float, "float"),
    (dict, "dict"),
    (list, "list"),
    (tuple, "tuple"),
    (set, "set"),
    (frozenset, "frozenset"),
)


def _registrable(kind: type[Any]) -> str | None:
    """Name what the class is when registering it would make its instances storable."""
    if issubclass(kind, enum.Enum):
        return "enum"
    if dataclasses.is_dataclass(kind):
        return "dataclass"
    if issubclass(kind, msgspec.Struct):
        return "msgspec struct"
    if hasattr(kind, "__pydantic_fields__"):
        return "pydantic model"
    return "named tuple" if hasattr(kind, "_fields") and issubclass(kind, tuple) else None


def unstorable(value: object) -> Refusal:
    """Return the refusal of a value that no tag can carry; its text never shows the value itself."""
    kind: type[Any] = type(value)
    name = kind.__qualname__
    if isinstance(value, Secret):
        return Refusal("is a Secret, which is never written", "store its name, and resolve it where it is used")
    known = _registrable(kind)
    if known is not None:
        return Refusal(
            f"is a {known} of the unregistered class {name} ({kind.__module__})",
            f"register the class once, before it is stored or read: workglow.values.value_types.register({name})",
        )
    for matches, reason, remedy in _OPAQUE:
        if matches(value):
            return Refusal(reason.format(name), remedy)
    for built_in, conversion in _BUILT_IN:
        if isinstance(value, built_in):
            return Refusal(f"is a {name}, which would not come back as one", f"convert it: {conversion}(…)")
    return Refusal(
        f"is a {name} ({kind.__module__}), which the file cannot hold",
        "convert it to JSON-like data, bytes or a numpy array, or make it a dataclass and register that: "
        "workglow.values.value_types.register(…)",
    )
