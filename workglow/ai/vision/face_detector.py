"""Finding faces in an image, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import DetectedFace
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["FaceDetectorTask"]

_OPTIONS = (
    "min_detection_confidence",
    "min_suppression_threshold",
)


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("FaceDetectorTask")]
    min_detection_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure the model must be that it is a face.")
    ] = 0.5
    min_suppression_threshold: Annotated[
        float, Field(ge=0, le=1, description="Of two faces that overlap by more than this, one is kept.")
    ] = 0.3


class _Output(BaseModel):
    faces: list[DetectedFace] | list[list[DetectedFace]]


class FaceDetectorTask(VisionTask):
    """Find faces in an image: where each is, and where its eyes, nose, mouth and ears are."""

    title: ClassVar[str] = "Face Detector"
    capabilities: ClassVar[tuple[str, ...]] = ("detect_faces",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Detect."""
        options = {name: inputs[name] for name in _OPTIONS}
        return {"faces": await self.asked(inputs, context, **options)}


task_registry.register(FaceDetectorTask)
