"""The one place that asks pydantic about a type; imported when a type is more than plain."""

from __future__ import annotations

from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typing_extensions
from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from workglow.tasks.fields import is_typed_dict
from workglow.tasks.schema import array_schema, is_array

__all__ = ["adapter_of", "schema_generator"]


def adapter_of(annotation: Any) -> TypeAdapter[Any] | None:
    """Return pydantic's adapter for the annotation; None when a class in it is strange to pydantic."""
    try:
        return _kept(annotation)
    except TypeError:  # not hashable: a mutable value in Annotated or Literal
        return _made(annotation)


def _made(annotation: Any) -> TypeAdapter[Any] | None:
    for configured in (ConfigDict(arbitrary_types_allowed=True), None):
        try:
            return TypeAdapter(annotation, config=configured)
        except PydanticSchemaGenerationError:
            return None
        except PydanticUserError as error:
            if error.code == "typed-dict-version":
                extended = _with_extended_dicts(annotation, ())
                if extended != annotation:
                    return _made(extended)
            if error.code != "type-adapter-config-unused":  # for a structure with a configuration of its own
                raise
    return None


def _with_extended_dicts(annotation: Any, above: tuple[Any, ...]) -> Any:
    """The annotation with the TypedDicts that pydantic can read before Python 3.12; one inside itself is any dict."""
    if is_typed_dict(annotation):
        if annotation in above:
            return dict
        above = (*above, annotation)
        hints = get_type_hints(annotation, include_extras=True)
        fields = {name: _with_extended_dicts(hint, above) for name, hint in hints.items()}
        make: Any = typing_extensions.TypedDict
        return make(annotation.__name__, fields, total=annotation.__total__)
    arguments = get_args(annotation)
    origin: Any = get_origin(annotation)
    if not arguments or origin is Literal:
        return annotation
    changed = tuple(_with_extended_dicts(argument, above) for argument in arguments)
    if origin is Annotated:
        return Annotated[(changed[0], *annotation.__metadata__)]
    return Union[changed] if origin is UnionType else origin[changed]  # noqa: UP007  # the members are data


_kept = lru_cache(maxsize=1024)(_made)


class _Generator(GenerateJsonSchema):
    """Says what a class that JSON cannot express looks like, instead of refusing it."""

    def is_instance_schema(self, schema: core_schema.IsInstanceSchema) -> dict[str, Any]:
        kind = schema["cls"]
        return array_schema(kind) if is_array(kind) else {"title": getattr(kind, "__name__", str(kind))}

    def callable_schema(self, schema: core_schema.CallableSchema) -> dict[str, Any]:
        return {}


def schema_generator() -> type[GenerateJsonSchema]:
    """Return the generator of JSON Schema that knows arrays and foreign classes."""
    return _Generator
