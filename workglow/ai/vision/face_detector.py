"""Finding faces in an image, as a task does it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import DetectedFace
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.finding import DetectionConfidence, FindingTask
from workglow.ai.vision.image import ImagePort
from workglow.tasks import task_registry

__all__ = ["FaceDetectorTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("FaceDetectorTask")]
    min_detection_confidence: DetectionConfidence = 0.5
    min_suppression_threshold: Annotated[
        float, Field(ge=0, le=1, description="Of two faces that overlap by more than this, one is kept.")
    ] = 0.3


class _Output(BaseModel):
    faces: list[DetectedFace] | list[list[DetectedFace]]


class FaceDetectorTask(FindingTask):
    """Find faces in an image: where each is, and where its eyes, nose, mouth and ears are."""

    title: ClassVar[str] = "Face Detector"
    capabilities: ClassVar[tuple[str, ...]] = ("detect_faces",)
    findings: ClassVar[str] = "faces"
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output


task_registry.register(FaceDetectorTask)
