"""Saying what an image shows, as a task does it: word by word, while the model is still at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.generation import written
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort, is_several
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["ImageToTextTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("ImageToTextTask")]
    prompt: Annotated[str, Field(description="What to say of it, for models that can be asked.")] = ""
    max_tokens: Annotated[int | None, Field(ge=1)] = None


class _Output(BaseModel):
    text: Annotated[str | list[str], Field(json_schema_extra={"x-stream": "append"})]


class ImageToTextTask(VisionTask):
    """Describe an image.  The text of one image comes piece by piece; those of several come together at the end."""

    title: ClassVar[str] = "Image to Text"
    capabilities: ClassVar[tuple[str, ...]] = ("describe_image",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute_stream(self, inputs: dict[str, Any], context: TaskContext) -> AsyncIterator[dict[str, Any]]:
        """Describe."""
        model, capability = self.model(inputs["model"], context)
        options = {"prompt": inputs["prompt"], "max_tokens": inputs["max_tokens"]}
        image = inputs["image"]
        if not is_several(image):
            async for piece in written(model, capability, await self.loaded(image), **options):
                if "text" in piece:
                    yield piece
            return

        async def described(one: Any) -> str:
            return "".join([piece.get("text", "") async for piece in written(model, capability, one, **options)])

        yield {"text": await self.each(inputs, described)}


task_registry.register(ImageToTextTask)
