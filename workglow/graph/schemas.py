"""What a graph takes and gives: the JSON Schemas of its inputs and outputs, and the outputs of its last tasks made one.

Policy.  Named outputs (`graph.outputs`) are taken from where they are named.  Otherwise the results are those of the
leaves, or, when a leaf is an output task, of the output tasks alone.  If at most one of them can give a result in a
run, its outputs are the graph's.  If several can, PROPERTY_ARRAY gathers each port into a list, over the leaves that
gave it, in the order of definition.  Whether there are lists depends on the graph, never on what happened in a run.
Where a graph ends in the branches of a condition that passes values unchanged, what the branch taken does not give is
what came into the condition under that name.
GRAPH_RESULT_ARRAY gives one port `results`, a list of `{"id", "type", "data"}`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from workglow.errors import GraphError
from workglow.graph.branches import Branches
from workglow.graph.delivery import delivery_plan

if TYPE_CHECKING:
    from workglow.graph.control.conditional import ConditionalTask
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = [
    "GRAPH_RESULT_ARRAY",
    "PROPERTY_ARRAY",
    "Merge",
    "ResultPlan",
    "as_merge",
    "combined_schema",
    "either",
    "graph_input_schema",
    "graph_output_schema",
    "merge_results",
    "result_plan",
]

Schema = dict[str, Any]
Merge = Literal["PROPERTY_ARRAY", "GRAPH_RESULT_ARRAY"]
PROPERTY_ARRAY: Merge = "PROPERTY_ARRAY"
GRAPH_RESULT_ARRAY: Merge = "GRAPH_RESULT_ARRAY"

_SAID_OF_ONE = frozenset({"title", "description", "default"})
_RESULT: Schema = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "type": {"type": "string"}, "data": {"type": "object"}},
    "required": ["id", "type", "data"],
}


def as_merge(given: object) -> Merge:
    """Return what was given as a graph's `merge`; GraphError when it is none."""
    for merge in (PROPERTY_ARRAY, GRAPH_RESULT_ARRAY):
        if given == merge:
            return merge
    raise GraphError(f"merge is {given!r}; give {PROPERTY_ARRAY!r} or {GRAPH_RESULT_ARRAY!r}.")


class ResultPlan(NamedTuple):
    """Whose outputs make the result: task ids in the order of definition, and whether they are gathered in lists.

    `certain` are those that give their outputs in every run that succeeds.  `passing` are conditions, which come first:
    what came into them counts where the others give nothing, and only under `names`, if these are known.
    """

    tasks: tuple[str, ...]
    gathered: bool
    certain: frozenset[str]
    passing: frozenset[str] = frozenset()
    names: frozenset[str] | None = None


def result_plan(graph: TaskGraph) -> ResultPlan:
    """Return the graph's plan, made again only after the graph changed."""
    return graph.derive("results", _plan)


def _plan(graph: TaskGraph) -> ResultPlan:
    branches = Branches(graph)
    passing: list[str] = []
    if graph.outputs:
        tasks = tuple(dict.fromkeys(task_id for task_id, _ in graph.outputs.values()))
        gathered = False
    else:
        leaves = graph.leaves()
        declared = [task_id for task_id in leaves if getattr(graph.tasks[task_id], "is_graph_output", False)]
        tasks = tuple(declared or leaves)
        gathered = branches.most_results(tasks) > 1
        if not gathered and graph.merge == PROPERTY_ARRAY:
            conditions = [task_id for task_id, task in graph.tasks.items() if getattr(task, "pass_unchanged", False)]
            passing = branches.all_end_in(conditions, tasks) if conditions else []
    ports = [graph.tasks[task_id].outputs for task_id in tasks]
    names = None if any(outputs.open for outputs in ports) else frozenset(name for each in ports for name in each)
    certain = frozenset(filter(branches.always_runs, tasks))
    return ResultPlan((*passing, *tasks), gathered, certain, frozenset(passing), names)


def merge_results(graph: TaskGraph, results: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Return the graph's outputs, given the outputs (task id → port → value) of the tasks in its `result_plan`.

    Tasks that gave nothing, because their branch was not taken, are left out of `results`.
    """
    if graph.outputs:
        ends = graph.outputs.items()
        return {
            name: results[task_id][port]
            for name, (task_id, port) in ends
            if task_id in results and port in results[task_id]
        }
    plan = result_plan(graph)
    given = [(task_id, results[task_id]) for task_id in plan.tasks if task_id in results]
    if graph.merge == GRAPH_RESULT_ARRAY:
        return {"results": [{"id": id, "type": graph.tasks[id].type, "data": dict(data)} for id, data in given]}
    merged: dict[str, object] = {}
    if not plan.gathered:
        for task_id, outputs in given:
            merged.update(_passed(graph, plan, task_id, outputs) if task_id in plan.passing else outputs)
        return merged
    lists: defaultdict[str, list[object]] = defaultdict(list)
    for _, outputs in given:
        for port, value in outputs.items():
            lists[port].append(value)
    merged.update(lists)
    return merged


def _passed(graph: TaskGraph, plan: ResultPlan, task_id: str, outputs: Mapping[str, object]) -> dict[str, object]:
    passed = cast("ConditionalTask", graph.tasks[task_id]).passed(outputs)
    return {name: value for name, value in passed.items() if plan.names is None or name in plan.names}


def graph_input_schema(graph: TaskGraph) -> Schema:
    """Describe the graph's inputs: a property for each name, with what all ports that take it allow."""
    plan = delivery_plan(graph)
    properties: dict[str, Any] = {}
    for name, ends in plan.targets.items():
        properties[name] = combined_schema([_input_schema(graph.tasks[task_id], port) for task_id, port in ends])
    return _object(properties, dict.fromkeys(name for name, _, _ in plan.required), bool(plan.open_tasks))


def _input_schema(task: Task, port: str) -> Schema:
    schema: Schema = task.inputs.schema["properties"].get(port, {})
    if port not in task.defaults:
        return schema
    literal = task.defaults[port]
    plain = {key: part for key, part in schema.items() if key != "default"}
    try:
        json.dumps(literal, allow_nan=False)
    except (TypeError, ValueError):
        return plain
    return {**plain, "default": literal}


def combined_schema(schemas: list[Schema]) -> Schema:
    """Describe a value that goes to several ports; a default holds only if it is the same for all."""
    first = schemas[0]
    if all(schema == first for schema in schemas[1:]):
        return first
    combined: Schema = {}
    for schema in schemas:
        for word, part in schema.items():
            if word not in _SAID_OF_ONE and combined.setdefault(word, part) != part:
                return {"allOf": [{key: part for key, part in each.items() if key != "default"} for each in schemas]}
    return combined


def graph_output_schema(graph: TaskGraph) -> Schema:
    """Describe the graph's outputs, whichever branches a run takes."""
    plan = result_plan(graph)
    if graph.outputs:
        return _named_outputs(graph, plan)
    if not plan.tasks:
        return _object({}, (), False)
    if graph.merge == GRAPH_RESULT_ARRAY:
        return _object({"results": {"type": "array", "items": _RESULT}}, ("results",), False)
    ports = [graph.tasks[task_id].outputs for task_id in plan.tasks if task_id not in plan.passing]
    if len(ports) == 1 and plan.certain:
        return ports[0].schema
    schemas: dict[str, list[Schema]] = {}
    for outputs in ports:
        for name, schema in outputs.schema["properties"].items():
            schemas.setdefault(name, []).append(schema)
    for edge in (edge for task_id in plan.passing for edge in graph.incoming[task_id]):
        if edge.target_port in schemas and not edge.transforms:
            passed = graph.tasks[edge.source].outputs.schema["properties"].get(edge.source_port, {})
            schemas[edge.target_port].append(passed)
    properties = {name: either(members) for name, members in schemas.items()}
    if plan.gathered:
        properties = {name: {"type": "array", "items": schema} for name, schema in properties.items()}
    certain = {task_id: graph.tasks[task_id].outputs for task_id in plan.tasks if task_id in plan.certain}
    required = dict.fromkeys(name for outputs in certain.values() for name, port in outputs.items() if port.required)
    return _object(properties, required, any(outputs.open for outputs in ports))


def _named_outputs(graph: TaskGraph, plan: ResultPlan) -> Schema:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, (task_id, port) in graph.outputs.items():
        outputs = graph.tasks[task_id].outputs
        properties[name] = outputs.schema["properties"].get(port, {})
        if task_id in plan.certain and port in outputs and outputs[port].required:
            required.append(name)
    return _object(properties, required, False)


def either(schemas: list[Schema]) -> Schema:
    """Describe a value that fits one of the schemas."""
    distinct: list[Schema] = []
    for schema in schemas:
        if schema not in distinct:
            distinct.append(schema)
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _object(properties: dict[str, Any], required: Iterable[str], is_open: bool) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": is_open}
    names = list(required)
    if names:
        schema["required"] = names
    return schema
