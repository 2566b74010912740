"""What all tasks that need a model have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from pydantic import Field

from workglow.ai.gating import check_inline, check_task, way_of
from workglow.ai.model import Model
from workglow.ai.models import models_without_project
from workglow.ai.record import ModelRecord
from workglow.ai.rights import check_rights, rights_of
from workglow.errors import RetryableJobError, TaskInputError
from workglow.retry import Retry
from workglow.tasks import Ports, Task

if TYPE_CHECKING:
    from workglow.ai.models import Models
    from workglow.graph.control.compound import GraphAsTask
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import Entitlement, TaskContext

__all__ = ["AiTask", "ModelPort", "model_port", "models_of"]

ModelPort: TypeAlias = str | dict[str, Any] | list[str | dict[str, Any]]
"""A model's name, or a whole record of it; or several, when the task is made.

Annotate ports `Annotated[ModelPort, model_port("TextSummaryTask")]`.
"""


def model_port(task_type: str = "") -> Any:
    """Describe a port that takes a model, one that can do what a task of that type needs."""
    return Field(json_schema_extra={"format": f"model:{task_type}" if task_type else "model"}, title="Model")


def models_of(context: TaskContext | None) -> Models:
    """Return the models of the project that a task runs in, or of this process."""
    return _models(None if context is None else context.project)


def _models(project: object) -> Models:
    return models_without_project() if project is None else cast("Any", project).models


class AiTask(Task):
    """A task that a model does.

    `capabilities` are ways of doing it, the best first; the first that the model has is taken.  A failure that another
    try may mend is tried again, after the time that the provider asks for.

    A task that is made with a list of models does its work with each: its outputs are lists, in the order of the
    models, and each model has a task run of its own, with its own retries, usage and place in the cache.
    """

    category: ClassVar[str] = "AI Text Model"
    spends: ClassVar[bool] = True
    picks_queue: ClassVar[bool] = True
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

    def model(
        self, named: ModelPort | ModelRecord | Model, context: TaskContext, capabilities: Sequence[str] = ()
    ) -> tuple[Model, str]:
        """Return the model and what it shall do, the first of the task's capabilities, or of these, that it has.

        What it takes is recorded.  UnsupportedCapabilityError says what the model can do, when it cannot do this.
        """
        model = self.found(named, context)
        return model, way_of(model, capabilities or self.capabilities, models_of(context))

    def found(self, named: ModelPort | ModelRecord | Model, context: TaskContext) -> Model:
        """Return the model, whatever it can do; what it takes is recorded."""
        if isinstance(named, list):
            raise TaskInputError(
                f"{self._who}: input 'model' is a list.  Give several models when the task is made, "
                "or let `workflow.array(…)` run it for each."
            )
        models = models_of(context)
        if isinstance(named, Mapping):
            check_inline(named, context)
        found = named if isinstance(named, Model) else models.model(named)
        model = found.telling(lambda name, usage: context.record_usage(name, **usage.to_json()))  # pyright: ignore[reportArgumentType]
        check_rights(model, context)
        check_task(model, self.type, models)
        return model

    def queue_for(self, inputs: Mapping[str, Any], project: Any) -> str | None:
        """Return the queue that the model's record names, whose workers do the task in a run that is kept.

        "auto" stands for who runs the model, and where: 'gguf:cuda', or 'gguf' when the record names no device.
        """
        named = inputs.get("model")
        if not isinstance(named, str | dict):
            return None
        record = project.models.find(named)
        if record.queue == "auto":
            return f"{record.provider}:{record.device}" if record.device else record.provider
        return record.queue or None

    def cache_identity(self, inputs: dict[str, Any], project: object) -> dict[str, Any]:
        """Return its inputs with what the model is in place of what it is called."""
        named = inputs.get("model")
        return inputs if named is None else {**inputs, "model": _models(project).find(named).identity()}

    def _set_defaults(self, defaults: Mapping[str, Any]) -> None:
        super()._set_defaults(defaults)
        several = isinstance(self._defaults.get("model"), list | tuple)
        for name in ("mode", "outputs"):  # which are those of the class, unless it is said otherwise here
            self.__dict__.pop(name, None)
        if several:
            self.__dict__.update(mode="compound", outputs=listed(self.outputs))

    def unfold(self, inputs: Mapping[str, Any], registry: object, transforms: TransformRegistry) -> GraphAsTask:
        """Return the task that does it with one model after the other, each a task of the run."""
        from workglow.graph.control.array import ArrayTask
        from workglow.graph.graph import TaskGraph

        graph = TaskGraph(transforms=transforms)
        one = {name: value for name, value in self.defaults.items() if name != "model"}
        graph.add_task(self.replace(id=self.id, defaults=one))
        return ArrayTask(graph, id=self.id, iterate=("model",))


def listed(ports: Ports) -> Ports:
    """Return the same ports, each a list of what it was."""
    properties = {
        name: {"type": "array", "items": {key: part for key, part in port.schema.items() if key != "x-stream"}}
        for name, port in ports.items()
    }
    return Ports.from_schema({"type": "object", "properties": properties, "additionalProperties": ports.open})


def _is_model(schema: Mapping[str, Any]) -> bool:
    return str(schema.get("format", "")).partition(":")[0] == "model"
