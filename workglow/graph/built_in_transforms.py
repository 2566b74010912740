"""The thirteen transforms that every graph knows.

A path or an index that leads nowhere gives None, which `coalesce` can replace; a value that a transform cannot use at
all is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from numbers import Integral, Real
from typing import Any, cast

from workglow.graph.property_path import value_at
from workglow.graph.transforms import Params, Schema, TransformDefinition, TransformRegistry
from workglow.tasks.compatibility import compatibility

__all__ = ["built_in_transforms", "text_of"]

_ANYTHING: Schema = {}
_BOOLEAN: Schema = {"type": "boolean"}
_DATE: Schema = {"type": "string", "format": "date-time"}
_INTEGER: Schema = {"type": "integer"}
_TEXT: Schema = {"type": "string"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = frozenset(["integer", "number"])
_STRING = frozenset(["string"])
_NESTED = frozenset(["array", "object"])


def _schema_at(schema: Schema, params: Params) -> Schema:
    path: str = params["path"]
    for step in path.split(".") if path else ():
        if isinstance(schema, bool):
            return schema
        if step.isdecimal() and "items" in schema:
            schema = schema["items"]
        elif "properties" not in schema:
            return _ANYTHING
        else:
            rest = schema.get("additionalProperties") or False
            schema = schema["properties"].get(step, rest)
    return schema


def _item(value: object, params: Params) -> object:
    index: int = params["index"]
    if value is None:
        return None
    if isinstance(value, str | dict) or not hasattr(value, "__getitem__"):
        raise TypeError(f"index {index} needs a list, not {_a(cast('object', value))}")
    items = cast("Sequence[object]", value)
    return items[index] if -len(items) <= index < len(items) else None


def _item_schema(schema: Schema, params: Params) -> Schema:
    return schema if isinstance(schema, bool) else schema.get("items", _ANYTHING)


def _without_null(schema: Schema, params: Params) -> Schema:
    if isinstance(schema, bool):
        return schema
    kind = schema.get("type")
    if kind == "null":
        return _ANYTHING
    if isinstance(kind, list):
        kinds = [name for name in cast("list[str]", kind) if name != "null"]
        return {**schema, "type": kinds[0] if len(kinds) == 1 else kinds}
    for word in ("anyOf", "oneOf"):
        if word in schema:
            members = [member for member in schema[word] if member != {"type": "null"}]
            rest = {key: part for key, part in schema.items() if key not in (word, "default")}
            return {**rest, **members[0]} if len(members) == 1 else {**schema, word: members}
    return schema


def text_of(value: object) -> str:
    """Write a scalar as JSON does, without quotes: `true`, and `5` for 5.0."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e21 else str(number)
    raise TypeError(f"needs text or a number, not {_a(value)}")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real | str):
        raise TypeError(f"needs a number, not {_a(value)}")
    return float(value)


def _a(value: object) -> str:
    return "None" if value is None else f"{value!r:.60} of type {type(value).__name__}"


def _iso_date(value: object, params: Params) -> str:
    milliseconds = round(_number(value) * (1000 if params["unit"] == "s" else 1))
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _unix_milliseconds(value: object, params: Params) -> int:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if isinstance(moment, date) and not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    if not isinstance(moment, datetime):
        raise TypeError(f"needs an ISO date, not {_a(value)}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _boolean(value: object, params: Params) -> bool:
    if isinstance(value, str):
        return value.lower() == "true" or value == "1"
    if isinstance(value, Real):
        return bool(value != 0)
    return value is not None


def _json_text(value: object, params: Params) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _parsed(value: object, params: Params) -> object:
    def refuse(word: str) -> object:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text_of(value), parse_constant=refuse)


def _always(schema: Schema) -> Callable[[Schema, Params], Schema]:
    return lambda given, params: schema


def _settings(required: list[str], **properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_PATH = _settings(["path"], path={"type": "string", "title": "Property path"})
_INDEX = _settings(["index"], index={"type": "integer", "description": "Negative counts from the end."})
_DEFAULT = _settings(["defaultValue"], defaultValue={})
_MAX = _settings(["max"], max={"type": "integer", "minimum": 0})
_RANGE = _settings(["start"], start={"type": "integer"}, end={"type": "integer"})
_UNIT = _settings(["unit"], unit={"type": "string", "enum": ["s", "ms"]})


def _suggest_pick(source: Schema, target: Schema) -> Iterator[tuple[float, Params]]:
    for path, schema in _paths(source):
        verdict = compatibility(schema, target)
        if verdict != "incompatible":
            yield (1.0 if verdict == "static" and _kinds(schema) else 0.6) - 0.01 * path.count("."), {"path": path}


def _paths(schema: Schema, above: str = "") -> Iterator[tuple[str, Schema]]:
    """The properties of an object and of the objects in it, as paths; at most three steps deep."""
    properties: Mapping[str, Schema] = {} if isinstance(schema, bool) else schema.get("properties", {})
    for name, part in properties.items():
        if name and "." not in name:  # any other name cannot be written in a path
            yield above + name, part
            if above.count(".") < 2:
                yield from _paths(part, f"{above}{name}.")


def _suggest_index(source: Schema, target: Schema) -> Iterator[tuple[float, Params]]:
    if "array" in _kinds(source):
        verdict = compatibility(cast("Any", _item_schema(source, {})), cast("Any", target))
        yield (0.9 if verdict == "static" and _kinds(_item_schema(source, {})) else 0.5), {"index": 0}


def _suggest_iso_date(source: Schema, target: Schema) -> Iterator[tuple[float, Params]]:
    if _kinds(source) & _NUMBERS and _is_date(target):
        yield 0.85, {"unit": "s"}
        yield 0.8, {"unit": "ms"}


def _kinds(schema: Schema) -> frozenset[str]:
    kind: str | list[str] = [] if isinstance(schema, bool) else schema.get("type", [])
    return frozenset([kind] if isinstance(kind, str) else kind)


def _is_date(schema: Schema) -> bool:
    return not isinstance(schema, bool) and schema.get("format") in ("date", "date-time")


def _between(score: float, given: frozenset[str], taken: frozenset[str]) -> Callable[..., list[tuple[float, Params]]]:
    """Suggest it from any of the types `given` to any of the types `taken`."""

    def suggest(source: Schema, target: Schema) -> list[tuple[float, Params]]:
        return [(score, {})] if _kinds(source) & given and _kinds(target) & taken else []

    return suggest


def _suggest_unix(source: Schema, target: Schema) -> list[tuple[float, Params]]:
    return [(0.9, {})] if _is_date(source) and _kinds(target) & _NUMBERS else []


_BUILT_IN = (
    TransformDefinition(
        "pick",
        "Pick property",
        lambda value, params: value_at(value, params["path"]),
        _schema_at,
        "Structural",
        _PATH,
        _suggest_pick,
    ),
    TransformDefinition("index", "Array index", _item, _item_schema, "Structural", _INDEX, _suggest_index),
    TransformDefinition(
        "coalesce",
        "Coalesce null",
        lambda value, params: params["defaultValue"] if value is None else value,
        _without_null,
        "Conversion",
        _DEFAULT,
    ),
    TransformDefinition("uppercase", "Uppercase", lambda value, _: text_of(value).upper(), _always(_TEXT), "String"),
    TransformDefinition("lowercase", "Lowercase", lambda value, _: text_of(value).lower(), _always(_TEXT), "String"),
    TransformDefinition(
        "truncate", "Truncate", lambda value, params: text_of(value)[: params["max"]], _always(_TEXT), "String", _MAX
    ),
    TransformDefinition(
        "substring",
        "Substring",
        lambda value, params: text_of(value)[params["start"] : params.get("end")],
        _always(_TEXT),
        "String",
        _RANGE,
    ),
    TransformDefinition(
        "unixToIsoDate", "Unix timestamp → ISO date", _iso_date, _always(_DATE), "Date", _UNIT, _suggest_iso_date
    ),
    TransformDefinition(
        "isoDateToUnix", "ISO date → Unix ms", _unix_milliseconds, _always(_INTEGER), "Date", None, _suggest_unix
    ),
    TransformDefinition(
        "numberToString",
        "Number → String",
        lambda value, _: text_of(value),
        _always(_TEXT),
        "Conversion",
        None,
        _between(0.8, _NUMBERS, _STRING),
    ),
    TransformDefinition(
        "toBoolean",
        "To Boolean",
        _boolean,
        _always(_BOOLEAN),
        "Conversion",
        None,
        _between(0.5, _NUMBERS | _STRING, frozenset(["boolean"])),
    ),
    TransformDefinition(
        "stringify", "To JSON text", _json_text, _always(_TEXT), "Conversion", None, _between(0.4, _NESTED, _STRING)
    ),
    TransformDefinition(
        "parseJson", "Parse JSON", _parsed, _always(_ANYTHING), "Conversion", None, _between(0.3, _STRING, _NESTED)
    ),
)

built_in_transforms = TransformRegistry(_BUILT_IN, fixed=True)
"""What graphs use when they are given no registry of their own."""
