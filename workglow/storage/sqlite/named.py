"""Graphs by name: `graph_name` says what a name stands for, `graph_version` everything it ever stood for."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from workglow.storage.records import GraphRecord, GraphVersion
from workglow.storage.sqlite.graphs import insert_graph, select_graph

if TYPE_CHECKING:
    from workglow.file import File

__all__ = ["SqliteNamedGraphs"]


class SqliteNamedGraphs:
    """The named graphs of one file."""

    def __init__(self, file: File) -> None:
        self._file = file

    def save(self, name: str, graph: GraphRecord, note: str) -> GraphVersion:
        now = self._file.clock.now()
        with self._file.transaction() as db:
            graph_id = insert_graph(db, graph, now)
            number: int = db.execute(
                "SELECT coalesce(max(number), 0) + 1 FROM graph_version WHERE name = ?", (name,)
            ).get
            db.execute(
                """
                INSERT INTO graph_name (name, graph_id, updated_at) VALUES (?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET graph_id = excluded.graph_id, updated_at = excluded.updated_at
                """,
                (name, graph_id, now),
            )
            db.execute(
                "INSERT INTO graph_version (name, number, graph_id, note, saved_at) VALUES (?, ?, ?, ?, ?)",
                (name, number, graph_id, note, now),
            )
        return GraphVersion(name, number, graph.hash, note, now)

    def load(self, name: str, number: int | None = None) -> GraphRecord | None:
        read = self._file.reader
        if number is None:
            row = read.execute("SELECT graph_id FROM graph_name WHERE name = ?", (name,)).fetchone()
        else:
            row = read.execute(
                "SELECT graph_id FROM graph_version WHERE name = ? AND number = ?", (name, number)
            ).fetchone()
        return None if row is None else select_graph(read, cast("int", row[0]))

    def history(self, name: str) -> list[GraphVersion]:
        rows = self._file.reader.execute(
            """
            SELECT name, number, hash, note, saved_at
              FROM graph_version JOIN graph ON graph.id = graph_id WHERE name = ? ORDER BY number
            """,
            (name,),
        )
        return [GraphVersion(*row) for row in rows]

    def names(self) -> list[str]:
        return [cast("str", name) for (name,) in self._file.reader.execute("SELECT name FROM graph_name ORDER BY name")]

    def remove(self, name: str) -> bool:
        with self._file.transaction() as db:
            db.execute("DELETE FROM graph_name WHERE name = ?", (name,))
            return db.changes() > 0

    def rename(self, name: str, to: str) -> bool:
        with self._file.transaction() as db:
            db.execute("UPDATE OR IGNORE graph_name SET name = ? WHERE name = ? AND name <> ?1", (to, name))
            return db.changes() > 0
