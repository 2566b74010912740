"""Streams that cross the border of a group: in, to tasks that read along inside, and out, to those that do behind it.

The policy.  A group that takes a stream begins with its first piece.  Inside, a task that reads along reads from the
very channel that is written outside; one that wants the whole value waits until that is there.  The other way round, a
group streams from an output as soon as the task inside that gives this output does, and whoever reads the group reads
from that task.  So nothing is copied at a border, and the pace of a stream is that of its readers wherever they are.

A group is no loop: what it is given, and what it gives, is of one turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.graph.schemas import PROPERTY_ARRAY, result_plan
from workglow.graph.streams.channels import Intake
from workglow.tasks import MISSING, Stream
from workglow.tasks.stream import as_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from workglow.graph.graph import TaskGraph
    from workglow.graph.schedule import TaskRun
    from workglow.graph.streams.channels import Reader
    from workglow.tasks import StreamMode

    OutputsOf = Callable[[TaskRun], dict[str, object]]

__all__ = ["Inflow", "Outflow", "outlets"]


class Inflow(Stream[object]):
    """A stream as the input of a group: which task outside writes it, and who inside takes it."""

    def __init__(self, source: TaskRun, port: str, mode: StreamMode) -> None:
        super().__init__((), mode=mode)
        self._source = source
        self.port = port
        self.takers: dict[TaskRun, None] = {}
        source.inflows = (*(source.inflows or ()), self)

    @property
    def is_whole(self) -> bool:
        """Whether nothing more comes."""
        return self._source.status == "completed"

    def can_be_taken(self, run: TaskRun, port: str) -> bool:
        """Whether a task inside can begin: it reads along with what streams now, or the whole value is there."""
        source, inputs = self._source, run.task.inputs
        if source.status == "completed":
            return True
        if port not in inputs.streaming or inputs[port].schema.get("x-stream") != self.mode:
            return False
        return run.task.mode == "compound" or (source.channel is not None and source.channel.has_begun(self.port))

    def taken(self, run: TaskRun, outputs_of: OutputsOf) -> object:
        """Return what a task inside is given; MISSING when the task outside has completed without that output."""
        source = self._source
        if source.status == "completed":
            return outputs_of(source).get(self.port, MISSING)
        run.streams = True
        run.reads = {**(run.reads or {}), source: None}
        if run.task.mode == "compound":
            return self
        run.intake = run.intake or Intake()
        return source.channel.open(self.port, run.intake)


class Outflow:
    """What a group streams: from which task inside each of its outputs comes."""

    waits = False

    def __init__(self, outputs_of: OutputsOf) -> None:
        self._outputs_of = outputs_of
        self.feeds: dict[str, tuple[TaskRun, str]] = {}

    def has_begun(self, port: str) -> bool:
        """Whether the task that gives this output has begun to stream."""
        return port in self.feeds

    def open(self, port: str, intake: Intake) -> Reader | Stream[Any]:
        """Read along with the task inside; one piece when it has completed before the group."""
        run, inner = self.feeds[port]
        if run.status != "completed":
            return run.channel.open(inner, intake)
        schema = run.task.outputs[inner].schema
        value = self._outputs_of(run).get(inner, MISSING)
        return Stream(mode=schema["x-stream"]) if value is MISSING else as_stream(value, schema["x-stream"])

    def can_be_cut(self) -> bool:
        """Never: what a task inside gives is an output of its graph."""
        return False

    def close(self) -> None:
        """Nothing that the group has streamed counts."""
        self.feeds.clear()


def outlets(graph: TaskGraph, id: str, ports: Collection[str]) -> dict[str, str]:
    """Return the outputs of a graph that are just these ports of one of its tasks: the graph's name → the task's."""
    if graph.outputs:
        return {name: port for name, (end, port) in graph.outputs.items() if end == id and port in ports}
    plan = result_plan(graph)
    if plan.gathered or graph.merge != PROPERTY_ARRAY or id not in plan.tasks:
        return {}
    return {port: port for port in ports}
