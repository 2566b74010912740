"""While: run a graph again and again for as long as a condition holds.

The policy.  The graph runs first and the condition is asked afterwards, so the graph runs at least once.  The condition
sees what the graph gave; when it holds, the graph runs again, until it has run `max_iterations` times.  With
`chain_iterations` what the graph gave replaces its inputs of the same names for the next turn, and outputs that it does
not take are not handed on; without it each turn has the task's own inputs.  The task gives what the last turn gave.

What a turn is given is never stored: it is read back from the outputs of the turns before it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import MaxIterationsError, TaskConfigurationError, TaskFailedError, TaskInputError
from workglow.graph.control.compound import Controller, SequentialController
from workglow.graph.control.conditions import Condition, Operator, holds
from workglow.graph.control.iteration import ITERATION_PORTS, BoundedTask, turn
from workglow.graph.delivery import delivery_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.graph.control.compound import Recall

__all__ = ["WhileTask"]


class _WhileConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    max_iterations: int | str = Field(alias="maxIterations")
    condition: Callable[..., object] | None = None
    condition_field: str | None = Field(default=None, alias="conditionField")
    condition_operator: Operator | None = Field(default=None, alias="conditionOperator")
    condition_value: str | bool | int | float | None = Field(default=None, alias="conditionValue")
    chain_iterations: bool = Field(default=True, alias="chainIterations")
    on_limit: Literal["stop", "error"] = Field(default="stop", alias="onLimit")
    iterate: tuple[str, ...] = ()


class WhileTask(BoundedTask):
    """Repeat a graph while a condition on its outputs holds; the graph always runs at least once.

    The condition is data, `condition_field="quality", condition_operator="less_than", condition_value=0.9` (an empty
    field is all outputs together), or a function `condition(outputs)` or `condition(outputs, iteration)`, with which
    the task cannot be stored.  `max_iterations`, a number or "unbounded", is required; a loop that reaches it gives
    what its last turn gave, or fails with MaxIterationsError if `on_limit="error"`.  `iterate` names list inputs of
    which each turn is given the next item.
    """

    type: ClassVar[str] = "WhileTask"
    title: ClassVar[str] = "While"
    Config: ClassVar[type[BaseModel] | None] = _WhileConfig
    is_sequential: ClassVar[bool] = True

    def check_definition(self) -> None:
        super().check_definition()
        function, operator = self.config["condition"], self.config["condition_operator"]
        if function is None and operator is None:
            raise TaskConfigurationError(
                f"{self.type}: No condition function provided.  Give condition=…, or condition_field, "
                "condition_operator and condition_value."
            )
        if function is not None and operator is not None:
            raise TaskConfigurationError(f"{self.type}: give a condition as a function or as data, not both.")
        if inspect.iscoroutinefunction(function):
            raise TaskConfigurationError(
                f"{self.type}: the condition is async; let a task at the end of the graph find out, and look at its "
                "output here."
            )
        self._check_field()

    def _check_field(self) -> None:
        outputs = self.subgraph.output_schema()
        name = (self.config["condition_field"] or "").partition(".")[0]
        if name and name not in outputs["properties"] and not outputs.get("additionalProperties", True):
            raise TaskConfigurationError(
                f"{self.type}: the condition looks at {self.config['condition_field']!r}, but its graph gives only "
                f"{', '.join(outputs['properties']) or 'nothing'}."
            )

    def input_schema(self) -> dict[str, Any]:
        inner = self.subgraph.input_schema()
        ports = {
            name: {"type": "array", "items": schema} if name in self.config["iterate"] else schema
            for name, schema in inner["properties"].items()
            if name not in ITERATION_PORTS
        }
        required = [name for name in inner.get("required", ()) if name in ports]
        schema = {name: part for name, part in inner.items() if name != "required"}
        return {**schema, "properties": ports, **({"required": required} if required else {})}

    def goes_on(self, outputs: dict[str, object], iteration: int) -> bool:
        """Ask the condition, after the turn of this number, counted from 0."""
        function: Callable[..., object] | None = self.config["condition"]
        try:
            if function is not None:
                return bool(function(outputs, iteration) if _takes_two(function) else function(outputs))
            return holds(self._condition(), outputs)
        except Exception as error:
            raise TaskFailedError(
                f"{self.type} '{self.id}': Condition function threw at iteration {iteration}: {error}"
            ) from error

    def _condition(self) -> Condition:
        value = self.config["condition_value"]
        condition = Condition(
            field=self.config["condition_field"] or "", operator=cast("Operator", self.config["condition_operator"])
        )
        return condition if value is None else {**condition, "value": value}

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return _WhileController(self, inputs, state, recall)


class _WhileController(SequentialController):
    task: WhileTask

    def __init__(
        self, task: WhileTask, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall
    ) -> None:
        super().__init__(task, state)
        self._inputs = inputs
        self._recall = recall
        self._limit = cast("int | str", task.config["max_iterations"])
        self._handed_on = _handed_on(task)
        self._carried: dict[str, object] | None = None if state else {}
        self._last: dict[str, object] | None = None
        self._more = True

    def state(self) -> dict[str, object]:
        stopped = self.opened == self._limit and not self.is_open and self._more
        return {"opened": self.opened, **({"limit": True} if stopped else {})}

    def goes_on(self) -> bool:
        if self._last is None and self.opened:  # an earlier process, or the run before this one, finished that turn
            self._take(self.opened - 1, self._recall(self.opened - 1))
        return self._more and self.opened != self._limit

    def inputs(self, index: int) -> dict[str, object]:
        inputs = {**self._inputs, **self._carried_to(index), **turn(self.task.subgraph, index)}
        for name in cast("Sequence[str]", self.task.config["iterate"]):
            inputs[name] = self._item(name, index)
        return inputs

    def _item(self, name: str, index: int) -> object:
        items = cast("Sequence[object]", self._inputs[name])
        if index >= len(items):
            raise TaskInputError(
                f"{self.task.type} '{self.task.id}': input '{name}' has {len(items)} items, and turn {index} needs "
                "another one; let the condition end the loop before."
            )
        return items[index]

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        super().closed(index, outputs)
        self._take(index, outputs)

    def _take(self, index: int, outputs: dict[str, object]) -> None:
        self._last = outputs
        carried = self._carried_to(index)
        carried.update((name, outputs[name]) for name in self._handed_on if name in outputs)
        self._more = self.task.goes_on(dict(outputs), index)

    def _carried_to(self, index: int) -> dict[str, object]:
        if self._carried is None:
            self._carried = {}
            wanted = set(self._handed_on)
            while wanted and index > 0:
                index -= 1
                outputs = self._recall(index)
                self._carried.update((name, outputs[name]) for name in wanted if name in outputs)
                wanted -= outputs.keys()
        return self._carried

    def progress(self) -> tuple[float, str] | None:
        done = self.opened - self.is_open
        if not isinstance(self._limit, int):
            return None
        return min(0.99, done / self._limit), f"{self.task.title} {done}/{self._limit}"

    def outputs(self) -> dict[str, object]:
        if self._more and self.task.config["on_limit"] == "error":
            raise MaxIterationsError(
                f"{self.task.type} '{self.task.id}' has run {self.opened} times, which is its max_iterations, and its "
                "condition still holds.  Raise the limit, or give on_limit='stop' to take what there is."
            )
        return cast("dict[str, object]", self._last)


def _handed_on(task: WhileTask) -> tuple[str, ...]:
    """The outputs that become inputs of the next turn."""
    if not task.config["chain_iterations"]:
        return ()
    outputs = task.subgraph.output_schema()
    plan = delivery_plan(task.subgraph)
    if plan.open_tasks:
        return tuple(outputs["properties"])
    taken = (name for name in plan.targets if name not in task.config["iterate"])
    if outputs.get("additionalProperties", True):
        return tuple(taken)
    return tuple(name for name in taken if name in outputs["properties"])


def _takes_two(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True
