"""Finding the points of faces, as a task does it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import FaceLandmarks
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.finding import DetectionConfidence, FindingTask, PresenceConfidence, TrackingConfidence
from workglow.ai.vision.image import ImagePort
from workglow.tasks import task_registry

__all__ = ["FaceLandmarkerTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("FaceLandmarkerTask")]
    num_faces: Annotated[int, Field(ge=1, le=10, description="How many faces are looked for.")] = 1
    min_face_detection_confidence: DetectionConfidence = 0.5
    min_face_presence_confidence: PresenceConfidence = 0.5
    min_tracking_confidence: TrackingConfidence = 0.5
    output_face_blendshapes: Annotated[bool, Field(description="Whether to say what a face expresses.")] = False
    output_facial_transformation_matrixes: Annotated[
        bool, Field(description="Whether to say how a face stands in space.")
    ] = False


class _Output(BaseModel):
    faces: list[FaceLandmarks] | list[list[FaceLandmarks]]


class FaceLandmarkerTask(FindingTask):
    """Find the points of faces, and what they express when that is asked for."""

    title: ClassVar[str] = "Face Landmarker"
    capabilities: ClassVar[tuple[str, ...]] = ("find_face_landmarks",)
    findings: ClassVar[str] = "faces"
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output


task_registry.register(FaceLandmarkerTask)
