"""Fallback: try one alternative after the other, until one of them succeeds.

The policy.  In the mode "task" each task of the graph is an alternative, tried in the order of definition on the same
inputs; in the mode "data" the whole graph is tried with one set of inputs after the other.  A failure or a time-out
leads to the next alternative; somebody who stops the run does not.  What a failed alternative did stays visible, and
the task fails only when all have failed, with an error that lists why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import TaskConfigurationError, TaskFailedError, TaskTimeoutError
from workglow.graph.control.compound import Controller, GraphAsTask, SequentialController
from workglow.graph.delivery import delivery_plan
from workglow.graph.schemas import either

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.errors import WorkglowError
    from workglow.graph.control.compound import Recall
    from workglow.graph.graph import TaskGraph

__all__ = ["FallbackTask", "alone"]


class _FallbackConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    mode: Literal["task", "data"] = Field(default="task", alias="fallbackMode")
    alternatives: list[dict[str, Any]] = []


class FallbackTask(GraphAsTask):
    """Try alternatives in order and give what the first that succeeds gives.

    `mode="task"`: each task of the graph is an alternative, given the same inputs.  `mode="data"`: the graph is run
    with the inputs of each entry of `alternatives`, a mapping that is laid over the task's own inputs.
    """

    type: ClassVar[str] = "FallbackTask"
    title: ClassVar[str] = "Fallback"
    Config: ClassVar[type[BaseModel] | None] = _FallbackConfig
    is_sequential: ClassVar[bool] = True
    outlives_failures: ClassVar[bool] = True

    def __init__(self, subgraph: TaskGraph, **options: Any) -> None:
        if not subgraph.tasks:
            raise TaskConfigurationError(f"{self.type} has no alternatives to try; add tasks to its graph.")
        super().__init__(subgraph, **options)

    def check_definition(self) -> None:
        super().check_definition()
        if self.is_one_graph:
            if not self.config["alternatives"]:
                raise TaskConfigurationError(
                    f"{self.type} has no data alternatives to try; give alternatives=[{{…}}, …], one for each try."
                )
            return
        if self.config["alternatives"]:
            raise TaskConfigurationError(f"{self.type}: alternatives are for mode='data'; here they are tasks.")
        edge = next(iter(self.subgraph.dataflows()), None)
        if edge is not None:
            raise TaskConfigurationError(
                f"{self.type}: the tasks of its graph are alternatives, so {edge.id} connects what never runs "
                "together.  Put tasks that belong together into a GraphAsTask."
            )

    @classmethod
    def passes_streams(cls) -> bool:
        return True

    @property
    def _graphs(self) -> list[TaskGraph]:
        return [self.subgraph] if self.is_one_graph else self.subgraph.derive("alternatives", _each_alone)

    def alternative(self, index: int) -> TaskGraph:
        """The graph of one alternative."""
        return self.subgraph if self.is_one_graph else self._graphs[index]

    @property
    def count(self) -> int:
        """How many alternatives there are."""
        return len(self.config["alternatives"]) or len(self.subgraph.tasks)

    @property
    def is_one_graph(self) -> bool:
        """Whether the tasks of its graph belong together; as alternatives they do not."""
        return self.config["mode"] == "data"

    def input_schema(self) -> dict[str, Any]:
        schemas = [graph.input_schema() for graph in self._graphs]
        given: list[dict[str, Any]] = self.config["alternatives"]
        return _united(schemas, {name for name in (given[0] if given else ()) if all(name in each for each in given)})

    def output_schema(self) -> dict[str, Any]:
        return _united([graph.output_schema() for graph in self._graphs], set())

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return _FallbackController(self, inputs, state, recall)


class _FallbackController(SequentialController):
    task: FallbackTask

    def __init__(
        self, task: FallbackTask, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall
    ) -> None:
        super().__init__(task, state)
        self._inputs = inputs
        self._recall = recall
        self._failures = list(cast("list[str]", state["failed"])) if state else []
        self._outputs: dict[str, object] | None = None

    def state(self) -> dict[str, object]:
        return {"opened": self.opened, "failed": self._failures}

    def goes_on(self) -> bool:
        if self._outputs is None and self.opened > len(self._failures):  # it succeeded in an earlier process
            self._outputs = self._recall(self.opened - 1)
        return self._outputs is None and self.opened < self.task.count

    def reopened(self, index: int) -> None:
        super().reopened(index)
        del self._failures[index:]

    def graph(self, index: int) -> TaskGraph:
        return self.task.alternative(index)

    def inputs(self, index: int) -> dict[str, object]:
        given: list[dict[str, Any]] = self.task.config["alternatives"]
        if given:
            return {**self._inputs, **given[index]}
        plan = delivery_plan(self.graph(index))
        if plan.open_tasks:
            return self._inputs
        return {name: value for name, value in self._inputs.items() if name in plan.targets}

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        super().closed(index, outputs)
        self._outputs = outputs

    def failed(self, index: int, failure: WorkglowError) -> bool:
        self.is_open = False
        self._failures.append(f"{'[timeout] ' if isinstance(failure, TaskTimeoutError) else ''}{failure}")
        return True

    def outputs(self) -> dict[str, object]:
        if self._outputs is None:
            kind = "data alternatives" if self.task.is_one_graph else "alternatives"
            lines = (f"\n  alternative {number}: {text}" for number, text in enumerate(self._failures, 1))
            raise TaskFailedError(f"All {len(self._failures)} {kind} failed:{''.join(lines)}")
        return self._outputs


def _each_alone(graph: TaskGraph) -> list[TaskGraph]:
    return [alone(graph, task_id) for task_id in graph.tasks]


def alone(graph: TaskGraph, task_id: str) -> TaskGraph:
    """Return a graph of one of the tasks of a graph."""
    alone = type(graph)(merge=graph.merge, transforms=graph.transforms)
    alone.add_task(graph.tasks[task_id])
    for name, ends in graph.inputs.items():
        for end_id, port in ends:
            if end_id == task_id:
                alone.name_input(name, task_id, port)
    for name, (end_id, port) in graph.outputs.items():
        if end_id == task_id:
            alone.name_output(name, task_id, port)
    return alone


def _united(schemas: list[dict[str, Any]], supplied: set[str]) -> dict[str, Any]:
    """What any of the schemas allows; required is what all of them require and nobody supplies."""
    members: dict[str, list[dict[str, Any]]] = {}
    for schema in schemas:
        for name, part in schema["properties"].items():
            members.setdefault(name, []).append(part)
    required = [
        name for name in members if name not in supplied and all(name in s.get("required", ()) for s in schemas)
    ]
    united: dict[str, Any] = {
        "type": "object",
        "properties": {name: either(parts) for name, parts in members.items()},
        "additionalProperties": any(schema.get("additionalProperties", True) for schema in schemas),
    }
    return {**united, "required": required} if required else united
