"""What all parts of a preview share: who is asked, and what a stored run gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.clock import Clock
    from workglow.graph.dataflow import Dataflow
    from workglow.storage.records import TaskRow
    from workglow.tasks import Task, TaskRegistry

__all__ = ["Baseline", "Surroundings"]


class Baseline(NamedTuple):
    """How a graph was in the stored run: what its outputs there belong to."""

    tasks: Mapping[str, Task]
    incoming: Mapping[str, tuple[Dataflow, ...]]
    delivered: Mapping[str, Mapping[str, object]]
    ends: tuple[object, ...]


class Surroundings:
    """What all scopes of a preview share; the last three belong to a stored run, and are empty without one.

    `row` finds a task's row by its path, `recall` reads what it gave, `versions` are those of the code that ran.
    """

    def __init__(
        self,
        registry: TaskRegistry,
        clock: Clock,
        *,
        project: object = None,
        row: Callable[[str], TaskRow | None] | None = None,
        recall: Callable[[TaskRow], dict[str, object]] | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        self.registry = registry
        self.clock = clock
        self.project = project
        self.versions = versions or {}
        self.baselines: dict[str, Baseline] = {}
        self.is_stored = row is not None
        self._row = row
        self._recall = recall
        self._rows: dict[str, TaskRow | None] = {}
        self._outputs: dict[str, dict[str, object]] = {}

    def completed(self, path: str) -> TaskRow | None:
        """The row of a task that completed in the stored run."""
        if self._row is None:
            return None
        if path not in self._rows:
            row = self._row(path)
            self._rows[path] = row if row is not None and row.status == "completed" else None
        return self._rows[path]

    def outputs(self, path: str) -> dict[str, object]:
        """What a task gave in the stored run."""
        if path not in self._outputs:
            row = self.completed(path)
            assert row is not None
            assert self._recall is not None
            self._outputs[path] = self._recall(row)
        return self._outputs[path]
