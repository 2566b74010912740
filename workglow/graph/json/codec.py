"""Graphs as JSON, in the envelope of the system that ours exchanges graphs with.

    {"format": "workglow/1",
     "tasks": [{"id", "type", "defaults", "config"?, "values"?, "subgraph"?, "merge"?, "entitlements"?}],
     "dataflows": [{"sourceTaskId", "sourceTaskPortId", "targetTaskId", "targetTaskPortId", "transforms"?}],
     "inputs"?: {name: [{"taskId", "portId"}]}, "outputs"?: {name: {"taskId", "portId"}}, "merge"?}

Names of tasks' settings follow that system (`timeout` is in milliseconds there, `cache` is `cacheable`); this module
and `loading` are the only translators.  A task is named by its type, never by where its code is.  `values` holds what
is too large for `defaults` and `config`.  The order of tasks is kept, and the order of the edges into each task.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from workglow.errors import GraphFormatError, TaskSerializationError, UnstorableValueError
from workglow.graph.dataflow import Dataflow
from workglow.graph.json.literals import is_plain, write_literals
from workglow.graph.schemas import PROPERTY_ARRAY
from workglow.values import canonical

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph
    from workglow.retry import Retry
    from workglow.tasks import Entitlement, Task

__all__ = ["DEEPEST_GRAPH", "FORMAT", "content_hash", "dataflow_to_json", "graph_to_json", "is_raw", "task_to_json"]

FORMAT = "workglow/1"
DEEPEST_GRAPH = 32
"""Graphs inside graphs, at most."""

Item = dict[str, Any]


def graph_to_json(graph: TaskGraph, *, with_boundary_nodes: bool = False) -> Item:
    """Return the whole envelope; TaskSerializationError names a task that JSON cannot hold."""
    if with_boundary_nodes:
        from workglow.graph.boundary import with_boundary_nodes as draw

        graph = draw(graph)
    envelope = {"format": FORMAT, **_graph_items(graph, 0)}
    if graph.merge != PROPERTY_ARRAY:
        envelope["merge"] = graph.merge
    return envelope


def content_hash(graph: TaskGraph) -> str:
    """Return the SHA-256 of the graph's canonical JSON, in hex."""
    return hashlib.sha256(canonical(graph_to_json(graph))).hexdigest()


def _graph_items(graph: TaskGraph, depth: int) -> Item:
    if depth > DEEPEST_GRAPH:
        raise GraphFormatError(f"More than {DEEPEST_GRAPH} graphs stand inside each other; JSON holds no more.")
    items: Item = {
        "tasks": [_task_item(task, depth) for task in graph.tasks.values()],
        "dataflows": [dataflow_to_json(edge) for edge in graph.dataflows()],
    }
    if graph.inputs:
        items["inputs"] = {name: [_end_item(end) for end in ends] for name, ends in graph.inputs.items()}
    if graph.outputs:
        items["outputs"] = {name: _end_item(end) for name, end in graph.outputs.items()}
    return items


def _end_item(end: tuple[str, str]) -> Item:
    return {"taskId": end[0], "portId": end[1]}


def dataflow_to_json(edge: Dataflow) -> Item:
    """Return one edge as the envelope has it."""
    item: Item = {
        "sourceTaskId": edge.source,
        "sourceTaskPortId": edge.source_port,
        "targetTaskId": edge.target,
        "targetTaskPortId": edge.target_port,
    }
    if edge.transforms:
        item["transforms"] = [
            {"id": step.id, "params": dict(step.params)} if step.params else {"id": step.id} for step in edge.transforms
        ]
        if not is_plain(item["transforms"], tags=True):
            raise TaskSerializationError(f"The transforms on {edge.id} have settings that JSON cannot hold.")
    return item


def task_to_json(task: Task) -> Item:
    """Return one task as the envelope has it, with the graph inside it if there is one."""
    return _task_item(task, 0)


def _task_item(task: Task, depth: int) -> Item:
    if "<" in task.type:
        raise TaskSerializationError(
            f'Task "{task.type}" ({task.id}) cannot be serialized: it has no name that a graph could find it by. '
            "Write it as a named function under @task."
        )
    item: Item = {"id": task.id, "type": task.type}
    try:
        item["defaults"], large = write_literals(task.defaults, f"task {task.id!r}")
    except UnstorableValueError as error:
        raise TaskSerializationError(f'Task "{task.type}" cannot be serialized: {error}') from error
    config = _config(task, large)
    if config:
        item["config"] = config
    if large:
        item["values"] = large
    subgraph: TaskGraph | None = getattr(task, "subgraph", None)
    if subgraph is not None:
        item["merge"] = subgraph.merge
        item["subgraph"] = _graph_items(subgraph, depth + 1)
    if task.entitlements:
        item["entitlements"] = {"entitlements": [_entitlement_item(one) for one in task.required_entitlements()]}
    return item


def _entitlement_item(needed: Entitlement) -> Item:
    item: Item = {"id": needed.id}
    if needed.reason:
        item["reason"] = needed.reason
    if needed.optional:
        item["optional"] = True
    if needed.resources:
        item["resources"] = list(needed.resources)
    return item


def _config(task: Task, large: dict[str, list[str]]) -> Item:
    own = vars(task)  # what was given to this task, rather than to its class
    config: Item = {name: own[name] for name in ("title", "description") if name in own}
    config = {name: text for name, text in config.items() if text != getattr(type(task), name)}
    if "cacheable" in own:
        config["cacheable"] = own["cacheable"]
    if own.get("timeout") or ("timeout" in own and type(task).timeout):  # 0 takes the limit of the class away
        milliseconds = own["timeout"] * 1000
        config["timeout"] = int(milliseconds) if milliseconds == int(milliseconds) else milliseconds
    if own.get("retry"):
        config["retry"] = _retry_item(task, own["retry"])
    if own.get("queue") or ("queue" in own and type(task).queue):
        config["queue"] = own["queue"]
    if task.extras:
        config["extras"] = _written("extras", dict(task.extras), task, large)
    for key, value in _settings(task).items():
        config[key] = value if is_raw(key) and is_plain(value, tags=True) else _written(key, value, task, large)
    return config


def is_raw(key: str) -> bool:
    """Say whether a setting is itself a JSON Schema, whose `$id` and `$ref` are no tags."""
    return key.endswith("Schema")


def _settings(task: Task) -> Item:
    """Return the settings of the task's class that differ from their defaults, under their names in JSON."""
    names = getattr(task, "config_names", None)
    if names is not None:
        return {names[name]: value for name, value in task.config.items() if value is not None}
    model = task.Config
    if model is None:
        return {}
    settings: Item = {}
    for name, value in task.config.items():
        field = model.model_fields.get(name)
        if field is None:
            settings[name] = value
        elif field.is_required() or field.get_default(call_default_factory=True, validated_data={}) != value:
            settings[field.alias or name] = _dumped(model, name, value)
    return settings


def _dumped(model: Any, name: str, value: object) -> object:
    """Return what pydantic writes for a setting, if it reads the same back; else the value, for the tags to try."""
    if type(value) in (str, int, bool, type(None)):
        return value
    from workglow.tasks.adapter import adapter_of

    try:
        made = model.model_construct(**{name: value})
        (dumped,) = made.model_dump(mode="json", by_alias=True, include={name}).values()
        adapter = adapter_of(model.model_fields[name].annotation)
        if adapter is not None and adapter.validate_json(json.dumps(dumped)) == value:
            return dumped
    except ValueError:  # pydantic's own errors for what has no JSON form, and arrays, which do not compare
        pass
    return value


def _written(key: str, value: object, task: Task, large: dict[str, list[str]]) -> object:
    try:
        written, more = write_literals({key: value}, f"config of task {task.id!r}")
    except UnstorableValueError as error:
        raise TaskSerializationError(
            f'Task "{task.type}" cannot be serialized: config contains non-serializable values. Use a declarative '
            f"config alternative or remove function-valued config properties. ({error})"
        ) from error
    large.update(more)
    return written[key]


def _retry_item(task: Task, retry: Retry) -> Item:
    if retry.on != (Exception,):
        raise TaskSerializationError(
            f'Task "{task.type}" cannot be serialized: its retry names exception classes. '
            "Give them with @task(retry=…)."
        )
    item: Item = {"attempts": retry.attempts, "delay": retry.delay, "factor": retry.factor, "maximum": retry.maximum}
    return {**item, "jitter": True} if retry.jitter else item
