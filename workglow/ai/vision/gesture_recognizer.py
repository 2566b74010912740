"""Telling the gestures of hands, as a task does it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import Gesture
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.finding import DetectionConfidence, FindingTask, PresenceConfidence, TrackingConfidence
from workglow.ai.vision.image import ImagePort
from workglow.tasks import task_registry

__all__ = ["GestureRecognizerTask"]


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("GestureRecognizerTask")]
    num_hands: Annotated[int, Field(ge=1, le=10, description="How many hands are looked for.")] = 1
    min_hand_detection_confidence: DetectionConfidence = 0.5
    min_hand_presence_confidence: PresenceConfidence = 0.5
    min_tracking_confidence: TrackingConfidence = 0.5


class _Output(BaseModel):
    hands: list[Gesture] | list[list[Gesture]]


class GestureRecognizerTask(FindingTask):
    """Tell what hands say, and find their points."""

    title: ClassVar[str] = "Gesture Recognizer"
    capabilities: ClassVar[tuple[str, ...]] = ("recognise_gestures",)
    findings: ClassVar[str] = "hands"
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output


task_registry.register(GestureRecognizerTask)
