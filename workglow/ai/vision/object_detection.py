"""Finding objects in an image, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import DetectedObject
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["ObjectDetectionTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("ObjectDetectionTask")]
    labels: Annotated[list[str], Field(description="What to look for; when there are none, all that it knows.")] = []
    threshold: Annotated[float, Field(ge=0, le=1, description="How sure the model must be.")] = 0.5


class _Output(BaseModel):
    detections: list[DetectedObject] | list[list[DetectedObject]]


class ObjectDetectionTask(VisionTask):
    """Find objects in an image: what each is, how sure the model is, and where it is, the surest first."""

    title: ClassVar[str] = "Object Detection"
    capabilities: ClassVar[tuple[str, ...]] = ("detect_objects",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Detect."""
        model, capability = self.model(inputs["model"], context)
        labels, threshold = inputs["labels"], inputs["threshold"]

        async def wanted(image: Any) -> list[DetectedObject]:
            found = await model.call(capability, image, labels=labels, threshold=threshold)
            return [one for one in found if one["score"] >= threshold and (not labels or one["label"] in labels)]

        return {"detections": await self.each(inputs, wanted)}


task_registry.register(ObjectDetectionTask)
