"""A task's version, worked out from its code.

Policy.  The version is a digest of what decides the result: the syntax of the function or class, without comments,
docstrings, formatting and annotations that do nothing; then, transitively, every helper, class and constant that it
names, in the same top-level package or in `__main__`.  Other packages count by their version number, the standard
library not at all.  A module's constant counts as it is written, not as it is at the moment: a list that fills up while
the program runs is state, not code.  What a closure holds counts when it is plain and cannot change, or is code itself.

Where the source is not to be had (`exec`, a file edited after it was loaded) the bytecode stands in: just as exact, but
only comparable within one minor version of Python.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, cast

from workglow.tasks.source import bindings, class_node, function_node, normalised, plain_constants

__all__ = ["code_version"]


def code_version(source: Any) -> str:
    """Return 16 hex digits that change when the code of a function or class changes, or that of a helper it reaches."""
    walk = _Walk(_scope(getattr(source, "__module__", None) or ""))
    walk.value(source)
    return hashlib.sha256("\0".join(walk.texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _scope(module: str) -> str:
    """The package whose code counts; of workglow itself only the room, for the engine is not part of a task."""
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "workglow" else parts[0]


class _Walk:
    """Visits code once each, in an order that depends on nothing but the code."""

    def __init__(self, scope: str) -> None:
        self.texts: list[str] = []
        self._scope = scope
        self._seen: set[object] = set()

    def value(self, value: Any) -> bool:
        """Note what a value contributes; False when it is data whose writing has to be looked up."""
        if isinstance(value, functools.partial):
            self.value(value.func)  # pyright: ignore[reportUnknownMemberType]
            self._constants([*value.args, *sorted(value.keywords.items())])
        elif isinstance(value, MethodType | staticmethod | classmethod):
            self.value(cast("Any", value).__func__)
        elif isinstance(value, FunctionType):
            # functools.wraps copies __module__; where the wrapper's own code stands is told by its globals
            self._once(value, str(value.__globals__.get("__name__", "")), self._function)
            self.value(getattr(value, "__wrapped__", None))
        elif isinstance(value, property):
            for part in (value.fget, value.fset):
                self.value(part)
        elif isinstance(value, type):
            self._once(value, value.__module__, self._class)
        elif isinstance(value, ModuleType):
            self._outside(value.__name__)
        elif hasattr(value, "__wrapped__"):
            self.value(value.__wrapped__)
        elif callable(value):
            self._callable(value)
        else:
            return False
        return True

    def _callable(self, value: Any) -> None:
        module = getattr(value, "__module__", None) or ""
        if hasattr(value, "__name__"):  # a function written in C
            self._outside(module)
        else:
            self.value(type(value))

    def _once(self, value: Any, module: str, visit: Any) -> None:
        if not self._inside(module):
            self._outside(module)
        elif id(value) not in self._seen:
            self._seen.add(id(value))
            visit(value)

    def _inside(self, module: str | None) -> bool:
        return module == self._scope or (module or "").startswith(f"{self._scope}.")

    def _outside(self, module: str) -> None:
        """Another package counts by its version number, where it tells it."""
        top = (module or "").partition(".")[0]
        if self._inside(module) or top in sys.stdlib_module_names or top in ("", "workglow") or top in self._seen:
            return
        self._seen.add(top)
        number = getattr(sys.modules.get(top), "__version__", None)
        if isinstance(number, str):
            self.texts.append(f"{top}=={number}")

    def _function(self, function: FunctionType) -> None:
        code = function.__code__
        held = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        node = function_node(function)
        if node is None:
            self._bytecode(code)
            self._constants([*(function.__defaults__ or ()), *sorted((function.__kwdefaults__ or {}).items())])
            names = [(name,) for name in _names_of_code(code)]
        else:
            stripped = normalised(node)
            self.texts.append(ast.unparse(stripped))
            names = list(_names(stripped))
        hidden = {*code.co_varnames, *code.co_cellvars}
        self._names([path for path in names if path[0] not in hidden], function.__globals__, held)

    def _class(self, kind: type) -> None:
        node = class_node(kind)
        methods = [value for _, value in sorted(vars(kind).items()) if _is_code(value)]
        if node is None:
            self.texts.append(kind.__name__)
            for name, value in sorted(vars(kind).items()):
                if not name.startswith("_") and not _is_code(value):
                    self.texts.append(name)
                    self._constants([value])
            for part in (*kind.__bases__, *methods):
                self.value(part)
            return
        stripped = normalised(node)
        self.texts.append(ast.unparse(stripped))
        module = sys.modules.get(kind.__module__)
        self._names(_names(stripped), vars(module) if module is not None else {}, {})
        for base in kind.__bases__:
            self.value(base)
        for method in methods:
            self._closure(method)

    def _closure(self, method: Any) -> None:
        function = getattr(method, "__func__", method)
        if isinstance(function, FunctionType) and function.__closure__:
            held = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
            self._names(((name,) for name in sorted(held)), {}, held)

    def _bytecode(self, code: CodeType) -> None:
        parts = (code.co_code.hex(), code.co_names, code.co_varnames, code.co_freevars, plain_constants(code))
        self.texts.append(repr(parts))

    def _names(self, paths: Iterable[tuple[str, ...]], known: Mapping[str, Any], held: Mapping[str, Any]) -> None:
        for path in sorted(set(paths)):
            name = path[0]
            if name in held:
                self._held(name, held[name])
            elif name in known:
                self._global(path, known)

    def _held(self, name: str, cell: Any) -> None:
        try:
            value = cell.cell_contents
        except ValueError:  # not filled yet
            return
        if not self.value(value):
            self.texts.append(name)
            self._constants([value])

    def _global(self, path: tuple[str, ...], known: Mapping[str, Any]) -> None:
        name, *rest = path
        value = known[name]
        if isinstance(value, ModuleType) and rest and self._inside(value.__name__):
            if rest[0] in vars(value):
                self._global(tuple(rest), vars(value))
        elif not self.value(value):
            self._data(name, value, known)

    def _data(self, name: str, value: object, known: Mapping[str, Any]) -> None:
        """A constant of a module: as its file writes it, else as it is."""
        module = str(known.get("__name__", ""))
        if (module, name) in self._seen or not self._inside(module):
            return
        self._seen.add((module, name))
        statements = bindings(str(known.get("__file__") or ""), name)
        if not statements:
            self.texts.append(name)
            self._constants([value])
        for statement in statements or ():
            if isinstance(statement, ast.ImportFrom):
                self._imported(statement, name, known)
            else:
                stripped = normalised(statement)
                self.texts.append(ast.unparse(stripped))
                self._names((path for path in _names(stripped) if path[0] != name), known, {})

    def _imported(self, statement: ast.ImportFrom, name: str, known: Mapping[str, Any]) -> None:
        original = next(alias.name for alias in statement.names if name in (alias.asname, alias.name))
        relative = "." * statement.level + (statement.module or "")
        module = sys.modules.get(importlib.util.resolve_name(relative, str(known.get("__package__") or "")))
        if module is not None and original in vars(module):
            self._global((original,), vars(module))

    def _constants(self, values: Iterable[object]) -> None:
        for value in values:
            if isinstance(value, tuple | frozenset):
                items = cast("Iterable[object]", value)
                self.texts.append("several")
                self._constants(sorted(items, key=repr) if isinstance(value, frozenset) else items)
            elif value is None or isinstance(value, str | int | float | complex | bytes):
                self.texts.append(repr(value))
            elif not self.value(value):
                self.texts.append(cast("Any", type(value)).__name__)


def _is_code(value: object) -> bool:
    return isinstance(value, FunctionType | staticmethod | classmethod | property)


def _names(node: ast.AST) -> Iterable[tuple[str, ...]]:
    """Names that are read, with the attributes that follow them: `settings.limits.low` is one path."""
    inner: set[int] = set()
    for part in ast.walk(node):
        path: list[str] = []
        step: ast.AST = part
        while isinstance(step, ast.Attribute):
            path.append(step.attr)
            inner.add(id(step.value))
            step = step.value
        if isinstance(step, ast.Name) and id(part) not in inner:
            yield (step.id, *reversed(path))


def _names_of_code(code: CodeType) -> Iterable[str]:
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_of_code(constant)
