"""Counting tokens."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel

from workglow.ai.scoring import each
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.tasks import TaskContext, task_registry

__all__ = ["CountTokensTask"]


class _Input(BaseModel):
    text: str | list[str]
    model: Annotated[ModelPort, model_port()]


class _Output(BaseModel):
    count: int | list[int]


class CountTokensTask(AiTask):
    """Count the tokens that a model sees of a text; of several texts, of each.

    The count is the model's own: one that cannot say is an UnsupportedCapabilityError, and nothing is estimated.
    """

    title: ClassVar[str] = "Count Tokens"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("count_tokens",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Count."""
        model, capability = self.model(inputs["model"], context)

        async def count(text: str) -> int:
            return await model.call(capability, text)

        return {"count": await each(inputs["text"], count)}


task_registry.register(CountTokensTask)
