"""Arithmetic on vectors, against numpy's."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import TaskInputError
from workglow.tasks import task_registry

ELEMENTS = st.floats(-1e6, 1e6, width=32)


@st.composite
def matrices(draw: st.DrawFn, *, least: int = 1) -> list[list[float]]:
    length = draw(st.integers(1, 8))
    rows = st.lists(ELEMENTS, min_size=length, max_size=length)
    return draw(st.lists(rows, min_size=least, max_size=5))


def compute(name: str, **inputs: Any) -> Any:
    task = task_registry.get(f"Vector{name}Task")()
    return task.to_outputs(task.call(task.check_inputs(inputs), None))["result"]


@settings(deadline=None)
@given(matrices())
def test_sums_differences_and_products_are_numpys(rows: list[list[float]]) -> None:
    matrix = np.array(rows)
    np.testing.assert_allclose(compute("Sum", vectors=rows), matrix.sum(axis=0), atol=1e-6)
    np.testing.assert_allclose(compute("Multiply", vectors=rows), matrix.prod(axis=0), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(compute("Subtract", vectors=rows), matrix[0] - matrix[1:].sum(axis=0), atol=1e-5)
    assert compute("Sum", vectors=list(matrix)).dtype == np.float64
    assert compute("Sum", vectors=matrix).tolist() == compute("Sum", vectors=rows)


@settings(deadline=None)
@given(matrices())
def test_each_element_of_a_sum_is_rounded_once(rows: list[list[float]]) -> None:
    exact = [float(sum(map(Fraction, column))) for column in zip(*rows, strict=True)]
    assert compute("Sum", vectors=rows) == exact


@settings(deadline=None)
@given(matrices(least=2))
def test_distance_and_dot_product_are_numpys(rows: list[list[float]]) -> None:
    first, second = np.array(rows[0]), np.array(rows[1])
    assert math.isclose(compute("Distance", vectors=rows), np.linalg.norm(first - second), rel_tol=1e-9, abs_tol=1e-9)
    exact = sum((Fraction(float(a * b)) for a, b in zip(first, second, strict=True)), Fraction(0))
    assert compute("DotProduct", vectors=rows) == float(exact)


@settings(deadline=None)
@given(st.lists(ELEMENTS, min_size=1, max_size=8).filter(any), st.sampled_from([1e-300, 1.0, 1e300]))
def test_a_normalized_vector_has_length_one(vector: list[float], scale: float) -> None:
    vector = [element / 1e6 * scale for element in vector]
    if any(vector):
        result = compute("Normalize", vector=vector)
        assert math.isclose(math.hypot(*result), 1, rel_tol=1e-12)


@settings(deadline=None)
@given(st.lists(ELEMENTS, max_size=8), ELEMENTS)
def test_a_scaled_vector_is_numpys(vector: list[float], scalar: float) -> None:
    assert compute("Scale", vector=vector, scalar=scalar) == (np.array(vector) * scalar).tolist()


def test_arrays_keep_the_type_that_holds_both() -> None:
    a, b = np.array([1, 2], np.float32), np.array([3, 4], np.int8)
    assert compute("Sum", vectors=[a, b]).dtype == np.float32
    assert compute("Sum", vectors=[a, [1, 1]]).dtype == np.float32
    assert compute("Sum", vectors=[b, b]).dtype == np.int8
    assert compute("Divide", vectors=[b, b]).tolist() == [1.0, 1.0]
    assert compute("Divide", vectors=[b, b]).dtype == np.float64
    assert compute("Scale", vector=b, scalar=0.5).tolist() == [1.5, 2.0]
    assert compute("Sum", vectors=[[1, 2], [3, 4]]) == [4, 6]


@pytest.mark.parametrize(
    ("name", "inputs", "reason"),
    [
        ("Sum", {"vectors": np.full((2, 3), 100, np.int8)}, "does not fit int8"),
        ("Multiply", {"vectors": np.full((2, 3), 2**40, np.int64)}, "does not fit int64"),
        ("Scale", {"vector": np.array([1], np.uint8), "scalar": -1}, "does not fit uint8"),
        ("Scale", {"vector": np.array([6e4], np.float16), "scalar": 2}, "does not fit float16"),
        ("Multiply", {"vectors": [[1e300], [1e300]]}, "too large"),
        ("DotProduct", {"vectors": [[1e300], [1e300]]}, "too large"),
        ("Divide", {"vectors": [[1], [0]]}, "division by zero"),
        ("Normalize", {"vector": [0, 0.0]}, "no direction"),
        ("Normalize", {"vector": []}, "no direction"),
        ("Sum", {"vectors": [[1], [1, 2]]}, "vector 1 has 2 elements, and vector 0 has 1"),
        ("Sum", {"vectors": []}, "at least 1 vector"),
        ("Distance", {"vectors": [[1]]}, "at least 2 vectors"),
        ("Sum", {"vectors": np.ones((2, 2, 2))}, "no row of numbers"),
        ("Sum", {"vectors": np.ones((2, 2), complex)}, "no row of numbers"),
        ("Sum", {"vectors": [[1, math.nan]]}, "no finite number"),
        ("Sum", {"vectors": [["1"]]}, "expected"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, inputs: dict[str, Any], reason: str) -> None:
    with pytest.raises(TaskInputError, match=reason):
        compute(name, **inputs)


def test_a_vector_goes_through_a_graph(run: Any) -> None:
    result = run("VectorNormalizeTask", {"vector": np.array([3, 4], np.float32)})["result"]
    assert result.tolist() == np.array([0.6, 0.8], np.float32).tolist()
