"""What all tasks on images have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from workglow.ai.bridging import in_thread
from workglow.ai.task import AiTask
from workglow.ai.vision.image import as_image, is_several, paths_in
from workglow.errors import SourceError
from workglow.tasks.entitlements import Entitlement
from workglow.tasks.roots import within

if TYPE_CHECKING:
    from PIL.Image import Image

    from workglow.tasks import TaskContext

__all__ = ["VisionTask"]


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    roots: tuple[str, ...] = Field(
        default=(), description="The folders that images may be read from; none given means the current folder."
    )


class VisionTask(AiTask):
    """A task on one image, or on each of several: then its outputs are lists, in the order of the images."""

    category: ClassVar[str] = "AI Vision Model"
    version: ClassVar[str] = "1"
    Config: ClassVar[type[BaseModel] | None] = _Config

    def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
        """Reading of the files that its images are in; an image that is no path needs nothing."""
        if inputs is None:
            return (Entitlement("files:read", reason="images that are given as paths", optional=True),)
        paths = paths_in({**self.defaults, **inputs}.get("image"))
        if not paths:
            return ()
        return (Entitlement("files:read", tuple(str(within(path, self.config["roots"])) for path in paths)),)

    def cache_identity(self, inputs: dict[str, Any], project: object) -> dict[str, Any]:
        """A file counts as what is in it now, not as its path."""
        inputs = super().cache_identity(inputs, project)
        if not paths_in(inputs.get("image")):
            return inputs
        image = inputs["image"]
        states = [self._state(one) for one in image] if is_several(image) else self._state(image)
        return {**inputs, "image": states}

    def _state(self, image: object) -> object:
        if not isinstance(image, str) or not paths_in(image):
            return image
        try:
            status = within(image, self.config["roots"]).stat()
        except (OSError, SourceError):
            return image  # the task will say what is wrong with it
        return ["file", image, status.st_mtime_ns, status.st_size, status.st_ino]

    async def each(self, inputs: Mapping[str, Any], work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Await `work` for each image, one after the other: its result for one image, a list of them for several."""
        image = inputs["image"]
        if not is_several(image):
            return await work(await self.loaded(image))
        return [await work(await self.loaded(one)) for one in image]

    async def asked(self, inputs: Mapping[str, Any], context: TaskContext, **options: Any) -> Any:
        """Return what the model says of each image, by the first of this task's capabilities that it has."""
        model, capability = self.model(inputs["model"], context)
        return await self.each(inputs, lambda image: model.call(capability, image, **options))

    async def loaded(self, image: object) -> Image:
        """Return one of the given images as it goes into a model."""
        return await in_thread(lambda: as_image(image, self.config["roots"]))
