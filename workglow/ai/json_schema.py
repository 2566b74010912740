"""JSON Schemas, as a judge of what models write.  A schema is judged too; nothing that it refers to is fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypedDict, cast

import jsonschema_rs

from workglow.errors import TaskConfigurationError

__all__ = ["Fault", "JsonSchema"]

_MOST_TOLD = 20


class Fault(TypedDict):
    """What does not fit, and where: a JSON pointer, '' for the whole."""

    path: str
    message: str


class JsonSchema:
    """A JSON Schema of any draft.  TaskConfigurationError says why a schema is none, and begins with `who`."""

    def __init__(self, schema: object, *, who: str) -> None:
        if not isinstance(schema, Mapping):
            raise TaskConfigurationError(
                f"{who}: invalid output_schema: {schema!r:.60} is no JSON Schema, but a value."
            )
        self.schema = cast("dict[str, Any]", schema)
        try:
            self._validator = jsonschema_rs.validator_for(self.schema, offline=True)
        except jsonschema_rs.ValidationError as error:
            place = _pointer(error.instance_path)
            raise TaskConfigurationError(
                f"{who}: invalid output_schema: {f'{place}: ' if place else ''}{error.message}."
            ) from None
        except ValueError as error:
            raise TaskConfigurationError(f"{who}: invalid output_schema: {error}.") from None

    def faults(self, value: object) -> list[Fault]:
        """Return what does not fit, the first 20 of it; nothing when all does."""
        found: list[Fault] = []
        for error in self._validator.iter_errors(value):
            if len(found) == _MOST_TOLD:
                break
            found.append({"path": _pointer(error.instance_path), "message": error.message})
        return found

    def to_text(self) -> str:
        """Return the schema as a model is shown it."""
        return json.dumps(self.schema, ensure_ascii=False)


def _pointer(path: list[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
