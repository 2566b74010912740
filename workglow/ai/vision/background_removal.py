"""Cutting the background out of an image, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel

from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImageOutput, ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["BackgroundRemovalTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("BackgroundRemovalTask")]


class _Output(BaseModel):
    image: ImageOutput


class BackgroundRemovalTask(VisionTask):
    """Make the background of an image transparent.

    The image that comes out is as large as the one that went in; it is a PIL image with an alpha channel.
    """

    title: ClassVar[str] = "Background Removal"
    capabilities: ClassVar[tuple[str, ...]] = ("remove_background",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Cut out."""
        return {"image": await self.asked(inputs, context)}


task_registry.register(BackgroundRemovalTask)
