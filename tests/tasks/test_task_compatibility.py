"""C20: which schemas fit which."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow.tasks.compatibility import compatibility

STR: dict[str, Any] = {"type": "string"}
NUM: dict[str, Any] = {"type": "number"}
INT: dict[str, Any] = {"type": "integer"}
BOOL: dict[str, Any] = {"type": "boolean"}
MODEL = {**STR, "format": "model"}
MODEL_E = {**STR, "format": "model:E"}
MODEL_T = {**STR, "format": "model:T"}
STR_OR_NUM = {"type": ["string", "number"]}
ARRAY: dict[str, Any] = {"type": "array"}


def array(items: Any = NUM, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def obj(*, required: tuple[str, ...] = (), closed: bool | None = None, **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "required": list(required)}
    return schema if closed is None else {**schema, "additionalProperties": not closed}


F64 = array(format="Float64Array")
F32 = array(format="Float32Array")
I32 = array(format="Int32Array")

MATRIX: list[tuple[Any, Any, str]] = [
    (STR, False, "incompatible"),
    (STR, True, "static"),
    (False, STR, "incompatible"),
    (None, STR, "incompatible"),
    (STR, None, "incompatible"),
    (True, STR, "runtime"),
    (True, MODEL, "runtime"),
    (STR, STR, "static"),
    (STR, NUM, "incompatible"),
    (STR, {}, "static"),
    ({}, STR, "static"),
    ({}, {}, "static"),
    ({}, MODEL, "runtime"),
    (STR_OR_NUM, STR, "static"),
    (STR, STR_OR_NUM, "static"),
    ({"allOf": [STR, NUM]}, STR, "incompatible"),
    ({"allOf": [MODEL, STR]}, MODEL_E, "runtime"),
    ({"allOf": [STR, STR]}, STR, "static"),
    (STR, {"allOf": [NUM]}, "incompatible"),
    (STR, {"allOf": [STR, STR]}, "static"),
    (MODEL, {"allOf": [MODEL_E, STR]}, "runtime"),
    (STR, {"oneOf": [STR, NUM]}, "static"),
    (STR, {"anyOf": [STR, NUM]}, "static"),
    (BOOL, {"oneOf": [STR, NUM]}, "incompatible"),
    (MODEL, {"oneOf": [MODEL_E, NUM]}, "runtime"),
    ({"oneOf": [STR, NUM]}, STR, "static"),
    ({"oneOf": [F64, F32]}, F64, "static"),
    (obj(foo=STR), {"type": "object"}, "static"),
    ({"type": "object"}, obj(required=("foo",), closed=True, foo=STR), "incompatible"),
    ({"type": "object"}, obj(required=("foo",), closed=False, foo=STR), "static"),
    (obj(bar=STR), obj(required=("foo",), foo=STR), "incompatible"),
    (obj(foo=STR, extra=STR), obj(closed=True, foo=STR), "incompatible"),
    (obj(foo=STR, extra=STR), obj(closed=False, foo=STR), "static"),
    (obj(foo=STR), obj(foo=STR, bar=NUM), "static"),
    (obj(foo=STR, bar=STR), obj(foo=STR, bar=NUM), "incompatible"),
    (obj(model=MODEL), obj(required=("model",), model=MODEL_E), "runtime"),
    (array(STR), array(STR), "static"),
    (array(STR), array(NUM), "incompatible"),
    (array(STR), ARRAY, "static"),
    (array(STR), {"type": "array", "items": [STR, NUM]}, "static"),
    (array(STR), {"type": "array", "prefixItems": [STR, NUM]}, "static"),
    (array(BOOL), {"type": "array", "prefixItems": [STR, NUM]}, "incompatible"),
    (ARRAY, array(STR), "incompatible"),
    (array(MODEL), array(MODEL_E), "runtime"),
    (F64, F32, "incompatible"),
    (F64, array(), "static"),
    (array({**NUM, "format": "Float64"}), array({**NUM, "format": "Float32"}), "incompatible"),
    (array({**NUM, "format": "Float64"}), array(), "static"),
    (array(), F64, "incompatible"),
    (array(), {"anyOf": [F64, F32]}, "incompatible"),
    (I32, {"anyOf": [F64, F32, I32]}, "static"),
    (F64, array(format="DifferentArrayType"), "incompatible"),
    (MODEL, MODEL, "static"),
    (MODEL, MODEL_E, "runtime"),
    (MODEL, {**STR, "format": "prompt"}, "incompatible"),
    (MODEL, STR, "static"),
    (MODEL_E, MODEL, "static"),
    (MODEL_E, MODEL_E, "static"),
    (MODEL_E, MODEL_T, "incompatible"),
    (STR, MODEL, "incompatible"),
    (INT, NUM, "static"),
    (NUM, INT, "runtime"),
    (array(INT), array(NUM), "static"),
    (array(NUM), array(INT), "runtime"),
    (obj(n=INT), obj(required=("n",), n=NUM), "static"),
    (STR, {**STR, "format": "not a format!"}, "static"),
    ({**STR, "enum": ["a"]}, {**STR, "minLength": 9}, "static"),
    (obj(foo=STR, closed=False), obj(required=("bar",), bar=STR), "runtime"),
    ({"allOf": [INT, NUM]}, STR, "incompatible"),
    ({"allOf": [INT, NUM]}, INT, "static"),
]


@pytest.mark.parametrize(("source", "target", "verdict"), MATRIX)
def test_c20_the_compatibility_matrix(source: Any, target: Any, verdict: str) -> None:
    assert compatibility(source, target) == verdict


def test_array_of_schema_lists_as_a_tuple_is_a_union_in_the_source_too() -> None:
    assert compatibility({"type": "array", "prefixItems": [STR, NUM]}, array(STR)) == "static"
    assert compatibility({"type": "array", "prefixItems": [BOOL, BOOL]}, array(STR)) == "incompatible"


SCALARS = st.sampled_from([STR, NUM, INT, BOOL, MODEL, MODEL_E, {}])
SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        inner.map(array),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda fields: {"type": "object", "properties": fields, "required": sorted(fields)}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda members: {"anyOf": members}),
    ),
    max_leaves=6,
)


@given(SCHEMAS)
def test_every_schema_fits_itself_and_anything(schema: dict[str, Any]) -> None:
    assert compatibility(schema, schema) == "static"
    assert compatibility(schema, True) == "static"
    assert compatibility(schema, {}) == "static"
    assert compatibility(schema, False) == "incompatible"


@given(SCHEMAS, SCHEMAS)
def test_a_union_with_more_members_never_fits_less(source: dict[str, Any], target: dict[str, Any]) -> None:
    rank = ["incompatible", "runtime", "static"]
    alone = rank.index(compatibility(source, target))
    assert rank.index(compatibility(source, {"anyOf": [target, BOOL]})) >= alone or "anyOf" in source


@given(SCHEMAS, SCHEMAS)
def test_one_answer_of_three_and_nothing_changed(source: dict[str, Any], target: dict[str, Any]) -> None:
    before = repr((source, target))
    assert compatibility(source, target) in ("static", "runtime", "incompatible")
    assert repr((source, target)) == before
