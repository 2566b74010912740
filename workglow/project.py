"""The project: an open file, and the only place where the parts meet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from workglow.clock import SystemClock
from workglow.errors import RunStateError
from workglow.file import File
from workglow.graph.blocking import run_blocking
from workglow.graph.conversion import as_graph
from workglow.graph.engine import Engine, OnChange
from workglow.graph.named import TaskGraphRepository
from workglow.graph.options import RunOptions
from workglow.graph.why import explain
from workglow.storage.sqlite import sqlite_repositories
from workglow.tasks import task_registry

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator
    from types import TracebackType

    from workglow.clock import Clock
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.graph.run import Run
    from workglow.knowledge import KnowledgeBase, SearchResult
    from workglow.storage.outputs import TaskOutputRepository
    from workglow.tasks import TaskRegistry

__all__ = ["Project", "open"]

Durability = Literal["auto", "power", "process"]
Listener = Callable[["Event"], object]


class RunSettings(TypedDict, total=False):
    """The options of a run: see RunOptions."""

    concurrency: int | None
    timeout: float | None
    continue_on_error: bool
    cache: Literal["use", "refresh", "off"]
    max_tasks: int | None


class Project:
    """An open project file.  Use it as a context manager: leaving it closes the file cleanly, as one file.

    `run`, `resume`, `fork` and `rerun_failed` are coroutines; each has a blocking twin that ends in `_sync`.
    """

    def __init__(self, file: File, *, registry: TaskRegistry = task_registry) -> None:
        self.file = file
        self.registry = registry
        self._repositories = sqlite_repositories(file)
        self._engine = Engine(self._repositories, registry, file.clock, self)
        self._graphs = TaskGraphRepository(self._repositories.named, registry=registry)
        self._bases: dict[str, KnowledgeBase] = {}

    @property
    def path(self) -> str:
        """Where the file is; ':memory:' for a project that is kept nowhere."""
        return self.file.path

    def close(self) -> None:
        """Close the file; the last one out leaves a single file behind."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Project({self.path!r})"

    # ------------------------------------------------------------------ running

    async def run(
        self,
        graph: Any,
        inputs: Mapping[str, object] | None = None,
        *,
        on_event: Listener | None = None,
        **options: Unpack[RunSettings],
    ) -> Run:
        """Run a graph, a workflow or a task from the beginning, and keep every step of it.

        Raises what the run failed with; the error's `run` is the run.
        """
        return await self._run(graph, inputs, on_event, options, alone=False)

    def run_sync(
        self,
        graph: Any,
        inputs: Mapping[str, object] | None = None,
        *,
        on_event: Listener | None = None,
        **options: Unpack[RunSettings],
    ) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        return run_blocking(lambda: self._run(graph, inputs, on_event, options, alone=True))

    async def _run(
        self,
        graph: Any,
        inputs: Mapping[str, object] | None,
        on_event: Listener | None,
        options: RunSettings,
        *,
        alone: bool,
    ) -> Run:
        whole = as_graph(graph)
        return await self._engine.run(
            whole, inputs or {}, options=RunOptions(**options), listeners=_listeners(whole, on_event), alone=alone
        )

    def begin(self, graph: Any, inputs: Mapping[str, object] | None = None, **options: Unpack[RunSettings]) -> Run:
        """Store a run without starting it; `resume` starts it, in this process or in another one."""
        return self._engine.begin(as_graph(graph), inputs or {}, options=RunOptions(**options))

    async def stream(
        self, graph: Any, inputs: Mapping[str, object] | None = None, **options: Unpack[RunSettings]
    ) -> AsyncIterator[Event]:
        """Run a graph and yield its events as they happen; raises what the run failed with."""
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        running = asyncio.ensure_future(self.run(graph, inputs, on_event=events.put_nowait, **options))
        running.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await running
        finally:
            running.cancel()

    async def resume(
        self,
        run: str | None = None,
        *,
        on_change: OnChange = "error",
        interrupted: Literal["retry", "fail"] | None = None,
        on_event: Listener | None = None,
    ) -> Run:
        """Go on with a run where it stopped; without an id, with the newest unfinished one.

        A finished run is returned as it is.  `on_change` decides about tasks whose code changed since the run began:
        'error' refuses and names them, 'keep' lets what is finished stand, 'rerun' runs them and what is behind them
        again.  `interrupted` decides about side effects whose outcome is unknown.
        """
        return await self._resume(run, on_change, interrupted, on_event, alone=False)

    def resume_sync(
        self,
        run: str | None = None,
        *,
        on_change: OnChange = "error",
        interrupted: Literal["retry", "fail"] | None = None,
        on_event: Listener | None = None,
    ) -> Run:
        """`resume`, blocking."""
        return run_blocking(lambda: self._resume(run, on_change, interrupted, on_event, alone=True))

    async def _resume(
        self,
        run: str | None,
        on_change: OnChange,
        interrupted: Literal["retry", "fail"] | None,
        on_event: Listener | None,
        *,
        alone: bool,
    ) -> Run:
        if run is None:
            unfinished = self._repositories.runs.all(open_only=True)
            if not unfinished:
                raise RunStateError(f"{self.path} has no unfinished run.  Give a run's id to look at a finished one.")
            run = unfinished[-1].uid
        return await self._engine.resume(
            run, on_change=on_change, interrupted=interrupted, listeners=_listeners(None, on_event), alone=alone
        )

    async def resume_all(self, *, on_change: OnChange = "error", on_event: Listener | None = None) -> list[Run]:
        """Go on with every unfinished run, oldest first."""
        unfinished = self._repositories.runs.all(open_only=True)
        return [await self.resume(run.uid, on_change=on_change, on_event=on_event) for run in unfinished]

    def resume_all_sync(self, *, on_change: OnChange = "error", on_event: Listener | None = None) -> list[Run]:
        """`resume_all`, blocking."""
        return run_blocking(lambda: self.resume_all(on_change=on_change, on_event=on_event))

    async def fork(
        self,
        run: str,
        from_task: str | None = None,
        inputs: Mapping[str, object] | None = None,
        *,
        on_event: Listener | None = None,
        **options: Unpack[RunSettings],
    ) -> Run:
        """Start a new run that reuses everything before a change.

        The change is the task at path `from_task`, which runs again with all that is behind it, or new graph inputs.
        """
        return await self._fork(run, from_task, inputs, on_event, options, alone=False)

    def fork_sync(
        self,
        run: str,
        from_task: str | None = None,
        inputs: Mapping[str, object] | None = None,
        *,
        on_event: Listener | None = None,
        **options: Unpack[RunSettings],
    ) -> Run:
        """`fork`, blocking."""
        return run_blocking(lambda: self._fork(run, from_task, inputs, on_event, options, alone=True))

    async def _fork(
        self,
        run: str,
        from_task: str | None,
        inputs: Mapping[str, object] | None,
        on_event: Listener | None,
        options: RunSettings,
        *,
        alone: bool,
    ) -> Run:
        return await self._engine.fork(
            run,
            from_task=from_task,
            inputs=inputs,
            options=RunOptions(**options) if options else None,
            listeners=_listeners(None, on_event),
            alone=alone,
        )

    async def rerun_failed(self, run: str, *, on_event: Listener | None = None) -> Run:
        """Start a new run that reuses every task that completed, also inside loops, and runs the others."""
        return await self._engine.rerun_failed(run, listeners=_listeners(None, on_event))

    def rerun_failed_sync(self, run: str, *, on_event: Listener | None = None) -> Run:
        """`rerun_failed`, blocking."""
        return run_blocking(lambda: self._engine.rerun_failed(run, listeners=_listeners(None, on_event), alone=True))

    # ------------------------------------------------------------------ what is kept beside the runs

    @property
    def graphs(self) -> TaskGraphRepository:
        """Graphs by name, each with its history: `project.graphs.save("ingest", workflow)`."""
        return self._graphs

    @property
    def outputs(self) -> TaskOutputRepository:
        """The output cache: its policies, its events, and what is in it."""
        return self._repositories.outputs

    # ------------------------------------------------------------------ looking

    def runs(self) -> list[Run]:
        """Every run in the file, oldest first."""
        return [self._engine.view(record) for record in self._repositories.runs.all()]

    def get(self, run: str) -> Run:
        """Find a run by its id, or by the beginning of one that no other shares."""
        return self._engine.view(self._repositories.runs.get(run))

    def graph_of(self, run: str) -> TaskGraph:
        """The graph that a run is pinned to; its task types must be registered."""
        return self._engine.graph_of(run)

    def why(self, run: str, task: str) -> str:
        """Say in plain words why a task ran, was reused, waits or never started."""
        return explain(self._engine, run, task)

    # ------------------------------------------------------------------ knowledge

    def knowledge(self, name: str = "default", *, model: str | None = None) -> KnowledgeBase:
        """Open a knowledge base of this file; a new one takes `model`, 'local:wordllama' when none is given."""
        from workglow.knowledge import open_knowledge_base

        base = self._bases.get(name)
        if base is None:
            base = self._bases[name] = open_knowledge_base(self.file, name, model)
        return base

    def search(self, text: str, *, limit: int = 5, knowledge: str = "default") -> list[SearchResult]:
        """Find the chunks that fit the text best, by meaning and by words."""
        return self.knowledge(knowledge).search(text, limit=limit)

    # ------------------------------------------------------------------ the file

    def copy(self, target: str | os.PathLike[str]) -> None:
        """Write a consistent copy, also while runs are going on; it can be opened and resumed anywhere."""
        from workglow.file import copy

        copy(self.path, target)


def open(  # workglow.open is to projects what open is to files
    path: str | os.PathLike[str],
    *,
    durability: Durability = "auto",
    read_only: bool = False,
    create: bool = True,
    registry: TaskRegistry = task_registry,
    clock: Clock | None = None,
) -> Project:
    """Open a project file, or make it; ':memory:' is kept nowhere.

    durability: 'auto' keeps every commit over a kill, and syncs to disk around side effects, at the end of a run, and
    every 200 ms; 'power' syncs every commit; 'process' never waits for the disk.

    Raises a FileError that says what is wrong with the file and what to do about it.
    """
    file = File.open(path, clock=clock or SystemClock(), read_only=read_only, create=create, durability=durability)
    return Project(file, registry=registry)


def _listeners(graph: TaskGraph | None, on_event: Listener | None) -> tuple[Listener, ...]:
    own = (graph.events.emit,) if graph is not None and len(graph.events) else ()
    return own if on_event is None else (*own, on_event)
