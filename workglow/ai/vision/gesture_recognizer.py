"""Telling the gestures of hands, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import Gesture
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["GestureRecognizerTask"]

_OPTIONS = (
    "num_hands",
    "min_hand_detection_confidence",
    "min_hand_presence_confidence",
    "min_tracking_confidence",
)


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("GestureRecognizerTask")]
    num_hands: Annotated[int, Field(ge=1, le=10, description="How many hands are looked for.")] = 1
    min_hand_detection_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure the model must be that there is a hand.")
    ] = 0.5
    min_hand_presence_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure it must be, once it looks closely, that the hand is there.")
    ] = 0.5
    min_tracking_confidence: Annotated[
        float,
        Field(
            ge=0, le=1, description="How sure it must be in one picture of a film that it sees what it saw in the last."
        ),
    ] = 0.5


class _Output(BaseModel):
    hands: list[Gesture] | list[list[Gesture]]


class GestureRecognizerTask(VisionTask):
    """Tell what hands say, and find their points."""

    title: ClassVar[str] = "Gesture Recognizer"
    capabilities: ClassVar[tuple[str, ...]] = ("recognise_gestures",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Recognise."""
        options = {name: inputs[name] for name in _OPTIONS}
        return {"hands": await self.asked(inputs, context, **options)}


task_registry.register(GestureRecognizerTask)
