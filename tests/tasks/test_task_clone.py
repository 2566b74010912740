"""C01.8: what a definition keeps is its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.errors import TaskConfigurationError
from workglow.tasks.clone import clone


class Thing:
    pass


def test_c01_8_containers_are_copied_at_every_level() -> None:
    value: dict[str, Any] = {"a": {"b": [1, {"c": 2}]}, "t": ([1],)}
    copy = clone(value)
    assert copy == value
    assert copy is not value
    assert copy["a"] is not value["a"]
    assert copy["a"]["b"] is not value["a"]["b"]
    assert copy["a"]["b"][1] is not value["a"]["b"][1]
    assert copy["t"][0] is not value["t"][0]


def test_c01_8_a_value_that_contains_itself_is_refused() -> None:
    own: dict[str, Any] = {}
    own["self"] = own
    nested: dict[str, Any] = {"a": {}}
    nested["a"]["up"] = nested
    items: list[Any] = []
    items.append(items)
    first: dict[str, Any] = {}
    first["next"] = {"next": {"next": first}}
    for value in (own, nested, items, first):
        with pytest.raises(TaskConfigurationError, match="Circular reference detected in input data"):
            clone(value)


def test_c01_8_the_same_object_twice_becomes_two_copies() -> None:
    shared = {"x": 1}
    copy = clone({"a": shared, "b": shared})
    assert copy == {"a": {"x": 1}, "b": {"x": 1}}
    assert copy["a"] is not copy["b"]


def test_c01_8_instances_stay_and_arrays_are_copied() -> None:
    thing, array = Thing(), np.array([1.0, 2.0])
    copy = clone({"thing": thing, "array": array, "none": None, "n": 1, "set": {1}, "raw": bytearray(b"x")})
    assert copy["thing"] is thing
    assert copy["array"] is not array
    array[0] = 9
    assert copy["array"].tolist() == [1.0, 2.0]
    assert copy["none"] is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_a_copy_is_equal(value: Any) -> None:
    assert clone(value) == value
