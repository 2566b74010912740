"""JsonTask: a graph that arrives as JSON, and runs as a part of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.errors import WorkglowError
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.control.compound import GraphAsTask, GroupController
from workglow.graph.json.dependency_codec import graph_from_dependency_json
from workglow.graph.json.loading import graph_from_json
from workglow.graph.stored import tasks_within
from workglow.tasks import Entitlement, Ports, Task

if TYPE_CHECKING:
    from workglow.graph.control.compound import Recall
    from workglow.graph.graph import TaskGraph
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import TaskRegistry

__all__ = ["JsonTask"]


_INPUTS = Ports.from_schema(
    {
        "type": "object",
        "properties": {
            "json": {"type": "string", "title": "Graph", "description": "A graph, or a list of tasks, as JSON."}
        },
        "required": ["json"],
    }
)


class _Output(BaseModel):
    output: Any = Field(title="Output", description="The outputs of the graph, by name.")


class JsonTask(Task):
    """Run the graph that a JSON text describes; the other inputs are the graph's.

    The JSON is that of `TaskGraph.to_json`, or of its list of tasks with dependencies.  Its tasks are tasks of the run:
    each is recorded, resumed and held to its limits like any other, and only registered types are made.
    """

    title: ClassVar[str] = "JSON Graph"
    category: ClassVar[str] = "Hidden"
    version: ClassVar[str] = "1"
    cacheable: ClassVar[bool] = False
    has_body: ClassVar[bool] = False
    entitlements: ClassVar[tuple[str | Entitlement, ...]] = ("graph:json",)
    Output: ClassVar[type[BaseModel] | None] = _Output

    @property
    def mode(self) -> str:
        """Its tasks run in a scope of their own."""
        return "compound"

    @property
    def inputs(self) -> Ports:
        """The graph, and whatever it takes."""
        return _INPUTS

    def unfold(
        self, inputs: Mapping[str, object], registry: TaskRegistry, transforms: TransformRegistry
    ) -> GraphAsTask:
        """Return the task that holds the graph; GraphFormatError and what else a graph can be refused for."""
        return _Unfolded(_read(str(inputs["json"]), registry, transforms), id=self.id, timeout=self.timeout)

    def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
        """What its own running needs, and what the tasks of the graph need once it is known."""
        own = super().required_entitlements(inputs)
        text = {**self.defaults, **(inputs or {})}.get("json")
        if not isinstance(text, str):
            return own
        try:
            inside = [task.required_entitlements() for task in tasks_within(_read(text, None, built_in_transforms))]
        except WorkglowError:  # told when the graph is made; and each of its tasks is asked again when it begins
            return own
        return tuple(dict.fromkeys([*own, *(entitlement for needed in inside for entitlement in needed)]))


def _read(text: str, registry: TaskRegistry | None, transforms: TransformRegistry) -> TaskGraph:
    read = graph_from_dependency_json if text.lstrip()[:1] == "[" else graph_from_json
    return read(text, registry, transforms=transforms)


class _Unfolded(GraphAsTask):
    type: ClassVar[str] = "JsonTask"
    came_in_as_data: ClassVar[bool] = True  # what is inside may do only what was granted in so many words

    def controller(
        self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall
    ) -> GroupController:
        given = {name: value for name, value in inputs.items() if name != "json"}
        return _Controller(self, given, state, recall)


class _Controller(GroupController):
    def outputs(self) -> dict[str, object]:
        return {"output": super().outputs()}
