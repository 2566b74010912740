"""Arithmetic on single numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import TaskInputError
from workglow.library.arithmetic import exact_sum, half_up
from workglow.tasks import task_registry

NUMBERS = st.one_of(st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False))


@pytest.mark.parametrize(
    ("name", "inputs", "result"),
    [
        ("ScalarAddTask", {"a": 1, "b": 2}, 3),
        ("ScalarAddTask", {"a": 2**53, "b": 1}, 2**53 + 1),
        ("ScalarSubtractTask", {"b": 1, "a": 3}, 2),
        ("ScalarMultiplyTask", {"a": 1.5, "b": 2}, 3.0),
        ("ScalarDivideTask", {"b": 4, "a": 1}, 0.25),
        ("ScalarAbsTask", {"value": -2}, 2),
        ("ScalarCeilTask", {"value": 1.2}, 2),
        ("ScalarFloorTask", {"value": -1.2}, -2),
        ("ScalarTruncTask", {"value": -1.7}, -1),
        ("ScalarRoundTask", {"value": 2.5}, 3),
        ("ScalarRoundTask", {"value": -2.5}, -2),
        ("ScalarRoundTask", {"value": 0.49999999999999994}, 0),
        ("ScalarRoundTask", {"value": 4503599627370497.5}, 4503599627370498),
        ("ScalarSumTask", {"values": [0.1] * 10}, 1.0),
        ("ScalarSumTask", {"values": [1e100, 1.0, -1e100]}, 1.0),
        ("ScalarSumTask", {"values": []}, 0),
        ("ScalarMinTask", {"values": [3, 1.5, 2]}, 1.5),
        ("ScalarMaxTask", {"values": [3, 1.5, 2]}, 3),
    ],
)
def test_a_result(name: str, inputs: dict[str, Any], result: float, run: Any) -> None:
    given = run(name, inputs)["result"]
    assert given == result
    assert type(given) is type(result)


@pytest.mark.parametrize(
    ("name", "inputs", "reason"),
    [
        ("ScalarDivideTask", {"a": 1, "b": 0}, "division by zero"),
        ("ScalarMultiplyTask", {"a": 1e308, "b": 10}, "too large"),
        ("ScalarAddTask", {"a": 1e308, "b": 1e308}, "too large"),
        ("ScalarDivideTask", {"a": 10**400, "b": 1}, "too large"),
        ("ScalarSumTask", {"values": [1e308] * 10}, "overflow"),
        ("ScalarAbsTask", {"value": math.nan}, "no finite number"),
        ("ScalarMaxTask", {"values": [1, math.inf]}, "no finite number"),
        ("ScalarFloorTask", {"value": math.inf}, "infinity"),
        ("ScalarMinTask", {"values": []}, "empty"),
        ("ScalarAddTask", {"a": "1", "b": 2}, "expected"),
        ("ScalarAddTask", {"a": True, "b": 2}, "expected"),
    ],
)
def test_what_has_no_number_as_its_result_is_refused(name: str, inputs: dict[str, Any], reason: str, run: Any) -> None:
    with pytest.raises(TaskInputError, match=reason):
        run(name, inputs)


@settings(deadline=None)
@given(NUMBERS)
def test_rounding_gives_the_nearest_and_the_upper_of_two(value: float) -> None:
    rounded, exact = half_up(value), Fraction(value)
    assert rounded == math.floor(exact + Fraction(1, 2)) or abs(rounded - exact) == abs(exact) <= Fraction(1, 2)


@settings(deadline=None)
@given(st.lists(NUMBERS.filter(lambda number: abs(number) < 1e300), max_size=30))
def test_a_sum_is_rounded_once(values: list[float]) -> None:
    exact = sum(map(Fraction, values))
    total = exact_sum(values)
    assert total == (exact if isinstance(total, int) else float(sum(Fraction(float(value)) for value in values)))


@settings(deadline=None)
@given(NUMBERS, NUMBERS, st.sampled_from(["Add", "Subtract", "Multiply", "Divide"]))
def test_every_result_is_finite_or_refused(a: float, b: float, name: str) -> None:
    task = task_registry.get(f"Scalar{name}Task")()
    try:
        result = task.call({"a": a, "b": b}, None)["result"]
    except TaskInputError:
        return
    assert math.isfinite(result)
    assert task.preview({"a": a, "b": b}, None) == {"result": result}
