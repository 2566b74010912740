"""Conditions as data: a field of some values, an operator, and what the field is compared with.

Policy.  Both sides of a comparison are read as numbers when both can be, else as text; order is for numbers only.
`contains`, `starts_with` and `ends_with` ignore upper and lower case.  A field that is not there is empty and false,
and no comparison with it holds.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sized
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any, Literal, NotRequired, cast, get_args

from typing_extensions import TypedDict

from workglow.errors import TaskConfigurationError
from workglow.graph.property_path import value_at

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

__all__ = ["Condition", "Operator", "check_condition", "evaluate_condition", "holds"]

Operator = Literal[
    "equals",
    "not_equals",
    "greater_than",
    "greater_or_equal",
    "less_than",
    "less_or_equal",
    "contains",
    "starts_with",
    "ends_with",
    "is_empty",
    "is_not_empty",
    "is_true",
    "is_false",
]


class Condition(TypedDict):
    """`field` is a path such as `user.role`, or "" for all values together; `value` is not needed by `is_…`."""

    field: str
    operator: Operator
    value: NotRequired[str | float | bool]


if not TYPE_CHECKING:  # a type checker knows what the keys are; this is for those who have none
    _Condition = Condition

    class Condition(dict):
        __doc__ = _Condition.__doc__

        def __new__(cls, *args: Any, **keys: Any) -> dict[str, object]:
            made = dict(*args, **keys)
            check_condition(made)
            return made

        @classmethod
        def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> Any:
            return handler(_Condition)


def check_condition(given: object) -> None:
    """Raise TaskConfigurationError, which names the operators, for what is neither a Condition nor a function."""
    if callable(given):
        return
    if not isinstance(given, Mapping):
        raise TaskConfigurationError(f"A condition is a function, or data such as {_EXAMPLE}, not {given!r:.80}.")
    condition = cast("Mapping[str, object]", given)
    unknown = next((key for key in condition if key not in _KEYS), None)
    missing = next((key for key in ("field", "operator") if key not in condition), None)
    if unknown is not None or missing is not None:
        wrong = f"has no {missing!r}" if unknown is None else f"has {unknown!r}, which is none of its keys"
        raise TaskConfigurationError(f"The condition {dict(condition)!r:.200} {wrong}; write it as {_EXAMPLE}.")
    operator = condition["operator"]
    known: tuple[str, ...] = get_args(Operator)
    if operator not in known:
        nearest = sorted(known, key=lambda name: -_likeness(name, operator))
        raise TaskConfigurationError(f"{operator!r} is no operator of a condition; give {', '.join(nearest)}.")


def _likeness(name: str, given: object) -> float:
    return difflib.SequenceMatcher(None, name, str(given)).ratio()


def holds(condition: Condition, values: Mapping[str, object]) -> bool:
    """Say whether the condition is true of the values."""
    return evaluate_condition(value_at(values, condition["field"]), condition["operator"], condition.get("value", ""))


def evaluate_condition(value: object, operator: str, other: object) -> bool:
    """Compare two values; an operator that does not exist never holds."""
    if value is None:
        return operator in ("is_empty", "is_false")
    comparison = _COMPARISONS.get(operator)
    return comparison is not None and comparison(value, other)


_KEYS = ("field", "operator", "value")
_EXAMPLE = 'Condition(field="size", operator="greater_than", value=5)'


def _equal(value: object, other: object) -> bool:
    one, two = _number(value), _number(other)
    if one is not None and two is not None:
        return one == two
    return _text(value) == _text(other)


def _is_empty(value: object) -> bool:
    return isinstance(value, Sized) and len(value) == 0


def _is_true(value: object) -> bool:
    """Containers are true even when they are empty, as where the operators come from."""
    if isinstance(value, str):
        return value != ""
    if isinstance(value, bool | int | float):
        return value == value and value != 0  # noqa: PLR0124  # not a number is not true
    return True


def _number(value: object) -> int | float | None:
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, str) or "_" in value:
        return None
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ",".join(_text(item) for item in cast("list[object]", value))
    return str(value)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[object, object], bool]:
    def comparison(value: object, other: object) -> bool:
        one, two = _number(value), _number(other)
        return one is not None and two is not None and compare(one, two)

    return comparison


def _within(compare: Callable[[str, str], bool]) -> Callable[[object, object], bool]:
    return lambda value, other: compare(_text(value).lower(), _text(other).lower())


_COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "equals": _equal,
    "not_equals": lambda value, other: not _equal(value, other),
    "greater_than": _ordered(gt),
    "greater_or_equal": _ordered(ge),
    "less_than": _ordered(lt),
    "less_or_equal": _ordered(le),
    "contains": _within(str.__contains__),
    "starts_with": _within(str.startswith),
    "ends_with": _within(str.endswith),
    "is_empty": lambda value, _: _is_empty(value),
    "is_not_empty": lambda value, _: not _is_empty(value),
    "is_true": lambda value, _: _is_true(value),
    "is_false": lambda value, _: not _is_true(value),
}
