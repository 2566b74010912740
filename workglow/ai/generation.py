"""Writing texts, as a task does it: piece by piece, while the model is still at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.messages import as_messages
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.ai.writing import BY_PROMPT, MaxTokens, Seed, Temperature, WrittenText, request_of, written
from workglow.errors import TaskInputError
from workglow.tasks import TaskContext, task_registry

__all__ = ["TextGenerationTask", "written"]


class _Input(BaseModel):
    prompt: str
    model: Annotated[ModelPort, model_port("TextGenerationTask")]
    system: Annotated[str | None, Field(description="What the model is to be, or to keep in mind.")] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    stop: list[str] = Field(default_factory=list, description="The model stops before it writes one of these.")
    max_tokens: MaxTokens = None
    temperature: Temperature = None
    seed: Seed = None


class TextGenerationTask(AiTask):
    """Answer a prompt.

    `finish_reason` is "stop" when the model was done, "length" when it had no more room.
    """

    title: ClassVar[str] = "Text Generation"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = BY_PROMPT
    continues_streams: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = WrittenText

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Write."""
        if not inputs["prompt"].strip():
            raise TaskInputError(f"{self._who}: input 'prompt' is empty; there is nothing to answer.")
        model, capability = self.model(inputs["model"], context)
        request = request_of(
            inputs,
            messages=as_messages(inputs["prompt"], system=inputs["system"]),
            top_p=inputs["top_p"],
            frequency_penalty=inputs["frequency_penalty"],
            presence_penalty=inputs["presence_penalty"],
            stop=tuple(inputs["stop"]),
            written=context.earlier_text("text") if model.record.continues else "",
        )
        async for piece in written(model, capability, request):
            yield piece


task_registry.register(TextGenerationTask)
