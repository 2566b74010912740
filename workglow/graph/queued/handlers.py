"""The handlers that a project's workers have by themselves: for each task type, and for whole runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.errors import FileError, RetryableJobError
from workglow.graph.queued.body import QueuedTask, do_task, judge
from workglow.graph.queued.driving import drive_run
from workglow.graph.queued.placing import TASK_HANDLER
from workglow.graph.queued.scheduled import submit_scheduled
from workglow.queue import Handler, HandlerRegistry, JobContext
from workglow.queue.handler import Judgement
from workglow.storage.jobs import RUN_HANDLER
from workglow.storage.schedules import RUN_GRAPH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workglow.graph.engine import Engine

__all__ = ["ProjectHandlers"]


class ProjectHandlers(HandlerRegistry):
    """What was registered with `@job`, and the handlers of the project itself.

    A worker has `task:TYPE` for each type in its task registry; the jobs of others it leaves to others.
    """

    def __init__(self, registered: HandlerRegistry, engine: Engine) -> None:
        super().__init__()
        self._registered = registered
        self._tasks = engine.registry
        self._of_tasks = _doer(engine)
        self._handlers[RUN_HANDLER] = Handler(_driver(engine), name=RUN_HANDLER, judge=_judge_run)
        self._handlers[RUN_GRAPH] = Handler(_submitter(engine), name=RUN_GRAPH)

    def register(self, handler: Handler) -> Handler:
        return self._registered.register(handler)

    def find(self, name: str) -> Handler | None:
        found = self._handlers.get(name) or self._registered.find(name)
        if found is None and name.startswith(TASK_HANDLER) and name.removeprefix(TASK_HANDLER) in self._tasks:
            found = self._handlers[name] = Handler(self._of_tasks, name=name, judge=judge)
        return found

    def __iter__(self) -> Iterator[str]:
        yield from self._registered
        yield RUN_HANDLER
        yield RUN_GRAPH
        for type in self._tasks:
            yield TASK_HANDLER + type

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _judge_run(error: BaseException) -> Judgement:
    """A run that failed has failed; only what has nothing to do with it is worth another try."""
    return Judgement(error, again=isinstance(error, RetryableJobError | FileError))


def _driver(engine: Engine) -> Any:
    async def drive(run: str, context: JobContext) -> dict[str, str]:
        return await drive_run(engine, run, context)

    return drive


def _submitter(engine: Engine) -> Any:
    async def submit(graph: int, inputs: dict[str, Any], context: JobContext) -> str:
        return submit_scheduled(engine, graph, inputs, context)

    return submit


def _doer(engine: Engine) -> Any:
    async def do(
        *,
        run: str,
        path: str,
        attempt: int,
        definition: dict[str, Any],
        inputs: dict[str, Any],
        rights: dict[str, Any],
        came_in_as_data: bool,
        context: JobContext,
    ) -> dict[str, Any]:
        asked = QueuedTask(run, path, attempt, definition, inputs, rights, came_in_as_data)
        return await do_task(engine, asked, context)

    return do
