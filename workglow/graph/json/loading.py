"""Graphs from JSON that anybody may have written.

Policy.  Only registered types are made, nothing is imported by name, and what is not understood is refused with its
place in the JSON, `$.tasks[3].config.timeout`: a key that is dropped silently is a promise that is not kept.  JSON
without `format` comes from the other system and has no tags.  Tasks come first, then all edges together, so that the
order in which a file lists them costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, cast

from workglow.errors import (
    CorruptValueError,
    GraphError,
    GraphFormatError,
    InvalidValueError,
    TaskConfigurationError,
    UnknownTaskTypeError,
)
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.dataflow import Dataflow, as_transforms
from workglow.graph.graph import TaskGraph
from workglow.graph.json.codec import DEEPEST_GRAPH, FORMAT, is_raw
from workglow.graph.json.literals import is_plain, read_literals
from workglow.graph.json.shape import Item, as_list, as_object, as_text, check_keys, parse_object, refuse, within
from workglow.graph.schemas import GRAPH_RESULT_ARRAY, PROPERTY_ARRAY, Merge
from workglow.retry import Retry
from workglow.tasks import task_registry

if TYPE_CHECKING:
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import Task, TaskRegistry

__all__ = ["Reader", "graph_from_json", "task_from_json"]

Placed = tuple[str, Any]

_GRAPH_KEYS = frozenset({"format", "tasks", "dataflows", "inputs", "outputs", "merge"})
_SUBGRAPH_KEYS = _GRAPH_KEYS - {"format", "merge"}
_TASK_KEYS = frozenset({"id", "type", "defaults", "config", "values", "subgraph", "merge", "entitlements"})
_DATAFLOW_KEYS = ("sourceTaskId", "sourceTaskPortId", "targetTaskId", "targetTaskPortId")
_ALL_DATAFLOW_KEYS = frozenset({*_DATAFLOW_KEYS, "transforms"})
_RETRY_KEYS = frozenset({"attempts", "delay", "factor", "maximum", "jitter"})
_GRAPH_TYPES = {
    "ArrayTask": "control.array",
    "InputTask": "boundary",
    "OutputTask": "boundary",
    "ConditionalTask": "control.conditional",
    "GraphAsTask": "control.compound",
    "FallbackTask": "control.fallback",
    "ForEachTask": "control.map",
    "MapTask": "control.map",
    "ReduceTask": "control.reduce",
    "SwitchTask": "control.switch",
    "WhileTask": "control.while_task",
}
"""What graphs are made of, and where it is; known without being registered."""


def graph_from_json(
    data: str | bytes | Item,
    registry: TaskRegistry | None = None,
    *,
    allowed_types: Iterable[str] | None = None,
    transforms: TransformRegistry = built_in_transforms,
) -> TaskGraph:
    """Read an envelope, as text or as parsed; see `TaskGraph.from_json`."""
    envelope = parse_object(data)
    given = envelope.get("format")
    if given is not None and given != FORMAT:
        refuse("$.format", f"is {given!r}, but this workglow reads {FORMAT!r}; a newer workglow may read it")
    check_keys(envelope, _GRAPH_KEYS, "$")
    reader = Reader(registry, allowed_types, tags=given is not None, transforms=transforms)
    return reader.graph(envelope, "$", 0, _merge(envelope, "$"))


def task_from_json(
    item: Item, registry: TaskRegistry | None = None, *, transforms: TransformRegistry = built_in_transforms
) -> Task:
    """Read one task, as `task_to_json` wrote it."""
    return Reader(registry, None, tags=True, transforms=transforms).task(item, "$", 0)


class Reader:
    """Reads tasks and edges, with one registry and one list of allowed types."""

    graph_kind: ClassVar[type[TaskGraph]] = TaskGraph

    def __init__(
        self,
        registry: TaskRegistry | None,
        allowed_types: Iterable[str] | None,
        *,
        tags: bool,
        transforms: TransformRegistry = built_in_transforms,
    ) -> None:
        self._registry = task_registry if registry is None else registry
        self._allowed = None if allowed_types is None else frozenset(allowed_types)
        self._tags = tags
        self._transforms = transforms

    def graph(self, items: Item, path: str, depth: int, merge: Merge) -> TaskGraph:
        """Read one graph of an envelope."""
        if depth > DEEPEST_GRAPH:
            refuse(path, f"is more than {DEEPEST_GRAPH} graphs deep")
        tasks = _placed(items.get("tasks"), f"{path}.tasks")
        edges = _placed(items.get("dataflows"), f"{path}.dataflows")
        graph = self.build(tasks, edges, depth, merge)
        _name_ends(graph, items, path)
        return graph

    def build(self, tasks: Iterable[Placed], edges: Iterable[Placed], depth: int, merge: Merge) -> TaskGraph:
        """Make a graph of the JSON of its tasks and edges, each with its place."""
        graph = self.graph_kind(merge=merge, transforms=self._transforms)
        for place, item in tasks:
            task = self.task(item, place, depth)
            if task.id in graph.tasks:
                refuse(f"{place}.id", f"is {task.id!r}, the id of an earlier task; ids are unique in a graph")
            try:
                graph.add_task(task)
            except GraphError as error:
                raise GraphFormatError(f"{place}.id: {error}") from error
        _add_edges(graph, edges)
        return graph

    def task(self, item: object, path: str, depth: int) -> Task:
        """Read one task, and the graph inside it; it is marked as one that no program made."""
        made = self._task(item, path, depth)
        vars(made)["from_data"] = True
        return made

    def _task(self, item: object, path: str, depth: int) -> Task:
        fields = as_object(item, path)
        task_id, name = fields.get("id"), fields.get("type")
        if not task_id:
            refuse(path, "Task id required")
        if not isinstance(task_id, str):
            refuse(f"{path}.id", "has to be a text")
        if not name:
            refuse(path, "Task type required")
        if not isinstance(name, str):
            refuse(f"{path}.type", "has to be a text")
        check_keys(fields, _TASK_KEYS, path)
        kind = self._type(name, path)
        large = as_object(fields.get("values", {}), f"{path}.values")
        options: dict[str, Any] = self._config(kind, fields, large, f"{path}.config")
        defaults = fields.get("defaults", {})
        if not isinstance(defaults, Mapping):
            refuse(f"{path}.defaults", "Task defaults must be an object")
        literals = self._literals(cast("Item", defaults), large, f"{path}.defaults") if defaults else None
        holds_graph = hasattr(kind, "from_subgraph")
        if not holds_graph and ("subgraph" in fields or "merge" in fields):
            refuse(path, f"Subgraph is only supported for GraphAsTask and what is like it, not for {name}")
        brings_own = "subgraph" not in fields and getattr(kind, "brings_graph", False)
        subgraph = None  # its errors say their own place
        if holds_graph and not brings_own:
            subgraph = self._subgraph(fields, path, depth)
        try:
            if subgraph is not None:
                compound: Task = cast("Any", kind).from_subgraph(subgraph, id=task_id, **options)
                return compound.replace(defaults=literals) if literals else compound
            return kind(id=task_id, defaults=literals, **options)
        except (TaskConfigurationError, InvalidValueError) as error:
            raise GraphFormatError(f"{path}: {error}") from error

    def _subgraph(self, fields: Item, path: str, depth: int) -> TaskGraph:
        place = within(path, "subgraph")
        items = as_object(fields.get("subgraph"), place)
        check_keys(items, _SUBGRAPH_KEYS, place)
        return self.graph(items, place, depth + 1, _merge(fields, path))

    def _type(self, name: str, path: str) -> type[Task]:
        if self._allowed is not None and name not in self._allowed:
            refuse(f"{path}.type", f'Task type "{name}" is not in the allowed types list')
        if name in _GRAPH_TYPES and name not in self._registry:
            return getattr(import_module(f"workglow.graph.{_GRAPH_TYPES[name]}"), name)
        try:
            return self._registry.get(name)
        except UnknownTaskTypeError as error:
            raise UnknownTaskTypeError(
                f"{path}.type: Task type {name} not found, perhaps not registered?  {self._registry.remedy(name)}"
            ) from error

    def _config(self, kind: type[Task], fields: Item, large: Item, path: str) -> dict[str, Any]:
        config = as_object(fields.get("config", {}), path)
        options: dict[str, Any] = {}
        known = _setting_names(kind)
        for key, value in config.items():
            place = f"{path}.{key}"
            if key in ("title", "description", "extras"):
                options[key] = self._literals({key: value}, large, path)[key]
            elif key == "cacheable":
                options["cache"] = value if isinstance(value, bool) else refuse(place, "has to be true or false")
            elif key == "timeout":
                options["timeout"] = _timeout(value, place)
            elif key == "retry":
                options["retry"] = _retry(value, place)
            elif key == "queue":
                options["queue"] = as_text(value, place)
            elif known is not None and key not in known:
                names = ", ".join(["title", "description", "cacheable", "timeout", "retry", "queue", "extras", *known])
                refuse(place, f"is not known; {kind.type} knows {names}")
            else:
                raw = is_raw(key) and is_plain(value, tags=True)
                options[key if known is None else known[key]] = (
                    value if raw else self._literals({key: value}, large, path)[key]
                )
        return options

    def _literals(self, written: Item, large: Item, path: str) -> dict[str, object]:
        for name, value in written.items():
            if not is_plain(value, tags=True):
                refuse(f"{path}.{name}", "is no plain JSON: NaN, infinity, a key that is no text, or nested too deep")
        if not self._tags:
            return dict(written)
        try:
            return read_literals(written, large)
        except CorruptValueError as error:
            raise GraphFormatError(f"{path}: {error}") from error


def _placed(items: object, path: str) -> Iterator[Placed]:
    for number, item in enumerate(as_list(items, path)):
        yield f"{path}[{number}]", item


def _add_edges(graph: TaskGraph, placed: Iterable[Placed]) -> None:
    place = "$"

    def edges() -> Iterator[Dataflow]:
        nonlocal place
        for place, item in placed:  # the place is read below, where an edge is refused
            yield _edge(graph, item, place)

    try:
        graph.add_dataflows(edges())
    except GraphFormatError:
        raise
    except GraphError as error:
        raise type(error)(f"{place}: {error}") from error


def _edge(graph: TaskGraph, item: object, path: str) -> Dataflow:
    fields = as_object(item, path)
    check_keys(fields, _ALL_DATAFLOW_KEYS, path, required=_DATAFLOW_KEYS)
    source, source_port = fields["sourceTaskId"], fields["sourceTaskPortId"]
    target, target_port = fields["targetTaskId"], fields["targetTaskPortId"]
    for key in _DATAFLOW_KEYS:
        as_text(fields[key], f"{path}.{key}")
    for key, task_id in (("sourceTaskId", source), ("targetTaskId", target)):
        if task_id not in graph.tasks:
            refuse(f"{path}.{key}", f"is {task_id!r}, which is none of the tasks")
    if "transforms" not in fields:
        return Dataflow(source, source_port, target, target_port)
    steps = as_list(fields["transforms"], f"{path}.transforms")
    if not is_plain(steps, tags=True):
        refuse(f"{path}.transforms", "holds what JSON cannot")
    try:
        return Dataflow(source, source_port, target, target_port, as_transforms(steps))
    except GraphError as error:
        raise GraphFormatError(f"{path}.transforms: {error}") from error


def _name_ends(graph: TaskGraph, items: Item, path: str) -> None:
    for name, ends in as_object(items.get("inputs", {}), f"{path}.inputs").items():
        place = f"{path}.inputs.{name}"
        for number, end in enumerate(as_list(ends, place)):
            _name_end(graph.name_input, name, end, f"{place}[{number}]")
    for name, end in as_object(items.get("outputs", {}), f"{path}.outputs").items():
        _name_end(graph.name_output, name, end, f"{path}.outputs.{name}")


def _name_end(give: Callable[[str, str, str], None], name: str, end: object, path: str) -> None:
    fields = as_object(end, path)
    check_keys(fields, ("taskId", "portId"), path, required=("taskId", "portId"))
    try:
        give(name, as_text(fields["taskId"], f"{path}.taskId"), as_text(fields["portId"], f"{path}.portId"))
    except GraphError as error:
        raise GraphFormatError(f"{path}: {error}") from error


def _merge(fields: Item, path: str) -> Merge:
    merge = fields.get("merge", PROPERTY_ARRAY)
    if merge not in (PROPERTY_ARRAY, GRAPH_RESULT_ARRAY):
        refuse(f"{path}.merge", f"Unknown compound merge strategy: {merge!r}")
    return merge


def _setting_names(kind: type[Task]) -> dict[str, str] | None:
    """Return the settings a class takes, under their names in JSON; None when it takes any."""
    given: Mapping[str, str] | None = getattr(kind, "config_names", None)
    if given is not None:
        return {written: name for name, written in given.items()}
    if kind.Config is None:
        return {}
    if kind.Config.model_config.get("extra") == "allow":
        return None
    names: dict[str, str] = {}
    for name, field in kind.Config.model_fields.items():
        names[name] = names[field.alias or name] = name
    return names


def _timeout(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        refuse(path, "has to be a number of milliseconds")
    return value / 1000


def _retry(value: object, path: str) -> Retry:
    fields = as_object(value, path)
    check_keys(fields, _RETRY_KEYS, path)
    for key, number in fields.items():
        if key == "jitter":
            if not isinstance(number, bool):
                refuse(f"{path}.{key}", "has to be true or false")
        elif isinstance(number, bool) or not isinstance(number, int | float) or not number < float("inf"):
            refuse(f"{path}.{key}", "has to be a number")
    if not isinstance(fields.get("attempts", 1), int):
        refuse(f"{path}.attempts", "has to be a whole number")
    try:
        return Retry(**fields)
    except TaskConfigurationError as error:
        raise GraphFormatError(f"{path}: {error}") from error
