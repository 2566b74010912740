"""Whether what one port gives can ever be what another port takes, judged by their JSON Schemas.

Policy.  The answer is one of three: "static" (always fits), "runtime" (may fit; the value decides), "incompatible"
(never fits).  An unknown type gets the benefit of the doubt, so a union fits when one of its members does.  Formats
are names with an optional narrowing, `model` or `model:TextEmbedding`: the narrower fits the wider, the wider may fit
the narrower, and a value without format never fits a port that asks for one.  An integer fits a number; a number may
be an integer.  Limits such as `minimum`, `pattern` or `enum` are left to the check of the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

__all__ = ["Compatibility", "compatibility"]

Compatibility = Literal["static", "runtime", "incompatible"]
Schema = Mapping[str, Any]

_TELLING = frozenset({"type", "format", "properties", "items", "prefixItems", "anyOf", "oneOf"})
_IMPLYING = {"object": ("properties",), "array": ("items", "prefixItems")}
_FORMAT = re.compile(r"[a-zA-Z][\w-]*(:[a-zA-Z][\w-]*)?")


def compatibility(source: Schema | bool | None, target: Schema | bool | None) -> Compatibility:
    """Return whether values of the source schema fit the target schema; None (no schema) fits nothing."""
    if source is None or target is None or target is False:
        return "incompatible"
    if target is True:
        return "static"
    if isinstance(source, bool):
        return "runtime" if source else "incompatible"
    return _of_source(source, target)


def _of_source(source: Schema, target: Schema) -> Compatibility:
    if "allOf" in source:
        merged = _merged(_members(source))
        return "incompatible" if merged is None else compatibility(merged, target)
    alternatives = _alternatives(source)
    if alternatives is not None and source != target:
        results: list[Compatibility] = [compatibility(member, target) for member in alternatives]
        return "runtime" if "runtime" in results else _best(results)
    return _of_target(source, target)


def _of_target(source: Schema, target: Schema) -> Compatibility:
    if source == target:
        return "static"
    if "allOf" in target:
        return _all(compatibility(source, member) for member in _members(target))
    alternatives = _alternatives(target)
    if alternatives is not None:
        return _best(compatibility(source, member) for member in alternatives)
    kinds = _types(source, target)
    if kinds == "incompatible":
        return kinds
    return _all((kinds, _formats(source, target), *_parts(source, target)))


def _members(schema: Schema) -> list[Any]:
    """The members of an allOf, and what is said beside it as one more member."""
    rest = {key: value for key, value in schema.items() if key != "allOf"}
    return [*schema["allOf"], rest] if rest.keys() & _TELLING else list(schema["allOf"])


def _merged(members: list[Any]) -> Schema | None:
    """One schema that says what all members say; None when no value can be all of them."""
    merged: dict[str, Any] = {}
    for member in members:
        if not isinstance(member, Mapping):
            if member is False:
                return None
            continue
        part = cast("Schema", member)
        kinds = _common(_names(merged), _names(part))
        if kinds is None:
            return None
        formats = {_format(merged), _format(part)} - {""}
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", ()), *part.get("required", ())]
        merged = {**merged, **part, **({"format": max(formats, key=len)} if formats else {})}
        if kinds:
            merged["type"] = sorted(kinds)
        if properties:
            merged.update(properties=properties, required=required)
    return merged


def _common(one: frozenset[str], other: frozenset[str]) -> frozenset[str] | None:
    if not one or not other:
        return one | other
    both = one & other
    if "integer" in one | other and "number" in one | other:
        both |= {"integer"}
    return both or None


def _alternatives(schema: Schema) -> list[Any] | None:
    for word in ("oneOf", "anyOf"):
        if word in schema:
            return schema[word]
    return None


def _all(results: Iterable[Compatibility]) -> Compatibility:
    found = set(results)
    if "incompatible" in found:
        return "incompatible"
    return "runtime" if "runtime" in found else "static"


def _best(results: Iterable[Compatibility]) -> Compatibility:
    found = set(results)
    if "static" in found:
        return "static"
    return "runtime" if "runtime" in found else "incompatible"


def _names(schema: Schema) -> frozenset[str]:
    kind = schema.get("type")
    if kind is None:
        implied = [name for name, words in _IMPLYING.items() if any(word in schema for word in words)]
        return frozenset(implied)
    return frozenset({kind}) if isinstance(kind, str) else frozenset(cast("list[str]", kind))


def _types(source: Schema, target: Schema) -> Compatibility:
    gives, takes = _names(source), _names(target)
    if not takes:
        return "static"
    if not gives:
        return "runtime" if _format(target) and not _format(source) else "static"
    if gives & takes or ("integer" in gives and "number" in takes):
        return "static"
    return "runtime" if "number" in gives and "integer" in takes else "incompatible"


def _format(schema: Schema) -> str:
    name = schema.get("format")
    return name if isinstance(name, str) and _FORMAT.fullmatch(name) else ""


def _formats(source: Schema, target: Schema) -> Compatibility:
    gives, takes = _format(source), _format(target)
    if not takes or gives == takes:
        return "static"
    if not gives:
        # a source that does not even say its type may give anything
        return "incompatible" if _names(source) else "runtime"
    given, _, given_narrowing = gives.partition(":")
    taken, _, taken_narrowing = takes.partition(":")
    if given != taken:
        return "incompatible"
    if not taken_narrowing:
        return "static"
    return "incompatible" if given_narrowing else "runtime"


def _parts(source: Schema, target: Schema) -> Iterable[Compatibility]:
    """What the insides of objects and arrays have to say."""
    kinds = _names(source) & _names(target)
    if "object" in kinds:
        yield _objects(source, target)
    if "array" in kinds:
        yield _arrays(source, target)


def _objects(source: Schema, target: Schema) -> Compatibility:
    takes: Mapping[str, Any] | None = target.get("properties")
    gives: Mapping[str, Any] | None = source.get("properties")
    closed = target.get("additionalProperties") is False
    if not takes:
        return "incompatible" if closed and gives and "properties" in target else "static"
    if not gives:
        return "incompatible" if closed else "static"
    if closed and gives.keys() - takes.keys():
        return "incompatible"
    rest = source.get("additionalProperties", False)  # what is not declared counts only when it is said to be allowed
    required = set(target.get("required", ()))
    return _all(
        compatibility(gives.get(name, rest), schema)
        for name, schema in takes.items()
        if name in gives or name in required
    )


def _arrays(source: Schema, target: Schema) -> Compatibility:
    gives, takes = _items(source), _items(target)
    if takes is None:
        return "static"
    return "incompatible" if gives is None else compatibility(gives, takes)


def _items(schema: Schema) -> Any:
    """The schema of an array's items, a tuple's as a union; None when it says nothing of them."""
    places = schema.get("prefixItems")
    items = schema.get("items")
    if isinstance(items, list):
        places, items = cast("list[Any]", items), None
    if places is None:
        return items
    rest: list[Any] = [items] if isinstance(items, Mapping) else []
    return {"anyOf": [*places, *rest]}
