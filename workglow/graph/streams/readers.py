"""Tasks that read along while another one still streams: when they start, when they start again, and when they end.

The policy.  An edge carries a stream when its source streams from that port, its target takes a `Stream` of the same
mode there, and nothing transforms the value on the way.  The target starts with the first piece.  What else it reads is
committed by then.

Nothing that was read along counts before its source has completed.  A target that is done earlier is held: it stays
running, and completes in the transaction in which its source does.  When the source's attempt fails, its targets stop,
and wait for another attempt to stream; so it is after a crash, too.  A target that fails has failed.

When every task behind a source has read what it wanted, and the source's value is no output of the graph, the source is
stopped: what it has said is its value.

A group reads along, and is read, like a task (see `borders`).  One that has begun does not stop when what it reads
begins anew: of what is inside only those stop that read that stream, and they are parked until they can go on.  It
takes no stream of a task with a handler for its failure, for with that the group would have to begin anew.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, cast

from workglow.graph.control.compound import GraphAsTask
from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT
from workglow.graph.graph import TaskGraph
from workglow.graph.schemas import result_plan
from workglow.graph.streams.borders import Inflow, Outflow, outlets
from workglow.graph.streams.channels import Channel
from workglow.graph.streams.continuing import Continuing
from workglow.graph.streams.recording import ChunkRecorder
from workglow.storage.records import EventRecord
from workglow.tasks.stream import stream_mode

if TYPE_CHECKING:
    from collections.abc import Collection

    from workglow.graph.dataflow import Dataflow
    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import TaskRun
    from workglow.graph.stored import StoredGraph
    from workglow.graph.streams.chunks import StreamChunk
    from workglow.tasks import Task

__all__ = ["Streams", "carries_stream"]


def carries_stream(source: Task, edge: Dataflow, target: Task) -> bool:
    """Whether the target of an edge reads along while its source streams."""
    if edge.transforms or edge.source_port in (ALL_PORTS, ERROR_PORT):
        return False
    if source.mode != "stream" and not _passes_streams(source):
        return False
    written, read = source.outputs.get(edge.source_port), target.inputs.get(edge.target_port)
    if written is None or read is None or not read.streams or read.collect:
        return False
    return stream_mode(written.schema) == stream_mode(read.schema)


class Streams:
    """The streams of one run."""

    def __init__(self, runner: TaskGraphRunner) -> None:
        self._runner = runner
        self.held: dict[TaskRun, dict[str, object]] = {}  # done before those they read; their outputs
        self.parked: dict[TaskRun, None] = {}  # ready, but for a stream that enters the group that they are in
        self._released: deque[TaskRun] = deque()
        self._releasing = False
        environment = runner.environment
        journal = environment.journal
        self._recorder = None if journal is None else ChunkRecorder(journal, environment.clock, self._recorded)
        self.continuing = Continuing(runner, self._recorder)

    def _recorded(self, run: TaskRun) -> None:
        self._runner.touch(run)
        self._runner.wake()

    # ------------------------------------------------------------------ the task that writes

    def open(self, run: TaskRun) -> Channel:
        """Make the channel of an attempt that begins."""
        recorder, reports = self._recorder, self._runner.reports

        def observe(chunk: StreamChunk) -> None:
            if recorder is not None:
                recorder.add(run, chunk)
            reports.chunk(run, chunk)

        observed = recorder is not None or self._runner.environment.listeners
        run.has_chunks = recorder is not None
        run.streams = True
        run.channel = Channel(run.task, observe if observed else None, lambda: self._begin(run))
        return run.channel

    def _begin(self, run: TaskRun, ports: Collection[str] | None = None) -> None:
        """The first piece of these ports is there: who reads along can start, also behind the group around the task."""
        if run.status != "running":
            return
        graph, placing = run.scope.graph, self._runner.placing  # a worker elsewhere is given the whole value
        edges = [
            edge
            for edge in _carrying(run)
            if (ports is None or edge.source_port in ports) and placing.queue_of(graph.tasks[edge.target]) is None
        ]
        if edges:
            self._runner.schedule.stream(run, edges)
            self._runner.wake()
        for inflow in run.inflows or ():
            if ports is None or inflow.port in ports:
                self._unpark(inflow)
        group = run.scope.parent
        if group is None or not _passes_streams(group.task):
            return
        names = outlets(
            cast("TaskGraph", run.scope.graph), run.id, _streaming_ports(run.task) if ports is None else ports
        )
        if names:
            group.streams = True
            group.channel = group.channel or Outflow(self._runner.outputs_of)
            group.channel.feeds.update((name, (run, port)) for name, port in names.items())
            self._begin(group, names.keys())

    def completed(self, run: TaskRun) -> None:
        """A streaming task has its outputs: who only waited for that is complete as well."""
        runs = run.scope.runs
        readers = [runs[edge.target] for edge in run.streamed or ()]
        for inflow in run.inflows or ():
            self._unpark(inflow)
            readers = [*inflow.takers, *readers]
        for target in readers:
            if target in self.held and target not in self._released and not _waits_for_source(target):
                self._released.append(target)
        if self._releasing:
            return
        self._releasing = True
        try:
            while self._released:
                target = self._released.popleft()
                target.outputs = self.held.pop(target)
                self._runner.release(target)
        finally:
            self._releasing = False

    def ended(self, run: TaskRun) -> None:
        """A streaming task is about to complete: from now on its value says what it streamed."""
        is_group = type(run.channel) is Outflow
        run.channel = None
        if self._recorder is not None and not is_group:
            self._recorder.ended(run)
            self._recorder.forget(run)

    def withdraw(self, run: TaskRun, error: BaseException | None = None) -> None:
        """An attempt came to nothing: those who read along stop, and wait for what comes of the task instead.

        `error` is the reason for another attempt; without it there will be none.
        """
        self._withdraw(run, error, again=error is not None)

    def _withdraw(self, run: TaskRun, error: BaseException | None, *, again: bool) -> None:
        self.forget(run)
        self._take_back(run, None, error, again=again)

    def _take_back(
        self, run: TaskRun, ports: Collection[str] | None, error: BaseException | None, *, again: bool
    ) -> None:
        for target in self._runner.schedule.unstream(run, ports, again=again):
            if target.controller is not None:
                self._runner.failures.abort_inside(target)
                target.controller = None
            self._stop(target, run, error, again=again)
        for inflow in run.inflows or ():
            for taker in inflow.takers if ports is None or inflow.port in ports else ():
                if taker.status == "running" and taker.controller is None and run in (taker.reads or ()):
                    self._stop(taker, run, error, again=again)
                    self.parked[taker] = None
        if not again:
            run.inflows = None
        group = run.scope.parent
        if group is None or type(group.channel) is not Outflow:
            return
        names = [
            name for name, (feed, port) in group.channel.feeds.items() if feed is run and (not ports or port in ports)
        ]
        if names:
            for name in names:
                del group.channel.feeds[name]
            self._take_back(group, names, error or run.failure, again=True)  # the group may give another value

    def _stop(self, target: TaskRun, source: TaskRun, error: BaseException | None, *, again: bool) -> None:
        """End what a task that reads along has done so far; it is as if it had not begun."""
        runner = self._runner
        self._withdraw(target, error, again=again)
        started = target.status == "running"
        runner.cancel(target, f"Task '{source.path}', whose stream it reads, has failed.")
        target.status, target.key, target.wake_at = "pending", None, None
        target.output, target.blobs = None, ()
        if runner.environment.journal is not None:
            runner.touch(target)
        if started and error is not None:
            runner.emit("task_retried", target.path, error)

    # ------------------------------------------------------------------ the task that reads

    def park(self, run: TaskRun) -> bool:
        """Let a task that is ready wait for a stream that enters the group it is in; False when it need not."""
        goes_elsewhere = self._runner.placing.queue_of(run.task) is not None
        for port, value in run.scope.delivered.get(run.id, {}).items():
            if type(value) is Inflow:
                value.takers[run] = None
                if not (value.is_whole if goes_elsewhere else value.can_be_taken(run, port)):
                    self.parked[run] = None
                    return True
        return False

    def _unpark(self, inflow: Inflow) -> None:
        for taker in inflow.takers:
            if taker in self.parked:
                del self.parked[taker]
                self._runner.schedule.ready.append(taker)
        self._runner.wake()

    def reenter(self, run: TaskRun) -> None:
        """A group that an earlier process began reads along again: what it reads has not completed yet."""
        for edge in run.scope.graph.incoming[run.id]:
            source = run.scope.runs[edge.source]
            if not source.resolved:
                source.streams = run.streams = True
                source.streamed = [*(source.streamed or ()), edge]
                run.reads = {**(run.reads or {}), source: None}

    def hold(self, run: TaskRun) -> bool:
        """Keep a task that is done from completing before those it read; False when they have completed."""
        if not _waits_for_source(run):
            return False
        self.held[run] = cast("dict[str, object]", run.outputs)
        run.outputs = None
        for source in run.reads or ():
            if source.channel is not None and source not in self.held and self._is_unwanted(source):
                self._cut(source)
        return True

    def _is_unwanted(self, source: TaskRun) -> bool:
        graph, runs = source.scope.graph, source.scope.runs
        streamed = source.streamed or ()
        if any(edge not in streamed and edge.source_port != ERROR_PORT for edge in graph.outgoing[source.id]):
            return False
        if any(runs[edge.target] not in self.held for edge in streamed) or not source.channel.can_be_cut():
            return False
        whole = graph if isinstance(graph, TaskGraph) else cast("StoredGraph", graph).whole()
        return source.id not in result_plan(whole).tasks

    def _cut(self, source: TaskRun) -> None:
        environment = self._runner.environment
        source.key = None  # a part is no result to reuse
        source.channel.is_cut = True
        if source.handle is not None:
            source.handle.cancel()
        if environment.journal is not None:
            environment.journal.note(EventRecord(environment.clock.now(), source.path, "cut_short"))

    def forget(self, run: TaskRun) -> None:
        """A task run is over, or begins again: nothing that it writes counts, and nobody waits until it reads."""
        self.held.pop(run, None)
        self.parked.pop(run, None)
        if run.intake is not None:
            run.intake.close()
            run.intake = None
        if run.channel is not None:
            run.channel.close()
            run.channel = None
            if self._recorder is not None:
                self._recorder.forget(run)
                self.continuing.give_up(run)


def _carrying(run: TaskRun) -> list[Dataflow]:
    """The edges out of a task run along which others read what it streams."""
    graph = run.scope.graph
    is_handled = _is_handled(run)
    return [
        edge
        for edge in graph.outgoing[run.id]
        if carries_stream(run.task, edge, target := graph.tasks[edge.target])
        and not (is_handled and target.mode == "compound")
    ]


def _is_handled(run: TaskRun) -> bool:
    """Whether the run may go on after this task, or one whose stream it reads, has failed."""
    routes = (edge.source_port == ERROR_PORT for edge in run.scope.graph.outgoing[run.id])
    return any(routes) or any(map(_is_handled, run.reads or ()))


def _passes_streams(task: Task) -> bool:
    return isinstance(task, GraphAsTask) and task.passes_streams()


def _streaming_ports(task: Task) -> list[str]:
    return [name for name, port in task.outputs.items() if stream_mode(port.schema) is not None]


def _waits_for_source(run: TaskRun) -> bool:
    return any(source.status != "completed" for source in run.reads or ())
