"""Reduce: run a graph for each item in turn, and hand what it gave on to the next.

The policy.  The graph takes `accumulator` and the item.  What it gives is the accumulator of the next turn: the port
`accumulator` when it has one, else all its outputs as one object.  A turn that gives nothing, because a branch was not
taken, leaves the accumulator as it was.  Without items the result is the initial value.

The accumulator is never copied into the state of the task: it is read back from the outputs of the last turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field

from workglow.errors import TaskConfigurationError
from workglow.graph.control.compound import Controller, SequentialController
from workglow.graph.control.iteration import ITERATION_PORTS, IterationConfig, IterationPlan, IteratorTask, turn
from workglow.tasks.clone import clone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.graph.control.compound import Recall

__all__ = ["ReduceTask"]

_ACCUMULATOR = "accumulator"


class _ReduceConfig(IterationConfig):
    initial_value: Any = Field(default_factory=dict[str, Any], alias="initialValue")


class ReduceTask(IteratorTask):
    """Fold its list inputs into one result: `ReduceTask(body, initial_value=0, max_iterations="unbounded")`.

    The body takes `accumulator` and the item, and gives the next `accumulator`, or ports that together are the next
    one.  `max_iterations` is required: a number, which more items exceed with an error, or "unbounded".  Raises
    TaskConfigurationError for an `initial_value` that is no mapping when the accumulator is an object of ports.
    """

    type: ClassVar[str] = "ReduceTask"
    title: ClassVar[str] = "Reduce"
    Config: ClassVar[type[BaseModel] | None] = _ReduceConfig
    is_sequential: ClassVar[bool] = True
    given_by_the_loop: ClassVar[frozenset[str]] = ITERATION_PORTS | {_ACCUMULATOR}

    def check_definition(self) -> None:
        super().check_definition()
        initial = self.config["initial_value"]
        if not self.gives_accumulator and not isinstance(initial, dict):
            raise TaskConfigurationError(
                f"{self.type}: initial_value is {initial!r}, but the outputs of its graph are an object.  Give an "
                f"object, or let the graph give its result on a port {_ACCUMULATOR!r}."
            )

    @property
    def gives_accumulator(self) -> bool:
        """Whether the accumulator is one port of the body's, rather than all of them."""
        return _ACCUMULATOR in self.subgraph.output_schema()["properties"]

    def output_schema(self) -> dict[str, Any]:
        inner = self.subgraph.output_schema()
        initial = self.initial_outputs()
        ports: dict[str, Any] = {**{name: {} for name in initial}, **inner["properties"]}
        required = [name for name in inner.get("required", ()) if name in initial]
        schema = {name: part for name, part in inner.items() if name != "required"}
        return {**schema, "properties": ports, **({"required": required} if required else {})}

    def initial_outputs(self) -> dict[str, object]:
        """What the task gives for no items."""
        initial = clone(self.config["initial_value"])
        return {_ACCUMULATOR: initial} if self.gives_accumulator else initial

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return _ReduceController(self, self.analyze(inputs), state, recall)


class _ReduceController(SequentialController):
    def __init__(
        self, task: ReduceTask, plan: IterationPlan, state: Mapping[str, object] | None, recall: Recall
    ) -> None:
        super().__init__(task, state)
        self._plan = plan
        self._recall = recall
        self._initial = task.initial_outputs()
        self._gives_accumulator = task.gives_accumulator
        self._latest: dict[str, object] | None = None if state else self._initial

    def goes_on(self) -> bool:
        return self.opened < self._plan.count

    def inputs(self, index: int) -> dict[str, object]:
        outputs = self._outputs_before(index)
        accumulator = outputs[_ACCUMULATOR] if self._gives_accumulator else outputs
        inputs = {**self._plan.item(index), **turn(self.task.subgraph, index, self._plan.count)}
        return {**inputs, _ACCUMULATOR: accumulator}

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        super().closed(index, outputs)
        if self._counts(outputs):
            self._latest = outputs

    def _counts(self, outputs: Mapping[str, object]) -> bool:
        return _ACCUMULATOR in outputs if self._gives_accumulator else bool(outputs)

    def _outputs_before(self, index: int) -> dict[str, object]:
        while self._latest is None:
            index -= 1
            outputs = self._recall(index) if index >= 0 else self._initial
            if index < 0 or self._counts(outputs):
                self._latest = outputs
        return self._latest

    def progress(self) -> tuple[float, str]:
        done, count = self.opened - self.is_open, self._plan.count
        return done / count, f"{self.task.title} {done}/{count}"

    def outputs(self) -> dict[str, object]:
        return self._outputs_before(self.opened)
