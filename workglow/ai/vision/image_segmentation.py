"""Telling the parts of an image apart, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import Segment
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["ImageSegmentationTask"]

_OPTIONS = (
    "threshold",
    "mask_threshold",
)


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("ImageSegmentationTask")]
    threshold: Annotated[float, Field(ge=0, le=1, description="How sure the model must be of a part as a whole.")] = 0.5
    mask_threshold: Annotated[
        float, Field(ge=0, le=1, description="How sure it must be that a pixel is of the part.")
    ] = 0.5


class _Output(BaseModel):
    masks: list[Segment] | list[list[Segment]]


class ImageSegmentationTask(VisionTask):
    """Tell the parts of an image apart, such as a person and what is behind: each has a mask of the same size."""

    title: ClassVar[str] = "Image Segmentation"
    capabilities: ClassVar[tuple[str, ...]] = ("segment_image",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Segment."""
        options = {name: inputs[name] for name in _OPTIONS}
        return {"masks": await self.asked(inputs, context, **options)}


task_registry.register(ImageSegmentationTask)
