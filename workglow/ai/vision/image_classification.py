"""Sorting images into classes, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results import Label
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["ImageClassificationTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("ImageClassificationTask")]
    categories: Annotated[
        list[str], Field(description="What it may be; when there are none, the classes that the model was trained on.")
    ] = []
    max_categories: Annotated[int, Field(ge=1, le=1000, description="How many are returned.")] = 5


class _Output(BaseModel):
    categories: list[Label] | list[list[Label]]


class ImageClassificationTask(VisionTask):
    """Say what an image shows: classes and how sure the model is of each, the likeliest first.

    With `categories` it is sorted into those, which the model need not know from its training.
    """

    title: ClassVar[str] = "Image Classification"
    capabilities: ClassVar[tuple[str, ...]] = ("classify_image", "classify_image_freely")
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Classify."""
        model, _ = self.model(inputs["model"], context)
        names, most = inputs["categories"], inputs["max_categories"]

        async def likeliest(image: Any) -> list[Label]:
            if names:
                return (await model.call("classify_image_freely", image, labels=names))[:most]
            return (await model.call("classify_image", image))[:most]

        return {"categories": await self.each(inputs, likeliest)}


task_registry.register(ImageClassificationTask)
