"""Graphs as rows, so that a run can read the task it needs next without reading ten thousand others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import UnknownTaskError
from workglow.storage.records import DataflowRecord, GraphRecord, GraphTaskRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from workglow.file import File

__all__ = ["SqliteGraphs", "insert_graph", "select_graph"]


def insert_graph(db: apsw.Connection, graph: GraphRecord, now: int) -> int:
    """Store a graph inside the caller's transaction, unless it is there; return its key."""
    found = db.execute("SELECT id FROM graph WHERE hash = ?", (graph.hash,)).fetchone()
    if found is not None:
        return found[0]
    db.execute("INSERT INTO graph (hash, extra, created_at) VALUES (?, ?, ?)", (graph.hash, graph.extra, now))
    graph_id = db.last_insert_rowid()
    db.executemany(
        "INSERT INTO graph_task (graph_id, task_id, position, definition) VALUES (?, ?, ?, ?)",
        ((graph_id, task.task_id, position, task.definition) for position, task in enumerate(graph.tasks)),
    )
    db.executemany(
        """
        INSERT INTO dataflow (graph_id, target_id, position, target_port, source_id, source_port, transforms)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (
            (graph_id, flow.target_id, position, flow.target_port, flow.source_id, flow.source_port, flow.transforms)
            for position, flow in enumerate(graph.dataflows)
        ),
    )
    return graph_id


def select_graph(db: apsw.Connection, graph_id: int) -> GraphRecord:
    """Read a whole graph."""
    row = db.execute("SELECT hash, extra FROM graph WHERE id = ?", (graph_id,)).fetchone()
    if row is None:
        raise UnknownTaskError(f"The file holds no graph number {graph_id}.")
    tasks = db.execute("SELECT task_id, definition FROM graph_task WHERE graph_id = ? ORDER BY position", (graph_id,))
    flows = db.execute(
        """
        SELECT source_id, source_port, target_id, target_port, transforms
          FROM dataflow WHERE graph_id = ? ORDER BY position
        """,
        (graph_id,),
    )
    return GraphRecord(
        row[0], [GraphTaskRecord(*task) for task in tasks], [DataflowRecord(*flow) for flow in flows], row[1]
    )


class SqliteGraphs:
    """The graphs of one file."""

    def __init__(self, file: File) -> None:
        self._file = file

    def save(self, graph: GraphRecord) -> int:
        with self._file.transaction() as db:
            return insert_graph(db, graph, self._file.clock.now())

    def load(self, graph_id: int) -> GraphRecord:
        return select_graph(self._file.reader, graph_id)

    def task(self, graph_id: int, task_id: str) -> GraphTaskRecord | None:
        row = self._file.look_up(
            "SELECT task_id, definition FROM graph_task WHERE graph_id = ? AND task_id = ?", (graph_id, task_id)
        )
        return None if row is None else GraphTaskRecord(*row)

    def incoming(self, graph_id: int, task_id: str) -> Sequence[DataflowRecord]:
        rows = self._file.read(
            """
            SELECT source_id, source_port, target_id, target_port, transforms
              FROM dataflow WHERE graph_id = ? AND target_id = ? ORDER BY position
            """,
            (graph_id, task_id),
        )
        return [DataflowRecord(*row) for row in rows]

    def outgoing(self, graph_id: int, task_id: str) -> Sequence[DataflowRecord]:
        rows = self._file.read(
            """
            SELECT source_id, source_port, target_id, target_port, transforms
              FROM dataflow WHERE graph_id = ? AND source_id = ? ORDER BY position
            """,
            (graph_id, task_id),
        )
        return [DataflowRecord(*row) for row in rows]

    def extra(self, graph_id: int) -> str:
        rows = self._file.read("SELECT extra FROM graph WHERE id = ?", (graph_id,))
        return rows[0][0] if rows else "{}"
