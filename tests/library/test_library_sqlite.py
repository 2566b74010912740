"""SqliteQueryTask and SqliteWriteTask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from workglow.errors import ResourceLimitError, SourceError, TaskAbortedError, TaskInputError
from workglow.library.sqlite_source import SqliteQueryTask, SqliteWriteTask
from workglow.tasks import Entitlement, TaskContext


@pytest.fixture
def database(folder: Path) -> Path:
    path = folder / "shop.db"
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, photo BLOB)")
    db.execute("INSERT INTO item VALUES (1, 'pen', 1.5, x'00ff'), (2, 'ink', NULL, NULL)")
    db.close()
    return path


@pytest.fixture
def query(run: Any, database: Path) -> Any:
    def query(sql: str, parameters: Any = (), **config: Any) -> dict[str, Any]:
        given = parameters if isinstance(parameters, dict) else list(parameters)
        return run("SqliteQueryTask", {"path": "shop.db", "sql": sql, "parameters": given}, **config)

    return query


@pytest.fixture
def write(run: Any, database: Path) -> Any:
    def write(sql: str, path: str = "shop.db", config: Any = None, **inputs: Any) -> int:
        return run("SqliteWriteTask", {"path": path, "sql": sql, **inputs}, **(config or {}))["changes"]

    return write


def test_a_query_gives_rows(query: Any) -> None:
    assert query("SELECT * FROM item ORDER BY id") == {
        "rows": [
            {"id": 1, "name": "pen", "price": 1.5, "photo": b"\x00\xff"},
            {"id": 2, "name": "ink", "price": None, "photo": None},
        ],
        "columns": ["id", "name", "price", "photo"],
        "count": 2,
    }
    assert query("SELECT name FROM item WHERE id = 7") == {"rows": [], "columns": ["name"], "count": 0}


def test_values_are_bound_and_never_sql(query: Any, write: Any) -> None:
    attack = "x'; DROP TABLE item; --"
    assert write("INSERT INTO item(name) VALUES (?)", parameters=[attack]) == 1
    assert query("SELECT name FROM item WHERE name = :name", {"name": attack})["rows"] == [{"name": attack}]
    assert query("SELECT ? + ? AS sum", [1, 2.5])["rows"] == [{"sum": 3.5}]
    assert query("SELECT ? AS a, ? AS b", [b"\x01", True])["rows"] == [{"a": b"\x01", "b": 1}]


@pytest.mark.parametrize(
    ("sql", "parameters", "error", "reason"),
    [
        ("SELECT * FROM absent", [], SourceError, "no such table"),
        ("SELEC 1", [], SourceError, "syntax error"),
        ("SELECT 1 AS a, 2 AS a", [], SourceError, "several columns named a"),
        ("SELECT ?", [], TaskInputError, "parameters do not fit"),
        ("SELECT 1", [1], TaskInputError, "parameters do not fit"),
        ("SELECT :a", {"b": 1}, TaskInputError, "parameters do not fit"),
        ("SELECT ?", [2**63], TaskInputError, "larger than SQLite's integers"),
        ("SELECT ?", [[1]], TaskInputError, "expected"),
        ("SELECT 1; SELECT 2", [], SourceError, "more than one statement"),
    ],
)
def test_a_query_that_cannot_run_says_why(
    sql: str, parameters: Any, error: type[Exception], reason: str, query: Any
) -> None:
    with pytest.raises(error, match=reason):
        query(sql, parameters)


def test_a_query_has_limits(query: Any) -> None:
    assert query("SELECT id FROM item", max_rows=2)["count"] == 2
    with pytest.raises(ResourceLimitError, match="more than 1 rows"):
        query("SELECT id FROM item", max_rows=1)
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "
    with pytest.raises(ResourceLimitError, match=r"more than 0\.2 s"):
        query(endless + "SELECT count(*) FROM r", time_limit=0.2)
    with pytest.raises(ResourceLimitError, match="more than 16,777,216 bytes"):
        query(endless + "SELECT zeroblob(1000000) AS z FROM r LIMIT 1000")
    with pytest.raises(ResourceLimitError, match="a value is larger"):
        query("SELECT zeroblob(100000000)")


def test_a_cancelled_query_stops(database: Path) -> None:
    context = TaskContext()
    context.signal.cancel("enough")
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
    with pytest.raises(TaskAbortedError, match="enough"):
        SqliteQueryTask().execute({"path": str(database), "sql": endless, "parameters": []}, context)


def test_many_rows_are_written_or_none(query: Any, write: Any) -> None:
    sql = "INSERT INTO item(id, name) VALUES (?, ?)"
    assert write(sql, rows=[[3, "a"], [4, "b"]]) == 2
    with pytest.raises(SourceError, match="UNIQUE constraint failed"):
        write(sql, rows=[[5, "c"], [4, "d"]])
    assert query("SELECT count(*) AS n FROM item")["rows"] == [{"n": 4}]
    assert write(sql, rows=[]) == 0
    with pytest.raises(TaskInputError, match="not both"):
        write(sql, rows=[[6, "e"]], parameters=[6, "e"])


def test_tables_are_made_and_changed(query: Any, write: Any) -> None:
    assert write("CREATE TABLE other(x)") == 0
    assert write("UPDATE item SET price = 2") == 2
    assert write("DELETE FROM item WHERE id = 1") == 1
    assert query("SELECT name FROM sqlite_schema WHERE name = 'other'")["count"] == 1


def test_a_new_file_is_made_only_when_asked_for(write: Any, folder: Path) -> None:
    with pytest.raises(SourceError, match="is not a file"):
        write("CREATE TABLE t(x)", "new.db")
    assert not (folder / "new.db").exists()
    assert write("CREATE TABLE t(x)", "new.db", {"create": True}) == 0
    assert (folder / "new.db").exists()


def test_another_process_that_writes_is_waited_for(write: Any, database: Path) -> None:
    program = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.readline()\n"
        "db.execute('UPDATE item SET price = 9'); db.execute('COMMIT')\n"
    )
    words = [sys.executable, "-c", program, str(database)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "locked\n"
        other.stdin.write("\n")
        other.stdin.flush()
        assert write("UPDATE item SET price = price + 1") == 2
        assert other.wait() == 0
    assert apsw.Connection(str(database)).execute("SELECT max(price) FROM item").get in (10.0, 9.0)


def test_a_task_says_what_it_needs(folder: Path) -> None:
    place = str(folder / "a.db")
    assert SqliteQueryTask().required_entitlements({"path": "a.db"}) == (Entitlement("files:read", (place,)),)
    needed = (Entitlement("files:read", (place,)), Entitlement("files:write", (place,)))
    assert SqliteWriteTask().required_entitlements({"path": "a.db"}) == needed
    assert SqliteWriteTask.side_effects


def test_a_statement_that_fails_leaves_no_new_file(write: Any, folder: Path) -> None:
    before = sorted(folder.iterdir())
    for sql, inputs in (
        ("CREATE TABLE t(", {}),
        ("CREATE TABLE t(x); CREATE TABLE u(x)", {}),
        ("INSERT INTO t VALUES (?)", {"rows": [[1]]}),
    ):
        with pytest.raises(SourceError, match=r"new\.db: "):
            write(sql, "new.db", {"create": True}, **inputs)
        assert sorted(folder.iterdir()) == before
    assert write("CREATE TABLE t(x)", "new.db", {"create": True}) == 0
    assert sorted({*folder.iterdir()} - {*before}) == [folder / "new.db"]


def test_a_file_that_somebody_else_made_meanwhile_is_kept(
    write: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_late(source: Path, target: Path) -> None:
        with apsw.Connection(str(target)) as db:
            db.execute("CREATE TABLE theirs(x)")
        db.close()
        link(source, target)

    monkeypatch.setattr(os, "link", link_late)
    assert write("CREATE TABLE ours(x)", "new.db", {"create": True}) == 0
    db = apsw.Connection(str(folder / "new.db"))
    assert [name for (name,) in db.execute("SELECT name FROM sqlite_schema ORDER BY 1")] == ["ours", "theirs"]
    db.close()
