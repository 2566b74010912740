"""Conditions as data: what is no condition is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from workglow import Condition, Workflow
from workglow.errors import TaskConfigurationError
from workglow.graph.control.conditions import Operator


def made(given: dict[str, Any]) -> object:
    return Condition(**given)


def branched(given: Any) -> object:
    return Workflow().if_(given)


def repeated(given: Any) -> object:
    return Workflow().while_(given)


PLACES = pytest.mark.parametrize("place", [made, branched, repeated])


@PLACES
@pytest.mark.parametrize(
    ("slip", "nearest"),
    [("lt", "less_than"), ("gt", "greater_than"), ("equal", "equals"), ("startswith", "starts_with")],
)
def test_an_unknown_operator_is_refused_with_the_nearest_first(
    place: Callable[[Any], object], slip: str, nearest: str
) -> None:
    with pytest.raises(TaskConfigurationError, match=f"'{slip}' is no operator of a condition; give {nearest}, ") as no:
        place({"field": "a", "operator": slip, "value": 3})
    assert all(operator in str(no.value) for operator in get_args(Operator))


@PLACES
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"operator": "is_true"}, "has no 'field'"),
        ({"field": "a"}, "has no 'operator'"),
        ({"fild": "a", "operator": "is_true"}, "has 'fild', which is none of its keys"),
        ({"field": "a", "operator": ["is_true"]}, "is no operator"),
    ],
)
def test_other_keys_are_refused(place: Callable[[Any], object], given: dict[str, Any], says: str) -> None:
    with pytest.raises(TaskConfigurationError, match=says):
        place(given)


@pytest.mark.parametrize("place", [branched, repeated])
def test_what_is_neither_data_nor_a_function_is_refused(place: Callable[[Any], object]) -> None:
    with pytest.raises(TaskConfigurationError, match="A condition is a function, or data such as"):
        place(None)


def test_a_condition_is_a_plain_dict_that_models_understand() -> None:
    class Rule(BaseModel):
        condition: Condition | None

    condition = Condition(field="a", operator="less_than", value=3)
    assert type(condition) is dict
    assert condition == {"field": "a", "operator": "less_than", "value": 3}
    assert Rule(condition=condition).condition == condition
    with pytest.raises(ValueError, match="operator"):
        Rule.model_validate({"condition": {"field": "a", "operator": "lt"}})
