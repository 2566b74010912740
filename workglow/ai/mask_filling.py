"""Filling the gap in a text."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, Field

from workglow.ai.object_writing import OBJECT_WAYS
from workglow.ai.results import Filling
from workglow.ai.scoring import asked_findings, likeliest
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.errors import TaskInputError
from workglow.tasks import TaskContext, task_registry

__all__ = ["MASK", "TextFillMaskTask"]

MASK: Final = "[MASK]"
"""How a gap is written, whatever the model calls it."""

_INSTRUCTION: Final = "The text that the user gives has a gap, written {mask}.  Give words that may stand in its place."


class _Input(BaseModel):
    text: Annotated[str, Field(description=f"With one gap, {MASK}, or the model's own sign of it.")]
    model: Annotated[ModelPort, model_port("TextFillMaskTask")]
    max_predictions: Annotated[int, Field(ge=1, le=100)] = 5


class _Output(BaseModel):
    predictions: list[Filling]


class TextFillMaskTask(AiTask):
    """Find words for the gap in a text, the likeliest first: each with how sure the model is, and the text with it."""

    title: ClassVar[str] = "Fill Mask"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("fill_mask", *OBJECT_WAYS)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Fill."""
        text, limit = inputs["text"], inputs["max_predictions"]
        model, capability = self.model(inputs["model"], context)
        if capability == "fill_mask":
            found: list[Filling] = await model.call(capability, text, limit=limit)
            return {"predictions": likeliest(found, "sequence", limit=limit)}
        if text.count(MASK) != 1:
            raise TaskInputError(f"{self._who}: input 'text' has {text.count(MASK)} gaps; write {MASK} in one place.")
        instruction = _INSTRUCTION.format(mask=MASK)
        fields = {"entity": {"type": "string", "minLength": 1, "maxLength": 100}}
        given = await asked_findings(model, capability, instruction, text, fields, limit=limit)
        filled: list[Any] = [{**one, "sequence": text.replace(MASK, one["entity"])} for one in given]
        return {"predictions": likeliest(filled, "entity", limit=limit)}


task_registry.register(TextFillMaskTask)
