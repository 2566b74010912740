"""The one place that asks pydantic about a type; imported when a type is more than plain."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from workglow.task.schema import array_schema, is_array

__all__ = ["adapter_of", "schema_generator"]


def adapter_of(annotation: Any) -> TypeAdapter[Any] | None:
    """Return pydantic's adapter for the annotation; None when a class in it is strange to pydantic."""
    try:
        return _kept(annotation)
    except TypeError:  # not hashable: a mutable value in Annotated or Literal
        return _made(annotation)


def _made(annotation: Any) -> TypeAdapter[Any] | None:
    try:
        try:
            return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
        except PydanticSchemaGenerationError:
            return None
        except PydanticUserError:  # a structure brings a configuration of its own
            return TypeAdapter(annotation)
    except PydanticSchemaGenerationError:
        return None


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
