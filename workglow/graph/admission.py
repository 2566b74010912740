"""Whether an edge may join a graph: both ports exist, and what one gives can fit the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, cast

from workglow.errors import DuplicateDataflowError, GraphError, IncompatiblePortsError, UnknownPortError
from workglow.graph.dataflow import ALL_PORTS, ERROR_FIELDS, ERROR_PORT, Dataflow
from workglow.graph.naming import did_you_mean
from workglow.tasks import Ports, Task
from workglow.tasks.compatibility import compatibility

if TYPE_CHECKING:
    from workglow.graph.transforms import TransformRegistry

__all__ = ["Admission", "describe_schema", "edge_schema", "port_schema", "refuse_second", "rivals"]

Schema = dict[str, Any]


class Admission:
    """Judges edges, and remembers the verdict for ports that all tasks of a type share."""

    def __init__(self, transforms: TransformRegistry) -> None:
        self._transforms = transforms
        # The ports are kept with the verdict, so that their addresses are not used again for others.
        self._verdicts: dict[tuple[int, str, int, str], tuple[bool, Ports, Ports]] = {}

    def collects(self, edge: Dataflow, source: Task, target: Task) -> bool:
        """Return whether the port that the edge enters takes several edges.

        Raises UnknownPortError for a port that is not there, and IncompatiblePortsError when no value of the one port
        can ever fit the other.  An edge with transforms is judged by what they make of the source's values.
        """
        given, taken = source.outputs, target.inputs
        key = (id(given), edge.source_port, id(taken), edge.target_port)
        verdict = self._verdicts.get(key)
        if verdict is not None and not edge.transforms:
            return verdict[0]
        collects = self._judge(edge, source, target)
        whole = edge.target_port == ALL_PORTS  # judged together with the literals of this one task
        if not edge.transforms and not whole and given is source.outputs and taken is target.inputs:
            self._verdicts[key] = (collects, given, taken)
        return collects

    def _judge(self, edge: Dataflow, source: Task, target: Task) -> bool:
        given = port_schema(source, edge.source_port, of_outputs=True)
        made = self._transformed(edge, given) if edge.transforms else given
        taken = port_schema(target, edge.target_port, of_outputs=False)
        # What a failure carries reaches its handler as it is: ports that the handler does not have are left out.  So it
        # is when a task only has to begin behind one that waits.
        ordered = source.mode == "wait" and edge.source_port == edge.target_port == ALL_PORTS
        if edge.source_port != ERROR_PORT and not ordered and compatibility(made, taken) == "incompatible":
            through = f" through {', '.join(step.id for step in edge.transforms)}" if edge.transforms else ""
            raise IncompatiblePortsError(
                f"{edge.id} can never work: {source.type} gives {describe_schema(made)}{through}, "
                f"but {target.type} takes {describe_schema(taken)}. {self._remedy(edge, made, taken)}"
            )
        if edge.target_port == ALL_PORTS:
            return True
        return edge.target_port in target.inputs and target.inputs[edge.target_port].collect

    def _transformed(self, edge: Dataflow, schema: Any) -> Any:
        for transform in edge.transforms:
            try:
                self._transforms.check(transform)
            except GraphError as error:
                raise type(error)(f"{edge.id}: {error}") from None
            try:
                schema = self._transforms.infer(transform, schema)
            except Exception as error:  # of somebody's own transform
                raise GraphError(
                    f"{edge.id}: transform {transform.id!r} cannot say what it gives: {error!r}"
                ) from error
        return schema

    def _remedy(self, edge: Dataflow, given: Any, taken: Any) -> str:
        found = [] if ALL_PORTS in (edge.source_port, edge.target_port) else self._transforms.suggest(given, taken)
        if not found:
            return "Connect other ports, or put a task in between."
        best = found[0].transform
        settings = f", params {dict(best.params)}" if best.params else ""
        return f"Connect other ports, or give the edge a transform such as {best.id!r}{settings}."


def rivals(edge: Dataflow, entering: list[Dataflow], leaving: list[Dataflow], collects: bool) -> list[Dataflow]:
    """Return the edges that its port has already; none when the port collects.

    `entering` and `leaving` are the edges into its target and out of its source.  Raises DuplicateDataflowError when
    the edge itself is there already.
    """
    # A twin stands in both lists, and a port that collects may have very many edges.
    for other in entering if len(entering) < len(leaving) else leaving:
        if other.target == edge.target and other.source == edge.source and other.id == edge.id:
            raise DuplicateDataflowError(f"The graph has the dataflow {edge.id} already.")
    if collects:
        return []
    return [other for other in entering if other.target_port == edge.target_port]


def refuse_second(edge: Dataflow, rival: Dataflow) -> NoReturn:
    """Raise DuplicateDataflowError: the port has an edge that may deliver in the same run."""
    raise DuplicateDataflowError(
        f"{edge.target}[{edge.target_port}] takes one edge and has {rival.id}. Remove that one first, or "
        "declare the port as Collect[…], which gathers a value from each edge. Two edges may enter such a port only "
        "when they come from different branches of one condition."
    )


def refuse_meeting(one: Dataflow, other: Dataflow, *, because_of: Dataflow | None = None) -> NoReturn:
    """Raise DuplicateDataflowError: two edges into one port came from different branches, and no longer do."""
    cause = f"With {because_of.id}, both" if because_of is not None else "Both"
    raise DuplicateDataflowError(
        f"{cause} {one.id} and {other.id} could deliver in the same run, and {one.target}[{one.target_port}] takes one "
        "value. They may share it only as long as they come from different branches of one condition: keep other edges "
        "out of these branches, or remove one of the two."
    )


def port_schema(task: Task, port: str, *, of_outputs: bool) -> Any:
    """Return the JSON Schema of the value that an edge takes from the port, or gives to it.

    A collecting port takes one item from each edge.  A name that open ports allow has the schema `True`.
    """
    ports = task.outputs if of_outputs else task.inputs
    if port == ALL_PORTS and of_outputs:
        return ports.schema if ports or not ports.open else True  # what comes is not known before it comes
    if port == ALL_PORTS:
        return _without_literals(task)
    if port == ERROR_PORT and of_outputs:
        return {"type": "object", "properties": {name: {"type": "string"} for name in ERROR_FIELDS}}
    if port in ports:
        return ports[port].schema if of_outputs else edge_schema(ports.schema["properties"][port])
    if ports.open:
        return True
    side = "output" if of_outputs else "input"
    known = f"Its {side}s are {', '.join(ports)}." if ports else f"It has no {side}s."
    raise UnknownPortError(
        f"Task {task.id!r} ({task.type}) has no {side} {port!r}. {known}{did_you_mean(port, list(ports))}"
    )


def edge_schema(schema: Schema) -> Schema:
    """Return what one edge may deliver into a port of this schema: for a collecting port, one item."""
    return schema.get("items", {}) if schema.get("x-collect") else schema


def _without_literals(task: Task) -> Schema:
    schema = task.inputs.schema
    required = [name for name in schema.get("required", ()) if name not in task.defaults]
    return {**schema, "required": required}


def describe_schema(schema: object) -> str:
    """Say in a few words what a JSON Schema allows, as in `array of number (format TypedArray)`."""
    if not isinstance(schema, Mapping):
        return "anything" if schema else "nothing"
    words = cast("Mapping[str, Any]", schema)
    members = words.get("anyOf") or words.get("oneOf")
    if members:
        return " or ".join(dict.fromkeys(describe_schema(member) for member in members))
    kind: str | list[str] | None = words.get("type")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind or words.get("title") or "anything")
    if kind == "array" and words.get("items"):
        text = f"array of {describe_schema(words['items'])}"
    if kind == "object" and words.get("properties"):
        text = f"object with {', '.join(words['properties'])}"
    return f"{text} (format {words['format']})" if words.get("format") else text
