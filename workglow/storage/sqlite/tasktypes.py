"""Which task a stored task run is of.  The row does not say; its graph does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    import apsw

__all__ = ["TaskTypes"]

_ITEM = re.compile(r"\[\d+\]$")


class _Subgraph(msgspec.Struct):
    tasks: list[_Task] = []


class _Task(msgspec.Struct):
    """What is needed of a task's definition."""

    type: str
    id: str = ""
    subgraph: _Subgraph | None = None


_read = msgspec.json.Decoder(_Task).decode


class TaskTypes:
    """Task types by graph and path; each is looked up once."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._known: dict[tuple[int, tuple[str, ...]], str] = {}

    def of(self, graph_id: int, path: str) -> str:
        """Return the type of the task at a path; '' when the graph has none there."""
        *above, task_id = path.split("/")
        steps = (*(_ITEM.sub("", step) for step in above), task_id)
        known = self._known.get((graph_id, steps))
        if known is None:
            task = self._find(graph_id, steps)
            known = self._known[graph_id, steps] = "" if task is None else task.type
        return known

    def _find(self, graph_id: int, steps: tuple[str, ...]) -> _Task | None:
        row = self._db.execute(
            "SELECT definition FROM graph_task WHERE graph_id = ? AND task_id = ?", (graph_id, steps[0])
        ).fetchone()
        task = None if row is None else _read(cast("str", row[0]))
        for step in steps[1:]:
            inside = [] if task is None or task.subgraph is None else task.subgraph.tasks
            task = next((one for one in inside if one.id == step), None)
        return task
