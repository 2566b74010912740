"""TaskGraph: tasks and dataflows, what they take and give, and the other forms they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workglow.graph.schemas import graph_input_schema, graph_output_schema
from workglow.graph.structure import GraphStructure

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.events import Event
    from workglow.graph.run import Run
    from workglow.tasks import TaskRegistry

    Listener = Callable[[Event], object]

__all__ = ["TaskGraph"]


class TaskGraph(GraphStructure):
    """Tasks and dataflows; every change is checked at once, and what does not fit is refused.

    `tasks` maps ids to tasks in the order of definition; `incoming` and `outgoing` map ids to edges.  Look at them, but
    change the graph through its methods only.  `outputs` (name → task id, port) names the graph's outputs; without it
    they are those of the last tasks, made one as `merge` says.  `inputs` (name → list of task id, port) gives graph
    inputs names of their own; without it they have the names of the ports.  `events` calls listeners in every run.
    """

    def __repr__(self) -> str:
        return f"TaskGraph({len(self.tasks)} tasks, {sum(map(len, self.outgoing.values()))} dataflows)"

    async def run(
        self, inputs: Mapping[str, object] | None = None, *, on_event: Listener | None = None, **options: Any
    ) -> Run:
        """Run the graph in memory.  `options` are those of RunOptions; `on_event` is called with each event."""
        from workglow.graph.launch import run_in_memory
        from workglow.graph.options import RunOptions

        return await run_in_memory(self, inputs, options=RunOptions(**options), on_event=on_event)

    def run_sync(
        self, inputs: Mapping[str, object] | None = None, *, on_event: Listener | None = None, **options: Any
    ) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        from workglow.graph.launch import run_in_memory_sync
        from workglow.graph.options import RunOptions

        return run_in_memory_sync(self, inputs, options=RunOptions(**options), on_event=on_event)

    def input_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what a run takes; not to be changed."""
        return self.derive("input schema", graph_input_schema)

    def output_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what a run gives; not to be changed."""
        return self.derive("output schema", graph_output_schema)

    def content_hash(self) -> str:
        """Return what the graph is known by: 64 hex characters, SHA-256 of its canonical JSON."""
        from workglow.graph.codec import content_hash

        return self.derive("content hash", content_hash)

    def to_json(self, *, with_boundary_nodes: bool = False) -> dict[str, Any]:
        """Return the graph as JSON; `with_boundary_nodes` draws its inputs and outputs as tasks.

        Raises TaskSerializationError for a task that holds code or objects.
        """
        from workglow.graph.codec import graph_to_json

        return graph_to_json(self, with_boundary_nodes=with_boundary_nodes)

    @classmethod
    def from_json(
        cls,
        data: str | bytes | Mapping[str, Any],
        registry: TaskRegistry | None = None,
        *,
        allowed_types: Iterable[str] | None = None,
    ) -> TaskGraph:
        """Read a graph back; only registered task types are made, and only those allowed.

        Raises GraphFormatError, which names the place in the JSON, and UnknownTaskTypeError.
        """
        from workglow.graph.loading import graph_from_json

        return graph_from_json(data, registry, allowed_types=allowed_types)

    def to_python(self, *, variable: str = "workflow") -> str:
        """Return the Python program that builds the graph as a Workflow of that name.

        Raises TaskSerializationError, which names the task, for lambdas, for functions that are not registered, and for
        what no import leads to.
        """
        from workglow.graph.codegen import to_python

        return to_python(self, variable=variable)

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart."""
        from workglow.graph.diagram import to_mermaid

        return to_mermaid(self)

    def to_svg(self) -> str:
        """Return the graph as an SVG picture."""
        from workglow.graph.drawing import to_svg

        return to_svg(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        from workglow.graph.diagram import mime_bundle

        return mime_bundle(self)
