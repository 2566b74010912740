"""ArrayTask: inputs that take one value or a list; a graph runs for each combination of the values given.

The policy.  Any input may be given as a list, unless its port takes a list itself; if ports are named in `iterate`, or
marked with `x-replicate` in their schema, only these may.  Several lists are combined: the graph runs for each value of
the first with each of the second, and so on, the last one changing fastest, in the order of the ports.  If any list was
given, the outputs are lists, also for a list of one or of none; otherwise they are what the graph gave.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, cast

from workglow.errors import MaxIterationsError
from workglow.graph.control.iteration import IterationPlan
from workglow.graph.control.map import MapController, MapTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from workglow.graph.control.compound import Controller, Recall
    from workglow.graph.graph import TaskGraph

__all__ = ["ArrayTask"]


class ArrayTask(MapTask):
    """Run a graph for one value of each input, or for every combination of the values in those that are lists.

    With lists each output is a list over the combinations; without, it is what the graph gives.  `iterate` names the
    inputs that may be lists, if not all may; `broadcast` names some that may not.  `max_iterations` is unbounded unless
    it is given; `concurrency`, `batch_size`, `preserve_order`, `flatten` and `discard_results` are those of MapTask.
    """

    type: ClassVar[str] = "ArrayTask"
    title: ClassVar[str] = "Array"

    def __init__(self, subgraph: TaskGraph, **options: Any) -> None:
        if "maxIterations" not in options:
            options.setdefault("max_iterations", "unbounded")
        super().__init__(subgraph, **options)

    def output_schema(self) -> dict[str, Any]:
        one, several = self.subgraph.output_schema(), super().output_schema()
        ports = {name: {"anyOf": [one["properties"][name], schema]} for name, schema in several["properties"].items()}
        required = [name for name in one.get("required", ()) if name in ports]
        return {**several, "properties": ports, "required": required}

    def analyze(self, inputs: Mapping[str, object]) -> IterationPlan:
        """Decide which inputs are lists to combine; MaxIterationsError when there are too many combinations."""
        schemas = self.subgraph.input_schema()["properties"]
        names = [*(name for name in schemas if name in inputs), *sorted(inputs.keys() - schemas.keys())]
        iterated: dict[str, Sequence[object]] = {}
        for name in names:  # in an order that does not depend on how the inputs were stored
            if self._iterates(name, schemas.get(name, {}), inputs[name]):
                iterated[name] = cast("Sequence[object]", inputs[name])
        whole = {name: value for name, value in inputs.items() if name not in iterated}
        count, limit = math.prod(map(len, iterated.values())), self.config["max_iterations"]
        if isinstance(limit, int) and count > limit:
            sizes = ", ".join(f"{name}={len(values)}" for name, values in iterated.items())
            raise MaxIterationsError(
                f"{self.type} '{self.id}' was given {count} combinations ({sizes}), but max_iterations is {limit}.  "
                "Nothing was run; raise the limit or give fewer values."
            )
        return _Combinations(count, iterated, whole)

    def controller(self, inputs: dict[str, object], state: Mapping[str, object] | None, recall: Recall) -> Controller:
        return _ArrayController(self, self.analyze(inputs), state, recall)

    def _iterable(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        if self._mode(name, schema) == "scalar":
            return schema
        return {"anyOf": [schema, {"type": "array", "items": schema}]}

    def _mode(self, name: str, schema: Mapping[str, Any]) -> str:
        mode = "array" if schema.get("x-replicate") is True else super()._mode(name, schema)
        return "scalar" if mode == "flexible" and self._chooses() else mode

    def _chooses(self) -> bool:
        """Say whether it is told which inputs may be lists."""
        ports: Mapping[str, Any] = self.subgraph.input_schema()["properties"]
        return bool(self.config["iterate"]) or any(port.get("x-replicate") is True for port in ports.values())

    def _iterates(self, name: str, schema: Mapping[str, Any], value: object) -> bool:
        is_list = isinstance(value, list | tuple)
        return is_list and super()._iterates(name, schema, cast("object", value))


class _Combinations(IterationPlan):
    """Each value of each list with each of the others."""

    def item(self, index: int) -> dict[str, object]:
        item = dict(self.whole)
        for name in reversed(list(self.iterated)):
            values = self.iterated[name]
            index, place = divmod(index, len(values))
            item[name] = values[place]
        return item


class _ArrayController(MapController):
    _one: dict[str, object] | None = None

    def closed(self, index: int, outputs: dict[str, object]) -> None:
        super().closed(index, outputs)
        if not self.plan.iterated:
            self._one = outputs

    def outputs(self) -> dict[str, object]:
        if self.plan.iterated or self.task.config["discard_results"]:
            return super().outputs()
        return self._recall(0) if self._one is None else self._one
