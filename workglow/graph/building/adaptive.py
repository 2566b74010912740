"""The arithmetic methods of a workflow, `add`, `subtract`, `multiply`, `divide` and `sum`: on numbers or on vectors.

Policy.  Literals decide, when their names are ports of only one of the two tasks.  Otherwise the previous task does: it
is the task on vectors when one of its outputs is an array of numbers, or a list of vectors.  A list of plain numbers is
none: adding it up is arithmetic on numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from workglow.tasks import Ports, Task, TaskRegistry

__all__ = ["ADAPTIVE", "adaptive_methods", "fitting_type"]

ADAPTIVE: Mapping[str, tuple[str, str]] = {
    "add": ("ScalarAddTask", "VectorSumTask"),
    "subtract": ("ScalarSubtractTask", "VectorSubtractTask"),
    "multiply": ("ScalarMultiplyTask", "VectorMultiplyTask"),
    "divide": ("ScalarDivideTask", "VectorDivideTask"),
    "sum": ("ScalarSumTask", "VectorSumTask"),
}
"""Methods with the task types on numbers and on vectors that they stand for."""


def adaptive_methods(registry: TaskRegistry) -> list[str]:
    """Return the methods of which the registry knows both types."""
    return [name for name, types in ADAPTIVE.items() if all(one in registry for one in types)]


def fitting_type(name: str, registry: TaskRegistry, literals: Collection[str], previous: Iterable[Task]) -> type[Task]:
    """Return the class that an adaptive method adds, given the names of its literals and the tasks before it."""
    scalar, vector = map(registry.get, ADAPTIVE[name])
    of_scalar, of_vector = (not cast("Ports", kind.inputs).keys().isdisjoint(literals) for kind in (scalar, vector))
    if of_scalar != of_vector:
        return vector if of_vector else scalar
    outputs: list[Any] = [schema for task in previous for schema in task.outputs.schema["properties"].values()]
    return vector if any(map(_is_vector, outputs)) else scalar


def _is_vector(schema: Mapping[str, Any]) -> bool:
    if str(schema.get("format", "")).partition(":")[0] == "TypedArray":
        return True
    members = cast("list[Mapping[str, Any]]", [*schema.get("anyOf", ()), *schema.get("oneOf", ())])
    if any(map(_is_vector, members)):
        return True
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return False
    each = cast("Mapping[str, Any]", items)
    return each.get("type") == "array" or any(map(_is_vector, [each, *each.get("anyOf", ())]))
