"""Where another process finds a function: its module, its name in it, and the module's file."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from workglow.errors import TaskConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["MAIN", "FunctionPlace", "find_function", "place_of_function", "refuse_in_import"]

MAIN: Final = "__workglow_main__"
"""What a program's own file is called in a process that only wants its functions; `__main__` would start it."""


class FunctionPlace(NamedTuple):
    """A function of a module; `path` is the module's file, if it has one."""

    module: str
    name: str
    path: str | None


_importing: set[FunctionPlace] = set()


def place_of_function(function: Callable[..., Any], name: str) -> FunctionPlace:
    """Say where a function is found; TaskConfigurationError, about handler `name`, when it cannot be found again."""
    module, qualified = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    reason = None
    if not isinstance(module, str) or not isinstance(qualified, str):
        reason = f"is no function but a {type(function).__name__}"
    elif "<" in qualified:
        reason = "is defined inside a function or is a lambda"
    elif inspect.ismethod(function):
        reason = "is bound to an object"
    else:
        known = sys.modules.get(module)
        path = getattr(known, "__file__", None)
        spec = getattr(known, "__spec__", None)
        if module in ("__main__", MAIN):
            if spec is not None and spec.name != MAIN:  # started as `python -m package.module`
                module = spec.name
            elif path is None or not os.path.isfile(path):
                reason = "is defined in an interactive session or in a program without a file"
            else:
                module = "__main__"
        if reason is None:
            return FunctionPlace(module, qualified, None if path is None else os.path.abspath(path))
    raise TaskConfigurationError(
        f"{name} {reason}, so another process cannot find it.  Move it to the top level of a module, or leave "
        'executor="process" out.'
    )


def find_function(place: FunctionPlace) -> Any:
    """Import the module of a function, for its functions only, and return what the name means there."""
    _importing.add(place)
    try:
        found: Any = _load(place.module, place.path)
    finally:
        _importing.discard(place)
    for part in place.name.split("."):
        found = getattr(found, part)
    return found


def refuse_in_import() -> None:
    """Raise when a module that is imported for its handlers goes to work by itself: it would never end."""
    if _importing:
        raise TaskConfigurationError(
            "Queues are used where the module of a handler is imported by the handler's own process.  Put what uses "
            'them under `if __name__ == "__main__":`.'
        )


def _load(name: str, path: str | None) -> ModuleType:
    if name == "__main__":
        name = MAIN
    known = sys.modules.get(name)
    if known is not None:
        return known
    if name != MAIN:
        spec = importlib.util.find_spec(name)
        if spec is not None and (path is None or spec.origin == path):
            return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(name, path) if path is not None else None
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"There is no module {name} here.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
