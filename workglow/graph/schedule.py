"""Which task may start when: pure decisions over a graph's edges, without I/O and without a clock.

The policy.  A task is ready when each edge into it is decided and at least one of them delivers; a task without edges
is ready at once.  An edge delivers when its source completed (and did not switch the port off), or, for an `[error]`
edge, when its source failed and the failure was routed.  When every edge into a task is decided and none delivers, the
task is disabled, and so on down the line.  When one of them is broken (its source failed and the run goes on with
independent branches), the task is aborted.

The data.  A `Scope` is one execution of one graph: the run's own graph, or one iteration of a loop inside it.  It
holds a `TaskRun` for each task that an edge has reached, with two counters: edges still undecided, and edges that
deliver. Each decision costs the edges of one task, so a run costs its edges.  A scope that is read back from a journal
makes its task runs from stored rows when they are first asked for, so resuming costs the frontier, not the history.

A stream.  When a task begins to stream, the edges that carry the stream are decided: they deliver.  So a task that
reads along is ready with the first piece, once all its other edges are decided too.  `stream` does that; `unstream`
takes it back when the attempt that streamed came to nothing, and says which tasks must stop.  The end of the streaming
task decides its other edges only.

Events go in as `open`, `restore`, `stream`, `unstream` and `resolve`; commands come out in queues: `ready`, `settled`
(disabled or aborted without running) and `closed` (scopes in which nothing is left to do).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from workglow.graph.dataflow import ERROR_PORT
from workglow.storage.records import FINAL_TASK_STATUSES, TaskRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from workglow.graph.control.conditional import ConditionalTask
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.transforms import TransformRegistry
    from workglow.tasks import Task

__all__ = ["Runnable", "Schedule", "Scope", "TaskRun", "delivers", "inactive_ports"]


class Runnable(Protocol):
    """What the schedule needs of a graph: a TaskGraph in memory, or one that is read from the file as it is needed."""

    @property
    def tasks(self) -> Mapping[str, Task]: ...
    @property
    def incoming(self) -> Mapping[str, Sequence[Dataflow]]: ...
    @property
    def outgoing(self) -> Mapping[str, Sequence[Dataflow]]: ...
    @property
    def transforms(self) -> TransformRegistry: ...

    def sources(self) -> Sequence[str]: ...


class TaskRun(TaskRow):
    """One task of one scope while it runs: the stored row, and what only the living process knows."""

    task: Task
    inputs: dict[str, object] | None = None
    outputs: dict[str, object] | None = None
    failure: BaseException | None = None
    inactive: frozenset[str] | None = None  # ports a conditional switched off
    remaining: int = 0  # edges into it that are not decided
    live: int = 0  # edges into it that deliver
    broken: bool = False
    resolved: bool = False
    dirty: bool = False  # has changed since the last commit
    key: bytes | None = None  # its output's key in the cache
    handle: Any = None  # what runs it now; a result from any other handle is late and discarded
    timer: Any = None
    controller: Any = None
    context: Any = None
    conversation: Any = None  # what its body asks, while somebody has to answer
    turns: Any = None  # what its body asked and was told, by turn
    progress: float = 0.0
    streams: bool = False  # has to do with a stream, so that the next five are worth looking at
    channel: Any = None  # what its current attempt streams
    inflows: tuple[Any, ...] | None = None  # its streams as inputs of groups
    intake: Any = None  # the streams it reads
    streamed: Sequence[Dataflow] | None = None  # edges out of it that are decided because it streams
    reads: dict[TaskRun, None] | None = None  # whom it reads along with

    def __init__(self, scope: Scope, id: str) -> None:
        self.scope = scope
        self.id = id
        self.path = scope.prefix + id

    def adopt(self, row: TaskRow) -> None:
        """Take over what was stored."""
        self.__dict__.update(row.__dict__)

    def switch_off(self, task: ConditionalTask, outputs: dict[str, object]) -> None:
        """Let the ports that a conditional switched off deliver nothing, also after a restart."""
        wired = {edge.source_port for edge in self.scope.graph.outgoing[self.id]}
        inactive = task.inactive_ports(self.inputs or {}, outputs, wired)
        if inactive:
            import msgspec

            self.inactive = inactive
            known: dict[str, object] = msgspec.json.decode(self.state or "{}")  # what it asked stays on record
            self.state = msgspec.json.encode({**known, "inactive": sorted(inactive)}).decode()

    def is_inside(self, compound: TaskRun, scope: Scope | None = None) -> bool:
        """Whether it runs somewhere inside this compound task, or inside this scope of it."""
        around = self.scope
        while around.parent is not None:
            if around.parent is compound:
                return scope is None or around is scope
            around = around.parent.scope
        return False


class _TaskRuns(dict[str, TaskRun]):
    """The task runs of a scope, each made when it is first asked for."""

    __slots__ = ("scope",)

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __missing__(self, id: str) -> TaskRun:
        scope = self.scope
        run = self[id] = TaskRun(scope, id)
        if scope.stored is None:
            run.remaining = len(scope.graph.incoming[id])
        else:
            scope.recall(run)
        return run


class Scope:
    """One execution of one graph.  `prefix` begins the paths of its tasks; `parent` is the compound task around it."""

    __slots__ = ("delivered", "graph", "index", "inflows", "open", "parent", "prefix", "runs", "stored")

    def __init__(
        self,
        graph: Runnable,
        delivered: Mapping[str, dict[str, object]],
        *,
        prefix: str = "",
        parent: TaskRun | None = None,
        index: int = 0,
        stored: Callable[[str], TaskRow | None] | None = None,
    ) -> None:
        self.graph = graph
        self.delivered = delivered
        self.prefix = prefix
        self.parent = parent
        self.index = index
        self.inflows = False  # whether a stream is among what was delivered
        self.stored = stored
        self.open = 0  # task runs that are ready, in flight or waiting
        self.runs: dict[str, TaskRun] = _TaskRuns(self)

    def is_attempt(self) -> bool:
        """Whether a task around it can go on when it fails."""
        scope = self
        while scope.parent is not None:
            if getattr(scope.parent.task, "outlives_failures", False):
                return True
            scope = scope.parent.scope
        return False

    def recall(self, run: TaskRun) -> None:
        """Fill a task run from its stored row, or from those of the tasks before it."""
        assert self.stored is not None
        row = self.stored(run.path)
        if row is not None:
            run.adopt(row)
            run.inactive = inactive_ports(row) or None
            run.resolved = row.status in FINAL_TASK_STATUSES
            return
        self.count(run)

    def count(self, run: TaskRun) -> None:
        """Count the edges into a task run anew, from the stored rows of the tasks before it."""
        run.remaining = run.live = 0
        for edge in self.graph.incoming[run.id]:
            source = self._recall_final(edge.source)
            if source is None:
                run.remaining += 1
            elif delivers(source, edge):
                run.live += 1

    def _recall_final(self, id: str) -> TaskRun | None:
        # A source without a final row stays unmade: making it would ask for its own sources, and so up the whole graph.
        run = self.runs.get(id)
        if run is None:
            assert self.stored is not None
            row = self.stored(self.prefix + id)
            if row is None or row.status not in FINAL_TASK_STATUSES:
                return None
            run = self.runs[id]
        return run if run.resolved else None


def inactive_ports(row: TaskRow) -> frozenset[str]:
    """The ports that a stored task run had switched off."""
    if row.state is None:
        return frozenset()
    import msgspec

    return frozenset(msgspec.json.decode(row.state).get("inactive", ()))


def delivers(source: TaskRun, edge: Dataflow) -> bool:
    """Does the edge carry a value, now that its source is resolved?"""
    if source.status == "completed":
        return edge.source_port != ERROR_PORT and not (source.inactive and edge.source_port in source.inactive)
    if source.status == "failed":
        return edge.source_port == ERROR_PORT
    return source.streamed is not None and edge in source.streamed


class Schedule:
    """The state of a whole run, as far as order is concerned."""

    def __init__(self) -> None:
        self.ready: deque[TaskRun] = deque()
        self.fresh: list[TaskRun] = []  # what became ready since somebody last looked, for those who keep rows
        self.settled: list[TaskRun] = []
        self.closed: deque[Scope] = deque()

    def open(self, scope: Scope) -> None:
        """Begin a scope: its sources are ready."""
        begun = [scope.runs[id] for id in scope.graph.sources()]
        self.ready.extend(begun)
        self.fresh.extend(begun)
        scope.open += len(begun)
        if not begun:
            self.closed.append(scope)

    def restore(self, run: TaskRun) -> None:
        """Count a task run that a journal says is open; whoever restores it decides whether it is ready."""
        run.scope.open += 1

    def stream(self, run: TaskRun, edges: Sequence[Dataflow]) -> None:
        """A task run has begun to stream along these edges."""
        runs = run.scope.runs
        run.streams = True
        before = run.streamed or ()
        new = [
            edge
            for edge in edges
            if edge not in before and not runs[edge.target].resolved and not runs[edge.target].broken
        ]
        run.streamed = [*before, *new]
        for edge in new:
            target = runs[edge.target]
            target.streams = True
            target.reads = {**(target.reads or {}), run: None}
            target.remaining -= 1
            target.live += 1
            if target.remaining == 0:
                run.scope.open += 1
                self.ready.append(target)
                self.fresh.append(target)

    def unstream(self, run: TaskRun, ports: Collection[str] | None, *, again: bool) -> list[TaskRun]:
        """What a task run has streamed does not count: return the task runs that were ready only because of it.

        `ports` are those that it is about; None is all.  When it will come `again`, a compound task that has begun
        goes on, and its edge stays decided.
        """
        stopped: list[TaskRun] = []
        edges, kept = run.streamed or (), list["Dataflow"]()
        for edge in edges:
            target = run.scope.runs[edge.target]
            if (ports is not None and edge.source_port not in ports) or (again and target.controller is not None):
                kept.append(edge)
                continue
            if target.resolved:
                continue  # it failed before this attempt did, and that stands
            if target.remaining == 0:
                stopped.append(target)
                run.scope.open -= 1
                if target in self.ready:
                    self.ready.remove(target)
            target.remaining += 1
            target.live -= 1
            assert target.reads is not None
            target.reads.pop(run, None)
        run.streamed = kept or None
        return stopped

    def resolve(self, run: TaskRun, *, broken: bool = False) -> bool:
        """A task run is final: tell the tasks behind it.  True when anything was `settled` or `closed` by that."""
        scope = run.scope
        runs = scope.runs
        outgoing = scope.graph.outgoing
        if broken:
            run.broken = True
        plain = run.status == "completed" and run.inactive is None
        source: TaskRun | None = run
        cascade: list[TaskRun] | None = None
        while source is not None:
            for edge in outgoing[source.id] if source.streamed is None else _not_streamed(source):
                target = runs[edge.target]
                target.remaining -= 1
                if (plain and edge.source_port != ERROR_PORT) or (not plain and delivers(source, edge)):
                    target.live += 1
                elif source.broken and edge.source_port != ERROR_PORT:
                    target.broken = True
                if target.remaining == 0:
                    scope.open += 1
                    if target.live and not target.broken:
                        self.ready.append(target)
                        self.fresh.append(target)
                    else:
                        target.status = "aborted" if target.broken else "disabled"
                        self.settled.append(target)
                        cascade = cascade or []
                        cascade.append(target)
            source.resolved = True
            scope.open -= 1
            source = cascade.pop() if cascade else None
            plain = False  # what is settled without running completes nothing
        if scope.open == 0:
            self.closed.append(scope)
            return True
        return bool(self.settled)


def _not_streamed(source: TaskRun) -> list[Dataflow]:
    streamed = source.streamed or ()
    return [edge for edge in source.scope.graph.outgoing[source.id] if edge not in streamed]
