"""Map: run a graph once for each item of its list inputs.

The policy.  At most `concurrency` items are open at a time, in order of their position; results keep the order of the
items.  With `batch_size` the next batch begins when the one before it is finished.  An item whose graph gave nothing,
because a branch was not taken, keeps its place in the results as None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import BaseModel, Field

from workglow.graph.control.compound import Controller
from workglow.graph.control.iteration import IterationConfig, IterationPlan, IteratorTask, turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from workglow.graph.control.compound import Recall

__all__ = ["ForEachTask", "MapController", "MapTask"]

_CONCURRENCY = 64
"""Items open at a time when the caller sets no limit: enough to fill a transaction, few enough to hold in memory."""


class _MapConfig(IterationConfig):
    concurrency: int | None = Field(default=None, alias="concurrencyLimit", ge=1)
    batch_size: int | None = Field(default=None, alias="batchSize", ge=1)
    preserve_order: bool = Field(default=True, alias="preserveOrder")
    flatten: bool = False
    discard_results: bool = Field(default=False, alias="discardResults")


class _ForEachConfig(_MapConfig):
    discard_results: bool = Field(default=True, alias="discardResults")


class MapTask(IteratorTask):
    """Run a graph for each item of its list inputs, and give each output as the list over the items.

    `max_iterations` is required: a number, which more items exceed with an error, or "unbounded".  `concurrency` items
    run at a time, or `batch_size` of them as one batch after the other.  `flatten` joins results that are lists,
    `discard_results` gives none, `preserve_order=False` gives them as they come.  `iterate` and `broadcast` name inputs
    that are iterated, or given to each item whole, whatever they look like.
    """

    type: ClassVar[str] = "MapTask"
    title: ClassVar[str] = "Map"
    Config: ClassVar[type[BaseModel] | None] = _MapConfig

    def output_schema(self) -> dict[str, Any]:
        inner = self.subgraph.output_schema()
        if self.config["discard_results"]:
            return {"type": "object", "properties": {}, "additionalProperties": False}
        certain = inner.get("required", ())
        ports = {
            name: {"type": "array", "items": self._member(schema, certain=name in certain)}
            for name, schema in inner["properties"].items()
        }
        return {**inner, "properties": ports, "required": list(ports)}

    def _member(self, schema: dict[str, Any], *, certain: bool) -> dict[str, Any]:
        if self.config["flatten"]:
            if schema.get("type") == "array":
                schema = schema.get("items", {})
            elif schema.get("type") not in ("string", "number", "integer", "boolean", "object", "null"):
                return {}  # it may be a list or not
        return schema if certain or not schema else {"anyOf": [schema, {"type": "null"}]}

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return MapController(self, self.analyze(inputs), state, recall)


class ForEachTask(MapTask):
    """Run a graph for each item of its list inputs, for what it does rather than for what it gives."""

    type: ClassVar[str] = "ForEachTask"
    title: ClassVar[str] = "For each"
    Config: ClassVar[type[BaseModel] | None] = _ForEachConfig


class MapController(Controller):
    def __init__(self, task: MapTask, plan: IterationPlan, state: Mapping[str, object] | None, recall: Recall) -> None:
        super().__init__(task)
        self._recall = recall
        self.plan = plan
        self._tells = bool(turn(task.subgraph, 0, 0))
        self._limit = cast("int | None", task.config["concurrency"]) or _CONCURRENCY
        self._batch = cast("int | None", task.config["batch_size"])
        self._opened = cast(int, state["opened"]) if state else 0
        self._live = 0
        self._results = None if task.config["discard_results"] else _Results(task, plan.count)

    def state(self) -> dict[str, object]:
        return {"opened": self._opened, "count": self.plan.count}

    def openings(self) -> Iterator[int]:
        end = self.plan.count
        if self._batch:  # the next batch begins when this one is finished
            end = min(end, -(-(self._opened + (self._live == 0)) // self._batch) * self._batch)
        while self._live < self._limit and self._opened < end:
            self._live += 1
            self._opened += 1
            yield self._opened - 1

    def reopened(self, index: int) -> None:
        self._live += 1

    def inputs(self, index: int) -> dict[str, object]:
        item = self.plan.item(index)
        return {**item, **turn(self.task.subgraph, index, self.plan.count)} if self._tells else item

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        self._live -= 1
        if self._results is not None:
            self._results.add(index, outputs)

    def finished(self) -> bool:
        return self._live == 0 and self._opened >= self.plan.count

    def progress(self) -> tuple[float, str]:
        done, count = self._opened - self._live, self.plan.count
        return done / count, f"{self.task.title} {done}/{count}"

    def outputs(self) -> dict[str, object]:
        results = self._results
        if results is None:
            return {}
        for index in results.missing():
            results.add(index, self._recall(index))
        return results.merged()


class _Results:
    """What the items gave: a column for each port, so that an item costs a place in a list."""

    def __init__(self, task: MapTask, count: int) -> None:
        self._count = count
        self._flatten = task.config["flatten"]
        self._known = bytearray(count)
        self._order: list[int] | None = None if task.config["preserve_order"] else []
        self._columns: dict[str, list[object]] = {
            name: [None] * count for name in task.subgraph.output_schema()["properties"]
        }

    def add(self, index: int, outputs: Mapping[str, object]) -> None:
        self._known[index] = 1
        if self._order is not None:
            self._order.append(index)
        for name, value in outputs.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = [None] * self._count
            column[index] = value

    def missing(self) -> Iterator[int]:
        index = self._known.find(0)
        while index >= 0:
            yield index
            index = self._known.find(0, index + 1)

    def merged(self) -> dict[str, object]:
        order = self._order
        merged: dict[str, object] = {}
        for name, column in self._columns.items():
            values = column if order is None else [column[index] for index in order]
            merged[name] = _flat(values) if self._flatten else values
        return merged


def _flat(values: list[object]) -> list[object]:
    flat: list[object] = []
    for value in values:
        if isinstance(value, list | tuple):
            flat.extend(cast("Sequence[object]", value))
        else:
            flat.append(value)
    return flat
