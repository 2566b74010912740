"""Sorting texts into classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.object_writing import OBJECT_WAYS
from workglow.ai.results import Label
from workglow.ai.scoring import asked_findings, each, likeliest
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.errors import ModelOutputError
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.model import Model

__all__ = ["TextClassificationTask"]

_Labels = Annotated[list[str], Field(min_length=1, description="The classes, for a model that was not trained on any.")]


class _Input(BaseModel):
    text: str | list[str]
    model: Annotated[ModelPort, model_port("TextClassificationTask")]
    candidate_labels: _Labels | None = None
    max_categories: Annotated[int, Field(ge=1, le=1000)] = 5


class _Output(BaseModel):
    categories: list[Label] | list[list[Label]]


class TextClassificationTask(AiTask):
    """Sort a text into classes, the likeliest first; several texts give a list for each.

    Without `candidate_labels` the classes are those that the model was trained on.  With them any model will do that
    was made for it, or that can chat.
    """

    title: ClassVar[str] = "Text Classifier"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("classify",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Classify."""
        labels: list[str] = list(dict.fromkeys(inputs["candidate_labels"] or ()))
        ways = ("classify_freely", *OBJECT_WAYS) if labels else self.capabilities
        model, capability = self.model(inputs["model"], context, ways)

        async def classify(text: str) -> list[Label]:
            found = await _labels_of(model, capability, text, labels)
            return likeliest(found, "label", limit=inputs["max_categories"])

        return {"categories": await each(inputs["text"], classify)}


async def _labels_of(model: Model, capability: str, text: str, labels: list[str]) -> list[Label]:
    if capability == "classify":
        return await model.call(capability, text)
    if capability == "classify_freely":
        found: list[Label] = await model.call(capability, text, labels=labels)
        strange = [one["label"] for one in found if one["label"] not in labels]
        if strange:
            raise ModelOutputError(f"{model.name!r} sorted a text under {strange[0]!r}, which is none of the labels.")
        return found
    instruction = f"Sort the text that the user gives into these classes: {', '.join(map(repr, labels))}."
    fields = {"label": {"enum": labels}}
    given: Any = await asked_findings(model, capability, instruction, text, fields, limit=len(labels))
    return given


task_registry.register(TextClassificationTask)
