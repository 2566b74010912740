"""JSON Schema from annotations, and annotations from JSON Schema."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypeAliasType

from workglow.tasks.fit import fit
from workglow.tasks.ports import Collect, Ports
from workglow.tasks.schema import annotation_of, json_schema


@dataclass
class Node:
    name: str
    children: list[Node] = field(default_factory=list)


class Holder(BaseModel):
    node: Node
    nodes: list[Node] = []


class Foreign:
    pass


@dataclass
class Embedded:
    vector: np.ndarray
    foreign: Foreign | None = None


PLAIN: list[Any] = [
    int, float, str, bool, list, None, Any, list[int], list[str], dict[str, int], int | None, list[int | str],
    list[list[float]], dict[str, list[bool]], dict[str, Any],
]  # fmt: skip


@pytest.mark.parametrize("annotation", PLAIN, ids=str)
def test_the_quick_schema_is_pydantics(annotation: Any) -> None:
    assert json_schema(annotation) == TypeAdapter(annotation).json_schema()


def test_what_an_annotation_says_comes_through() -> None:
    schema = json_schema(
        Annotated[str, Field(title="Model", description="Which", json_schema_extra={"format": "model:TextEmbedding"})]
    )
    assert schema == {
        "type": "string",
        "title": "Model",
        "description": "Which",
        "format": "model:TextEmbedding",
    }
    assert json_schema(dt.datetime) == {"type": "string", "format": "date-time"}
    assert json_schema(Annotated[int, Field(ge=1)]) == {"type": "integer", "minimum": 1}
    assert json_schema(Literal["a", "b"]) == {"type": "string", "enum": ["a", "b"]}
    assert json_schema(Annotated[int, "a note of somebody else"]) == {"type": "integer"}


def test_arrays_have_a_format() -> None:
    array = {"type": "array", "items": {"type": "number"}, "format": "TypedArray"}
    assert json_schema(np.ndarray) == array
    assert json_schema(NDArray[Any]) == array
    assert json_schema(NDArray[np.float32]) == {**array, "format": "TypedArray:float32"}
    assert json_schema(list[np.ndarray]) == {"type": "array", "items": array}
    assert json_schema(np.ndarray | None) == {"anyOf": [array, {"type": "null"}]}
    assert json_schema(Annotated[np.ndarray, Field(description="v")]) == {**array, "description": "v"}


def test_references_are_written_out_and_recursion_ends() -> None:
    schema = json_schema(Holder)
    assert "$" not in str(schema)
    assert schema["properties"]["node"]["properties"]["name"] == {"title": "Name", "type": "string"}
    assert schema["properties"]["node"]["properties"]["children"]["items"] == {}


def test_aliases_of_types_are_looked_through() -> None:
    """As numpy's NDArray is one from Python 3.12 on."""
    item = TypeVar("item", bound=np.generic)
    count = TypeAliasType("count", int)
    array = TypeAliasType("array", np.ndarray[Any, np.dtype[item]], type_params=(item,))
    assert json_schema(count) == {"type": "integer"}
    assert json_schema(array[np.float32]) == json_schema(NDArray[np.float32])
    with pytest.raises(ValueError, match="expected an array of float32"):
        fit(array[np.float32], np.zeros(1))


def test_a_class_that_json_cannot_express_has_only_a_title() -> None:
    assert json_schema(Foreign) == {"title": "Foreign"}
    assert json_schema(Embedded) == {
        "title": "Embedded",
        "type": "object",
        "properties": {
            "vector": json_schema(np.ndarray),
            "foreign": {"anyOf": [{"title": "Foreign"}, {"type": "null"}]},
        },
        "required": ["vector"],
    }
    assert json_schema(list[Foreign]) == {"type": "array", "items": {"title": "Foreign"}}


def test_collecting_ports_say_so() -> None:
    def gather(texts: Collect[str], other: list[str]) -> None: ...

    ports = Ports.from_signature(gather)
    assert ports["texts"].collect
    assert not ports["other"].collect
    assert ports.collecting == {"texts"}
    assert ports["texts"].schema == {"type": "array", "items": {"type": "string"}, "x-collect": True}
    assert Ports.from_schema(ports.schema)["texts"].collect
    assert ports.check({"texts": ["a"], "other": []}) == {"texts": ["a"], "other": []}


OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
BACK: list[tuple[Any, Any, bool]] = [
    ({"type": "integer"}, 1, True),
    ({"type": "integer"}, "1", False),
    ({"type": "integer", "minimum": 2}, 1, False),
    ({"type": "number"}, 1, True),
    ({"type": "number", "exclusiveMaximum": 2}, 2, False),
    ({"type": "string", "maxLength": 2}, "abc", False),
    ({"type": "string", "pattern": "^a"}, "abc", True),
    ({"type": "string", "format": "date-time"}, "2024-01-01", True),
    ({"type": "boolean"}, 1, False),
    ({"type": "null"}, None, True),
    ({"type": ["string", "null"]}, None, True),
    ({"type": ["string", "null"]}, 1, False),
    ({"type": "array", "items": {"type": "string"}}, ["a"], True),
    ({"type": "array", "items": {"type": "string"}}, [1], False),
    ({"type": "array", "minItems": 1}, [], False),
    ({"type": "array", "format": "TypedArray", "items": {"type": "number"}}, np.zeros(2), True),
    ({"type": "array", "format": "TypedArray:float32", "items": {"type": "number"}}, [1.0, 2.0], True),
    ({"enum": ["a", 1]}, "a", True),
    ({"enum": ["a", 1]}, "b", False),
    ({"const": "a"}, "b", False),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "a", True),
    ({"oneOf": [{"type": "integer"}, {"type": "string"}]}, 1.5, False),
    ({"oneOf": [{"type": "integer"}, {}]}, 1.5, True),
    ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, 0, False),
    (OBJECT, {"a": 1}, True),
    (OBJECT, {"a": 1, "c": 1}, False),
    (OBJECT, {"b": "x"}, False),
    ({**OBJECT, "additionalProperties": True}, {"a": 1, "c": 1}, True),
    ({"type": "object"}, {"a": object()}, True),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": "x"}, False),
    ({"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n"}, "x", False),
    ({}, object(), True),
    (True, object(), True),
]


@pytest.mark.parametrize(("schema", "value", "fits"), BACK, ids=str)
def test_the_annotation_of_a_schema_takes_what_the_schema_allows(schema: Any, value: Any, fits: bool) -> None:
    annotation = annotation_of(schema)
    if fits:
        found = fit(annotation, value)
        assert found is value or found == value
    else:
        with pytest.raises(ValueError, match="expected"):
            fit(annotation, value)


def test_ports_of_a_schema_have_that_schema() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "default": 3}, "b": {"type": "string", "title": "B"}},
        "required": ["b"],
        "additionalProperties": False,
    }
    assert Ports.from_schema(schema).schema == schema
    assert Ports.from_schema({"type": "object", "properties": {}}).open
