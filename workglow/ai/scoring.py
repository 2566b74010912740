"""What a model says of a text, with how sure it is: asked of a model that writes objects, and cut to what is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from workglow.ai.json_schema import JsonSchema
from workglow.ai.object_writing import asked_object

if TYPE_CHECKING:
    from workglow.ai.model import Model

__all__ = ["asked_findings", "each", "likeliest"]

Result = TypeVar("Result")
Found = TypeVar("Found", bound="Mapping[str, Any]")

_CONFIDENCE: Final = {"type": "integer", "minimum": 0, "maximum": 100}  # a small model writes no endless fraction


async def asked_findings(
    model: Model, capability: str, instruction: str, text: str, fields: Mapping[str, Any], *, limit: int
) -> list[dict[str, Any]]:
    """Return what a model finds in a text, each with these fields and a `score` from 0 to 1."""
    schema = {
        "type": "object",
        "properties": {
            "found": {
                "type": "array",
                "maxItems": limit,
                "items": {
                    "type": "object",
                    "properties": {**fields, "confidence": _CONFIDENCE},
                    "required": [*fields, "confidence"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["found"],
        "additionalProperties": False,
    }
    told = f"{instruction}\nSay of each in `confidence` how sure you are, from 0 to 100."
    answer = await asked_object(model, capability, told, text, JsonSchema(schema, who=model.name))
    found = cast("list[dict[str, Any]]", answer["found"])
    return [{**{name: one[name] for name in fields}, "score": one["confidence"] / 100} for one in found]


def likeliest(found: Sequence[Found], key: str, *, limit: int | None = None, threshold: float = 0.0) -> list[Found]:
    """Return the likeliest first, each `key` once, those under the threshold left out."""
    ordered = sorted(found, key=lambda one: -one["score"])
    once: dict[Any, Found] = {}
    for one in ordered:
        if one["score"] >= threshold:
            once.setdefault(one[key], one)
    return list(once.values())[:limit]


async def each(text: str | Sequence[str], work: Callable[[str], Awaitable[Result]]) -> Result | list[Result]:
    """Do it with a text; with several, one after the other, and return the list of what came of them."""
    if isinstance(text, str):
        return await work(text)
    return [await work(one) for one in text]
