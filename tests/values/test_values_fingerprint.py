"""Equal values have one canonical text, different values have different ones."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import subprocess
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import UnstorableValueError
from workglow.values import ValueTypes, canonical, encode, fingerprint

numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
plain = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(st.characters(codec="utf-8")), st.binary(max_size=4)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(st.characters(codec="utf-8")), inner)),
    max_leaves=10,
)


def shuffled(value: Any) -> Any:
    """The same value with its keys the other way round and its numbers spelled otherwise."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is int and abs(value) <= 2**1000 and int(float(value)) == value:
        return float(value)
    return value


def exact(value: Any) -> Any:
    """A key that is equal for what must have one text: 1 and 1.0, but not 1 and True."""
    if isinstance(value, dict):
        return frozenset((key, exact(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return (type(value), *map(exact, value))
    return (type(value) is bool, value)


@settings(deadline=None)
@given(plain)
def test_spelling_and_order_do_not_matter(value: object) -> None:
    assert canonical(value) == canonical(shuffled(value))
    assert fingerprint(value) == fingerprint(shuffled(value))


@settings(max_examples=300, deadline=None)
@given(plain, plain)
def test_different_values_never_have_one_text(left: object, right: object) -> None:
    assert (canonical(left) == canonical(right)) == (exact(left) == exact(right))


@given(st.lists(plain, max_size=4))
def test_a_fingerprint_is_the_hash_of_the_canonical_list(parts: list[object]) -> None:
    assert fingerprint(*parts) == hashlib.sha256(canonical(parts)).digest()


def test_the_text_is_the_documented_one() -> None:
    value = {"b": [1.0, -0.0, 1e20, 0.5, True], "a": {"z": None, "é": "ü", "B": 2**70}}
    assert canonical(value).decode() == (
        '{"a":{"B":{"$int":"0x400000000000000000"},"z":null,"é":"ü"},"b":[1,0,{"$int":"0x56bc75e2d63100000"},0.5,true]}'
    )
    assert canonical(2.0**60) == b"1152921504606846976"
    assert json.loads(canonical({"a": [1.5]})) == {"a": [1.5]}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (True, 1),
        (False, 0),
        (None, False),
        ("1", 1),
        ([1], (1,)),
        ({1, 2}, frozenset({1, 2})),
        ({1}, [1]),
        (b"a", "a"),
        (Decimal("1.0"), "1.0"),
        (Decimal("1.0"), Decimal("1.00")),
        (date(2024, 1, 1), "2024-01-01"),
        (datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)),
        (numpy.zeros(3, "f4"), numpy.zeros(3, "f8")),
        (numpy.zeros((300, 2)), numpy.zeros((2, 300))),
        (numpy.zeros(300), numpy.zeros(300).tobytes()),
        (numpy.float64(0.5), 0.5),
        ("x" * 3000, b"x" * 3000),
        ({1: "a"}, {"1": "a"}),
        ({"$bytes": "YQ=="}, b"a"),
        ({"$dict": [[1, 2]]}, {1: 2}),
        (2**64, {"$int": hex(2**64)}),
        (2**64, 2**64 + 1),
        (float(2**53), 2**53 + 1),
        ("x" * 3000, {"$value": hashlib.sha256(b"text\n" + b"x" * 3000).hexdigest()}),
    ],
)
def test_look_alikes_differ(left: object, right: object) -> None:
    assert canonical(left) != canonical(right)
    assert fingerprint(left) != fingerprint(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({1, 2, 3}, {3, 2, 1.0}),
        ({1: "a", 2: "b"}, {2.0: "b", 1.0: "a"}),
        ({"$a": 1, "b": 2}, {"b": 2, "$a": 1.0}),
        (numpy.arange(500), numpy.arange(500).astype(">i8")),
        (numpy.eye(50), numpy.asfortranarray(numpy.eye(50))),
        ([1.0, 2.0], [1, 2]),
        ({"a": 1, "b": "x"}, {"b": "x", "a": 1}),
        ({"a": {"c": 1, "d": 2}}, {"a": {"d": 2.0, "c": 1}}),
        ({frozenset("abc")}, {frozenset("cba")}),
    ],
)
def test_equal_values_have_one_fingerprint(left: object, right: object) -> None:
    assert fingerprint(left) == fingerprint(right)


def test_parts_do_not_run_together() -> None:
    texts = [("ab", "c"), ("a", "bc"), ("abc",), (["ab", "c"],), ("ab", "c", None), ()]
    assert len({fingerprint(*parts) for parts in texts}) == len(texts)
    assert all(len(fingerprint(*parts)) == 32 for parts in texts)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, numpy.float32("nan"), Decimal("NaN")])
def test_what_equals_nothing_is_refused_with_its_place(number: object) -> None:
    with pytest.raises(UnstorableValueError, match=r"^the value\['a'\]\[1\] is -?(nan|inf|NaN), which equals nothing"):
        canonical({"a": [1, number]})
    with pytest.raises(UnstorableValueError, match=r"^part 2\['b'\] is"):
        fingerprint("fine", {"b": number})
    encode({"stored": number})


def test_what_cannot_be_stored_is_refused_with_its_part() -> None:
    with pytest.raises(UnstorableValueError, match=r"^part 2\[0\] is a function"):
        fingerprint(1, [len])
    with pytest.raises(UnstorableValueError, match=r"^part 1 holds a lone surrogate"):
        fingerprint("\ud800")
    with pytest.raises(UnstorableValueError, match=r"^part 1 .*OrderedDict"):
        fingerprint(OrderedDict(a=1))


def test_registered_objects_differ_by_class_and_field() -> None:
    types = ValueTypes()
    one = types.register(dataclasses.make_dataclass("One", ["a"]))
    two = types.register(dataclasses.make_dataclass("Two", ["a"]))
    prints = {
        canonical(value, types=types) for value in (one(1), one(1.0), one(2), two(1), {"a": 1}, ["One", {"a": 1}])
    }
    assert len(prints) == 5


def test_images_are_the_same_by_pixels() -> None:
    image_module = pytest.importorskip("PIL.Image", reason="needs Pillow")
    red, also, blue = (image_module.new("RGB", (4, 2), color) for color in ("red", "red", "blue"))
    also.info["comment"] = "not a pixel"
    assert fingerprint(red) == fingerprint(also)
    clear = red.convert("P")
    clear.info["transparency"] = 0
    others = [blue, red.convert("RGBA"), red.resize((2, 4)), red.convert("P"), clear, red.tobytes()]
    assert len({fingerprint(image) for image in [red, *others]}) == 7


def test_fingerprints_are_the_same_in_every_process() -> None:
    program = (
        "from workglow.values import encode, fingerprint; value = {'s': {'a', 'b', 'c', 1, None}, 'x': b'1'}; "
        "print(fingerprint(value).hex(), encode(value).text)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in "123"
    }
    assert len(printed) == 1
