"""Tasks on text: templates, regular expressions, and what every language can do to a string."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import ResourceLimitError, ScriptError, TaskInputError
from workglow.graph.built_in_transforms import text_of
from workglow.graph.property_path import value_at
from workglow.library.javascript import evaluate
from workglow.tasks import Task, TaskContext

__all__ = [
    "RegexTask",
    "StringConcatTask",
    "StringIncludesTask",
    "StringJoinTask",
    "StringLengthTask",
    "StringLowerCaseTask",
    "StringReplaceTask",
    "StringSliceTask",
    "StringTemplateTask",
    "StringTrimTask",
    "StringUpperCaseTask",
    "TemplateTask",
]

_PLACE = re.compile(r"\{\{([^{}|]*)(?:\|([^{}]*))?\}\}")


def fill(template: str, values: Mapping[str, object]) -> str:
    """Put values in the places of a template: `{{name}}`, `{{customer.name}}`, `{{name|what stands there without}}`.

    A text stands as it is, a number as JSON has it, a list or mapping as JSON.  Without a value and without a default
    the place is empty.
    """

    def filled(place: re.Match[str]) -> str:
        value = value_at(values, place[1].strip())
        return (place[2] or "") if value is None else _shown(value)

    return _PLACE.sub(filled, template)


def _shown(value: object) -> str:
    try:
        return text_of(value)
    except TypeError:
        pass
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise TaskInputError(f"A template has no text for {value!r:.60} of type {type(value).__name__}.") from None


class _Text(BaseModel):
    text: str = Field(title="Text")


class _StringTask(Task):
    """What the tasks on one text have in common."""

    category: ClassVar[str] = "String"
    version: ClassVar[str] = "1"
    inline: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _Text
    Output: ClassVar[type[BaseModel] | None] = _Text


class _TemplateInput(BaseModel):
    template: str = Field(title="Template", description="A text with places such as {{name}}.")
    values: dict[str, Any] = Field(title="Values", description="What to put in the places, by name.")


class _TemplateOutput(BaseModel):
    result: str = Field(title="Result", description="The text, filled in.")


class TemplateTask(Task):
    """Fill in a text: `{{name}}`, `{{customer.name}}`, `{{name|what stands there without a value}}`."""

    title: ClassVar[str] = "Template"
    category: ClassVar[str] = "Utility"
    version: ClassVar[str] = "1"
    inline: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _TemplateInput
    Output: ClassVar[type[BaseModel] | None] = _TemplateOutput

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Fill in the template."""
        return {"result": fill(inputs["template"], inputs["values"])}

    execute_preview = execute


class StringTemplateTask(_StringTask):
    """Fill in a text: as TemplateTask does, with the output called `text`."""

    title: ClassVar[str] = "String Template"
    Input: ClassVar[type[BaseModel] | None] = _TemplateInput

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Fill in the template."""
        return {"text": fill(inputs["template"], inputs["values"])}

    execute_preview = execute


class _RegexInput(BaseModel):
    value: str = Field(title="Value", description="The text to look through.")
    pattern: str = Field(title="Pattern", description="A regular expression, as JavaScript has them.")
    flags: str = Field(default="", title="Flags", description="Some of g i m s u v y; g finds all matches.")


class _RegexOutput(BaseModel):
    match: bool = Field(title="Match", description="Whether the pattern was found.")
    matches: list[str | None] = Field(
        title="Matches", description="With g all matches; else the first one and its groups, null for one not used."
    )


_FIND = """(() => {
  const found = flags.includes('g') ? value.match(new RegExp(pattern, flags)) : new RegExp(pattern, flags).exec(value);
  return {match: found !== null, matches: Array.from(found ?? [])};
})()"""


class RegexTask(Task):
    """Look for a regular expression in a text.

    Patterns and flags are JavaScript's.  The search runs within the limits of JavaScriptTask, for a pattern of a few
    characters can keep a processor busy for years.
    """

    title: ClassVar[str] = "Regex"
    category: ClassVar[str] = "String"
    version: ClassVar[str] = "1"
    Input: ClassVar[type[BaseModel] | None] = _RegexInput
    Output: ClassVar[type[BaseModel] | None] = _RegexOutput

    def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Find the first match and its groups, or all matches."""
        try:
            return cast("dict[str, Any]", evaluate(_FIND, inputs, signal=context.signal))
        except ScriptError as error:
            raise TaskInputError(f"The pattern {inputs['pattern']!r:.60} cannot be used: {error}") from None
        except ResourceLimitError:
            raise ResourceLimitError(
                f"The pattern {inputs['pattern']!r:.60} takes too long on a text of {len(inputs['value']):,} "
                "characters.  Say more exactly what may be repeated, or give shorter texts."
            ) from None


class _Parts(BaseModel):
    model_config = ConfigDict(extra="allow")


class StringConcatTask(_StringTask):
    """Put texts together, in the order of the names of their inputs: `text_2` goes before `text_10`."""

    title: ClassVar[str] = "Concatenate"
    Input: ClassVar[type[BaseModel] | None] = _Parts

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Put the texts together."""
        return {"text": "".join(_shown(inputs[name]) for name in sorted(inputs, key=natural_order))}

    execute_preview = execute


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """How people sort names: `input_2` goes before `input_10`."""
    pieces = re.findall(r"[0-9]{1,18}|[^0-9]+", name)
    return [(0, int(piece), "") if piece[0] in "0123456789" else (1, 0, piece) for piece in pieces]


class _Search(_Text):
    search: str = Field(title="Search", description="What to look for, literally.")


class _Included(BaseModel):
    included: bool = Field(title="Included")


class StringIncludesTask(_StringTask):
    """Say whether a text contains another one."""

    title: ClassVar[str] = "Includes"
    Input: ClassVar[type[BaseModel] | None] = _Search
    Output: ClassVar[type[BaseModel] | None] = _Included

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Look for the text."""
        return {"included": inputs["search"] in inputs["text"]}

    execute_preview = execute


class _Join(BaseModel):
    texts: list[str] = Field(title="Texts")
    separator: str = Field(default="", title="Separator", description="What stands between two texts.")


class StringJoinTask(_StringTask):
    """Join a list of texts."""

    title: ClassVar[str] = "Join"
    Input: ClassVar[type[BaseModel] | None] = _Join

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Join the texts."""
        return {"text": inputs["separator"].join(inputs["texts"])}

    execute_preview = execute


class _Length(BaseModel):
    length: int = Field(title="Length", description="How many characters (code points).")


class StringLengthTask(_StringTask):
    """Count the characters of a text."""

    title: ClassVar[str] = "Length"
    Output: ClassVar[type[BaseModel] | None] = _Length

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Count."""
        return {"length": len(inputs["text"])}

    execute_preview = execute


class StringLowerCaseTask(_StringTask):
    """Write a text in lower case."""

    title: ClassVar[str] = "Lower Case"

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Lower all letters."""
        return {"text": inputs["text"].lower()}

    execute_preview = execute


class StringUpperCaseTask(_StringTask):
    """Write a text in upper case."""

    title: ClassVar[str] = "Upper Case"

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Raise all letters."""
        return {"text": inputs["text"].upper()}

    execute_preview = execute


class _Replace(_Search):
    replace: str = Field(title="Replace", description="What to put there, literally.")


class StringReplaceTask(_StringTask):
    """Replace all occurrences of a text in another one; nothing in either is special."""

    title: ClassVar[str] = "Replace"
    Input: ClassVar[type[BaseModel] | None] = _Replace

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Replace all occurrences."""
        return {"text": inputs["text"].replace(inputs["search"], inputs["replace"])}

    execute_preview = execute


class _Slice(_Text):
    start: int = Field(title="Start", description="The first character, from 0; negative ones count from the end.")
    end: int | None = Field(default=None, title="End", description="The character to stop before; none is the end.")


class StringSliceTask(_StringTask):
    """Take a part of a text."""

    title: ClassVar[str] = "Slice"
    Input: ClassVar[type[BaseModel] | None] = _Slice

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Take the part."""
        return {"text": inputs["text"][inputs["start"] : inputs["end"]]}

    execute_preview = execute


class StringTrimTask(_StringTask):
    """Remove white space at both ends of a text."""

    title: ClassVar[str] = "Trim"

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Trim."""
        return {"text": inputs["text"].strip()}

    execute_preview = execute
