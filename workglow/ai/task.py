"""What all tasks that need a model have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import Field

from workglow.ai.model import Model
from workglow.ai.models import models_without_project
from workglow.ai.record import ModelRecord
from workglow.ai.rights import check_rights, rights_of
from workglow.errors import ModelCallError, RetryableJobError
from workglow.retry import Retry
from workglow.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.ai.models import Models
    from workglow.tasks import Entitlement, TaskContext

__all__ = ["AiTask", "ModelPort", "model_port", "models_of"]

ModelPort: TypeAlias = str | dict[str, Any]
"""A model's name, or a whole record of it.  Annotate ports `Annotated[ModelPort, model_port("TextSummaryTask")]`."""


def model_port(task_type: str = "") -> Any:
    """Describe a port that takes a model, one that can do what a task of that type needs."""
    return Field(json_schema_extra={"format": f"model:{task_type}" if task_type else "model"}, title="Model")


def models_of(context: TaskContext | None) -> Models:
    """Return the models of the project that a task runs in, or of this process."""
    project = None if context is None else context.project
    return models_without_project() if project is None else project.models


class AiTask(Task):
    """A task that a model does.

    `capabilities` are ways of doing it, the best first; the first that the model has is taken.  A failure that another
    try may mend is tried again, after the time that the provider asks for.
    """

    category: ClassVar[str] = "AI Text Model"
    retry: ClassVar[Retry | None] = Retry(5, delay=1.0, jitter=True, on=(RetryableJobError,))
    capabilities: ClassVar[tuple[str, ...]] = ()

    def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
        """What its own kind needs, and what its models need: the network, for those that run elsewhere."""
        given = {**self.defaults, **(inputs or {})}
        return (
            *super().required_entitlements(inputs),
            *(
                right
                for name, port in self.inputs.items()
                if _is_model(port.schema)
                for right in rights_of(given.get(name))
            ),
        )

    def model(self, named: ModelPort | ModelRecord | Model, context: TaskContext) -> tuple[Model, str]:
        """Return the model and what it shall do; what it takes is recorded.

        UnsupportedCapabilityError says what the model can do, when it cannot do this.
        """
        found = named if isinstance(named, Model) else models_of(context).model(named)
        model = found.telling(lambda name, usage: context.record_usage(name, **usage.to_json()))  # pyright: ignore[reportArgumentType]
        check_rights(model, context)
        supported = model.record.tasks
        if supported and self.type not in supported:
            raise ModelCallError(
                f"Task {self.type}: the model {model.name!r} is not for it; its record lists {', '.join(supported)}."
            )
        return model, model.first_of(self.capabilities)


def _is_model(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("format", "")).partition(":")[0] == "model"
