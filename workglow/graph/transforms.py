"""Edge transforms: small named steps that change a value on its way along an edge.

A transform is data in the graph (`{"id": "pick", "params": {"path": "customer.name"}}`); what it does is registered
here under its id.  Each says besides what it makes of a JSON Schema, so that an edge with transforms can be judged when
it is drawn.  A path or an index that leads nowhere gives None, which `coalesce` can replace; a value that a transform
cannot use at all is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from numbers import Integral, Real
from typing import Any, cast

from workglow.errors import GraphError, PortError
from workglow.graph.dataflow import Transform
from workglow.graph.naming import did_you_mean
from workglow.tasks import Ports
from workglow.tasks.fields import values_of

__all__ = [
    "TransformDefinition",
    "TransformRegistry",
    "apply_transform",
    "check_transform",
    "infer",
    "text_of",
    "transform_registry",
    "value_at",
]

Schema = Mapping[str, Any] | bool
Params = Mapping[str, Any]

_ANYTHING: Schema = {}
_BOOLEAN: Schema = {"type": "boolean"}
_DATE: Schema = {"type": "string", "format": "date-time"}
_INTEGER: Schema = {"type": "integer"}
_TEXT: Schema = {"type": "string"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TransformDefinition:
    """What stands behind a transform's id.

    `apply(value, params)` gives the new value; `infer(schema, params)` the JSON Schema of the values that come out.
    `params` is the JSON Schema of the settings, of type object; None when there are none.
    """

    id: str
    title: str
    apply: Callable[[Any, Params], object]
    infer: Callable[[Schema, Params], Schema]
    category: str = ""
    params: Mapping[str, Any] | None = None


class TransformRegistry:
    """Transforms by id.  Only what is registered can be used on an edge."""

    def __init__(self, definitions: Iterable[TransformDefinition] = ()) -> None:
        self._definitions: dict[str, TransformDefinition] = {}
        for definition in definitions:
            self.register(definition)

    def register(self, definition: TransformDefinition) -> None:
        """Let edges name this transform; GraphError when the id belongs to another one."""
        known = self._definitions.setdefault(definition.id, definition)
        if known != definition:
            raise GraphError(f"Transform {definition.id!r} is already registered. Unregister it first to replace it.")

    def unregister(self, name: str) -> bool:
        """Forget a transform; False when it was not registered."""
        return self._definitions.pop(name, None) is not None

    def get(self, name: str) -> TransformDefinition:
        """Return the definition of that id; GraphError names the nearest one when there is none."""
        definition = self._definitions.get(name)
        if definition is None:
            raise GraphError(
                f"There is no transform {name!r}.{did_you_mean(name, self._definitions)} "
                f"The transforms are {', '.join(self.names())}."
            )
        return definition

    def names(self) -> list[str]:
        """Return all ids, sorted."""
        return sorted(self._definitions)

    def __contains__(self, name: object) -> bool:
        return name in self._definitions

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._definitions)


def value_at(value: object, path: str) -> object:
    """Follow a path such as `customer.orders.0` through mappings, structures and lists; None where it leads nowhere."""
    for step in path.split(".") if path else ():
        if isinstance(value, list | tuple):
            items = cast("Sequence[object]", value)
            value = items[int(step)] if step.isdecimal() and int(step) < len(items) else None
        else:
            fields = values_of(value)
            value = None if fields is None else fields.get(step)
    return value


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

_BUILT_IN = (
    TransformDefinition(
        "pick", "Pick property", lambda value, params: value_at(value, params["path"]), _schema_at, "Structural", _PATH
    ),
    TransformDefinition("index", "Array index", _item, _item_schema, "Structural", _INDEX),
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
    TransformDefinition("unixToIsoDate", "Unix timestamp → ISO date", _iso_date, _always(_DATE), "Date", _UNIT),
    TransformDefinition("isoDateToUnix", "ISO date → Unix ms", _unix_milliseconds, _always(_INTEGER), "Date"),
    TransformDefinition(
        "numberToString", "Number → String", lambda value, _: text_of(value), _always(_TEXT), "Conversion"
    ),
    TransformDefinition("toBoolean", "To Boolean", _boolean, _always(_BOOLEAN), "Conversion"),
    TransformDefinition("stringify", "To JSON text", _json_text, _always(_TEXT), "Conversion"),
    TransformDefinition("parseJson", "Parse JSON", _parsed, _always(_ANYTHING), "Conversion"),
)

transform_registry = TransformRegistry(_BUILT_IN)
"""The built-in transforms, and those that a program adds."""


def check_transform(transform: Transform, *, registry: TransformRegistry = transform_registry) -> None:
    """Raise GraphError when no transform has that id, or when its params are not what it takes."""
    settings = registry.get(transform.id).params
    known: Mapping[str, Any] = {} if settings is None else settings["properties"]
    for name in transform.params:
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no params"
            raise GraphError(f"The transform {transform.id!r} has no param {name!r}; it {takes}.")
    try:
        Ports.from_schema(settings or {}).check(dict(transform.params))
    except PortError as error:
        raise GraphError(f"The transform {transform.id!r} cannot be used so: param {error}") from None


def apply_transform(transform: Transform, value: object, *, registry: TransformRegistry = transform_registry) -> object:
    """Return what the transform makes of the value; raises what the transform raises."""
    return registry.get(transform.id).apply(value, transform.params)


def infer(transform: Transform, schema: Schema, *, registry: TransformRegistry = transform_registry) -> Schema:
    """Return the JSON Schema of what the transform gives for values of this one; False when it never gives any."""
    return registry.get(transform.id).infer(schema, transform.params)
