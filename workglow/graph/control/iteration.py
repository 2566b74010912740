"""Iterating over lists: which inputs of a task are iterated, how often, and what each turn is given.

The policy.  A port is iterated when the caller names it in `iterate`, else not when named in `broadcast`, else when the
body's own port says so (`x-ui-iteration`), else when it is given a list, and the body's port either takes no list or is
given a list of lists.  Iterated lists go in step (zip) and must be equally long; every other value goes to each turn
whole.  A body whose graph takes `iteration_index` or `iteration_count` is told the number of the turn, from 0, and how
many there are; in graphs of other systems these inputs are called `_iterationIndex` and `_iterationCount`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NotRequired, Self, cast

from pydantic import BaseModel, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from workglow.errors import MaxIterationsError, TaskConfigurationError, TaskInputError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.delivery import delivery_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workglow.graph.graph import TaskGraph

__all__ = ["ITERATION_PORTS", "BoundedTask", "IterationConfig", "IterationPlan", "IteratorTask", "turn"]

_INDEX = ("iteration_index", "_iterationIndex")
_COUNT = ("iteration_count", "_iterationCount")
ITERATION_PORTS = frozenset((*_INDEX, *_COUNT))
"""Graph inputs that a loop gives by itself."""


@with_config(ConfigDict(extra="forbid"))
class _InputMode(TypedDict):
    mode: Literal["array", "scalar", "flexible"]
    baseSchema: NotRequired[dict[str, Any]]


class IterationConfig(BaseModel):
    """What every task that iterates over lists is configured with."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    max_iterations: int | str = Field(alias="maxIterations")
    iterate: tuple[str, ...] = ()
    broadcast: tuple[str, ...] = ()
    iteration_input_config: dict[str, _InputMode] = Field(default={}, alias="iterationInputConfig")


class IterationPlan:
    """Which inputs are iterated, and how many items there are."""

    def __init__(self, count: int, iterated: Mapping[str, Sequence[object]], whole: Mapping[str, object]) -> None:
        self.count = count
        self.iterated = iterated
        self.whole = whole

    def item(self, index: int) -> dict[str, object]:
        """The inputs of one item."""
        item = dict(self.whole)
        for name, values in self.iterated.items():
            item[name] = values[index]
        return item


def turn(graph: TaskGraph, index: int, count: int | None = None) -> dict[str, object]:
    """Return the number of the turn, and how many there are, under the names that the graph has for them."""
    targets = delivery_plan(graph).targets
    told: dict[str, object] = {name: index for name in _INDEX if name in targets}
    if count is not None:
        told.update({name: count for name in _COUNT if name in targets})
    return told


def _check_limit(task: BoundedTask, given: Mapping[str, object]) -> None:
    limit = given.get("max_iterations", given.get("maxIterations"))
    if limit is None:
        raise TaskConfigurationError(
            f"{task.type}: maxIterations is required.  Pass a positive integer to cap iteration, "
            'or max_iterations="unbounded" to opt out explicitly.'
        )
    if limit != "unbounded" and not (isinstance(limit, int) and not isinstance(limit, bool) and limit >= 1):
        raise TaskConfigurationError(f'{task.type}: maxIterations is {limit!r}; give at least 1, or "unbounded".')


class BoundedTask(GraphAsTask):
    """A loop, which must say how often it may go round: `max_iterations` is a number, or "unbounded"."""

    type: ClassVar[str] = "BoundedTask"

    def __init__(self, subgraph: TaskGraph, **options: Any) -> None:
        _check_limit(self, options)
        super().__init__(subgraph, **options)

    def replace(self, **changes: Any) -> Self:
        """Return a task that differs in what is given."""
        if not changes.keys().isdisjoint(("max_iterations", "maxIterations")):
            _check_limit(self, changes)
        return super().replace(**changes)


class IteratorTask(BoundedTask):
    """Runs a graph once for each item of its list inputs: what MapTask and ReduceTask have in common.

    `max_iterations` is required: a number, which more items exceed with an error, or "unbounded".
    """

    type: ClassVar[str] = "IteratorTask"
    Config: ClassVar[type[BaseModel] | None] = IterationConfig
    given_by_the_loop: ClassVar[frozenset[str]] = ITERATION_PORTS
    """Inputs of the body that are not the task's own."""

    def input_schema(self) -> dict[str, Any]:
        inner = self.subgraph.input_schema()
        ports = {
            name: self._iterable(name, schema)
            for name, schema in inner["properties"].items()
            if name not in self.given_by_the_loop
        }
        schema = {**inner, "properties": ports}
        if "required" in inner:
            schema["required"] = [name for name in inner["required"] if name in ports]
        return schema

    def _iterable(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        several = {"type": "array", "items": schema}
        match self._mode(name, schema):
            case "array":
                return several
            case "scalar":
                return schema
            case _:
                return {"anyOf": [schema, several]}

    def _mode(self, name: str, schema: Mapping[str, Any]) -> str:
        if name in self.config["iterate"]:
            return "array"
        if name in self.config["broadcast"]:
            return "scalar"
        configured = self.config["iteration_input_config"].get(name)
        if configured is not None:
            return configured["mode"]
        return {True: "array", False: "scalar"}.get(schema.get("x-ui-iteration"), "flexible")  # pyright: ignore

    def analyze(self, inputs: Mapping[str, object]) -> IterationPlan:
        """Decide which inputs are iterated.

        TaskInputError when that gives no number of items, or two; MaxIterationsError when there are too many.
        """
        schemas = self.subgraph.input_schema()["properties"]
        iterated: dict[str, Sequence[object]] = {}
        whole: dict[str, object] = {}
        for name, value in inputs.items():
            if self._iterates(name, schemas.get(name, {}), value):
                iterated[name] = cast("Sequence[object]", value)
            else:
                whole[name] = value
        if not iterated:
            takes = [name for name in schemas if name not in self.given_by_the_loop]
            raise TaskInputError(
                f"{self.type} '{self.id}': At least one array input is required for iteration.  "
                f"Give a list for one of {', '.join(takes) or 'its inputs'}."
            )
        lengths = {name: len(values) for name, values in iterated.items()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{name}={length}" for name, length in lengths.items())
            raise TaskInputError(
                f"{self.type} '{self.id}': All iterated array inputs must have the same length (zip semantics).  "
                f"Found different lengths: {found}."
            )
        count, limit = next(iter(lengths.values())), self.config["max_iterations"]
        if isinstance(limit, int) and count > limit:
            raise MaxIterationsError(
                f"{self.type} '{self.id}' was given {count} items, but max_iterations is {limit}.  "
                "Nothing was run; raise the limit or give fewer items."
            )
        return IterationPlan(count, iterated, whole)

    def _iterates(self, name: str, schema: Mapping[str, Any], value: object) -> bool:
        is_list = isinstance(value, list | tuple)
        mode = self._mode(name, schema)
        if mode == "array":
            if not is_list:
                raise TaskInputError(
                    f"{self.type} '{self.id}': Input '{name}' is configured for iteration but value is not an array."
                )
            return True
        if not is_list or mode == "scalar":
            return False
        if not _takes_list(schema):
            return True
        items = cast("Sequence[object]", value)
        return bool(items) and all(isinstance(item, list | tuple) for item in items)


def _takes_list(schema: Mapping[str, Any]) -> bool:
    types = schema.get("type")
    return types == "array" or (isinstance(types, list) and "array" in types)
