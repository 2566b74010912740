"""Turning names in a task's inputs into the things they name, by the `format` of the port.

Policy.  A text at a place whose schema has the format `model:TextEmbedding` goes to the resolver registered for exactly
that format, else to the one for `model`.  A union is looked through: its members tell the formats, and what comes back
is resolved further by the members that describe objects.  Everything that is not a text, and every text without a
resolver, is handed on untouched.  A project has a registry of its own; nothing is global.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

from workglow.errors import TaskConfigurationError
from workglow.tasks.entitlements import Entitlement

__all__ = ["Compactor", "Resolver", "ResolverRegistry", "formats_in"]

Resolver = Callable[[str, str], object | Awaitable[object]]
"""Given the text and the whole format, returns what the text names, or an awaitable of it."""
Compactor = Callable[[Any, str], object | Awaitable[object]]
"""The inverse: given the thing and the format, returns its text, or None when it has none."""
Allow = Callable[[Entitlement], None]
"""Raises what is to be raised when an entitlement is not granted."""
Handler = TypeVar("Handler")
Schema = Mapping[str, Any]


class ResolverRegistry:
    """Resolvers and compactors by format."""

    def __init__(self) -> None:
        self._resolvers: dict[str, Resolver] = {}
        self._compactors: dict[str, Compactor] = {}
        self._guarded: dict[str, str] = {}

    def register(
        self, prefix: str, resolver: Resolver, compactor: Compactor | None = None, *, entitlement: str = ""
    ) -> None:
        """Resolve formats `prefix` and `prefix:…`; a resolver for the whole format goes before one for its prefix.

        `entitlement` is what a run must be allowed to do, with the name as its resource, before it is resolved.
        """
        if prefix in self._resolvers:
            raise TaskConfigurationError(
                f"Format {prefix!r} has a resolver already; unregister it first to replace it."
            )
        self._resolvers[prefix] = resolver
        if compactor is not None:
            self._compactors[prefix] = compactor
        if entitlement:
            self._guarded[prefix] = Entitlement(entitlement).id

    def unregister(self, prefix: str) -> bool:
        """Forget a format; False when it was not registered."""
        self._compactors.pop(prefix, None)
        self._guarded.pop(prefix, None)
        return self._resolvers.pop(prefix, None) is not None

    def needed(self, schema: Schema | bool) -> bool:
        """Whether the schema has a format that anything here resolves; most tasks have none and can skip `resolve`."""
        return bool(self._resolvers) and any(_handler(self._resolvers, name) for name in formats_in(schema))

    def handles(self, formats: Iterable[str]) -> bool:
        """Whether any of the formats is resolved or compacted here."""
        return any(_handler(self._resolvers, name) or _handler(self._compactors, name) for name in formats)

    def required(self, formats: Iterable[str]) -> tuple[Entitlement, ...]:
        """Return what the names of these formats may need, whatever the names are."""
        ids = (_handler(self._guarded, name) for name in sorted(formats) if _handler(self._resolvers, name))
        return tuple(Entitlement(id) for id in dict.fromkeys(ids) if id)

    def required_by(self, values: Mapping[str, Any], schema: Schema | bool) -> tuple[Entitlement, ...]:
        """Return what the names in these values need; those that stand in what a name gives turn up in `resolve`."""
        return tuple(self._needed(values, _parts(schema), ())) if self._guarded else ()

    def _needed(self, value: Any, parts: list[Schema], above: tuple[int, ...]) -> Iterator[Entitlement]:
        if type(value) is str:
            name = next((name for name in _formats(parts) if _handler(self._resolvers, name)), "")
            needed = _handler(self._guarded, name)
            if needed is not None:
                yield _entitlement(needed, value, name)
        elif id(value) not in above:
            inside = (*above, id(value))
            if type(value) is list:
                for item in cast("list[Any]", value):
                    yield from self._needed(item, _item_parts(parts), inside)
            elif type(value) is dict:
                for name, item in cast("dict[str, Any]", value).items():
                    yield from self._needed(item, _property_parts(parts, name), inside)

    def copy(self) -> ResolverRegistry:
        """Return a registry with the same resolvers that can be changed on its own."""
        twin = ResolverRegistry()
        twin._resolvers, twin._compactors = dict(self._resolvers), dict(self._compactors)
        twin._guarded = dict(self._guarded)
        return twin

    async def resolve(
        self, values: Mapping[str, Any], schema: Schema | bool, *, allow: Allow | None = None
    ) -> Mapping[str, Any]:
        """Return the values with every name replaced by what it names; a resolver's error goes to the caller.

        `allow` is asked before each name that needs an entitlement.
        """
        walk = _Resolving(self._resolvers, self._guarded if allow is not None else {}, allow)
        return cast("Mapping[str, Any]", await walk.of(values, _parts(schema), ()))

    async def compact(self, values: Mapping[str, Any], schema: Schema | bool) -> Mapping[str, Any]:
        """Return the values with things replaced by their names; the inverse of `resolve`."""
        return cast("Mapping[str, Any]", await _compacted(self._compactors, values, _parts(schema), ()))


class _Resolving:
    """One walk through values and schema together.  `above` holds the containers around a value: cycles end there."""

    def __init__(self, resolvers: Mapping[str, Resolver], guarded: Mapping[str, str], allow: Allow | None) -> None:
        self._resolvers = resolvers
        self._guarded = guarded
        self._allow = allow
        self._active: set[tuple[str, str]] = set()  # a name that leads to itself stays a name

    async def of(self, value: Any, parts: list[Schema], above: tuple[int, ...]) -> Any:
        if type(value) is str:
            return await self._text(value, parts, above)
        if id(value) in above:
            return value
        return await _each(value, parts, lambda item, inner: self.of(item, inner, (*above, id(value))))

    async def _text(self, text: str, parts: list[Schema], above: tuple[int, ...]) -> Any:
        for name in _formats(parts):
            resolver = _handler(self._resolvers, name)
            if resolver is None or (name, text) in self._active:
                continue
            needed = _handler(self._guarded, name)
            if needed is not None and self._allow is not None:
                self._allow(_entitlement(needed, text, name))
            found = await _awaited(resolver(text, name))
            if type(found) is not dict:
                return found
            self._active.add((name, text))
            try:
                return await self.of(found, parts, above)
            finally:
                self._active.discard((name, text))
        return text


async def _compacted(
    compactors: Mapping[str, Compactor], value: Any, parts: list[Schema], above: tuple[int, ...]
) -> Any:
    if type(value) is str or id(value) in above:
        return value
    if _allows_text(parts):
        for name in _formats(parts):
            compactor = _handler(compactors, name)
            text = await _awaited(compactor(value, name)) if compactor is not None else None
            if text is not None:
                return text
    above = (*above, id(value))
    return await _each(value, parts, lambda item, inner: _compacted(compactors, item, inner, above))


async def _each(value: Any, parts: list[Schema], change: Callable[[Any, list[Schema]], Awaitable[Any]]) -> Any:
    """Change what a plain list or dict holds; other values, instances among them, stay as they are."""
    kind = cast("Any", type(value))
    if kind is list:
        return [await change(item, _item_parts(parts)) for item in value]
    if kind is dict:
        return {name: await change(item, _property_parts(parts, name)) for name, item in value.items()}
    return value


def _entitlement(id: str, text: str, format: str) -> Entitlement:
    return Entitlement(id, (text,), f"for a port of format {format}")


async def _awaited(result: object) -> object:
    return await result if inspect.isawaitable(result) else result


def _handler(handlers: Mapping[str, Handler], name: str) -> Handler | None:
    return handlers.get(name) or handlers.get(name.partition(":")[0])


def _parts(schema: object) -> list[Schema]:
    """The schema and the members of its unions, at any depth; a schema that contains itself is met once."""
    found: dict[int, Schema] = {}
    waiting = [schema]
    while waiting:
        part = waiting.pop(0)
        known = cast("Schema", part)
        if isinstance(part, Mapping) and id(known) not in found:
            found[id(known)] = known
            for word in ("oneOf", "anyOf", "allOf"):
                waiting.extend(known.get(word, ()))
    return list(found.values())


def _formats(parts: list[Schema]) -> Iterator[str]:
    return (part["format"] for part in parts if isinstance(part.get("format"), str))


def _allows_text(parts: list[Schema]) -> bool:
    kinds = [part["type"] for part in parts if "type" in part]
    return not kinds or any(kind == "string" or (isinstance(kind, list) and "string" in kind) for kind in kinds)


def _property_parts(parts: list[Schema], name: str) -> list[Schema]:
    return [found for part in parts for found in _parts(part.get("properties", {}).get(name))]


def _item_parts(parts: list[Schema]) -> list[Schema]:
    """What is said of a list's items; a format said of the list itself is meant for the texts in it."""
    own: list[Schema] = [{"format": name} for name in _formats(parts)]
    return own + [found for part in parts for found in _parts(part.get("items"))]


def formats_in(schema: object) -> Iterator[str]:
    """Yield every format that a schema speaks of, at any depth."""
    seen: set[int] = set()
    waiting = [schema]
    while waiting:
        for part in _parts(waiting.pop()):
            if id(part) not in seen:
                seen.add(id(part))
                yield from _formats([part])
                waiting.extend(part.get("properties", {}).values())
                waiting.append(part.get("items"))
