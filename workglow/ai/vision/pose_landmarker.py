"""Finding the points of bodies, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import PoseLandmarks
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["PoseLandmarkerTask"]

_OPTIONS = (
    "num_poses",
    "min_pose_detection_confidence",
    "min_pose_presence_confidence",
    "min_tracking_confidence",
    "output_segmentation_masks",
)


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("PoseLandmarkerTask")]
    num_poses: Annotated[int, Field(ge=1, le=10, description="How many poses are looked for.")] = 1
    min_pose_detection_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure the model must be that there is a pose.")
    ] = 0.5
    min_pose_presence_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure it must be, once it looks closely, that the pose is there.")
    ] = 0.5
    min_tracking_confidence: Annotated[
        float,
        Field(
            ge=0, le=1, description="How sure it must be in one picture of a film that it sees what it saw in the last."
        ),
    ] = 0.5
    output_segmentation_masks: Annotated[bool, Field(description="Whether to give a mask of each body.")] = False


class _Output(BaseModel):
    poses: list[PoseLandmarks] | list[list[PoseLandmarks]]


class PoseLandmarkerTask(VisionTask):
    """Find the points of bodies, and their outlines when that is asked for."""

    title: ClassVar[str] = "Pose Landmarker"
    capabilities: ClassVar[tuple[str, ...]] = ("find_pose_landmarks",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Look."""
        options = {name: inputs[name] for name in _OPTIONS}
        return {"poses": await self.asked(inputs, context, **options)}


task_registry.register(PoseLandmarkerTask)
