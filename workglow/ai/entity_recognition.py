"""Finding the names in a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, Field

from workglow.ai.object_writing import OBJECT_WAYS
from workglow.ai.results import Entity
from workglow.ai.scoring import asked_findings, each
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.errors import ModelOutputError
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.model import Model

__all__ = ["TextNamedEntityRecognitionTask"]

_KINDS: Final = {"PER": "a person", "ORG": "an organization", "LOC": "a place", "MISC": "anything else with a name"}
_MOST: Final = 200


class _Input(BaseModel):
    text: str | list[str]
    model: Annotated[ModelPort, model_port("TextNamedEntityRecognitionTask")]
    block_list: Annotated[list[str], Field(description="Kinds of names to leave out, such as 'MISC'.")] = []


class _Output(BaseModel):
    entities: list[Entity] | list[list[Entity]]


class TextNamedEntityRecognitionTask(AiTask):
    """Find the names in a text: of people, organizations, places; several texts give a list for each.

    Each is a whole name, with its kind in `entity` and its characters from `start` to `end` of the text.
    """

    title: ClassVar[str] = "Named Entity Recognition"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("recognise_entities", *OBJECT_WAYS)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Find."""
        model, capability = self.model(inputs["model"], context)
        blocked = {kind.upper() for kind in inputs["block_list"]}

        async def recognise(text: str) -> list[Entity]:
            if not text.strip():
                return []
            found = await _entities_of(model, capability, text)
            kept = [one for one in found if one["entity"].upper() not in blocked]
            return sorted(kept, key=lambda one: (one["start"], one["end"]))

        return {"entities": await each(inputs["text"], recognise)}


async def _entities_of(model: Model, capability: str, text: str) -> list[Entity]:
    if capability == "recognise_entities":
        found: list[Entity] = await model.call(capability, text)
        for one in found:
            if not 0 <= one["start"] < one["end"] <= len(text):
                raise ModelOutputError(
                    f"{model.name!r} found a name at {one['start']}:{one['end']} in a text of {len(text)} characters."
                )
        return found
    kinds = "; ".join(f"{kind}, {meaning}" for kind, meaning in _KINDS.items())
    instruction = (
        "Find the names in the text that the user gives, in the order of the text, each as it is written there.  "
        f"Their kinds are: {kinds}."
    )
    fields = {"word": {"type": "string", "minLength": 1}, "entity": {"enum": list(_KINDS)}}
    return located(await asked_findings(model, capability, instruction, text, fields, limit=_MOST), text)


def located(found: Iterable[dict[str, Any]], text: str) -> list[Entity]:
    """Return the names with their places in the text; a name that is not in it was made up, and is left out."""
    ends: dict[str, int] = {}
    entities: list[Entity] = []
    for one in found:
        word = one["word"].strip()
        start = text.find(word, ends.get(word, 0)) if word else -1
        if start >= 0:
            ends[word] = start + len(word)
            entities.append({**one, "word": word, "start": start, "end": ends[word]})  # pyright: ignore[reportArgumentType]
    return entities


task_registry.register(TextNamedEntityRecognitionTask)
