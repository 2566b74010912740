"""Preview: what a graph would give, said at once while someone edits it.

Nothing is run and nothing is kept: only `execute_preview` is called.  A preview stays open, like a spreadsheet: change
an input, a literal or the graph, and only what hangs on the change is asked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from workglow.blocking import run_blocking
from workglow.clock import SystemClock
from workglow.errors import UnknownTaskError
from workglow.graph.delivery import as_inputs
from workglow.graph.naming import did_you_mean
from workglow.graph.options import RunOptions
from workglow.graph.previews.run import PreviewRun
from workglow.graph.previews.scope import PreviewScope
from workglow.graph.previews.surroundings import Surroundings
from workglow.tasks import MISSING, task_registry
from workglow.tasks.clone import clone

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from workglow.errors import WorkglowError
    from workglow.graph.graph import TaskGraph
    from workglow.graph.previews.run import PreviewState
    from workglow.graph.previews.scope import Asking
    from workglow.tasks import Task

__all__ = ["Preview", "TaskPreview"]


class TaskPreview:
    """What one task shows.

    `state` is "previewed"; "completed", when these are the outputs of the stored run; "unknown", when there is no
    preview to be had, which is no error; "disabled", when it would not run; or "failed".  `reason` says in plain words
    why there are no outputs, `error` is what its preview raised.
    """

    __slots__ = ("error", "outputs", "path", "reason", "state")

    def __init__(self, run: PreviewRun) -> None:
        self.path: str = run.path
        self.state: PreviewState = run.shows
        self.outputs: Mapping[str, object] = run.outputs or {}
        self.error: WorkglowError | None = run.error_raised
        self.reason: str = run.reason if run.error_raised is None else str(run.error_raised)

    def __repr__(self) -> str:
        return f"TaskPreview({self.path!r}, {self.state})"


class Preview:
    """A graph under someone's hands.  `graph.preview(inputs)` makes one.

    `graph` is the preview's own copy: change it through its methods, and call `refresh()`.  `inputs` are the graph's.
    A preview belongs to one thread.
    """

    def __init__(
        self,
        graph: TaskGraph,
        inputs: Mapping[str, object] | None = None,
        *,
        surroundings: Surroundings | None = None,
        max_tasks: int | None = None,
    ) -> None:
        RunOptions(max_tasks=max_tasks).check_size(len(graph.tasks))
        self.graph = graph.copy()
        self._inputs: dict[str, object] = clone(dict(as_inputs(inputs)))
        self._scope = PreviewScope(surroundings or Surroundings(task_registry, SystemClock()), self.graph)
        self._scope.update(self.graph, self._inputs)
        self._settle()

    # ------------------------------------------------------------------ changing

    def set(
        self,
        inputs: Mapping[str, object] | None = None,
        *,
        defaults: Mapping[str, Mapping[str, object]] | None = None,
    ) -> dict[str, TaskPreview]:
        """Change graph inputs, and literals of tasks (`defaults`: task's path → port → value); MISSING removes one.

        Returns what shows something else than before, by path, in the order in which it was asked.  Raises
        TaskInputError for an input that no task takes or a literal that does not fit, and UnknownTaskError; nothing
        is changed then.
        """
        changed = {**self._inputs, **clone(dict(inputs or {}))}
        given = {name: value for name, value in changed.items() if value is not MISSING}
        self._scope.update(self.graph, given)
        try:
            if defaults:
                self._replace(defaults, given)
        except BaseException:
            self._scope.update(self.graph, self._inputs)
            raise
        self._inputs = given
        return self._settle()

    def _replace(self, defaults: Mapping[str, Mapping[str, object]], inputs: Mapping[str, object]) -> None:
        """Put other literals into tasks of the graph, all or none."""
        before: dict[str, Task] = {}
        try:
            for path, values in defaults.items():
                id = path.partition("/")[0]
                if id in self.graph.tasks:
                    before.setdefault(id, self.graph.tasks[id])
                _set_literals(self.graph, path, values)
            self._scope.replaced(before, inputs)
        except BaseException:
            for id, task in before.items():
                self.graph.replace_task(id, task)
            raise

    def refresh(self) -> dict[str, TaskPreview]:
        """Look what was changed in `graph`, and ask what hangs on it; returns what shows something else than before.

        Raises TaskInputError for an input that no task takes any more; `set({name: MISSING})` takes it away.
        """
        self._scope.update(self.graph, self._inputs)
        return self._settle()

    def _settle(self) -> dict[str, TaskPreview]:
        changed: list[PreviewRun] = []
        asking = self._scope.settle(changed)
        awaited = next(asking, None)
        if awaited is not None:  # one of them is a coroutine: the rest goes on in an event loop
            run_blocking(lambda: _go_on(asking, awaited))
        return {run.path: TaskPreview(run) for run in changed}

    # ------------------------------------------------------------------ looking

    @property
    def inputs(self) -> Mapping[str, object]:
        """The graph's inputs, as they are now."""
        return clone(self._inputs)

    @property
    def outputs(self) -> Mapping[str, object]:
        """What the graph gives, as far as it is known; a port gathered from several tasks only when all are known."""
        return self._scope.results()[0]

    @property
    def tasks(self) -> Mapping[str, TaskPreview]:
        """Every task by its path, those inside groups too (`group/clean`)."""
        return _Tasks(self._scope)

    @property
    def errors(self) -> dict[str, WorkglowError]:
        """What went wrong, by path of the task."""
        return {path: task.error for path, task in self.tasks.items() if task.error is not None}

    def __repr__(self) -> str:
        states = [task.state for task in self.tasks.values()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        return f"Preview({counts or 'no tasks'})"


class _Tasks(Mapping[str, TaskPreview]):
    def __init__(self, scope: PreviewScope) -> None:
        self._scope = scope

    def __getitem__(self, path: str) -> TaskPreview:
        scope: PreviewScope | None = self._scope
        *groups, id = path.split("/")
        for group in groups:
            run = scope.runs.get(group) if scope is not None else None
            scope = None if run is None else run.inner
        if scope is None or id not in scope.runs:
            raise KeyError(path)
        return TaskPreview(scope.runs[id])

    def __iter__(self) -> Iterator[str]:
        return (run.path for run in _runs(self._scope))

    def __len__(self) -> int:
        return sum(1 for _ in _runs(self._scope))


def _runs(scope: PreviewScope) -> Iterator[PreviewRun]:
    for id in scope.graph.tasks:
        run = scope.runs[id]
        yield run
        if run.inner is not None:
            yield from _runs(run.inner)


async def _go_on(asking: Asking, awaited: Awaitable[object]) -> None:
    try:
        while True:
            try:
                answer = await awaited
            except Exception as error:
                awaited = asking.throw(error)
            else:
                awaited = asking.send(answer)
    except StopIteration:
        return


def _set_literals(graph: TaskGraph, path: str, values: Mapping[str, object]) -> None:
    """Put a task with other literals in the place of the one at a path."""
    id, _, inside = path.partition("/")
    task: Any = graph.tasks.get(id)
    if task is None or (inside and not hasattr(task, "subgraph")):
        raise UnknownTaskError(f"The graph has no task {path!r}.{did_you_mean(id, graph.tasks)}")
    if inside:
        subgraph = cast("TaskGraph", task.subgraph).copy()
        _set_literals(subgraph, inside, values)
        changed = task.replace()
        changed.subgraph = subgraph
    else:
        merged = {**task.defaults, **values}
        changed = task.replace(defaults={name: value for name, value in merged.items() if value is not MISSING})
    graph.replace_task(id, changed)
