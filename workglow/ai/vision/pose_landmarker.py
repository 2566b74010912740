"""Finding the points of bodies, as a task does it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import PoseLandmarks
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.finding import DetectionConfidence, FindingTask, PresenceConfidence, TrackingConfidence
from workglow.ai.vision.image import ImagePort
from workglow.tasks import task_registry

__all__ = ["PoseLandmarkerTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("PoseLandmarkerTask")]
    num_poses: Annotated[int, Field(ge=1, le=10, description="How many poses are looked for.")] = 1
    min_pose_detection_confidence: DetectionConfidence = 0.5
    min_pose_presence_confidence: PresenceConfidence = 0.5
    min_tracking_confidence: TrackingConfidence = 0.5
    output_segmentation_masks: Annotated[bool, Field(description="Whether to give a mask of each body.")] = False


class _Output(BaseModel):
    poses: list[PoseLandmarks] | list[list[PoseLandmarks]]


class PoseLandmarkerTask(FindingTask):
    """Find the points of bodies, and their outlines when that is asked for."""

    title: ClassVar[str] = "Pose Landmarker"
    capabilities: ClassVar[tuple[str, ...]] = ("find_pose_landmarks",)
    findings: ClassVar[str] = "poses"
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output


task_registry.register(PoseLandmarkerTask)
