"""Ports: the names, types and defaults of what goes into a task and what comes out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, TypeVar, cast, get_args, get_origin

from workglow.errors import PortError
from workglow.tasks.clone import clone, is_mutable
from workglow.tasks.fields import MISSING, fields_of, is_open
from workglow.tasks.fit import accepted_types, fit, is_json
from workglow.tasks.schema import annotation_of, json_schema
from workglow.tasks.stream import Stream, streamed_type, with_mode

__all__ = ["COLLECT", "MISSING", "Collect", "Port", "Ports"]

Item = TypeVar("Item")


class _Collect:
    def __repr__(self) -> str:
        return "COLLECT"


COLLECT: Final = _Collect()
Collect = Annotated[list[Item], COLLECT]
"""`texts: Collect[str]` is a list port that takes several edges and gathers their values in order."""

_NOTHING: frozenset[type] = frozenset()


class Port:
    """One named input or output.

    `annotation` is the Python type (Any when unknown), `default` is MISSING when there is none, `collect` allows
    several edges into the port, `schema` is its JSON Schema.  `streams` says that the value is read as a Stream, whose
    whole is of the type `annotation`.
    """

    __slots__ = ("_schema", "annotation", "collect", "default", "name", "required", "streams")

    def __init__(
        self,
        name: str,
        annotation: Any = Any,
        *,
        default: Any = MISSING,
        required: bool | None = None,
        schema: dict[str, Any] | None = None,
    ) -> None:
        self.name = name
        piece = streamed_type(annotation)
        self.streams = piece is not MISSING
        self.annotation = piece if self.streams else annotation
        self.default = default
        self.required = default is MISSING if required is None else required
        self.collect = _collects(annotation, schema)
        self._schema = schema

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the port's values; not to be changed."""
        if self._schema is None:
            self._schema = json_schema(self.annotation)
            if self.collect:
                self._schema = {**self._schema, "x-collect": True}
            if self.streams:
                self._schema = with_mode(self._schema)
        return self._schema

    def check(self, value: object) -> object:
        """Return the value as the port's type, converted only from the type's own JSON form.

        Raises ValueError with the reason.  "3" never fits an int, True neither; 3 fits a float.
        """
        if self.streams and isinstance(value, Stream):
            return cast("object", value)
        return fit(self.annotation, value)

    def __repr__(self) -> str:
        return f"Port({self.name!r}, {self.annotation!r})"


class Ports(Mapping[str, Port]):
    """The inputs or the outputs of a task, by name, in order.  `open` allows names that are not declared."""

    __slots__ = ("_accepted", "_by_name", "_defaults", "_schema", "collecting", "open", "streaming")

    def __init__(self, ports: Iterable[Port] = (), *, open: bool = False) -> None:
        self._by_name = {port.name: port for port in ports}
        self.open = open
        self.collecting = frozenset(name for name, port in self._by_name.items() if port.collect)
        self.streaming = frozenset(name for name, port in self._by_name.items() if port.streams)
        self._schema: dict[str, Any] | None = None
        self._accepted = {name: accepted_types(port.annotation) for name, port in self._by_name.items()}
        # None marks a default that is copied for each use: a task may change the list it is given
        self._defaults = {
            name: (port.default, clone if is_mutable(port.default) else None)
            for name, port in self._by_name.items()
            if port.default is not MISSING
        }

    @classmethod
    def from_signature(cls, function: Callable[..., object]) -> Ports:
        """Return the input ports of a function: a port for each parameter except its context."""
        from workglow.tasks.signature import signature_of

        return signature_of(function).inputs

    @classmethod
    def from_model(cls, model: type) -> Ports:
        """Return a port for each field of a pydantic model, dataclass, TypedDict, NamedTuple or msgspec.Struct."""
        fields = fields_of(model)
        if fields is None:
            raise TypeError(f"{model!r} has no fields; give a pydantic model, dataclass, TypedDict or NamedTuple.")
        ports = [Port(name, kind, default=default, required=needed) for name, kind, default, needed in fields]
        return cls(ports, open=is_open(model))

    @classmethod
    def from_schema(cls, schema: Mapping[str, Any]) -> Ports:
        """Return the ports that a JSON Schema of type object describes."""
        required = set(schema.get("required", ()))
        ports: list[Port] = []
        for name, part in schema.get("properties", {}).items():
            given = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
            ports.append(
                Port(
                    name,
                    annotation_of(part),
                    default=given.get("default", MISSING),
                    required=name in required and "default" not in given,
                    schema=given,
                )
            )
        return cls(ports, open=schema.get("additionalProperties", True) is not False)

    @classmethod
    def from_names(cls, *names: str, open: bool = False) -> Ports:
        """Return required ports of any type."""
        return cls((Port(name) for name in names), open=open)

    def written_as_streams(self) -> Ports:
        """Return the same ports, each with a stream mode: those of a task that yields them piece by piece."""
        ports = (
            Port(
                port.name, port.annotation, default=port.default, required=port.required, schema=with_mode(port.schema)
            )
            for port in self._by_name.values()
        )
        return Ports(ports, open=self.open)

    def read_as_streams(self) -> Ports:
        """Return the same ports, of which those with a stream mode take a Stream as well as a value."""
        ports = [
            Port(port.name, port.annotation, default=port.default, required=port.required, schema=port.schema)
            for port in self._by_name.values()
        ]
        for port in ports:
            port.streams = "x-stream" in port.schema
        return Ports(ports, open=self.open)

    @property
    def schema(self) -> dict[str, Any]:
        """One JSON Schema for all ports together; not to be changed."""
        if self._schema is None:
            properties = {name: _with_default(port) for name, port in self._by_name.items()}
            required = [name for name, port in self._by_name.items() if port.required]
            schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": self.open}
            if required:
                schema["required"] = required
            self._schema = schema
        return self._schema

    def check(self, values: dict[str, object]) -> dict[str, object]:
        """Return the values with defaults filled in, each as its port's type.

        Returns the same dict when nothing had to change.  Raises PortError for a missing, unknown or unfit value.
        """
        accepted = self._accepted
        for name, value in values.items():
            types = accepted.get(name, _NOTHING)
            if types is not None and type(value) not in types:
                return self._check_each(values)
        if len(values) == len(accepted):
            return values
        return self._filled(values)

    def fitting(self, name: str) -> frozenset[type]:
        """Return the types whose values fit a port without a closer look; none when every value needs one."""
        return frozenset(self._accepted[name] or ())

    def all_fit(self, columns: Mapping[str, Iterable[object]]) -> bool:
        """Say whether `check` would return many mappings as they are: port → its value in each of them."""
        accepted = self._accepted
        return columns.keys() == accepted.keys() and all(
            types is None or types.issuperset(map(type, columns[name])) for name, types in accepted.items()
        )

    def check_given(self, values: Mapping[str, object]) -> dict[str, object]:
        """Check only what is given; ports without a value are left out."""
        return {name: self._checked(name, value) for name, value in values.items()}

    def _check_each(self, values: dict[str, object]) -> dict[str, object]:
        return self._filled({name: self._checked(name, value) for name, value in values.items()})

    def _checked(self, name: str, value: object) -> object:
        port = self._by_name.get(name)
        if port is None:
            if self.open:
                return value
            raise PortError(name, self._unknown(name))
        types = self._accepted[name]
        if types is None or type(value) in types:
            return value
        try:
            return port.check(value)
        except ValueError as error:
            raise PortError(name, str(error)) from None

    def _filled(self, values: dict[str, object]) -> dict[str, object]:
        filled = dict(values)
        for name, (default, copied) in self._defaults.items():
            if name not in filled:
                filled[name] = default if copied is None else copied(default)
        for name, port in self._by_name.items():
            if port.required and name not in filled:
                raise PortError(name, "is required and was not given.")
        return filled

    def _unknown(self, name: str) -> str:
        if not self._by_name:
            return "is not known: there are no such ports."
        near = difflib.get_close_matches(name, self._by_name, 1)
        remedy = f" Did you mean {near[0]!r}?" if near else ""
        return f"is not known; the ports are {', '.join(self._by_name)}.{remedy}"

    def __getitem__(self, name: str) -> Port:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"Ports({', '.join(self._by_name)}{', …' if self.open else ''})"


def _collects(annotation: Any, schema: dict[str, Any] | None) -> bool:
    if schema is not None and schema.get("x-collect"):
        return True
    return get_origin(annotation) is Annotated and COLLECT in get_args(annotation)


def _with_default(port: Port) -> dict[str, Any]:
    if port.default is MISSING or "default" in port.schema or not is_json(port.default):
        return port.schema
    return {**port.schema, "default": port.default}
