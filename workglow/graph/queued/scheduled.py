"""The job that a schedule makes for a graph: it submits the run, once, however often the job is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.errors import UnknownRunError
from workglow.graph.graph import TaskGraph
from workglow.graph.options import RunOptions
from workglow.ids import new_id
from workglow.storage.graph_json import record_to_json

if TYPE_CHECKING:
    from workglow.graph.engine import Engine
    from workglow.queue import JobContext

__all__ = ["submit_scheduled"]


def submit_scheduled(engine: Engine, graph: int, inputs: dict[str, Any], context: JobContext) -> str:
    """Have the workers of the job's queue drive a run of a graph of the file; the run's id.

    The id follows from the job, so that a worker which was lost after it had submitted the run leaves no second one.
    The run may do what the project was granted.
    """
    queues = context.project.queues
    uid = new_id(queues.job(context.job_id).record.created_at, context.idempotency_key)
    try:
        engine.repositories.runs.get(uid)
    except UnknownRunError:
        data = record_to_json(engine.repositories.graphs.load(graph))
        whole = TaskGraph.from_json(data, engine.registry, transforms=engine.transforms)
        engine.begin(whole, inputs, options=RunOptions(), queue=queues.queue(context.queue), uid=uid)
    return uid
