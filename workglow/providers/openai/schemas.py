"""Which JSON Schemas OpenAI can hold a model to, and how an object is asked for.

With `strict` the model can write nothing but objects of the schema.  But then every property has to be required, no
others may be allowed, and only some words are known; a schema beyond that is refused.  It is sent without `strict`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["is_strict", "schema_name"]

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "$defs", "definitions", "$schema", "$id", "$comment", "examples"}
)
_KNOWN: Final = {
    "string": frozenset({"type", "enum", "const", "pattern", "format"}),
    "number": frozenset(
        {"type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"}
    ),
    "integer": frozenset(
        {"type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"}
    ),
    "boolean": frozenset({"type", "enum", "const"}),
    "null": frozenset({"type", "enum", "const"}),
    "array": frozenset({"type", "items", "minItems", "maxItems"}),
    "object": frozenset({"type", "properties", "required", "additionalProperties"}),
}
_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_DEEPEST: Final = 10
_MOST_PROPERTIES: Final = 5000


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether a model can be held to the schema as it stands."""
    count = [0]
    definitions = [
        inner
        for word in ("$defs", "definitions")
        for inner in cast("Mapping[str, Any]", schema.get(word) or {}).values()
    ]
    return (
        schema.get("type") == "object"
        and _fits(schema, 1, count)
        and all(_fits(inner, 1, count) for inner in definitions)
        and count[0] <= _MOST_PROPERTIES
    )


def _fits(schema: Any, depth: int, count: list[int]) -> bool:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return False
    known = cast("Mapping[str, Any]", schema)
    words = known.keys() - _ANNOTATIONS
    if "$ref" in words:
        return words == {"$ref"} and str(known["$ref"]).startswith("#")
    if "anyOf" in words:
        return words == {"anyOf"} and all(_fits(inner, depth, count) for inner in known["anyOf"])
    kinds: Any = known.get("type")
    if kinds is None:
        return words in ({"enum"}, {"const"})
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not all(kind in _KNOWN for kind in kinds) or words - frozenset().union(*(_KNOWN[kind] for kind in kinds)):
        return False
    if known.get("format") not in (None, *_FORMATS):
        return False
    if "array" in kinds and not _fits(known.get("items"), depth + 1, count):
        return False
    return "object" not in kinds or _is_closed(known, depth, count)


def _is_closed(schema: Mapping[str, Any], depth: int, count: list[int]) -> bool:
    properties: Any = schema.get("properties", {})
    if schema.get("additionalProperties") is not False or not isinstance(properties, Mapping):
        return False
    named = cast("Mapping[str, Any]", properties)
    count[0] += len(named)
    if set(schema.get("required", ())) != set(named):
        return False
    return all(_fits(inner, depth + 1, count) for inner in named.values())


def schema_name(schema: Mapping[str, Any]) -> str:
    """Return a name that may stand in a request: letters, digits, _ and -."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(schema.get("title", ""))).strip("_")[:64] or "answer"
