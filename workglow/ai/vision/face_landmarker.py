"""Finding the points of faces, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.ai.results_of_images import FaceLandmarks
from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["FaceLandmarkerTask"]

_OPTIONS = (
    "num_faces",
    "min_face_detection_confidence",
    "min_face_presence_confidence",
    "min_tracking_confidence",
    "output_face_blendshapes",
    "output_facial_transformation_matrixes",
)


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("FaceLandmarkerTask")]
    num_faces: Annotated[int, Field(ge=1, le=10, description="How many faces are looked for.")] = 1
    min_face_detection_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure the model must be that there is a face.")
    ] = 0.5
    min_face_presence_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure it must be, once it looks closely, that the face is there.")
    ] = 0.5
    min_tracking_confidence: Annotated[
        float,
        Field(
            ge=0, le=1, description="How sure it must be in one picture of a film that it sees what it saw in the last."
        ),
    ] = 0.5
    output_face_blendshapes: Annotated[bool, Field(description="Whether to say what a face expresses.")] = False
    output_facial_transformation_matrixes: Annotated[
        bool, Field(description="Whether to say how a face stands in space.")
    ] = False


class _Output(BaseModel):
    faces: list[FaceLandmarks] | list[list[FaceLandmarks]]


class FaceLandmarkerTask(VisionTask):
    """Find the points of faces, and what they express when that is asked for."""

    title: ClassVar[str] = "Face Landmarker"
    capabilities: ClassVar[tuple[str, ...]] = ("find_face_landmarks",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Look."""
        options = {name: inputs[name] for name in _OPTIONS}
        return {"faces": await self.asked(inputs, context, **options)}


task_registry.register(FaceLandmarkerTask)
