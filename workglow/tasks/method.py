"""The methods that a task class writes: `execute`, `execute_stream`, `execute_preview`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_type_hints

from workglow.tasks.fields import bare, is_structure

__all__ = ["Method", "method_of", "own_methods"]


class Method(NamedTuple):
    """How to call a method.  `model` is made from the inputs first; None hands the inputs over as they are."""

    function: Callable[..., Any]
    takes_context: bool
    model: Any
    returned: Any


def method_of(owner: Any, name: str) -> Method:
    """Read a method of a task class."""
    function: Callable[..., Any] = getattr(owner, name)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    given = {word: model for word in ("Input", "Output", "Config") if (model := getattr(owner, word, None)) is not None}
    try:
        hints = get_type_hints(function, localns=given, include_extras=True)
    except NameError:  # a name for the type checker only; the class's own Input and Output count then
        hints = {}
    annotation, _ = bare(hints.get(parameters[0].name, Any) if parameters else Any)
    model = given.get("Input")
    if is_structure(annotation):
        model = annotation
    elif getattr(annotation, "__origin__", annotation) in (dict, Mapping):
        model = None
    return Method(function, len(parameters) > 1, model, hints.get("return", Any))


def own_methods(kind: type, base: type) -> list[str]:
    """Return the names of the public methods that a class, or one between it and its base, adds to those of the base.

    What a slip of the pen in `execute` is found by.
    """
    added = (vars(one) for one in kind.__mro__ if issubclass(one, base) and one is not base)
    return [
        name
        for names in added
        for name, value in names.items()
        if inspect.isfunction(value) and not name.startswith("_") and not hasattr(base, name)
    ]
