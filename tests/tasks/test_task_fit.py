"""A value fits its own type or the type's JSON form, and nothing else is converted."""

from __future__ import annotations

import datetime as dt
import enum
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import numpy as np
import pytest
from annotated_types import Gt, Interval
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, Field

from workglow.tasks import Collect
from workglow.tasks.fit import accepted_types, fit


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int = 0


class Animal:
    pass


class Cat(Animal):
    pass


class Pair(NamedTuple):
    left: int
    right: str


class Options(TypedDict, total=False):
    limit: int


class Item(BaseModel):
    name: str
    when: dt.datetime | None = None


class Row(msgspec.Struct):
    key: str


class Texts(list[str]):
    pass


class Whole(int):
    pass


class Vector(np.ndarray):
    pass


NOW = dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC)
CAT, ARRAY, ROW = Cat(), np.zeros(3, np.float32), Row("k")

FITS: list[tuple[Any, Any, Any]] = [
    (int, 3, 3),
    (float, 3, 3),
    (float, 2.5, 2.5),
    (str, "a", "a"),
    (bool, True, True),
    (list, [1], [1]),
    (dict, {"a": 1}, {"a": 1}),
    (None, None, None),
    (Any, CAT, CAT),
    (object, CAT, CAT),
    (bytes, b"x", b"x"),
    (int | None, None, None),
    (int | str, "a", "a"),
    (list[int], [1, 2], [1, 2]),
    (list[float], [1, 2.5], [1, 2.5]),
    (list[list[int]], [[1], []], [[1], []]),
    (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
    (list[int | None], [1, None], [1, None]),
    (list[int] | None, [1], [1]),
    (list[Any], [1, "a", CAT], [1, "a", CAT]),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (tuple[int, str], (1, "a"), (1, "a")),
    (tuple[int, str], [1, "a"], (1, "a")),
    (set[int], [1, 2], {1, 2}),
    (dt.datetime, NOW, NOW),
    (dt.datetime, "2024-01-02T03:04:00Z", NOW),
    (dt.date | None, "2024-01-02", dt.date(2024, 1, 2)),
    (uuid.UUID, "12345678-1234-5678-1234-567812345678", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    (Colour, Colour.RED, Colour.RED),
    (Colour, "red", Colour.RED),
    (Literal["a", "b"], "a", "a"),
    (Point, Point(1), Point(1)),
    (Point, {"x": 1}, Point(1)),
    (list[Point], [{"x": 1}, {"x": 2, "y": 3}], [Point(1), Point(2, 3)]),
    (Pair, Pair(1, "a"), Pair(1, "a")),
    (Options, {"limit": 1}, {"limit": 1}),
    (Item, {"name": "a", "when": "2024-01-02T03:04:00Z"}, Item(name="a", when=NOW)),
    (Animal, CAT, CAT),
    (Animal | None, CAT, CAT),
    (list[Animal], [CAT], [CAT]),
    (Row, ROW, ROW),
    (np.ndarray, ARRAY, ARRAY),
    (NDArray[np.float32], ARRAY, ARRAY),
    (np.ndarray, ARRAY.view(Vector), ARRAY),
    (NDArray[Any], ARRAY, ARRAY),
    (NDArray[np.floating[Any]], ARRAY, ARRAY),
    (Annotated[int, Field(ge=0)], 3, 3),
    (Annotated[str, AfterValidator(str.strip)], " a ", "a"),
    (list, Texts(["a"]), ["a"]),
    (int, Whole(3), 3),
]


@pytest.mark.parametrize(("annotation", "value", "wanted"), FITS)
def test_what_fits(annotation: Any, value: Any, wanted: Any) -> None:
    found = fit(annotation, value)
    if isinstance(value, np.ndarray):
        assert found is value
    else:
        assert found == wanted
        assert type(found) is type(wanted) or isinstance(value, Texts | Whole)


REFUSED: list[tuple[Any, Any]] = [
    (int, "3"),
    (int, True),
    (int, 3.0),
    (int, None),
    (float, "3"),
    (float, True),
    (str, 3),
    (str, b"a"),
    (str, NOW),
    (str, Colour.RED),
    (bool, 1),
    (bool, "true"),
    (list, (1, 2)),
    (list, "ab"),
    (dict, [("a", 1)]),
    (None, 0),
    (int | None, "3"),
    (int | None, True),
    (float | None, False),
    (list[int], ["1"]),
    (list[int], [True]),
    (list[list[int]], [[1], ["a"]]),
    (dict[str, list[int]], {"a": [1], "b": ["c"]}),
    (list[int | None], [1, "a"]),
    (list[str], "abc"),
    (dict[str, int], {1: 1}),
    (tuple[int, str], [1]),
    (dt.datetime, 0),
    (dt.datetime, "yesterday"),
    (Literal["a", "b"], "c"),
    (Colour, "blue"),
    (Point, {"x": "1"}),
    (Point, {"y": 1}),
    (Point, Pair(1, "a")),
    (Animal, {"a": 1}),
    (Animal, "Cat"),
    (Cat, Animal()),
    (np.ndarray, [1.0]),
    (NDArray[np.float64], ARRAY),
    (Annotated[int, Field(ge=0)], -1),
]


@pytest.mark.parametrize(("annotation", "value"), REFUSED)
def test_what_does_not_fit(annotation: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^expected "):
        fit(annotation, value)


def test_lists_that_fit_are_handed_on_uncopied() -> None:
    texts, table = ["a", "b"], {"a": [1.5, 2]}
    assert fit(list[str], texts) is texts
    assert fit(dict[str, list[float]], table) is table


def test_notes_that_only_describe_cost_nothing() -> None:
    described: list[Any] = [
        Annotated[str, Field(title="T", description="d", json_schema_extra={"format": "model"})],
        Annotated[str, "a note of somebody else"],
    ]
    assert [accepted_types(annotation) for annotation in described] == [{str}, {str}]
    limited: list[Any] = [
        Annotated[str, Field(description="d", min_length=1)],
        Annotated[str, Gt(1)],
        Annotated[str, Interval(gt=1)],
        Annotated[str, AfterValidator(str.strip)],
    ]
    assert [accepted_types(annotation) for annotation in limited] == [frozenset()] * 4
    texts = ["a"]
    assert fit(Collect[str], texts) is texts
    assert fit(Annotated[np.ndarray, Field(description="v")], ARRAY) is ARRAY
    with pytest.raises(ValueError, match="expected str, got int 3"):
        fit(described[0], 3)


def test_the_reason_says_what_was_expected_and_what_came() -> None:
    with pytest.raises(ValueError, match=r"^expected int, got str '3'\.$"):
        fit(int, "3")
    with pytest.raises(ValueError, match=r"expected list\[int\], got list \['a'\]: .*integer at 0\.$"):
        fit(list[int], ["a"])
    with pytest.raises(ValueError, match=r"expected an array of float64, got one of float32; convert it with astype"):
        fit(NDArray[np.float64], ARRAY)
    with pytest.raises(ValueError, match=r"\(and 2 more\)"):
        fit(list[int], ["a", "b", "c"])
    with pytest.raises(ValueError, match=r"expected int") as caught:
        fit(int, "x" * 10_000)
    assert len(str(caught.value)) < 200


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none(), st.binary(), st.lists(st.integers())))
def test_a_plain_type_takes_exactly_its_own_instances(value: object) -> None:
    for kind in (int, float, str, bool, bytes, list):
        own = type(value) is kind or (kind is float and type(value) is int)
        try:
            assert fit(kind, value) is value
            assert own
        except ValueError:
            assert not own


@given(st.recursive(st.integers() | st.text() | st.booleans() | st.none(), st.lists))
def test_the_quick_way_agrees_with_the_long_one(value: object) -> None:
    """What the table of exact types lets through is what pydantic lets through."""
    from pydantic import TypeAdapter, ValidationError

    for annotation in (int | None, str | int, list | None, int | float | str):
        types = accepted_types(annotation)
        assert types is not None
        try:
            TypeAdapter(annotation).validate_python(value, strict=True)
            allowed = True
        except ValidationError:
            allowed = False
        assert (type(value) in types) == allowed


def test_plain_annotations_import_neither_pydantic_nor_numpy() -> None:
    program = """
import sys
from workglow.tasks import task
@task
def add(a: int, b: float = 1, c: list[str] | None = None, *, d: dict[str, int] = {}) -> str:
    return ""
made = add.task(id="x")
made.check_inputs({"a": 1, "c": None})
made.check_inputs({"a": 1, "c": ["x"], "d": {"k": 1}})
made.to_outputs("")
made.inputs.schema, made.outputs.schema, made.mode
print([name for name in ("pydantic", "numpy", "msgspec", "asyncio") if name in sys.modules])
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "[]"
