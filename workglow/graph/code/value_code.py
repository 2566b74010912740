"""Values as Python expressions, and the imports that these need."""

from __future__ import annotations

import dataclasses
import enum
import math
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from workglow.errors import TaskSerializationError
from workglow.graph.code.expressions import Atom, Brackets, Expression, call, flat, quoted
from workglow.values.registry import fields_of, value_types

__all__ = ["Imports", "ValueWriter"]


class Imports:
    """The names that a program imports; two that are alike are told apart."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._taken = set(reserved)
        self._names: dict[tuple[str, str], str] = {}
        self._modules: set[str] = set()

    def module(self, name: str) -> str:
        """Import a module of the standard library, or numpy."""
        self._modules.add(name)
        self._taken.add(name)
        return name

    def name(self, module: str, name: str) -> str:
        """Import a name from a module, and return what it is called in the program."""
        known = self._names.get((module, name))
        if known is None:
            known, number = name, 1
            while known in self._taken:
                number += 1
                known = f"{name}_{number}"
            self._names[(module, name)] = known
            self._taken.add(known)
        return known

    def reserve(self, name: str) -> str:
        """Return the name, or another one like it, for a variable of the program."""
        number, free = 1, name
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.add(free)
        return free

    def lines(self, program: str) -> list[str]:
        """Return the import statements that a program needs: the standard library, then others."""
        used = set(re.findall(r"\w+", program))
        plain = [(module, f"import {module}") for module in sorted(self._modules & used)]
        by_module: dict[str, list[tuple[str, str]]] = {}
        for (module, name), known in self._names.items():
            if known in used:
                by_module.setdefault(module, []).append((name, known))
        named = [(module, _from(module, names)) for module, names in sorted(by_module.items())]
        blocks: list[str] = []
        for wanted in (True, False):
            block = [line for module, line in (*plain, *named) if (_root(module) in sys.stdlib_module_names) is wanted]
            if block:
                blocks += [*([""] if blocks else []), *block]
        return blocks


def _root(module: str) -> str:
    return module.partition(".")[0]


def _from(module: str, names: list[tuple[str, str]]) -> str:
    written = [name if name == known else f"{name} as {known}" for name, known in sorted(names, key=_case)]
    line = f"from {module} import {', '.join(written)}"
    if len(line) <= 88:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in written) + ")"


def _case(pair: tuple[str, str]) -> tuple[int, str]:
    """Sort as formatters do: constants, classes, then the rest."""
    name = pair[0]
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name)


class ValueWriter:
    """Writes values as expressions that make equal ones."""

    def __init__(self, imports: Imports) -> None:
        self._imports = imports

    def write(self, value: Any, where: str) -> Expression:
        """Return the expression; TaskSerializationError names the place of a value that has none."""
        kind: Any = type(cast("object", value))
        if value is None or kind in (bool, int):
            return Atom(repr(value))
        if kind is str:
            return Atom(quoted(value))
        if kind is float:
            return Atom(repr(value) if math.isfinite(value) else f'float("{value}")')
        if kind is bytes:
            return Atom("b" + quoted(value.decode("latin-1")) if value.isascii() else repr(value))
        if kind is dict:
            pairs = [(f"{flat(self.write(key, where))}: ", self.write(item, where)) for key, item in value.items()]
            return Brackets("{", pairs, "}")
        if kind in (list, tuple):
            before, after = ("[", "]") if kind is list else ("(", ")")
            return Brackets(before, [("", self.write(item, where)) for item in value], after)
        if kind in (set, frozenset):
            return self._set(kind, value, where)
        if isinstance(value, Mapping):
            return self.write(dict(cast("Mapping[str, Any]", value)), where)
        return self._other(kind, value, where)

    def _set(self, kind: type, value: Iterable[Any], where: str) -> Expression:
        members = sorted((self.write(item, where) for item in value), key=flat)
        if kind is set:
            return Brackets("{", [("", member) for member in members], "}") if members else Atom("set()")
        inner = [Brackets("{", [("", member) for member in members], "}")] if members else []
        return call("frozenset", inner)

    def _other(self, kind: Any, value: Any, where: str) -> Expression:
        if kind in (datetime, date, time, timedelta, timezone):
            return Atom(self._moment(value, where))
        if kind in (Decimal, UUID) or isinstance(value, PurePath):
            name = "Path" if isinstance(value, PurePath) else kind.__name__
            module = "pathlib" if isinstance(value, PurePath) else kind.__module__
            return call(self._imports.name(module, name), [Atom(quoted(str(value)))])
        if kind.__module__ == "numpy":
            return self._array(kind, value, where)
        if isinstance(value, enum.Enum) and value_types.name_of(kind):
            return Atom(f"{self.reference(kind, where)}.{value.name}")
        if dataclasses.is_dataclass(kind) or value_types.name_of(kind):
            fields = [(name, self.write(part, where)) for name, part in fields_of(value).items()]
            return call(self.reference(kind, where), keywords=fields)
        raise TaskSerializationError(
            f"{where} is a {kind.__qualname__}, which cannot be written as Python. Keep the graph as JSON, or give "
            "the value as an input of the run."
        )

    def _moment(self, value: Any, where: str) -> str:
        if getattr(value, "tzinfo", None) is not None and type(value.tzinfo) is not timezone:
            key = getattr(value.tzinfo, "key", None)
            if key is None:
                raise TaskSerializationError(f"{where} has a time zone that has no name; use zoneinfo.ZoneInfo.")
            plain = self._moment(value.replace(tzinfo=None), where)
            return f"{plain}.replace(tzinfo={self._imports.name('zoneinfo', 'ZoneInfo')}({quoted(key)}))"
        return repr(value).replace("datetime.", f"{self._imports.module('datetime')}.")

    def _array(self, kind: Any, value: Any, where: str) -> Expression:
        module = self._imports.module("numpy")
        name = value.dtype.name
        if kind.__name__ != "ndarray" or value.dtype.kind in "OV":
            if value.dtype.kind in "biuf":
                return Atom(f"{module}.{kind.__name__}({flat(self.write(value.item(), where))})")
            raise TaskSerializationError(f"{where} is a {kind.__name__}, which cannot be written as Python.")
        items = self.write(value.tolist(), where)
        dtype = name if value.dtype.kind in "biufc" else value.dtype.str
        made = call(f"{module}.array", [items], [("dtype", Atom(quoted(dtype)))])
        return Atom(f"{flat(made)}.reshape({value.shape})") if 0 in value.shape else made

    def reference(self, kind: Any, where: str) -> str:
        """Import a class, or what holds it, and return its name; TaskSerializationError when no name leads to it."""
        module, path = kind.__module__, kind.__qualname__
        found: Any = sys.modules.get(module)
        for step in path.split("."):
            found = getattr(found, step, None)
        if "<" in path or not _is(found, kind):
            raise TaskSerializationError(
                f"{where}: {path} of {module} cannot be imported under that name. Define it at the top of a module."
            )
        public = sys.modules["workglow"]
        if path in public.__all__ and getattr(public, path) is kind:
            module = "workglow"
        first, _, rest = path.partition(".")
        name = self._imports.name(module, first)
        return f"{name}.{rest}" if rest else name


def _is(found: object, kind: object) -> bool:
    return found is kind or getattr(found, "task_type", None) is kind
