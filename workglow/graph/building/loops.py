"""The tasks with a graph inside, as methods of a builder: loops, groups and fallbacks.

Without a body each returns the builder of its body; `workglow.graph.building.nesting` says how that is closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

from workglow.graph.building.nesting import NestingBuilder
from workglow.graph.schemas import PROPERTY_ARRAY, Merge, as_merge

if TYPE_CHECKING:
    from workglow.graph.control.compound import GraphAsTask
    from workglow.graph.control.conditions import Condition
    from workglow.graph.graph import TaskGraph
    from workglow.graph.tasklike import TaskLike

__all__ = ["LoopBuilder"]


class LoopBuilder(NestingBuilder):
    """Adds tasks that hold graphs."""

    def group(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        merge: Merge = PROPERTY_ARRAY,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a graph that behaves as one task; `merge` says how the outputs of several last tasks become one."""
        from workglow.graph.control.compound import GraphAsTask

        as_merge(merge)  # here, and not where the body ends

        def make(graph: TaskGraph, **options: Any) -> GraphAsTask:
            graph.merge = merge
            return GraphAsTask(graph, **options)

        return self._nest("group", make, body, id=id, inputs=inputs, settings=settings)

    def map(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that runs its body for each item of its list inputs; its outputs are lists.

        `settings` are those of MapTask: `concurrency`, `preserve_order`, `flatten`, `discard_results`, `iterate`,
        `broadcast`.  More items than `max_iterations` are an error; None is no limit.
        """
        from workglow.graph.control.map import MapTask

        settings["max_iterations"] = max_iterations or "unbounded"
        return self._nest("map", MapTask, body, id=id, inputs=inputs, settings=settings)

    def array(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task whose inputs take one value or a list, and that runs its body for every combination of these.

        Its outputs are lists if any input was, else what the body gave.  `settings` are those of ArrayTask, which are
        those of `map`.
        """
        from workglow.graph.control.array import ArrayTask

        settings["max_iterations"] = max_iterations or "unbounded"
        return self._nest("array", ArrayTask, body, id=id, inputs=inputs, settings=settings)

    def for_each(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that runs its body for each item, for what it does: it has no outputs.  Otherwise as `map`."""
        from workglow.graph.control.map import ForEachTask

        settings["max_iterations"] = max_iterations or "unbounded"
        return self._nest("for_each", ForEachTask, body, id=id, inputs=inputs, settings=settings)

    def reduce(
        self,
        body: TaskLike | None = None,
        *,
        initial_value: object = None,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that folds its list inputs: its body takes `accumulator` and an item, and gives the next one.

        Without an `initial_value` it begins with an empty object.  `settings` are those of ReduceTask.
        """
        from workglow.graph.control.reduce import ReduceTask

        if initial_value is not None:
            settings["initial_value"] = initial_value
        settings["max_iterations"] = max_iterations or "unbounded"
        return self._nest("reduce", ReduceTask, body, id=id, inputs=inputs, settings=settings)

    def while_(
        self,
        condition: Condition | Callable[..., object],
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        max_iterations: int | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that runs its body once, and again for as long as the condition holds for what it gave.

        A condition is data, such as `Condition(field="quality", operator="less_than", value=0.9)`, or a function of the
        outputs, which cannot be stored.  `settings` are those of WhileTask: `chain_iterations`, `on_limit`, `iterate`.
        """
        from workglow.graph.control.conditions import check_condition
        from workglow.graph.control.while_task import WhileTask

        check_condition(condition)
        if callable(condition):
            settings["condition"] = condition
        else:
            settings.update({f"condition_{name}": part for name, part in condition.items()})
        settings["max_iterations"] = max_iterations or "unbounded"
        return self._nest("while", WhileTask, body, id=id, inputs=inputs, settings=settings)

    def fallback(
        self,
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that tries each task of its body on the same inputs, until one succeeds.

        The tasks of the body are not connected; several that belong together make a `group` or a workflow.
        """
        from workglow.graph.control.fallback import FallbackTask

        return self._nest("fallback", FallbackTask, body, id=id, inputs=inputs, settings=settings, connects=False)

    def fallback_with(
        self,
        alternatives: Iterable[Mapping[str, object]],
        body: TaskLike | None = None,
        *,
        id: str | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Any,
    ) -> Self:
        """Add a task that tries its body with one set of inputs after the other, until it succeeds."""
        from workglow.graph.control.fallback import FallbackTask

        settings.update(mode="data", alternatives=[dict(one) for one in alternatives])
        return self._nest("fallback_with", FallbackTask, body, id=id, inputs=inputs, settings=settings)

    # ------------------------------------------------------------------ closing

    def end_group(self) -> Self:
        """Close the body that `group()` opened, and return the workflow around it."""
        return self._end("group")

    def end_map(self) -> Self:
        """Close the body that `map()` opened, and return the workflow around it."""
        return self._end("map")

    def end_array(self) -> Self:
        """Close the body that `array()` opened, and return the workflow around it."""
        return self._end("array")

    def end_for_each(self) -> Self:
        """Close the body that `for_each()` opened, and return the workflow around it."""
        return self._end("for_each")

    def end_reduce(self) -> Self:
        """Close the body that `reduce()` opened, and return the workflow around it."""
        return self._end("reduce")

    def end_while(self) -> Self:
        """Close the body that `while_()` opened, and return the workflow around it."""
        return self._end("while")

    def end_fallback(self) -> Self:
        """Close the body that `fallback()` opened, and return the workflow around it."""
        return self._end("fallback")

    def end_fallback_with(self) -> Self:
        """Close the body that `fallback_with()` opened, and return the workflow around it."""
        return self._end("fallback_with")
