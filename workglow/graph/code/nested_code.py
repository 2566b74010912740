"""Tasks with a graph inside as Python: the method of the builder that opens them, and what builds their graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from workglow.errors import TaskSerializationError, WorkglowError
from workglow.graph.building.branching import BranchingBuilder
from workglow.graph.code.expressions import Atom, Brackets, Expression, Name, call
from workglow.graph.code.program import Add, Body, Item, Nest, Prepare
from workglow.graph.code.task_code import TaskWriter, default_id, same_task
from workglow.graph.control.array import ArrayTask
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.fallback import FallbackTask
from workglow.graph.control.map import ForEachTask, MapTask
from workglow.graph.control.reduce import ReduceTask
from workglow.graph.control.while_task import WhileTask
from workglow.graph.schemas import PROPERTY_ARRAY

if TYPE_CHECKING:
    from workglow.graph.code.value_code import ValueWriter
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = ["NestedWriter", "Opened", "Step", "if_condition"]

_OPENERS: Mapping[Any, str] = {
    GraphAsTask: "group",
    ArrayTask: "array",
    MapTask: "map",
    ForEachTask: "for_each",
    ReduceTask: "reduce",
    WhileTask: "while_",
    FallbackTask: "fallback",
}
_CONDITION = ("condition_field", "condition_operator", "condition_value")


class Step(NamedTuple):
    """One call of a builder."""

    method: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def __call__(self, builder: Any) -> object:
        return getattr(builder, self.method)(*self.arguments, **self.keywords)


class Opened(NamedTuple):
    """The call that adds a task with its graph, and how it is written."""

    run: Step
    item: Callable[[list[Brackets], list[Brackets]], Item]


class NestedWriter:
    """Writes tasks with a graph inside."""

    def __init__(
        self, tasks: TaskWriter, values: ValueWriter, plan: Callable[[TaskGraph, BranchingBuilder], Body]
    ) -> None:
        self._tasks = tasks
        self._values = values
        self._plan = plan
        self._bodies: dict[tuple[int, str], tuple[TaskGraph, Body]] = {}

    def opened(self, task: Any, own_id: Callable[[str, str], str | None]) -> Opened | None:
        """Return the builder's method for a task with a graph inside; None when no method makes an equal one."""
        name = _OPENERS.get(task.__class__)
        settings = None if name is None else self._settings(task)
        if name is None or settings is None:
            return None
        name = "fallback_with" if "alternatives" in settings else name
        scratch = BranchingBuilder()
        try:
            inner = getattr(scratch, name)(id=task.id, **settings)
            body = self._body(task.subgraph, inner, name)
            added = getattr(BranchingBuilder(), name)(body=task.subgraph, id=task.id, **settings)
        except TaskSerializationError:
            raise
        except (WorkglowError, TypeError):
            return None
        if body.raw is not None or not same_task(added.graph.tasks[task.id], task):
            return None
        id = own_id(task.id, name.rstrip("_").removesuffix("_with"))
        written = self._written(task, name, id, settings)
        return Opened(
            Step(name, (), {"body": task.subgraph, "id": id, **settings}),
            self._item(task, name, written, body),
        )

    def prepared(self, task: Any) -> tuple[list[Expression], list[Prepare]]:
        """Return the graph of a task as an argument, and what builds it before."""
        if not hasattr(task, "subgraph"):
            return [], []
        variable = Name()
        body = self._body(task.subgraph, BranchingBuilder(), "")
        argument: Expression = variable
        if body.raw is None:
            argument = Brackets("", [("", variable)], ".to_graph()")
        return [argument], [Prepare(variable, body, [])]

    def condition(self, condition: Any, task: Task) -> Expression:
        """Return a condition as an expression."""
        imported = self._tasks.imported("Condition")
        where = f"Task {task.id!r}: its condition"
        return call(imported, keywords=[(key, self._values.write(part, where)) for key, part in condition.items()])

    def _body(self, graph: TaskGraph, builder: BranchingBuilder, opener: str) -> Body:
        key = (id(graph), opener)  # a builder of alternatives connects nothing
        known = self._bodies.get(key)
        if known is None:
            known = self._bodies[key] = (graph, self._plan(graph, builder))
        return known[1]

    def _settings(self, task: Any) -> dict[str, Any] | None:
        """Return what the builder's method is given besides the graph and the id."""
        settings = {**self._tasks.config(task), **self._tasks.options(task)}
        if settings.get("max_iterations") == "unbounded":
            del settings["max_iterations"]
        if isinstance(task, ForEachTask):
            settings.pop("discard_results", None)
            if not task.config["discard_results"]:
                settings["discard_results"] = False
        if isinstance(task, WhileTask):
            given = {name.removeprefix("condition_"): settings.pop(name, None) for name in _CONDITION}
            if given["field"] is None or given["operator"] is None:
                return None
            condition = {key: part for key, part in given.items() if part is not None}
            settings = {"condition": condition, **settings}
        if settings.get("mode") == "data":
            del settings["mode"]
        if type(task) is GraphAsTask and task.subgraph.merge != PROPERTY_ARRAY:
            settings["merge"] = task.subgraph.merge
        if task.has_defaults:
            settings["inputs"] = dict(task.defaults)
        return settings

    def _written(self, task: Any, name: str, id: str | None, settings: Mapping[str, Any]) -> Brackets:
        """Return the call without its body."""
        arguments: list[Expression] = []
        names: list[tuple[str, Expression]] = [("id", self._values.write(id, ""))] if id else []
        for key, value in settings.items():
            if key == "condition":
                arguments.append(self.condition(value, task))
            elif key == "alternatives":
                arguments.append(self._tasks.value(task, key, value))
            else:
                names.append((key, self._tasks.value(task, key, value)))
        return call(name, arguments, names)

    def _item(
        self, task: Any, name: str, written: Brackets, body: Body
    ) -> Callable[[list[Brackets], list[Brackets]], Item]:
        only = self._only(task.subgraph)
        if only is not None:
            count = sum(not prefix for prefix, _ in written.parts)
            parts = [*written.parts[:count], ("", only), *written.parts[count:]]
            short = Brackets(written.before, parts, written.after)
            return lambda before, after: Add([*before, short, *after])
        if type(task) is GraphAsTask:  # its merge is an argument
            body = Body(body.items, body.raw, None, body.names, body.prepared)
        return lambda before, after: Nest(written, body, before, after)

    def _only(self, graph: TaskGraph) -> Expression | None:
        """Return the only task of a graph, if it needs no more than its name."""
        task = next(iter(graph.tasks.values()))
        if len(graph.tasks) > 1 or graph.inputs or graph.outputs or hasattr(task, "subgraph"):
            return None
        code = self._tasks.code(task)
        if code is None or code.keywords or task.id != default_id(task):
            return None
        return Atom(self._tasks.reference(task))


def if_condition(task: Task) -> Any:
    """Return the condition of a task that `if_` makes; None for any other task."""
    if type(task) is not ConditionalTask:
        return None
    branches = task.config["branches"]
    condition = branches[0].get("condition") if len(branches) == 2 else None
    if not isinstance(condition, Mapping):
        return None
    fields = dict(cast("Mapping[str, Any]", condition))
    alike = [{"id": "then", "condition": fields}, {"id": "else"}]
    made = ConditionalTask(id=task.id, branches=alike, default_branch="else", pass_unchanged=True)
    return fields if same_task(made, task) else None
