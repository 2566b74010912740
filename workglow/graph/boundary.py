"""A graph's inputs and outputs drawn as tasks: InputTask gives what the run was given, OutputTask takes its result.

A graph needs neither: its inputs and outputs follow from its tasks.  Drawn, they can be seen and moved in an editor,
and the run stays the same: `with_boundary_nodes` adds them only where they cannot change it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

from workglow.errors import TaskConfigurationError
from workglow.graph.dataflow import ALL_PORTS, Dataflow
from workglow.graph.delivery import delivery_plan
from workglow.graph.schemas import GRAPH_RESULT_ARRAY, combined_schema, result_plan
from workglow.tasks import MISSING, Port, Ports, Task

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph

__all__ = ["BoundaryTask", "InputTask", "OutputTask", "boundary_schema", "with_boundary_nodes"]

Schema = dict[str, Any]

_OPEN: Schema = {"type": "object", "properties": {}, "additionalProperties": True}
_MANUAL = "x-ui-manual"


class BoundaryTask(Task):
    """Gives its inputs as its outputs.  `schema` says which; without one, any.

    The builder keeps the schema in step with the edges, unless the schema says `"x-ui-manual": true`.
    """

    category: ClassVar[str] = "Graph"
    cacheable: ClassVar[bool] = False
    inline: ClassVar[bool] = True
    config_names: ClassVar[Mapping[str, str]] = {"input_schema": "inputSchema", "output_schema": "outputSchema"}

    def __init__(
        self, *, input_schema: Schema | None = None, output_schema: Schema | None = None, **options: Any
    ) -> None:
        super().__init__(**{**options, "defaults": None})
        schema = output_schema or input_schema or _OPEN
        if schema.get("type", "object") != "object" or not isinstance(schema.get("properties", {}), Mapping):
            raise TaskConfigurationError(f"{self.type}: its schema has to be a JSON Schema of type object.")
        self.__dict__["config"] = MappingProxyType({"input_schema": schema, "output_schema": schema})
        self._taken = _ports(schema, collecting=True)
        self._given = _ports(schema, collecting=False)
        if options.get("defaults"):
            self._set_defaults(options["defaults"])

    @classmethod
    def of(cls, schema: Mapping[str, Any] | None, **options: Any) -> Self:
        """Make the task with a schema that is written by hand, or with none."""
        return cls(**options) if schema is None else cls(output_schema={**schema, _MANUAL: True}, **options)

    def replace(self, **changes: Any) -> Self:
        """Return a task that differs in what is given; one schema is both its input and its output."""
        schema = changes.pop("output_schema", None) or changes.pop("input_schema", None)
        if schema is None:
            return super().replace(**changes)
        kept: dict[str, Any] = {"id": self.id or None, "defaults": self.defaults or None, "extras": self.extras or None}
        return type(self)(output_schema=schema, **{**kept, **changes})

    @property
    def inputs(self) -> Ports:
        """What goes in."""
        return self._taken

    @property
    def outputs(self) -> Ports:
        """What comes out: the same."""
        return self._given

    @property
    def is_manual(self) -> bool:
        """Whether the schema was written by hand, and the builder leaves it alone."""
        return self.config["output_schema"].get(_MANUAL) is True

    def call(self, inputs: dict[str, Any], context: object) -> dict[str, Any]:
        """Pass everything on."""
        return inputs

    preview = call

    @classmethod
    def has_preview(cls) -> bool:
        return True


class InputTask(BoundaryTask):
    """The graph's inputs, as a task."""

    type: ClassVar[str] = "InputTask"
    title: ClassVar[str] = "Input"


class OutputTask(BoundaryTask):
    """The graph's outputs, as a task; when a graph has one, only what enters it is the graph's result."""

    type: ClassVar[str] = "OutputTask"
    title: ClassVar[str] = "Output"
    is_graph_output: ClassVar[bool] = True


def _ports(schema: Schema, *, collecting: bool) -> Ports:
    """Make ports that carry any value: the tasks on both sides judge it, by types that a schema may not express."""
    required = frozenset(schema.get("required", ()))
    ports: list[Port] = []
    for name, part in schema.get("properties", {}).items():
        shown: Schema = cast("Schema", part) if isinstance(part, dict) else {}
        if not collecting:
            shown = {key: word for key, word in shown.items() if key != "x-collect"}
        default = shown.get("default", MISSING)
        ports.append(Port(name, Any, default=default, required=name in required and default is MISSING, schema=shown))
    return Ports(ports, open=schema.get("additionalProperties", True) is not False)


def boundary_schema(graph: TaskGraph, task_id: str) -> Schema:
    """Return what the edges of a boundary task say about it: closed, with a property for each connected port."""
    if isinstance(graph.tasks[task_id], InputTask):
        return _fed_schema(graph, graph.outgoing[task_id])
    properties: dict[str, list[Schema]] = {}
    is_open = False
    for edge in graph.incoming[task_id]:
        outputs = graph.tasks[edge.source].outputs
        if edge.target_port != ALL_PORTS:
            properties.setdefault(edge.target_port, []).append(_source_schema(graph, edge))
        elif edge.source_port == ALL_PORTS:
            is_open = is_open or outputs.open
            for name, schema in outputs.schema["properties"].items():
                properties.setdefault(name, []).append(schema)
        else:  # an object, of which only a run knows what is in it
            is_open = True
    return _closed({name: schemas[0] for name, schemas in properties.items()}, [], is_open)


def _fed_schema(graph: TaskGraph, edges: list[Dataflow]) -> Schema:
    """Describe what the targets of an input task's edges take."""
    properties: dict[str, list[Schema]] = {}
    required: dict[str, None] = {}
    is_open = False
    for edge in edges:
        target = graph.tasks[edge.target]
        schema = target.inputs.schema
        is_open = is_open or (edge.target_port == ALL_PORTS and target.inputs.open)
        pairs = [(edge.source_port, edge.target_port)]
        if edge.source_port == ALL_PORTS == edge.target_port:
            pairs = [(name, name) for name in schema["properties"]]
        for name, port in pairs:
            properties.setdefault(name, []).append(schema["properties"].get(port, {}))
            if port in schema.get("required", ()) and port not in target.defaults:
                required[name] = None
    return _closed({name: combined_schema(schemas) for name, schemas in properties.items()}, list(required), is_open)


def _source_schema(graph: TaskGraph, edge: Dataflow) -> Schema:
    """Describe what comes out of an edge's source; a task that only passes values on is looked through."""
    task = graph.tasks[edge.source]
    if edge.source_port in task.outputs:
        return task.outputs[edge.source_port].schema
    if getattr(task, "passthrough", False):
        for before in graph.incoming[edge.source]:
            outputs = graph.tasks[before.source].outputs
            if before.target_port == edge.source_port and before.source_port in outputs:
                return outputs[before.source_port].schema
    return {}


def _closed(properties: Schema, required: list[str], is_open: bool) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": is_open}
    if required:
        schema["required"] = required
    return schema


def with_boundary_nodes(graph: TaskGraph) -> TaskGraph:
    """Return the graph with its inputs and outputs drawn as tasks, in the graphs inside its tasks too.

    A graph that has such tasks already keeps them.  A result that an output task could not give is left to the leaves.
    """
    kinds = {type(task) for task in graph.tasks.values()}
    output = None if OutputTask in kinds else _output_node(graph)
    inputs = None if InputTask in kinds else _drawn_inputs(graph)
    drawn = type(graph)(merge=graph.merge, transforms=graph.transforms)
    if inputs is not None and (inputs or output is not None):
        drawn.add_task(_input_node(graph, inputs), id=_free_id("input", graph))
    for task in graph.tasks.values():
        drawn.add_task(_with_boundary_inside(task))
    for edge in graph.dataflows():
        drawn.add_dataflow(edge.source, edge.source_port, edge.target, edge.target_port, edge.transforms)
    drawn.inputs = {name: list(ends) for name, ends in graph.inputs.items()}
    drawn.outputs = dict(graph.outputs)
    if inputs:
        _connect_input(drawn, graph, inputs)
    if output is not None:
        _connect_output(drawn, graph, drawn.add_task(output, id=_free_id("output", graph)).id)
    return drawn


def _with_boundary_inside(task: Task) -> Task:
    if not hasattr(task, "subgraph"):
        return task
    compound: Any = task.replace()
    compound.subgraph = (with_boundary_nodes if compound.is_one_graph else _with_boundaries_inside)(compound.subgraph)
    return compound


def _with_boundaries_inside(graph: TaskGraph) -> TaskGraph:
    """Return a graph of tasks that never run together: each with the boundary of the graph inside it."""
    drawn = graph.copy()
    for task_id, task in graph.tasks.items():
        drawn.replace_task(task_id, _with_boundary_inside(task))
    return drawn


def _free_id(name: str, graph: TaskGraph) -> str:
    while name in graph.tasks:
        name += "_node"
    return name


def _drawn_inputs(graph: TaskGraph) -> dict[str, list[tuple[str, str]]]:
    """Return the graph inputs that edges can carry, and where to; `*` stands for all, to the open roots.

    An edge gives a collecting port one item, so a list that the graph was given whole has to go another way.
    """
    plan = delivery_plan(graph)
    ends = {name: [end for end in ends if not _collects(graph, *end)] for name, ends in plan.targets.items()}
    drawn = {ALL_PORTS: [(task_id, ALL_PORTS) for task_id in plan.open_tasks], **ends}
    return {name: ends for name, ends in drawn.items() if ends}


def _collects(graph: TaskGraph, task_id: str, port: str) -> bool:
    inputs = graph.tasks[task_id].inputs
    return port in inputs and inputs[port].collect


def _input_node(graph: TaskGraph, inputs: Mapping[str, object]) -> InputTask:
    schema = graph.input_schema()
    properties: Schema = {
        # What fits no port alone is left to the ports.
        name: {} if "allOf" in schema["properties"][name] else schema["properties"][name]
        for name in inputs
        if name != ALL_PORTS
    }
    required = [name for name in schema.get("required", ()) if name in properties]
    return InputTask(output_schema=_closed(properties, required, ALL_PORTS in inputs))


def _connect_input(drawn: TaskGraph, graph: TaskGraph, inputs: Mapping[str, list[tuple[str, str]]]) -> None:
    node_id = next(iter(drawn.tasks))
    drawn.inputs = {}
    for name, ends in delivery_plan(graph).targets.items():
        around = [end for end in ends if _collects(graph, *end)]
        if around:
            drawn.inputs[name] = around
    for name, ends in inputs.items():
        for task_id, port in ends:
            drawn.add_dataflow(node_id, name, task_id, port)


def _output_node(graph: TaskGraph) -> OutputTask | None:
    plan = result_plan(graph)
    is_open = any(graph.tasks[task_id].outputs.open for task_id in plan.tasks)
    if graph.merge == GRAPH_RESULT_ARRAY or (plan.gathered and is_open) or plan.passing:
        return None
    schema = graph.output_schema()
    if plan.gathered:
        properties = {name: {**part, "x-collect": True} for name, part in schema["properties"].items()}
        schema = {**schema, "properties": properties}
    return OutputTask(output_schema=schema)


def _connect_output(drawn: TaskGraph, graph: TaskGraph, node_id: str) -> None:
    plan = result_plan(graph)
    drawn.outputs = {}
    if graph.outputs:
        for name, (task_id, port) in graph.outputs.items():
            drawn.add_dataflow(task_id, port, node_id, name)
        return
    for task_id in plan.tasks:
        outputs = graph.tasks[task_id].outputs
        one_by_one = plan.gathered or (len(plan.tasks) == 1 and not outputs.open)
        for port in outputs if one_by_one else (ALL_PORTS,):
            drawn.add_dataflow(task_id, port, node_id, port)
