"""What the tasks have in common that look for faces, hands and bodies in an image."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Field

from workglow.ai.vision.task import VisionTask
from workglow.tasks import TaskContext

__all__ = ["DetectionConfidence", "FindingTask", "PresenceConfidence", "TrackingConfidence"]

DetectionConfidence: TypeAlias = Annotated[
    float, Field(ge=0, le=1, description="How sure the model must be that there is one.")
]
PresenceConfidence: TypeAlias = Annotated[
    float, Field(ge=0, le=1, description="How sure it must be, once it looks closely, that it is there.")
]
TrackingConfidence: TypeAlias = Annotated[
    float,
    Field(ge=0, le=1, description="How sure it must be in one picture of a film that it sees what it saw in the last."),
]


class FindingTask(VisionTask):
    """Looks for things of one kind; `findings` names its output.  All inputs but `image` and `model` say how."""

    findings: ClassVar[str]

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Look."""
        options = {name: value for name, value in inputs.items() if name not in ("image", "model")}
        return {self.findings: await self.asked(inputs, context, **options)}
