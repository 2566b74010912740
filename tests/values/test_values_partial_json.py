"""Appendix A3, and: whatever is cut off wherever, what was whole before the cut is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.values.partial_json import parse_partial_json


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"name":"Alice","age":30}', {"name": "Alice", "age": 30}),
        ('{"user":{"tags":["a",null]}}', {"user": {"tags": ["a", None]}}),
        ("{}", {}),
        ("", None),
        ("   ", None),
        ("{", {}),
        ('{"n', None),
        ('{"name"', {}),
        ('{"name":', {}),
        ('{"name":"Ali', {"name": "Ali"}),
        ('{"tags":["a","b', {"tags": ["a", "b"]}),
        ('{"name":"Alice",', {"name": "Alice"}),
        ('{"a":1,"b":tru', {"a": 1}),
        ('{"a":tru', None),
        ('{"a":[1,', {"a": [1]}),
        ('{"user":{"name":"Alice"', {"user": {"name": "Alice"}}),
        ('{"tags":["a","b"]', {"tags": ["a", "b"]}),
        ("[1, 2, 3]", None),
        ('"hello"', None),
        ("42", None),
        ("hello world", None),
        ('{"a":1} trailing', None),
        ('{"a":1}}', None),
        ('{"a":NaN}', None),
        ('{"name":"Alice","ag', {"name": "Alice"}),
        ('{"name":"Alice","age"', {"name": "Alice"}),
        ('{"name":"Alice","age": -', {"name": "Alice"}),
        ('{"a":{"b":1,"c', {"a": {"b": 1}}),
        ('{"a":"x\\', {"a": "x"}),
        ('{"a":"x\\\\', {"a": "x\\"}),
        ('{"a":"x\\u00e', {"a": "x"}),
        ('{"a":"x\\ud83d', {"a": "x"}),
        ('{"a":"x\\ud83d\\ude', {"a": "x"}),
        ('{"a":"x\\ud83d\\ude00', {"a": "x\N{GRINNING FACE}"}),
        ('{"a":"one, \\"two', {"a": 'one, "two'}),
        ('{"\\n":1,"b":"', {"\n": 1, "b": ""}),
    ],
)
def test_a3_what_is_there_so_far(text: str, expected: object) -> None:
    assert parse_partial_json(text) == expected


def test_deep_nesting_is_no_object_rather_than_an_error() -> None:
    assert parse_partial_json('{"a":' * 200_000) is None


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), values, max_size=4), st.booleans())
def test_every_prefix_is_a_beginning_of_the_whole(whole: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(whole, ensure_ascii=ascii_only)
    assert parse_partial_json(text) == whole
    keys = list(whole)
    seen = 0
    for length in range(1, len(text)):
        found = parse_partial_json(text[:length]) or {}
        assert list(found) == keys[: len(found)]
        assert len(found) >= seen - 1  # a number may be taken back while it goes on: 1, then 1e
        for key in keys[: max(len(found) - 1, 0)]:
            assert found[key] == whole[key]
        seen = len(found)
