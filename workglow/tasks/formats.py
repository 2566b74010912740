"""Which formats the ports of a task speak of, without asking pydantic about types that cannot have any."""

from __future__ import annotations

from typing import Any, get_args

from workglow.errors import TaskConfigurationError
from workglow.tasks.fields import bare, fields_of
from workglow.tasks.ports import COLLECT, Port, Ports
from workglow.tasks.resolver import formats_in

__all__ = ["formats_of"]

_OF_ARRAYS = "TypedArray"


def formats_of(*of_task: object) -> frozenset[str]:
    """Return the formats in the given ports; ports that differ from task to task of one class have none."""
    found: set[str] = set()
    for ports in of_task:
        if isinstance(ports, Ports):
            found.update(name for port in ports.values() for name in _formats(port))
    return frozenset(name for name in found if name.partition(":")[0] != _OF_ARRAYS)


def _formats(port: Port) -> list[str]:
    try:
        may_have = port.annotation is Any or _is_told(port.annotation, ())
        return list(formats_in(port.schema)) if may_have else []
    except (TaskConfigurationError, RuntimeError):  # pydantic's own are RuntimeErrors
        return []  # a type that cannot be described has no formats; that does not keep its task from running


def _is_told(annotation: Any, above: tuple[Any, ...]) -> bool:
    inner, notes = bare(annotation)
    if any(note is not COLLECT for note in notes) or hasattr(inner, "__get_pydantic_json_schema__"):
        return True
    if any(_is_told(argument, above) for argument in get_args(inner)):
        return True
    if any(inner is kind for kind in above):
        return False
    return any(_is_told(field.annotation, (*above, inner)) for field in fields_of(inner) or ())
