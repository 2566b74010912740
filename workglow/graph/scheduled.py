"""The job that runs the graph of a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.graph.graph import TaskGraph
from workglow.queue.context import JobContext
from workglow.queue.handler import Handler
from workglow.storage.graph_json import record_to_json
from workglow.storage.schedules import RUN_GRAPH

if TYPE_CHECKING:
    from workglow.queue.handler import HandlerRegistry

__all__ = ["register_graph_runner"]


async def run_graph(graph: int, inputs: dict[str, Any], context: JobContext) -> str:
    """Run a graph of the file; the result is the run's id.  It may do what the project was granted."""
    project = context.project
    data = record_to_json(project._repositories.graphs.load(graph))  # nobody else asks for a graph by its key
    run = await project.run(TaskGraph.from_json(data, project.registry, transforms=project.transforms), inputs)
    return run.id


_HANDLER = Handler(run_graph, name=RUN_GRAPH)


def register_graph_runner(handlers: HandlerRegistry) -> None:
    """Let jobs name the handler that runs a graph."""
    handlers.register(_HANDLER)
