"""What a project does with its runs: begin them, go on with them, repeat them, answer them and look at them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack

from workglow.blocking import run_blocking
from workglow.errors import RunStateError
from workglow.graph.budget import Budget
from workglow.graph.caller import Caller
from workglow.graph.conversion import as_graph
from workglow.graph.delivery import as_inputs
from workglow.graph.options import RunOptions
from workglow.graph.queued.driving import abort_run, wait_for_run
from workglow.graph.resuming import resume_each
from workglow.graph.rights.permission import Permission
from workglow.graph.streams.feed import EventFeed
from workglow.graph.streams.follow import follow
from workglow.graph.waiting.answering import Answering
from workglow.graph.why import explain
from workglow.tasks.policy import as_rules
from workglow.tasks.vocabulary import check_known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from workglow.file import File
    from workglow.graph.engine import Engine, OnChange
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.graph.previews.preview import Preview
    from workglow.graph.rights.grants import Grants
    from workglow.graph.run import Run
    from workglow.graph.settings import KeptRunSettings, ResumeSettings, RunSettings
    from workglow.graph.streams.follow import StreamRecord
    from workglow.graph.waiting.wait import Action, AnsweredQuestion, Question
    from workglow.queue import Queues
    from workglow.tasks import Entitlement
    from workglow.telemetry import Tracer

__all__ = ["Runs"]

Handler = Callable[["Question"], object]


class Runs:
    """The runs of one file.

    `run`, `resume`, `fork` and `rerun_failed` are coroutines; each has a blocking twin that ends in `_sync`.
    """

    def __init__(self, file: File, engine: Engine, grants: Grants, queues: Callable[[], Queues]) -> None:
        self.file = file
        self._engine = engine
        self._repositories = engine.repositories
        self._grants = grants
        self._open_queues = queues
        self._answering = Answering(engine.repositories)

    # ------------------------------------------------------------------ running

    async def run(
        self, graph: Any, inputs: Mapping[str, object] | None = None, **settings: Unpack[KeptRunSettings]
    ) -> Run:
        """Run a graph, a workflow or a task from the beginning, and keep every step of it.

        Raises what the run failed with; the error's `run` is the run.  A run whose `status` is "waiting" goes on with
        `resume` once what it waits for has come.  `on_question` is called with each Question that a task asks a person;
        what it returns is the answer, and with None the question stays open.
        """
        return await self._run(graph, inputs, settings, alone=False)

    def run_sync(
        self, graph: Any, inputs: Mapping[str, object] | None = None, **settings: Unpack[KeptRunSettings]
    ) -> Run:
        """`run`, blocking; works inside a running event loop too."""
        return run_blocking(lambda: self._run(graph, inputs, settings, alone=True))

    async def _run(
        self, graph: Any, inputs: Mapping[str, object] | None, settings: KeptRunSettings, *, alone: bool
    ) -> Run:
        whole = as_graph(graph)
        caller = _caller(whole, settings, alone=alone)
        return await self._engine.run(whole, as_inputs(inputs), options=RunOptions.of(settings), caller=caller)

    def begin(self, graph: Any, inputs: Mapping[str, object] | None = None, **options: Unpack[RunSettings]) -> Run:
        """Store a run without starting it; `resume` starts it, in this process or in another one."""
        permission = Permission.taken_from(options)
        return self._engine.begin(
            as_graph(graph), as_inputs(inputs), options=RunOptions.of(options), permission=permission
        )

    def submit(
        self,
        graph: Any,
        inputs: Mapping[str, object] | None = None,
        *,
        queue: str = "runs",
        **options: Unpack[RunSettings],
    ) -> Run:
        """Store a run, and have the workers of a queue drive it; when this returns it is on the disk.

        Whatever it waits for, workers go on with it when that has come; nobody has to `resume` it.  What it may do is
        decided here and kept with it.
        """
        permission = Permission.taken_from(options)
        return self._engine.begin(
            as_graph(graph),
            as_inputs(inputs),
            options=RunOptions.of(options),
            permission=permission,
            queue=self._open_queues().queue(queue),
        )

    async def wait(self, run: str, timeout: float | None = None) -> Run:
        """Return a run when it is finished, or waits for a person or an event; any process may drive it.

        So it does when nobody will go on with it before somebody resumes it.  TimeoutError after `timeout` seconds; the
        run goes on then.  Unlike `run` it does not raise what the run failed with.
        """
        return await wait_for_run(self._engine, self.file, run, timeout)

    def wait_sync(self, run: str, timeout: float | None = None) -> Run:
        """`wait`, blocking."""
        return run_blocking(lambda: wait_for_run(self._engine, self.file, run, timeout))

    async def stream(
        self,
        graph: Any,
        inputs: Mapping[str, object] | None = None,
        *,
        on_question: Handler | None = None,
        tracer: Tracer | None = None,
        **options: Unpack[RunSettings],
    ) -> AsyncIterator[Event]:
        """Run a graph and yield its events as they happen; raises what the run failed with.

        The run does not wait for the reader: for one that is far behind, pieces of the same stream are put together.
        A reader who leaves stops the run, which can be resumed; `contextlib.aclosing` makes that happen at once.
        """
        feed = EventFeed()
        running = asyncio.ensure_future(
            self.run(graph, inputs, on_event=feed.put, on_question=on_question, tracer=tracer, **options)
        )
        running.add_done_callback(lambda _: feed.close())
        try:
            async for event in feed:
                yield event
            await running
        finally:
            running.cancel()
            await asyncio.wait((running,))

    def follow(self, run: str, task: str | None = None, *, from_seq: int = 0) -> AsyncIterator[StreamRecord]:
        """Yield what a run has streamed so far, from number `from_seq` on, and then what it streams, to its end.

        The run may be driven by any process, or by none yet.  With `task`, the path of one, only that task is followed,
        to the task's end.
        """
        return follow(self._repositories, self.file, run, task, from_seq=from_seq)

    async def resume(
        self,
        run: str | None = None,
        *,
        on_change: OnChange = "error",
        interrupted: Literal["retry", "fail"] | None = None,
        wait: bool | float | None = None,
        **settings: Unpack[ResumeSettings],
    ) -> Run:
        """Go on with a run where it stopped; without an id, with the newest unfinished one that can.

        A finished run is returned as it is.  `on_change` decides about tasks whose code changed since the run began:
        'error' refuses and names them, 'keep' lets what is finished stand, 'rerun' runs them and what is behind them
        again.  `interrupted` decides about side effects whose outcome is unknown.  `wait` is that of RunOptions; a run
        in which nothing has come for what it waits for is returned as it is.  The rights among the `settings` are added
        to what the run was granted when it began, which counts only in the file and for the user it was granted in and
        by.
        """
        caller = _resumer(settings, alone=False)
        return await self._resume(run, on_change, interrupted, wait, caller)

    def resume_sync(
        self,
        run: str | None = None,
        *,
        on_change: OnChange = "error",
        interrupted: Literal["retry", "fail"] | None = None,
        wait: bool | float | None = None,
        **settings: Unpack[ResumeSettings],
    ) -> Run:
        """`resume`, blocking."""
        caller = _resumer(settings, alone=True)
        return run_blocking(lambda: self._resume(run, on_change, interrupted, wait, caller))

    async def _resume(
        self,
        run: str | None,
        on_change: OnChange,
        interrupted: Literal["retry", "fail"] | None,
        wait: bool | float | None,
        caller: Caller,
    ) -> Run:
        if run is None:
            unfinished = self._repositories.runs.all(open_only=True)
            if not unfinished:
                raise RunStateError(
                    f"{self.file.path} has no unfinished run.  Give a run's id to look at a finished one."
                )
            due = set(self.due())
            able = [one for one in unfinished if one.status != "waiting" or one.uid in due]
            run = (able or unfinished)[-1].uid
        return await self._engine.resume(run, on_change=on_change, interrupted=interrupted, wait=wait, caller=caller)

    async def resume_all(
        self,
        *,
        on_change: OnChange = "error",
        wait: bool | float | None = None,
        **settings: Unpack[ResumeSettings],
    ) -> list[Run]:
        """Go on with every unfinished run, oldest first.

        One that fails holds none of the others up: at the end ResumeError tells of it, and has the other runs.
        """
        caller = _resumer(settings, alone=False)
        return await self._resume_each(self._unfinished(), on_change, wait, caller)

    def resume_all_sync(
        self,
        *,
        on_change: OnChange = "error",
        wait: bool | float | None = None,
        **settings: Unpack[ResumeSettings],
    ) -> list[Run]:
        """`resume_all`, blocking."""
        caller = _resumer(settings, alone=True)
        return run_blocking(lambda: self._resume_each(self._unfinished(), on_change, wait, caller))

    def _unfinished(self) -> list[str]:
        return [run.uid for run in self._repositories.runs.all(open_only=True)]

    async def _resume_each(
        self, runs: list[str], on_change: OnChange, wait: bool | float | None, caller: Caller
    ) -> list[Run]:
        return await resume_each(runs, lambda uid: self._resume(uid, on_change, None, wait, caller))

    def abort(self, run: str, reason: str = "The run was aborted.") -> Run:
        """End a run for good that nobody drives: one that waits, or whose process is gone.

        What it asks can be answered no more, and the jobs of its tasks are aborted.  A submitted run that a worker
        drives is aborted by that worker, as soon as it hears of it.  Raises RunStateError when it is finished, or
        another process drives it.
        """
        return abort_run(self._engine, run, reason)

    async def fork(
        self,
        run: str,
        from_task: str | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Unpack[KeptRunSettings],
    ) -> Run:
        """Start a new run that reuses everything before a change.

        The change is the task at path `from_task`, which runs again with all that is behind it, or new graph inputs.
        """
        caller = _caller(None, settings, alone=False)
        return await self._fork(run, from_task, inputs, caller, settings)

    def fork_sync(
        self,
        run: str,
        from_task: str | None = None,
        inputs: Mapping[str, object] | None = None,
        **settings: Unpack[KeptRunSettings],
    ) -> Run:
        """`fork`, blocking."""
        caller = _caller(None, settings, alone=True)
        return run_blocking(lambda: self._fork(run, from_task, inputs, caller, settings))

    async def _fork(
        self,
        run: str,
        from_task: str | None,
        inputs: Mapping[str, object] | None,
        caller: Caller,
        options: RunSettings,
    ) -> Run:
        chosen = RunOptions.of(options) if options else None
        return await self._engine.fork(run, from_task=from_task, inputs=inputs, options=chosen, caller=caller)

    async def rerun_failed(self, run: str, **settings: Unpack[ResumeSettings]) -> Run:
        """Start a new run that reuses every task that completed, also inside loops, and runs the others."""
        return await self._engine.rerun_failed(run, caller=_resumer(settings, alone=False))

    def rerun_failed_sync(self, run: str, **settings: Unpack[ResumeSettings]) -> Run:
        """`rerun_failed`, blocking."""
        caller = _resumer(settings, alone=True)
        return run_blocking(lambda: self._engine.rerun_failed(run, caller=caller))

    # ------------------------------------------------------------------ what runs may do

    def grant(self, *entitlements: str | Entitlement) -> None:
        """Let every run of this project do more: `project.grant("files:read=docs", "network")`.

        Paths are taken from the current folder.  A grant counts for this user and in this very file: not in a copy, and
        not for whoever gets it.  Raises UnknownEntitlementError for what looks like a slip of a known one.
        """
        rules = as_rules(entitlements)
        check_known(rules)
        self._grants.add(rules)

    def revoke(self, *entitlements: str | Entitlement) -> None:
        """Take back grants, written as they were given or as `grants` lists them."""
        self._grants.remove(as_rules(entitlements))

    @property
    def grants(self) -> list[str]:
        """What every run of this project may do, here."""
        return [text for rule in self._grants.of_project() for text in rule.texts()]

    # ------------------------------------------------------------------ what runs wait for

    def questions(self, run: str | None = None) -> list[Question]:
        """The questions to persons that nobody has answered yet, oldest first."""
        return self._answering.questions(run)

    def answers(self, run: str, task: str) -> list[AnsweredQuestion]:
        """What the task at path `task` asked so far, with what it was told: one for each turn, oldest first."""
        return self._answering.turns(run, task)

    def answer(
        self, run: str, task: str, value: object = None, *, action: Action = "accept", turn: int | None = None
    ) -> None:
        """Answer the question of the task at path `task`, from any process; a process that drives the run goes on.

        `value` is a mapping that fits the question's schema, or the value of its one required field.  `action`
        "decline" or "cancel" needs none.  `turn`, the question's, refuses the answer when the task asks something else
        by now.  The first answer is kept on the disk before this returns.  Raises AnswerError
        for a value that does not fit, and RunStateError when there is no such question, it has an answer, or its
        deadline is over.
        """
        self._answering.answer(run, task, value, action, turn)

    def send_event(self, name: str, payload: object = None, *, run: str | None = None) -> list[str]:
        """Send an event to a run, or to every unfinished one; the ids of the runs that it reached.

        Every task of the run that waits for it goes on.  When none does, the event is kept, and the first that waits
        for it later takes it.
        """
        return self._answering.send_event(name, payload, run)

    def set_budget(
        self,
        run: str,
        *,
        cost: float | None = None,
        tokens: int | None = None,
        model_seconds: float | None = None,
    ) -> Run:
        """Say anew what a run may take of models, in all; tasks that wait for more go on, and so does their run.

        A run that no process drives goes on when it is resumed, or by itself when it was submitted to workers.  A run
        that began without a budget, and that is under way, takes note of this when it is resumed.
        """
        return self._engine.set_budget(run, Budget(cost, tokens, model_seconds))

    def due(self) -> list[str]:
        """The ids of the waiting runs that can go on: something has come, or a time is over, and nobody drives them."""
        return self._answering.due()

    async def resume_due(self, *, on_change: OnChange = "error", **settings: Unpack[ResumeSettings]) -> list[Run]:
        """Go on with every run that is `due`, as `resume_all` does with every unfinished one."""
        caller = _resumer(settings, alone=False)
        return await self._resume_each(self.due(), on_change, None, caller)

    def resume_due_sync(self, *, on_change: OnChange = "error", **settings: Unpack[ResumeSettings]) -> list[Run]:
        """`resume_due`, blocking."""
        caller = _resumer(settings, alone=True)
        return run_blocking(lambda: self._resume_each(self.due(), on_change, None, caller))

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

    def preview(self, run: str, changes: Mapping[str, object] | None = None) -> Preview:
        """Preview the graph of a run: what completed shows its outputs, until what it reads is changed.

        `changes` are other graph inputs; further ones go to the preview's `set`.  Nothing is run and nothing is kept.
        """
        preview = self._engine.preview(run)
        if changes:
            preview.set(changes)
        return preview


def _caller(graph: TaskGraph | None, settings: Any, *, alone: bool) -> Caller:
    """Who drives the run; who hears of it and the rights are taken out of the settings."""
    own = (graph.events.emit,) if graph is not None and len(graph.events) else ()
    on_event = settings.pop("on_event", None)
    listeners = own if on_event is None else (*own, on_event)
    on_question, tracer = settings.pop("on_question", None), settings.pop("tracer", None)
    return Caller(listeners, on_question, Permission.taken_from(settings), alone, tracer)


def _resumer(settings: ResumeSettings, *, alone: bool) -> Caller:
    caller = _caller(None, settings, alone=alone)
    if settings:
        raise TypeError(f"{', '.join(map(repr, settings))}: no such keyword.  What a run was begun with stays.")
    return caller
