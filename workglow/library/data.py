"""Tasks that put data together and take it apart: merge, split, read JSON, follow a path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import ResourceLimitError, TaskInputError
from workglow.graph.property_path import value_at
from workglow.library.text import natural_order
from workglow.tasks import Task

__all__ = ["JsonParseTask", "JsonPathTask", "MergeTask", "SplitTask"]

_MOST: Final = 1_000_000
"""Values that a path may lead to."""


class _Utility(Task):
    """What these tasks have in common."""

    category: ClassVar[str] = "Utility"
    version: ClassVar[str] = "1"
    inline: ClassVar[bool] = True


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class _List(BaseModel):
    output: list[Any] = Field(title="Output", description="The values, in the order of their names.")


class MergeTask(_Utility):
    """Gather all inputs in one list, in the order of their names: `input_2` goes before `input_10`."""

    title: ClassVar[str] = "Merge"
    Input: ClassVar[type[BaseModel] | None] = _Anything
    Output: ClassVar[type[BaseModel] | None] = _List

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Gather the inputs."""
        return {"output": [inputs[name] for name in sorted(inputs, key=natural_order)]}

    execute_preview = execute


class _Whole(BaseModel):
    input: Any = Field(title="Input", description="A list; anything else is a list of one.")


class SplitTask(_Utility):
    """Give each item of a list an output of its own: `output_0`, `output_1`, …"""

    title: ClassVar[str] = "Split"
    Input: ClassVar[type[BaseModel] | None] = _Whole
    Output: ClassVar[type[BaseModel] | None] = _Anything

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Take the list apart."""
        whole: Any = inputs["input"]
        is_list = isinstance(whole, list | tuple) or getattr(whole, "ndim", 0) > 0
        items = cast("Iterable[Any]", whole if is_list else [whole])
        return {f"output_{number}": item for number, item in enumerate(items)}

    execute_preview = execute


class _JsonText(BaseModel):
    text: str = Field(title="Text", description="A JSON document.")


class _Result(BaseModel):
    result: Any = Field(title="Result")


class JsonParseTask(_Utility):
    """Read a text as JSON."""

    title: ClassVar[str] = "JSON Parse"
    Input: ClassVar[type[BaseModel] | None] = _JsonText
    Output: ClassVar[type[BaseModel] | None] = _Result

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Read the text; TaskInputError says where it is no JSON."""
        return {"result": parse_json(inputs["text"], "The text")}

    execute_preview = execute


def parse_json(text: str, name: str) -> Any:
    """Read JSON that anybody may have written; TaskInputError with `name` and the place where it is none."""

    def refuse(word: str) -> object:
        raise ValueError(f"{word} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise TaskInputError(f"{name} is JSON that is nested too deeply.") from None
    except ValueError as error:
        raise TaskInputError(f"{name} is no JSON: {error}.") from None


class _Path(BaseModel):
    value: Any = Field(title="Value", description="What to look into.")
    path: str = Field(title="Path", description="Names and numbers with dots between; * stands for all of them.")


class JsonPathTask(_Utility):
    """Follow a path such as `customers.0.name` or `customers.*.name` into a value.

    `*` goes on with every item of a list or value of a mapping, and makes the result a list of all that was found.
    Without it, a path that leads nowhere gives None.
    """

    title: ClassVar[str] = "JSON Path"
    Input: ClassVar[type[BaseModel] | None] = _Path
    Output: ClassVar[type[BaseModel] | None] = _Result

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Follow the path."""
        return {"result": follow(inputs["value"], inputs["path"])}

    execute_preview = execute


def follow(value: object, path: str) -> object:
    """Return what a path leads to; with `*` in it the list of all that it leads to, without those where it ends."""
    if "*" not in path.split("."):
        return value_at(value, path)
    found: list[object] = [value]
    for step in path.split("."):
        if step == "*":
            found = [item for one in found for item in _items(one)]
        else:
            found = [item for one in found if (item := value_at(one, step)) is not None]
        if len(found) > _MOST:
            raise ResourceLimitError(f"The path {path!r:.60} leads to more than {_MOST:,} values; make it narrower.")
    return found


def _items(value: Any) -> Iterable[object]:
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list | tuple) else ()
