"""Promise: many mappings are stored as each of them would be alone, however they are looked at."""

from __future__ import annotations

import enum
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import UnstorableValueError
from workglow.values import columns_of, encode, encode_many

texts = st.one_of(st.text(max_size=8), st.sampled_from(["x" * 2048, "y" * 2049, "ä" * 900, "\x00" * 700, '"\\']))
kinds = st.sampled_from(
    [
        texts,
        st.integers(-(2**63) - 1, 2**63),
        st.floats(),
        st.booleans(),
        st.none(),
        st.one_of(texts, st.none()),
        st.binary(max_size=300),
        st.lists(st.integers(), max_size=3),
    ]
)
ports = st.one_of(texts, st.sampled_from(["$value", "$dict"]))


@st.composite
def tables(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Mappings with the same ports, most of them of one type each, in an order of their own."""
    columns = draw(st.dictionaries(ports, kinds, max_size=4))
    rows = draw(st.lists(st.fixed_dictionaries(columns), max_size=5))
    return [{port: row[port] for port in draw(st.permutations(list(row)))} for row in rows]


@settings(deadline=None, max_examples=400)
@given(tables(), st.sampled_from([0, 30, 4096]))
def test_many_are_encoded_as_each_of_them_is(many: list[dict[str, Any]], inline: int) -> None:
    each = [encode(mapping, inline=inline) for mapping in many]
    blobs = tuple({blob.hash: blob for encoded in each for blob in encoded.blobs}.values())
    for found in (encode_many(many, columns_of(many), inline=inline), encode_many(iter(many), inline=inline)):
        assert items_of(found.lists) == [encoded.text for encoded in each]
        assert found.blobs == blobs


@pytest.mark.parametrize(
    ("port", "value"),
    [
        *(("port", value) for value in (2**63 - 1, 2**63, -(2**63), -(2**63) - 1, -0.0, 1e300, math.inf, math.nan)),
        *(("port", value) for value in ("x" * 2048, "x" * 2049, "\x00" * 700, "ä" * 2000, True, None, b"", [1])),
        ("x" * 5000, ""),
    ],
)  # fmt: skip
def test_a_value_at_an_edge_is_encoded_as_it_is_alone(port: str, value: object) -> None:
    alone = encode({port: value})
    many = [{port: type(value)() if value else value}, {port: value}]
    found = encode_many(many, columns_of(many))
    assert items_of(found.lists)[1] == alone.text
    assert set(found.blobs) >= set(alone.blobs)


def items_of(lists: list[str]) -> list[str]:
    return [bytes(item).decode() for each in lists for item in msgspec.json.decode(each, type=list[msgspec.Raw])]


class Name(enum.StrEnum):
    ONE = "a"


class Own(dict[str, int]):
    pass


@pytest.mark.parametrize(
    "many",
    [
        [],
        [{"a": 1}, {"b": 1}],
        [{"a": 1}, {"a": 1, "b": 2}],
        [{"a": 1}, {Name.ONE: 1}],
        [{"a": 1}, {1: 1}],
        [{"a": 1}, Own(a=1)],
        [{"a": 1}, [("a", 1)]],
        [{"a": 1}, None],
    ],
)
def test_only_dicts_with_the_same_ports_have_columns(many: list[Any]) -> None:
    assert columns_of(many) is None


def test_columns_are_the_values_by_port() -> None:
    assert columns_of([{"a": 1, "b": "x"}, {"b": "y", "a": None}]) == {"a": [1, None], "b": ["x", "y"]}
    assert columns_of([{}, {}]) is None


@pytest.mark.parametrize("value", [object(), "\ud800", {"deep": [object()]}])
def test_the_one_that_cannot_be_stored_is_named(value: object) -> None:
    many: list[dict[str, object]] = [{"port": "x"}, {"port": value}]
    for columns in (columns_of(many), None):
        with pytest.raises(UnstorableValueError, match=r"^those\[1\]: port 'port'"):
            encode_many(many, columns, where="those")


@pytest.mark.parametrize("value", [1, math.inf])
def test_a_list_has_no_more_than_sqlite_takes(value: float) -> None:
    many = [{"port": value}] * 1_001
    lists = encode_many(many, columns_of(many)).lists
    assert [len(msgspec.json.decode(each)) for each in lists] == [1_000, 1]
