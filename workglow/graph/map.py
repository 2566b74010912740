"""Map: run a graph once for each item of its list inputs.

The policy.  A port is iterated when the caller names it in `iterate`, else not when named in `broadcast`, else when the
body's own port says so (`x-ui-iteration`), else when it is given a list, and the body's port either takes no list or is
given a list of lists.  Iterated lists go in step (zip) and must be equally long; every other value goes to each item
whole. At most `concurrency` items are open at a time, in order of their position; results keep the order of the items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field

from workglow.errors import MaxIterationsError, TaskConfigurationError, TaskInputError
from workglow.graph.compound import Controller, GraphAsTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from workglow.graph.graph import TaskGraph

__all__ = ["ForEachTask", "IterationPlan", "MapTask"]

_CONCURRENCY = 64
"""Items open at a time when the caller sets no limit: enough to fill a transaction, few enough to hold in memory."""


class _MapConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    max_iterations: int | str = Field(alias="maxIterations")
    concurrency: int | None = Field(default=None, alias="concurrencyLimit", ge=1)
    batch_size: int | None = Field(default=None, alias="batchSize", ge=1)
    preserve_order: bool = Field(default=True, alias="preserveOrder")
    flatten: bool = False
    discard_results: bool = Field(default=False, alias="discardResults")
    iterate: tuple[str, ...] = ()
    broadcast: tuple[str, ...] = ()


class IterationPlan:
    """Which inputs are iterated, and how many items there are."""

    def __init__(self, count: int, iterated: Mapping[str, Sequence[object]], whole: Mapping[str, object]) -> None:
        self.count = count
        self.iterated = iterated
        self.whole = whole

    def item(self, index: int) -> dict[str, object]:
        """The inputs of one item."""
        return {**self.whole, **{name: values[index] for name, values in self.iterated.items()}}


class MapTask(GraphAsTask):
    """Run a graph for each item of its list inputs, and give each output as the list over the items.

    `max_iterations` is required: a number, which more items exceed with an error, or "unbounded".
    """

    type: ClassVar[str] = "MapTask"
    title: ClassVar[str] = "Map"
    Config: ClassVar[type[BaseModel] | None] = _MapConfig

    def __init__(self, subgraph: TaskGraph, **options: Any) -> None:
        if "max_iterations" not in options and "maxIterations" not in options:
            raise TaskConfigurationError(
                f"{self.type}: maxIterations is required.  Pass a positive integer to cap iteration, "
                'or max_iterations="unbounded" to opt out explicitly.'
            )
        super().__init__(subgraph, **options)
        limit = self.config["max_iterations"]
        if limit != "unbounded" and not (isinstance(limit, int) and limit >= 1):
            raise TaskConfigurationError(f'{self.type}: maxIterations is {limit!r}; give at least 1, or "unbounded".')

    def input_schema(self) -> dict[str, Any]:
        inner = self.subgraph.input_schema()
        ports = {name: self._iterable(name, schema) for name, schema in inner["properties"].items()}
        return {**inner, "properties": ports}

    def _iterable(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        several = {"type": "array", "items": schema}
        if name in self.config["iterate"] or schema.get("x-ui-iteration") is True:
            return several
        if name in self.config["broadcast"] or schema.get("x-ui-iteration") is False:
            return schema
        return {"anyOf": [schema, several]}

    def output_schema(self) -> dict[str, Any]:
        inner = self.subgraph.output_schema()
        if self.config["discard_results"]:
            return {"type": "object", "properties": {}, "additionalProperties": False}
        ports = {name: {"type": "array", "items": schema} for name, schema in inner["properties"].items()}
        return {**inner, "properties": ports, "required": list(ports)}

    def analyze(self, inputs: Mapping[str, object]) -> IterationPlan:
        """Decide which inputs are iterated; raises TaskInputError when that gives no number of items, or two."""
        schemas = self.subgraph.input_schema()["properties"]
        iterated: dict[str, Sequence[object]] = {}
        whole: dict[str, object] = {}
        for name, value in inputs.items():
            if self._iterates(name, schemas.get(name, {}), value):
                iterated[name] = cast("Sequence[object]", value)
            else:
                whole[name] = value
        if not iterated:
            raise TaskInputError(
                f"{self.type} '{self.id}': At least one array input is required for iteration.  "
                f"Give a list for one of {', '.join(schemas) or 'its inputs'}."
            )
        lengths = {name: len(values) for name, values in iterated.items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name}={length}" for name, length in lengths.items())
            raise TaskInputError(
                f"{self.type} '{self.id}': All iterated array inputs must have the same length (zip semantics).  "
                f"Found different lengths: {found}."
            )
        return IterationPlan(next(iter(lengths.values())), iterated, whole)

    def _iterates(self, name: str, schema: Mapping[str, Any], value: object) -> bool:
        is_list = isinstance(value, list | tuple)
        if name in self.config["iterate"] or schema.get("x-ui-iteration") is True:
            if not is_list:
                raise TaskInputError(
                    f"{self.type} '{self.id}': Input '{name}' is configured for iteration but value is not an array."
                )
            return True
        if not is_list or name in self.config["broadcast"] or schema.get("x-ui-iteration") is False:
            return False
        if not _takes_list(schema):
            return True
        items = cast("Sequence[object]", value)
        return bool(items) and all(isinstance(item, list | tuple) for item in items)

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None) -> Controller:
        plan = self.analyze(inputs)
        limit = self.config["max_iterations"]
        if isinstance(limit, int) and plan.count > limit:
            raise MaxIterationsError(
                f"{self.type} '{self.id}' was given {plan.count} items, but max_iterations is {limit}.  "
                "Nothing was run; raise the limit or give fewer items."
            )
        return _MapController(self, plan, state)


class ForEachTask(MapTask):
    """Run a graph for each item of its list inputs, for what it does rather than for what it gives."""

    type: ClassVar[str] = "ForEachTask"
    title: ClassVar[str] = "For each"

    def __init__(self, subgraph: TaskGraph, **options: Any) -> None:
        if "discardResults" not in options:
            options.setdefault("discard_results", True)
        super().__init__(subgraph, **options)


def _takes_list(schema: Mapping[str, Any]) -> bool:
    types = schema.get("type")
    return types == "array" or (isinstance(types, list) and "array" in types)


class _MapController:
    def __init__(self, task: MapTask, plan: IterationPlan, state: Mapping[str, object] | None) -> None:
        self._task = task
        self._plan = plan
        self._limit = cast("int | None", task.config["concurrency"]) or _CONCURRENCY
        self._batch = cast("int | None", task.config["batch_size"])
        self._opened = cast(int, state["opened"]) if state else 0
        self._live = 0
        self._results: dict[int, dict[str, object]] = {}

    def state(self) -> dict[str, object]:
        return {"opened": self._opened, "count": self._plan.count}

    def openings(self) -> Iterator[int]:
        end = self._plan.count
        if self._batch:  # the next batch begins when this one is finished
            end = min(end, -(-(self._opened + (self._live == 0)) // self._batch) * self._batch)
        while self._live < self._limit and self._opened < end:
            self._live += 1
            self._opened += 1
            yield self._opened - 1

    def reopened(self, index: int) -> None:
        self._live += 1

    def prefix(self, path: str, index: int) -> str:
        return f"{path}[{index}]/"

    def inputs(self, index: int) -> dict[str, object]:
        return self._plan.item(index)

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        self._live -= 1
        if not self._task.config["discard_results"]:
            self._results[index] = outputs

    def finished(self) -> bool:
        return self._live == 0 and self._opened >= self._plan.count

    def progress(self) -> tuple[float, str]:
        done, count = self._opened - self._live, self._plan.count
        return done / count, f"{self._task.title} {done}/{count}"

    def outputs(self, recall: Callable[[int], dict[str, object]]) -> dict[str, object]:
        if self._task.config["discard_results"]:
            return {}
        results = self._results
        for index in range(self._plan.count):
            if index not in results:
                results[index] = recall(index)
        order = range(self._plan.count) if self._task.config["preserve_order"] else list(results)
        names = dict.fromkeys(self._task.subgraph.output_schema()["properties"])
        for index in order:
            names.update(dict.fromkeys(results[index]))
        flatten = self._task.config["flatten"]
        merged: dict[str, object] = {}
        for name in names:
            values = [results[index].get(name) for index in order]
            merged[name] = _flat(values) if flatten else values
        return merged


def _flat(values: list[object]) -> list[object]:
    flat: list[object] = []
    for value in values:
        if isinstance(value, list | tuple):
            flat.extend(cast("Sequence[object]", value))
        else:
            flat.append(value)
    return flat
