"""W2: runs in a file, against the transactions alone; and how large the file becomes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
from measure import Row, compare
from shapes import Edges, chain, fan_out, to_graph

import workglow as wg
from workglow.tasks import task

__all__ = ["bare_file", "fused", "grouped", "rows"]

SIZE = 1000
GROUP = 64
_INSERT = "INSERT INTO task_run (run_id, path, status, started_at) VALUES (?, ?, 'running', ?)"
_INSERT_ATTEMPT = "INSERT INTO task_run (run_id, path, status, attempt, started_at) VALUES (?, ?, 'running', 1, ?)"
_FINISH = "UPDATE task_run SET status = 'completed', finished_at = ?, output = ? WHERE id = ?"


def bare_file(path: Path, synchronous: str = "NORMAL") -> apsw.Connection:
    """A file with the one table, found again by run and path, that a resumable run cannot do without."""
    db = apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}", "wal_autocheckpoint = 0"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    db.execute(
        """
        CREATE TABLE IF NOT EXISTS task_run (
          id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL, path TEXT NOT NULL, status TEXT NOT NULL,
          started_at INTEGER, finished_at INTEGER, output TEXT
        ) STRICT
        """
    )
    db.execute("CREATE UNIQUE INDEX IF NOT EXISTS task_run_path ON task_run (run_id, path)")
    return db


def fused(db: apsw.Connection) -> Callable[[], None]:
    """Finish and next start in one transaction, for each task of a chain."""
    runs = 0
    execute = db.cursor().execute

    def run() -> None:
        nonlocal runs
        runs += 1
        execute(_INSERT, (runs, "t0", 1_700_000_000_000))
        for number in range(1, SIZE):
            execute("BEGIN IMMEDIATE")
            execute(_FINISH, (1_700_000_000_000, f'{{"value":{number}}}', db.last_insert_rowid()))
            execute(_INSERT, (runs, f"t{number}", 1_700_000_000_000))
            execute("COMMIT")

    return run


def same_table(folder: Path) -> apsw.Connection:
    """The project's own tables, with their checks, foreign keys and indexes, and a run for each round."""
    path = folder / "same.wg"
    with wg.open(path) as project:
        project.run_sync(to_graph(chain(1)), {"value": 0})
    db = apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "wal_autocheckpoint = 0", "foreign_keys = ON"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    with db:
        db.execute(
            """
            WITH RECURSIVE number (n) AS (VALUES (1000001) UNION ALL SELECT n + 1 FROM number WHERE n < 1000100)
            INSERT INTO run (id, uid, graph_id, status, input, created_at)
            SELECT n, 'bare' || n, (SELECT min(id) FROM graph), 'running', '{}', 0 FROM number
            """
        )
    return db


def with_index(path: Path) -> apsw.Connection:
    """A file in which an interrupted run finds its open tasks by an index, as is usual."""
    db = bare_file(path)
    db.execute(
        "CREATE INDEX task_run_open ON task_run (run_id, status) WHERE status IN ('pending', 'running', 'waiting')"
    )
    return db


def grouped(db: apsw.Connection) -> Callable[[], None]:
    """Starts and finishes of 64 tasks in one transaction, by the statements that the table asks for."""
    runs = 1_000_000
    execute = db.cursor().execute
    has_attempts = any(column[1] == "attempt" for column in db.execute("PRAGMA table_info (task_run)"))
    insert = _INSERT_ATTEMPT if has_attempts else _INSERT

    def run() -> None:
        nonlocal runs
        runs += 1
        for first in range(0, SIZE, GROUP):
            execute("BEGIN IMMEDIATE")
            keys: list[int] = []
            for number in range(first, min(first + GROUP, SIZE)):
                execute(insert, (runs, f"t{number}", 1_700_000_000_000))
                keys.append(db.last_insert_rowid())
            for key in keys:
                execute(_FINISH, (1_700_000_000_000, '{"value":1}', key))
            execute("COMMIT")

    return run


@task(name="bench_state", output="state", cache=False, inline=True)
def next_state(state: bytes) -> bytes:
    return state[1:] + os.urandom(1)


def rows(peers: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        normal, full = bare_file(folder / "normal.db"), bare_file(folder / "full.db", "FULL")
        same, resumable = same_table(folder), with_index(folder / "resumable.db")
        with (
            wg.open(folder / "process.wg", durability="process") as process,
            wg.open(folder / "auto.wg", durability="auto") as auto,
            wg.open(folder / "power.wg", durability="power") as power,
        ):

            def ours(project: wg.Project, edges: Edges) -> Callable[[], object]:
                graph = to_graph(edges)
                return lambda: project.run_sync(graph, {"value": 0})

            line, fan = chain(SIZE), fan_out(SIZE)
            yield compare(
                "W2", "chain, process", ours(process, line), "fused limit", fused(normal), target=2.5, each=SIZE
            )
            for against, bare, target in (
                ("group commit of 64", resumable, 2.5),
                ("… in our own tables", same, None),
                ("… that cannot resume", normal, None),
            ):
                yield compare(
                    "W2", "fan-out, process", ours(process, fan), against, grouped(bare), target=target, each=SIZE
                )
            yield compare(
                "W2", "chain, auto", ours(auto, line), "ours, process", ours(process, line), target=1.3, each=SIZE
            )
            yield compare(
                "W2", "fan-out, auto", ours(auto, fan), "ours, process", ours(process, fan), target=1.3, each=SIZE
            )
            yield compare(
                "W2",
                "chain, power",
                ours(power, line),
                "fused limit, FULL",
                fused(full),
                target=1.3,
                each=SIZE,
                rounds=5,
            )
            if peers:
                from peers import dbos_chain, langgraph_chain

                mine = ours(process, line)
                yield compare(
                    "W2", "chain, process", mine, "DBOS", dbos_chain(folder, SIZE), target=1 / 30, each=SIZE, rounds=3
                )
                yield compare(
                    "W2",
                    "chain, process",
                    mine,
                    "LangGraph SqliteSaver",
                    langgraph_chain(folder, SIZE),
                    target=1 / 12,
                    each=SIZE,
                    rounds=3,
                )
        for bare in (normal, full, same, resumable):
            bare.close()
        yield from sizes(folder)


def sizes(folder: Path) -> Iterator[Row]:
    """What a run leaves on the disk."""
    for name, edges in (("chain", chain(SIZE)), ("fan-out", fan_out(SIZE))):
        path = folder / f"size-{name}.wg"
        with wg.open(path):
            pass
        empty = path.stat().st_size
        with wg.open(path) as project:
            project.run_sync(to_graph(edges), {"value": 0})
        yield Row("size", f"{name} of 1,000", (path.stat().st_size - empty) / SIZE, "bytes/task", "400 bytes", 400, 1)
    path = folder / "size-state.wg"
    with wg.open(path) as project:
        edges = chain(SIZE)
        graph = to_graph(edges[:1], next_state)
        for number in range(1, SIZE):
            graph.add_task(next_state, id=f"t{number}")
            graph.add_dataflow(f"t{number - 1}", "state", f"t{number}", "state")
        project.run_sync(graph, {"state": os.urandom(100_000)})
    distinct = (SIZE + 1) * 100_000 / 1e6
    yield Row("size", "1,000 steps over 100 KB", path.stat().st_size / 1e6, "MB", "distinct outputs", distinct, 1.2)
