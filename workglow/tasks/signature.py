"""What a function's signature says about its task: inputs, outputs, and which parameter is the context."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from workglow.errors import TaskConfigurationError
from workglow.tasks.context import TaskContext
from workglow.tasks.fields import MISSING, bare, fields_of, is_structure, is_typed_dict
from workglow.tasks.ports import Port, Ports

__all__ = ["Signature", "names_around", "output_ports", "signature_of"]

_CONTEXT_NAMES = frozenset({"context", "ctx"})


class Signature(NamedTuple):
    """`positional` are the parameters that cannot be given by name; `returned` is the return annotation."""

    inputs: Ports
    context: str | None
    positional: tuple[str, ...]
    returned: Any


def signature_of(function: Callable[..., object], known: Mapping[str, Any] | None = None) -> Signature:
    """Read a function; `known` adds names that its annotations may use.

    Raises TaskConfigurationError when its parameters cannot be ports.
    """
    name = getattr(function, "__name__", type(function).__name__)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise TaskConfigurationError(
            f"{name} has no signature that Python can read; wrap it in a function with named parameters."
        ) from None
    hints = _hints(function, name, known)
    ports: list[Port] = []
    context: str | None = None
    positional: list[str] = []
    is_open_ended = False
    for parameter in parameters:
        annotation = hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise TaskConfigurationError(
                f"{name} takes *{parameter.name}, which has no port names; take a list or **keywords instead."
            )
        if _is_context(parameter, annotation):
            context = parameter.name
        elif parameter.kind is parameter.VAR_KEYWORD:
            is_open_ended = True
            continue
        else:
            default = MISSING if parameter.default is parameter.empty else parameter.default
            ports.append(Port(parameter.name, annotation, default=default))
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(parameter.name)
    return Signature(Ports(ports, open=is_open_ended), context, tuple(positional), hints.get("return", Any))


def _is_context(parameter: inspect.Parameter, annotation: Any) -> bool:
    inner, _ = bare(annotation)
    if any(isinstance(kind, type) and issubclass(kind, TaskContext) for kind in (inner, *get_args(inner))):
        return True
    return parameter.annotation is parameter.empty and parameter.name in _CONTEXT_NAMES


def _hints(function: Any, name: str, known: Mapping[str, Any] | None) -> dict[str, Any]:
    while isinstance(function, partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    try:
        return get_type_hints(function, localns=dict(known or {}), include_extras=True)
    except NameError as error:
        raise TaskConfigurationError(
            f"An annotation of {name} names {error.name!r}, which cannot be found at run time; import it outside of "
            f"`if TYPE_CHECKING`, or define it at the top level of the module."
        ) from None


def names_around(function: Any) -> dict[str, Any]:
    """Return what the annotations of a function inside a function name there, seen from where it is decorated."""
    if "<locals>" not in getattr(function, "__qualname__", ""):
        return {}
    written = " ".join(text for text in getattr(function, "__annotations__", {}).values() if isinstance(text, str))
    frame = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "workglow":
        frame = frame.f_back
    known = dict(frame.f_locals)
    return {name: known[name] for name in re.findall(r"\w+", written) if name in known}


def output_ports(returned: Any, name: str | None, *, stream: bool = False) -> tuple[Ports, str | None]:
    """Return the output ports of a return annotation, and the single port's name (None when there are several).

    A structure gives a port for each field, unless a `name` asks for one port.  None gives no port.  What a stream
    yields adds up to a mapping of its ports.
    """
    if stream:
        return _stream_ports(returned, name), None
    if returned is None or returned is NoneType:
        return Ports(), None
    inner, _ = bare(returned)
    if name is None and is_structure(inner):
        return Ports.from_model(inner), None
    return Ports([Port(name or "output", returned)]), name or "output"


def _stream_ports(returned: Any, name: str | None) -> Ports:
    """Ports of an async generator: a TypedDict names several; chunks that name their port may name any."""
    item: Any = next(iter(get_args(returned)), Any)
    if name is None and is_typed_dict(item):
        return Ports.from_model(item).written_as_streams()
    if {"port", "data"} <= {field.name for field in fields_of(item) or ()}:
        return Ports([Port(name)]) if name is not None else Ports(open=True)
    return Ports([Port(name or "output", item)]).written_as_streams()
