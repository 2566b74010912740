"""Writing texts, as a task does it: piece by piece, while the model is still at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.events import Finish, TextDelta
from workglow.ai.messages import as_messages
from workglow.ai.request import GenerationRequest
from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.model import Model

__all__ = ["TextGenerationTask", "written"]


class _Input(BaseModel):
    prompt: str
    model: Annotated[ModelPort, model_port("TextGenerationTask")]
    system: str | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    stop: list[str] = []
    seed: int | None = None


class _Output(BaseModel):
    text: str
    finish_reason: str


class TextGenerationTask(AiTask):
    """Answer a prompt.

    `finish_reason` is "stop" when the model was done, "length" when it had no more room.
    """

    title: ClassVar[str] = "Text Generation"
    version: ClassVar[str] = "1"
    capabilities: ClassVar[tuple[str, ...]] = ("chat", "generate")
    continues_streams: ClassVar[bool] = True
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Write."""
        model, capability = self.model(inputs["model"], context)
        request = GenerationRequest(
            as_messages(inputs["prompt"], system=inputs["system"]),
            max_tokens=inputs["max_tokens"],
            temperature=inputs["temperature"],
            top_p=inputs["top_p"],
            frequency_penalty=inputs["frequency_penalty"],
            presence_penalty=inputs["presence_penalty"],
            stop=tuple(inputs["stop"]),
            seed=inputs["seed"],
            written=context.earlier_text("text") if model.record.continues else "",
        )
        async for piece in written(model, capability, request):
            yield piece


async def written(model: Model, capability: str, *arguments: Any, **options: Any) -> AsyncIterator[dict[str, Any]]:
    """Yield what a model writes as pieces of the ports `text` and `finish_reason`."""
    async for event in model.stream(capability, *arguments, **options):
        if isinstance(event, TextDelta):
            yield {"text": event.text}
        elif isinstance(event, Finish):
            yield {"finish_reason": event.reason}


task_registry.register(TextGenerationTask)
