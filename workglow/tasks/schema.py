"""From a Python annotation to JSON Schema and back."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from workglow.tasks.fields import bare, fields_of

__all__ = ["annotation_of", "array_dtype", "array_schema", "is_array", "json_schema"]

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    list: {"type": "array", "items": {}},
    dict: {"type": "object"},
    None: {"type": "null"},
    NoneType: {"type": "null"},
    Any: {},
    object: {},
}
_PLAIN_TYPES = list(_PLAIN)  # compared, not looked up: an annotation need not be hashable


def json_schema(annotation: Any) -> Schema:
    """Return the JSON Schema of an annotation, with references written out; {} allows everything.

    A class that JSON cannot express gives only its title.  numpy's array is `array` with format `TypedArray`.
    """
    plain = _plain_schema(annotation)
    return _pydantic_schema(annotation) if plain is None else plain


def _plain_schema(annotation: Any) -> Schema | None:
    """The schema of what needs no pydantic, the same as pydantic's own; None for the rest."""
    inner, metadata = bare(annotation)
    if any(_speaks_of_schema(note) for note in metadata):
        return None
    if is_array(inner):
        return array_schema(inner)
    if inner in _PLAIN_TYPES:
        return dict(_PLAIN[inner])
    parts = [_plain_schema(argument) for argument in get_args(inner)]
    known = [part for part in parts if part is not None]
    return _nested_schema(inner, known) if known and len(known) == len(parts) else None


def _nested_schema(annotation: Any, parts: list[Schema]) -> Schema | None:
    origin = get_origin(annotation)
    if origin is list:
        return {"type": "array", "items": parts[0]}
    if origin is dict and get_args(annotation)[0] is str:
        return {"type": "object", "additionalProperties": parts[1] or True}
    return {"anyOf": parts} if origin in (Union, UnionType) else None


def _speaks_of_schema(note: Any) -> bool:
    return type(note).__module__.partition(".")[0] in {"pydantic", "annotated_types"} or hasattr(
        note, "__get_pydantic_json_schema__"
    )


def is_array(kind: Any) -> bool:
    """Whether the type is numpy's array, with or without a dtype; numpy is not imported for it."""
    origin = get_origin(kind) or kind
    return getattr(origin, "__module__", "") == "numpy" and getattr(origin, "__name__", "") == "ndarray"


def array_schema(kind: Any) -> Schema:
    """Return the schema of numpy's array; a dtype narrows the format, as in `TypedArray:float32`."""
    dtype = array_dtype(kind)
    return {"type": "array", "items": {"type": "number"}, "format": f"TypedArray:{dtype}" if dtype else "TypedArray"}


def array_dtype(kind: Any) -> str:
    """Return the dtype that an array annotation asks for, "" when any will do."""
    arguments = get_args(kind)
    scalars = get_args(arguments[1]) if len(arguments) == 2 else ()
    scalar = scalars[0] if scalars else None
    if not isinstance(scalar, type) or scalar is Any or scalar.__subclasses__():
        return ""
    return scalar.__name__


def _pydantic_schema(annotation: Any) -> Schema:
    from workglow.tasks.adapter import adapter_of, schema_generator

    adapter = adapter_of(annotation)
    if adapter is None:
        return _foreign_schema(annotation)
    schema: Schema = adapter.json_schema(schema_generator=schema_generator())
    return _inlined(schema, schema.get("$defs", {}), ())


def _foreign_schema(annotation: Any) -> Schema:
    """What can be said of a class that pydantic does not know: its fields, if it has any."""
    inner, _ = bare(annotation)
    schema: Schema = {"title": getattr(inner, "__name__", str(inner))}
    fields = fields_of(inner)
    if fields is not None:
        schema["type"] = "object"
        schema["properties"] = {field.name: json_schema(field.annotation) for field in fields}
        schema["required"] = [field.name for field in fields if field.required]
    return schema


def _inlined(part: Any, definitions: Mapping[str, Any], above: tuple[str, ...]) -> Any:
    """Write references out.  A type that contains itself allows anything at the second level."""
    if isinstance(part, list):
        return [_inlined(item, definitions, above) for item in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    schema = cast("Schema", part)
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        if name in above or name not in definitions:
            return {}
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_inlined(definitions[name], definitions, (*above, name)), **rest}
    return {key: _inlined(value, definitions, above) for key, value in schema.items() if key != "$defs"}


_SCALARS: dict[str, Any] = {"integer": int, "number": float, "string": str, "boolean": bool, "null": None}
_CONSTRAINTS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
    "minItems": "min_length",
    "maxItems": "max_length",
}


def annotation_of(schema: Any) -> Any:
    """Return the Python annotation whose values are those that the JSON Schema allows; Any when it does not say."""
    if not isinstance(schema, Mapping):
        return Any
    given = cast("Mapping[str, Any]", schema)
    if "$ref" in given or "$defs" in given:
        given = _inlined(dict(given), given.get("$defs", {}), ())
    return _annotation_of(given)


def _annotation_of(schema: Mapping[str, Any]) -> Any:
    if "const" in schema:
        return _literal([schema["const"]])
    if "enum" in schema:
        return _literal(schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return _union([annotation_of(member) for member in schema[word]])
    if "allOf" in schema:
        merged: Schema = {key: value for key, value in schema.items() if key != "allOf"}
        for member in schema["allOf"]:
            merged.update(member)
        return annotation_of(merged)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union([_annotation_of({**schema, "type": one}) for one in cast("list[str]", kind)])
    return _constrained(_typed(kind, schema), kind, schema)


def _literal(values: list[Any]) -> Any:
    if all(isinstance(value, str | int | bool | None) for value in values):
        return Literal[tuple(values)]
    return Any


def _union(members: list[Any]) -> Any:
    if not members or Any in members:
        return Any
    return Union[tuple(members)]  # noqa: UP007  # the members are data


def _typed(kind: Any, schema: Mapping[str, Any]) -> Any:
    if kind == "array":
        if str(schema.get("format", "")).partition(":")[0] == "TypedArray":
            import numpy

            return numpy.ndarray | list[float]
        return list[annotation_of(schema.get("items"))]
    if kind == "object":
        return _object(schema)
    return _SCALARS.get(kind, Any) if kind != "null" else None


def _object(schema: Mapping[str, Any]) -> Any:
    properties = schema.get("properties")
    if not properties:
        extra = schema.get("additionalProperties", True)
        return dict[str, annotation_of(extra)] if isinstance(extra, Mapping) and extra else dict
    from typing import NotRequired

    from pydantic import ConfigDict, with_config
    from typing_extensions import TypedDict

    required = set(schema.get("required", ()))
    fields: dict[str, Any] = {}
    for name, part in properties.items():
        annotation = annotation_of(part)
        fields[name] = annotation if name in required else NotRequired[annotation]
    extra = "forbid" if schema.get("additionalProperties") is False else "allow"
    made: Any = TypedDict(schema.get("title", "object"), fields)  # pyright: ignore  # the fields are data
    return with_config(ConfigDict(extra=extra))(made)


def _constrained(annotation: Any, kind: Any, schema: Mapping[str, Any]) -> Any:
    limits = {word: schema[key] for key, word in _CONSTRAINTS.items() if key in schema}
    if not limits or kind not in {"integer", "number", "string", "array"}:
        return annotation
    from pydantic import Field

    return Annotated[annotation, Field(**limits)]
