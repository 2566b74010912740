"""Graphs as Python: the program that a person would write with the builder.

Policy.  The program is found by building the graph again, task by task in the order of definition: of all the calls
that could have added a task, the first that gives exactly its edges is written down.  They are tried from the plainest
to the most explicit: the task alone, connected by itself; an error handler; the arm of a condition; with `rename`;
with `connect`; and added without connecting.  What no call of the builder makes (an input task with a schema that is
not its own, say) is written with `add_task` and `connect` of a TaskGraph.  The graph that was built is compared in the
end, so a program is right or there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workglow.graph.building.branching import BranchingBuilder
from workglow.graph.code.expressions import Brackets, Expression, call
from workglow.graph.code.nested_code import NestedWriter
from workglow.graph.code.program import Body, Program
from workglow.graph.code.replay import Replay, Unwritable
from workglow.graph.code.task_code import TaskWriter
from workglow.graph.code.value_code import Imports, ValueWriter
from workglow.graph.json.codec import graph_to_json
from workglow.graph.schemas import PROPERTY_ARRAY

if TYPE_CHECKING:
    from workglow.graph.dataflow import Dataflow, Transform
    from workglow.graph.graph import TaskGraph

__all__ = ["to_python"]

_PATIENCE = 5000
"""Conditions that are tried as `if_`: a graph that means harm could make each of them fail only at the very end."""


def to_python(graph: TaskGraph, *, variable: str = "workflow") -> str:
    """Return the program; TaskSerializationError names a task that holds code which no import leads to."""
    graph_to_json(graph)  # refuses lambdas and objects in its own words
    imports = Imports([variable])
    tools = Tools(imports)
    body = tools.body(graph, BranchingBuilder())
    return Program(imports, variable).text(body)


class Tools:
    """What writes tasks and values, shared by all graphs of one program."""

    def __init__(self, imports: Imports) -> None:
        self.imports = imports
        self.patience = _PATIENCE
        self.values = ValueWriter(imports)
        self.tasks = TaskWriter(imports, self.values)
        self.nested = NestedWriter(self.tasks, self.values, self.body)

    def body(self, graph: TaskGraph, builder: BranchingBuilder) -> Body:
        """Return what builds a graph, given the empty builder that it should be built with."""
        replay = Replay(graph, builder, self)
        try:
            items = replay.items()
        except Unwritable:
            return self.raw(graph)
        body = Body(items)
        self._name(body, graph)
        built = builder.graph
        built.inputs = {name: list(ends) for name, ends in graph.inputs.items()}
        built.outputs, built.merge = dict(graph.outputs), graph.merge
        return body if graph_to_json(built) == graph_to_json(graph) else self.raw(graph)

    def raw(self, graph: TaskGraph) -> Body:
        """Return the statements that build a graph without a builder."""
        body = Body(raw=[])
        assert body.raw is not None
        for task in graph.tasks.values():
            inner, prepared = self.nested.prepared(task)
            body.prepared += prepared
            added = None if inner else self.tasks.added("add_task", task, task.id)
            body.raw.append(added or call("add_task", [self.tasks.constructed(task, *inner)]))
        for task_id in graph.order():
            body.raw += [self.connection(edge) for edge in graph.incoming[task_id]]
        self._name(body, graph)
        return body

    def connection(self, edge: Dataflow) -> Brackets:
        """Return the call of `connect` for an edge."""
        ends = [self.text(end) for end in (edge.source, edge.source_port, edge.target, edge.target_port)]
        return call("connect", ends, self.transforms(edge.transforms))

    def transforms(self, transforms: Sequence[Transform]) -> list[tuple[str, Expression]]:
        """Return the keyword for the transforms of an edge, if it has any."""
        steps = [{"id": one.id, "params": dict(one.params)} if one.params else one.id for one in transforms]
        return [("transforms", self.values.write(steps, "a transform"))] if steps else []

    def text(self, text: str) -> Expression:
        """Return the literal of a text."""
        return self.values.write(text, "")

    def _name(self, body: Body, graph: TaskGraph) -> None:
        for name, ends in graph.inputs.items():
            body.names += [call("name_input", [self.text(name), *map(self.text, end)]) for end in ends]
        for name, end in graph.outputs.items():
            body.names.append(call("name_output", [self.text(name), *map(self.text, end)]))
        body.merge = None if graph.merge == PROPERTY_ARRAY else graph.merge
