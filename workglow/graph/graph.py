"""TaskGraph: tasks and dataflows, what they take and give, and the other forms they have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.schemas import graph_input_schema, graph_output_schema
from workglow.graph.structure import GraphStructure

if TYPE_CHECKING:
    from workglow.graph.previews.preview import Preview
    from workglow.graph.rights.gate import Requirement
    from workglow.graph.run import Run
    from workglow.graph.settings import MemoryRunSettings
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import TaskRegistry

__all__ = ["TaskGraph"]


class TaskGraph(GraphStructure):
    """Tasks and dataflows; every change is checked at once, and what does not fit is refused.

    `tasks` maps ids to tasks in the order of definition; `incoming` and `outgoing` map ids to edges.  Look at them, but
    change the graph through its methods only.  `outputs` (name → task id, port) names the graph's outputs; without it
    they are those of the last tasks, made one as `merge` says.  `inputs` (name → list of task id, port) gives graph
    inputs names of their own; without it they have the names of the ports.  `events` calls listeners in every run.
    `transforms` are those that edges may name.
    """

    def __repr__(self) -> str:
        return f"TaskGraph({len(self.tasks)} tasks, {sum(map(len, self.outgoing.values()))} dataflows)"

    async def run(self, inputs: Mapping[str, object] | None = None, **settings: Unpack[MemoryRunSettings]) -> Run:
        """Run the graph in memory; see RunOptions, RunRights and MemoryRunSettings for what can be said about it.

        Raises what the run failed with; the error's `run` is the run.
        """
        from workglow.graph.launch import run_in_memory

        return await run_in_memory(self, inputs, **settings)

    def run_sync(self, inputs: Mapping[str, object] | None = None, **settings: Unpack[MemoryRunSettings]) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        from workglow.graph.launch import run_in_memory_sync

        return run_in_memory_sync(self, inputs, **settings)

    def entitlements(self) -> list[Requirement]:
        """Return what the tasks, also those inside compound tasks, need to be allowed to do, and which of them."""
        from workglow.graph.rights.gate import requirements

        return requirements(self)

    def preview(self, inputs: Mapping[str, object] | None = None, *, max_tasks: int | None = None) -> Preview:
        """Say at once what the graph would give, without running it, and keep saying it while it is edited.

        Raises TaskInputError for an input that no task takes; what goes wrong in a task is in the preview's `errors`.
        """
        from workglow.graph.previews.preview import Preview

        return Preview(self, inputs, max_tasks=max_tasks)

    def input_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what a run takes; not to be changed."""
        return self.derive("input schema", graph_input_schema)

    def output_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what a run gives; not to be changed."""
        return self.derive("output schema", graph_output_schema)

    def content_hash(self) -> str:
        """Return what the graph is known by: 64 hex characters, SHA-256 of its canonical JSON.

        Graphs of the same content have the same; `==` asks whether they are one object, since either may change.
        """
        from workglow.graph.json.codec import content_hash

        return self.derive("content hash", content_hash)

    def to_json(self, *, with_boundary_nodes: bool = False) -> dict[str, Any]:
        """Return the graph as JSON; `with_boundary_nodes` draws its inputs and outputs as tasks.

        Raises TaskSerializationError for a task that holds code or objects.
        """
        from workglow.graph.json.codec import graph_to_json

        return graph_to_json(self, with_boundary_nodes=with_boundary_nodes)

    @classmethod
    def from_json(
        cls,
        data: str | bytes | Mapping[str, Any],
        registry: TaskRegistry | None = None,
        *,
        allowed_types: Iterable[str] | None = None,
        transforms: TransformRegistry = built_in_transforms,
    ) -> TaskGraph:
        """Read a graph back; only registered task types and transforms are made, and only those types allowed.

        Raises GraphFormatError, which names the place in the JSON, and UnknownTaskTypeError.
        """
        from workglow.graph.json.loading import graph_from_json

        return graph_from_json(data, registry, allowed_types=allowed_types, transforms=transforms)

    def to_python(self, *, variable: str = "workflow") -> str:
        """Return the Python program that builds the graph as a Workflow of that name.

        Raises TaskSerializationError, which names the task, for lambdas, for functions that are not registered, and for
        what no import leads to.
        """
        from workglow.graph.code.codegen import to_python

        return to_python(self, variable=variable)

    def to_mermaid(self) -> str:
        """Return the graph as a Mermaid flowchart."""
        from workglow.graph.pictures.diagram import to_mermaid

        return to_mermaid(self)

    def to_svg(self) -> str:
        """Return the graph as an SVG picture."""
        from workglow.graph.pictures.drawing import to_svg

        return to_svg(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        from workglow.graph.pictures.diagram import mime_bundle

        return mime_bundle(self)
