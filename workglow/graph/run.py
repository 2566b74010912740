"""What came of a run: its status, its outputs, and each of its tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from workglow.graph.usage import UsagePart, read_parts, sum_by, total
from workglow.graph.waiting.wait import describe_wait
from workglow.tasks.usage import Usage
from workglow.values import decode

if TYPE_CHECKING:
    from workglow.graph.schedule import TaskRun
    from workglow.storage.protocols import RunRepository
    from workglow.storage.records import EventRecord, RunRecord, TaskRow

    LoadValue = Callable[[bytes], tuple[str, str, bytes]]

__all__ = ["Run", "TaskResult"]

_MOST_SHOWN = 200
"""Rows of a run's table in a notebook."""


class TaskResult:
    """One task of a run: where it is, how often it was tried, and what came out."""

    def __init__(self, row: TaskRow, load: LoadValue, outputs: Mapping[str, object] | None = None) -> None:
        self._row = row
        self._load = load
        self._outputs = outputs
        self.path: str = row.path
        self.status: str = row.status
        self.attempt: int = row.attempt
        self.started_at: int | None = row.started_at
        self.finished_at: int | None = row.finished_at
        self.wake_at: int | None = row.wake_at
        self.cached: bool = row.source_id is not None or (row.status == "completed" and not row.attempt)

    @property
    def outputs(self) -> Mapping[str, object]:
        """The values of its output ports; empty when it has none yet."""
        if self._outputs is None:
            self._outputs = {} if self._row.output is None else decode(self._row.output, self._load)
        return self._outputs

    @property
    def error(self) -> str | None:
        """What it failed with, in one line."""
        if self._row.error is None:
            return None
        record = msgspec.json.decode(self._row.error)
        return f"{record['type']}: {record['message']}"

    @property
    def usage(self) -> Usage:
        """What all attempts took of models, as the task recorded it; nothing for a task whose outputs were reused."""
        return total(self.usage_parts)

    @property
    def usage_parts(self) -> list[UsagePart]:
        """What each attempt took of each model."""
        return read_parts(self._row.usage)

    @property
    def waits_for(self) -> str | None:
        """What it waits for, in a few words; None when it does not wait."""
        return describe_wait(self._row.state, self.wake_at, self._load) if self.status == "waiting" else None

    @property
    def seconds(self) -> float | None:
        """How long the last attempt took."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at) / 1000

    def __repr__(self) -> str:
        return f"TaskResult({self.path!r}, {self.status}, attempt={self.attempt})"


class Run:
    """One execution of a graph.

    `id` is unique in every file and sorts by time.  `status` is pending, running, waiting, completed, failed or
    aborted. `outputs` are the graph's; `tasks` maps each path to its TaskResult; `usage` adds up what the tasks took.
    """

    def __init__(
        self,
        id: str,  # the word of the public interface
        status: str,
        tasks: Mapping[str, TaskResult],
        outputs: Mapping[str, object] | Callable[[], Mapping[str, object]],
        *,
        error: str | None = None,
        events: Callable[[], list[EventRecord]] = list,
        usages: Callable[[], list[tuple[str, str]]] = list,
        created_at: int = 0,
        finished_at: int | None = None,
        forked_from: str | None = None,
    ) -> None:
        self.id = id
        self.status = status
        self.tasks = tasks
        self.error = error
        self.created_at = created_at
        self.finished_at = finished_at
        self.forked_from = forked_from
        self._outputs = outputs
        self._events = events
        self._usages = usages

    @property
    def outputs(self) -> Mapping[str, object]:
        """What the graph gave; empty until the run is finished."""
        if callable(self._outputs):
            self._outputs = self._outputs()
        return self._outputs

    @property
    def events(self) -> list[EventRecord]:
        """What happened beside the tasks' own states: resumptions, interruptions, retries."""
        return self._events()

    @property
    def usage(self) -> dict[str, float]:
        """How many tasks there are, were reused and were tried, the seconds they took, and what they took of models.

        The keys are `tasks`, `cached`, `attempts`, `seconds`, and those of Usage.  What was reused took nothing here.
        """
        results = list(self.tasks.values())
        ran = [result for result in results if not result.cached]
        return {
            "tasks": len(results),
            "cached": len(results) - len(ran),
            "attempts": sum(result.attempt for result in ran),
            "seconds": sum(result.seconds or 0.0 for result in ran),
            **sum((result.usage for result in results), Usage()).to_json(),
        }

    @property
    def usage_by_task(self) -> dict[str, Usage]:
        """What the tasks that recorded any took of models, by path."""
        return {path: total(read_parts(text)) for path, text in self._usages()}

    @property
    def usage_by_model(self) -> dict[str, Usage]:
        """What was taken of each model; '' stands for those that the tasks did not name."""
        return sum_by(lambda part: part.model, (part for _, text in self._usages() for part in read_parts(text)))

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.status})"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        import html

        rows: list[str] = []
        for path, task in islice(self.tasks.items(), _MOST_SHOWN):
            seconds = "" if task.seconds is None else f"{task.seconds:.3f}"
            cells = (path, task.status, str(task.attempt), seconds, "reused" if task.cached else task.error or "")
            rows.append(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
        left = len(self.tasks) - len(rows)
        if left:
            rows.append(f"<tr><td>… and {left} more</td></tr>")
        head = "<tr><th>task</th><th>status</th><th>attempts</th><th>seconds</th><th></th></tr>"
        caption = f"run {html.escape(self.id)}: {self.status}"
        table = f"<table><caption>{caption}</caption><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
        return {"text/plain": repr(self), "text/html": table}

    @classmethod
    def of_memory(cls, status: str, runs: Iterable[TaskRun], outputs: Mapping[str, object], at: tuple[int, int]) -> Run:
        """A run that was kept nowhere."""

        def usages() -> list[tuple[str, str]]:
            return [(run.path, run.usage) for run in runs if run.usage is not None]

        return cls("", status, _MemoryTasks(runs), outputs, usages=usages, created_at=at[0], finished_at=at[1])

    @classmethod
    def of_record(cls, record: RunRecord, runs: RunRepository, load: LoadValue) -> Run:
        """A stored run; its tasks and outputs are read when they are looked at."""

        def outputs() -> Mapping[str, object]:
            return {} if record.output is None else decode(record.output, load)

        error = None if record.error is None else msgspec.json.decode(record.error)["message"]
        return cls(
            record.uid,
            record.status,
            _StoredTasks(record, runs, load),
            outputs,
            error=error,
            events=lambda: runs.events(record),
            usages=lambda: runs.usages(record),
            created_at=record.created_at,
            finished_at=record.finished_at,
            forked_from=record.forked_from,
        )


def _nothing(hash: bytes) -> tuple[str, str, bytes]:
    raise LookupError(hash.hex())


class _MemoryTasks(Mapping[str, TaskResult]):
    def __init__(self, runs: Iterable[TaskRun]) -> None:
        self._runs = runs
        self._found: dict[str, TaskRun] | None = None

    def _by_path(self) -> dict[str, TaskRun]:
        if self._found is None:
            self._found = {run.path: run for run in self._runs}
        return self._found

    def __getitem__(self, path: str) -> TaskResult:
        run = self._by_path()[path]
        return TaskResult(run, _nothing, run.outputs or {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_path())

    def __len__(self) -> int:
        return len(self._by_path())


class _StoredTasks(Mapping[str, TaskResult]):
    def __init__(self, record: RunRecord, runs: RunRepository, load: LoadValue) -> None:
        self._record = record
        self._runs = runs
        self._load = load

    def __getitem__(self, path: str) -> TaskResult:
        row = self._runs.row(self._record, path)
        if row is None:
            raise KeyError(path)
        return TaskResult(row, self._load)

    def __iter__(self) -> Iterator[str]:
        return (row.path for row in self._runs.rows(self._record))

    def __len__(self) -> int:
        return sum(self._runs.count(self._record).values())

    def values(self) -> list[TaskResult]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return [TaskResult(row, self._load) for row in self._runs.rows(self._record)]

    def items(self) -> list[tuple[str, TaskResult]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return [(result.path, result) for result in self.values()]
