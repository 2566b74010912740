"""The project: an open file, and the only place where the parts meet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

from workglow.clock import SystemClock
from workglow.file import File
from workglow.file.seal import Seal
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.engine import Engine
from workglow.graph.named import TaskGraphRepository
from workglow.graph.rights.grants import Grants
from workglow.graph.rights.licence import Licences
from workglow.graph.runs import Runs
from workglow.storage.sqlite import sqlite_repositories
from workglow.tasks import task_registry
from workglow.tasks.standard_resolvers import standard_resolvers

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from types import TracebackType

    from workglow.ai import Models, ProviderRegistry
    from workglow.clock import Clock
    from workglow.credentials import Credentials
    from workglow.graph.transforms import TransformRegistry
    from workglow.knowledge import KnowledgeBase, SearchResult
    from workglow.limits import CompositeLimiter, Limiter, LimiterRegistry, LimitRule
    from workglow.queue import HandlerRegistry, Job, JobQueue, Queues, Worker
    from workglow.queue.change_feed import ChangeFeed, Chosen
    from workglow.queue.queues import Limit
    from workglow.queue.schedules import Schedule, Schedules, ScheduleTerms
    from workglow.queue.settings import QueueTerms
    from workglow.recurrence import CatchUp
    from workglow.storage.outputs import TaskOutputRepository
    from workglow.tasks import TaskRegistry
    from workglow.telemetry import Tracer

__all__ = ["Project", "open"]

Durability = Literal["auto", "power", "process"]


class Project(Runs):
    """An open project file.  Use it as a context manager: leaving it closes the file cleanly, as one file.

    `run`, `resume`, `fork` and `rerun_failed` are coroutines; each has a blocking twin that ends in `_sync`.
    """

    def __init__(
        self,
        file: File,
        *,
        registry: TaskRegistry = task_registry,
        transforms: TransformRegistry = built_in_transforms,
        handlers: HandlerRegistry | None = None,
        tracer: Tracer | None = None,
        limiters: LimiterRegistry | None = None,
        providers: ProviderRegistry | None = None,
    ) -> None:
        repositories = sqlite_repositories(file)
        self.registry = registry
        self.transforms = transforms
        self.resolvers = standard_resolvers(registry)
        self.resolvers.register("knowledge-base", lambda name, _: self.knowledge(name), _name)
        self.resolvers.unregister("credential")
        self.resolvers.register("credential", lambda name, _: self.credentials.read(name), entitlement="credential")
        self.resolvers.register("model", lambda name, _: self.models.model(name), _name)
        grants = Grants(repositories.settings, Seal(file))
        licences = Licences(grants, self.resolvers)
        engine = Engine(
            *(repositories, registry, file.clock, self, transforms, self.resolvers, licences, tracer),
            queues=lambda: self.queues,
        )
        super().__init__(file, engine, grants, lambda: self.queues)
        self._graphs = TaskGraphRepository(repositories.named, registry=registry, transforms=transforms)
        self._bases: dict[str, KnowledgeBase] = {}
        self._handlers = handlers
        self._limiters = limiters
        self._queues: Queues | None = None
        self._providers = providers
        self._models: Models | None = None
        self._credentials: Credentials | None = None

    @property
    def path(self) -> str:
        """Where the file is; ':memory:' for a project that is kept nowhere."""
        return self.file.path

    def close(self) -> None:
        """Close the file; the last one out leaves a single file behind."""
        if self._models is not None:
            self._models.close()
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Project({self.path!r})"

    # ------------------------------------------------------------------ what is kept beside the runs

    @property
    def graphs(self) -> TaskGraphRepository:
        """Graphs by name, each with its history: `project.graphs.save("ingest", workflow)`."""
        return self._graphs

    @property
    def outputs(self) -> TaskOutputRepository:
        """The output cache: its policies, its events, and what is in it."""
        return self._repositories.outputs

    # ------------------------------------------------------------------ jobs

    @property
    def queues(self) -> Queues:
        """The job queues of this file, their jobs, and what the workers of this process tell of them."""
        if self._queues is None:  # a program that only runs graphs need not load them
            from workglow.graph.queued.handlers import ProjectHandlers
            from workglow.limits import Limits, limiter_registry
            from workglow.queue import Queues, handler_registry
            from workglow.storage.sqlite.jobs import SqliteJobs
            from workglow.storage.sqlite.limits import SqliteLimits

            kinds = limiter_registry if self._limiters is None else self._limiters
            limits = SqliteLimits(self.file, kinds.load)
            self._queues = Queues(
                self.file,
                SqliteJobs(self.file, limits.gates),
                self._repositories.values,
                handlers=ProjectHandlers(handler_registry if self._handlers is None else self._handlers, self._engine),
                project=self,
                limits=Limits(self.file, limits, kinds),
                tracer=self._engine.tracer,
            )
        return self._queues

    def queue(
        self,
        name: str,
        *,
        scope: Mapping[str, object] | None = None,
        limits: Sequence[Limit] | None = None,
        **settings: Unpack[QueueTerms],
    ) -> JobQueue:
        """Open a job queue of this file, or make it: `project.queue("embed", retry=Retry(5, delay=1), timeout=30)`.

        Settings that are given are kept in the file, and so are `limits`, `[RateLimiter(60, per=60)]` say, which bind
        every process.  Queues of different `scope`, {"user": "u1"} say, share nothing but the name.
        """
        return self.queues.queue(name, scope=scope, limits=limits, **settings)

    def limiter(
        self, name: str, rule: LimitRule | CompositeLimiter | None = None, *, scope: Mapping[str, object] | None = None
    ) -> Limiter:
        """Open a named limiter of this file; with a rule it is made, or gets that rule from now on.

        It is given to queues, `project.queue("embed", limits=[project.limiter("openai")])`, or used without one,
        `async with project.limiter("openai").slot(): …`.
        """
        return self.queues.limits.limiter(name, rule, scope=scope)

    def job(self, job_id: int) -> Job:
        """Find a job by its number; UnknownJobError when there is none."""
        return self.queues.job(job_id)

    def why_job(self, job_id: int) -> str:
        """Say why a job waits, or what became of it."""
        return self.job(job_id).why()

    def worker(self, *queues: JobQueue | str, concurrency: int = 1) -> Worker:
        """A worker of this process for these queues, or for all: `async with project.worker(concurrency=4): …`.

        A name stands for each queue of that name, also for one that comes later: none is made.
        """
        return self.queues.worker(*queues, concurrency=concurrency)

    # ------------------------------------------------------------------ what is done again and again

    def schedule(
        self,
        name: str,
        what: Any,
        inputs: Mapping[str, object] | None = None,
        *,
        cron: str | None = None,
        timezone: str = "UTC",
        every: float | timedelta | None = None,
        catch_up: CatchUp = "one",
        queue: JobQueue | str = "default",
        **terms: Unpack[ScheduleTerms],
    ) -> Schedule:
        """Do something again and again: `project.schedule("nightly", report, cron="0 3 * * *")`.

        `what` is a handler, or the name of one, and a job of `queue` calls it at each due time; or it is a graph, a
        workflow or a task, and the job runs it.  Due is what the cron expression says in the time zone, or `every` so
        many seconds.  Any worker of the file makes the jobs; `catch_up` says what becomes of the due times at which
        there was none: "one" job for all of them, one for each ("all"), or none ("skip").

        A schedule of the same name is replaced.  Unless its times have changed it goes on where it was, so a program
        may say this each time it starts.  Raises ScheduleError for times that can never come.
        """
        from workglow.graph.conversion import as_graph
        from workglow.graph.delivery import deliver
        from workglow.graph.stored import graph_record
        from workglow.queue import Handler
        from workglow.storage.schedules import RUN_GRAPH

        graph_id, handler = None, what
        if not isinstance(what, Handler | str):
            graph, handler = as_graph(what), RUN_GRAPH
            deliver(graph, inputs or {})
            graph_id = self._repositories.graphs.save(graph_record(graph))
        place = self.queue(queue) if isinstance(queue, str) else queue
        return self._schedules.save(
            name, handler, inputs or {}, queue=place, cron=cron, timezone=timezone, every=every, catch_up=catch_up,
            terms=terms, graph_id=graph_id,
        )  # fmt: skip

    def schedules(self) -> list[Schedule]:
        """What is done again and again in this file, by name."""
        return self._schedules.all()

    def unschedule(self, name: str) -> None:
        """Forget a schedule; jobs that it has made are done.  UnknownScheduleError when there is none of that name."""
        self._schedules.remove(name)

    @property
    def _schedules(self) -> Schedules:
        from workglow.queue.schedules import Schedules
        from workglow.storage.sqlite.schedules import SqliteSchedules

        return Schedules(self.queues, SqliteSchedules(self.file))

    # ------------------------------------------------------------------ what happens

    def events(self, from_seq: int | None = None, **chosen: Unpack[Chosen]) -> ChangeFeed:
        """Follow what happens to jobs and runs, in any process: `async for change in project.events(): …`.

        Yields a JobChange or RunChange for each, in the order of the commits, from number `from_seq` on; without a
        number, what happens from now on, and with 0 everything that is kept.  `jobs` and `runs` (True) say which are
        wanted, `queue` only those of one queue, `scope` only those of queues whose scope has these members.

        Calling this once makes the file keep its changes, as `keep_events` does.  Raises EventsLostError, which says
        from where one can go on, when changes from `from_seq` on are not kept any more.
        """
        from workglow.queue.change_feed import ChangeFeed, chooser
        from workglow.storage.sqlite.changes import SqliteChanges

        return ChangeFeed(self.file, SqliteChanges(self.file), from_seq, chooser(chosen))

    def keep_events(self, days: float = 7, *, rows: int = 100_000) -> None:
        """Keep what happens, for `days` and at most so many rows, whether somebody follows or not; 0 ends that.

        TaskConfigurationError for a negative number of days, and for less than 1 row.
        """
        from workglow.queue.change_feed import keep_changes
        from workglow.storage.sqlite.changes import SqliteChanges

        keep_changes(SqliteChanges(self.file), days, rows)

    # ------------------------------------------------------------------ models

    @property
    def models(self) -> Models:
        """The catalogue of this file, and whoever runs models: `project.models.find("local:wordllama")`."""
        if self._models is None:
            from workglow.ai import Models, provider_registry
            from workglow.storage.sqlite.models import SqliteModels

            self._models = Models(
                provider_registry if self._providers is None else self._providers,
                credentials=self.credentials.read,
                limits=lambda: self.queues.limits,
                repository=SqliteModels(self.file),
                seal=Seal(self.file),
            )
        return self._models

    @property
    def credentials(self) -> Credentials:
        """Secrets by reference, and those that this file keeps, sealed: `project.credentials.add("openai", key)`."""
        if self._credentials is None:
            from workglow.credentials import Credentials
            from workglow.storage.sqlite.credentials import SqliteCredentials

            self._credentials = Credentials(self.file, SqliteCredentials(self.file))
        return self._credentials

    # ------------------------------------------------------------------ knowledge

    def knowledge(self, name: str = "default", *, model: str | None = None) -> KnowledgeBase:
        """Open a knowledge base of this file; a new one takes `model`, 'local:wordllama' when none is given."""
        from workglow.knowledge import open_knowledge_base

        base = self._bases.get(name)
        if base is None:
            base = self._bases[name] = open_knowledge_base(self.file, name, model, models=self.models)
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
    transforms: TransformRegistry = built_in_transforms,
    handlers: HandlerRegistry | None = None,
    limiters: LimiterRegistry | None = None,
    providers: ProviderRegistry | None = None,
    clock: Clock | None = None,
    tracer: Tracer | None = None,
) -> Project:
    """Open a project file, or make it; ':memory:' is kept nowhere.

    durability: 'auto' keeps every commit over a kill, and syncs to disk around side effects, at the end of a run, and
    every 200 ms; 'power' syncs every commit; 'process' never waits for the disk.

    `registry` and `transforms` say which names the graphs in the file may use, `handlers` which ones its jobs may:
    what `@job` registered, unless another registry is given.  `limiters` are the kinds of rules that its limiters may
    have, `providers` run its models.  `tracer` is given the spans of every run that names none itself, and of the
    jobs that its workers run.

    Raises a FileError that says what is wrong with the file and what to do about it.
    """
    file = File.open(path, clock=clock or SystemClock(), read_only=read_only, create=create, durability=durability)
    return Project(
        file,
        registry=registry,
        transforms=transforms,
        handlers=handlers,
        tracer=tracer,
        limiters=limiters,
        providers=providers,
    )


def _name(thing: Any, _: str) -> str | None:
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) else None
