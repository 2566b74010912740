"""Turning images into vectors, as a task does it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from workglow.ai.task import ModelPort, model_port
from workglow.ai.vision.image import ImagePort, is_several
from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext, task_registry

__all__ = ["ImageEmbeddingTask"]

_AT_ONCE: Final = 16  # images that are in memory together


class _Input(BaseModel):
    image: ImagePort
    model: Annotated[ModelPort, model_port("ImageEmbeddingTask")]


class _Output(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    vector: NDArray[np.float32]


class ImageEmbeddingTask(VisionTask):
    """Turn an image into a vector of unit length; several images into a matrix with a row for each."""

    title: ClassVar[str] = "Image Embedding"
    capabilities: ClassVar[tuple[str, ...]] = ("embed_image",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Embed."""
        model, _ = self.model(inputs["model"], context)
        image = inputs["image"]
        if not is_several(image):
            return {"vector": (await model.embed_images([await self.loaded(image)]))[0]}
        parts = [
            await model.embed_images([await self.loaded(one) for one in image[start : start + _AT_ONCE]])
            for start in range(0, len(image), _AT_ONCE)
        ]
        return {"vector": np.concatenate(parts) if parts else np.zeros((0, model.record.dimensions or 0), np.float32)}


task_registry.register(ImageEmbeddingTask)
