"""SQL that means harm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import workglow as wg
from workglow.errors import OutsideRootsError, SourceError

READ_ONLY = [
    "DELETE FROM t", "INSERT INTO t VALUES (1)", "CREATE TABLE u(x)", "CREATE TEMP TABLE u(x)", "DROP TABLE t",
    "UPDATE t SET x = 1", "ANALYZE",
]  # fmt: skip
NEVER = [
    "ATTACH 'other.db' AS o", "ATTACH ':memory:' AS o", "DETACH main", "VACUUM INTO 'other.db'", "VACUUM",
    "PRAGMA journal_mode = DELETE", "PRAGMA writable_schema = 1", "PRAGMA temp_store_directory = '/'",
    "PRAGMA query_only = 0", "PRAGMA trusted_schema = 1", "PRAGMA mmap_size = 1000000", "PRAGMA wal_checkpoint",
    "PRAGMA user_version = 7", "PRAGMA application_id = 1464290391",
    "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "END; DELETE FROM t",
    "SELECT load_extension('x')", "SELECT fts3_tokenizer('simple')", "INSERT INTO sqlite_schema VALUES (1,1,1,1,1)",
    "CREATE VIRTUAL TABLE v USING nothing", "SELECT readfile('/etc/passwd')", "SELECT writefile('x', 'y')",
    "SELECT * FROM pragma_journal_mode('delete')",
]  # fmt: skip


@pytest.fixture
def ask(run: Any, folder: Path) -> Any:
    db = apsw.Connection("t.db")
    db.execute("CREATE TABLE t(x); INSERT INTO t VALUES (1), (2); PRAGMA user_version = 3")
    db.close()

    def ask(name: str, sql: str, path: str = "t.db", **inputs: Any) -> dict[str, Any]:
        return run(f"Sqlite{name}Task", {"path": path, "sql": sql, **inputs})

    return ask


@pytest.fixture(autouse=True)
def unharmed(folder: Path) -> Iterator[None]:
    yield
    assert {path.name for path in folder.iterdir()} <= {"t.db", "p.wg", "p.wg-wal", "p.wg-shm", "link.db", "w.db"}
    db = apsw.Connection("t.db")
    assert db.execute("SELECT count(*), sum(x) FROM t").get == (2, 3)
    assert db.pragma("user_version") == 3
    db.close()


@pytest.mark.parametrize("sql", [*READ_ONLY, *NEVER])
def test_a_query_only_reads(sql: str, ask: Any) -> None:
    with pytest.raises(SourceError):
        ask("Query", sql)


@pytest.mark.parametrize("sql", [*NEVER, "UPDATE t SET x = 9; SELECT 1", "DELETE FROM t; DELETE FROM absent"])
def test_a_write_stays_in_its_file_and_its_transaction(sql: str, ask: Any) -> None:
    with pytest.raises(SourceError):
        ask("Write", sql)


def test_what_tells_may_be_asked(ask: Any) -> None:
    assert ask("Query", "PRAGMA table_info(t)")["count"] == 1
    assert ask("Query", "PRAGMA user_version")["rows"] == [{"user_version": 3}]
    assert ask("Query", "SELECT name FROM sqlite_schema")["rows"] == [{"name": "t"}]


@pytest.mark.parametrize("name", ["Query", "Write"])
def test_no_project_is_touched(name: str, ask: Any, folder: Path) -> None:
    with wg.open("p.wg"):
        (folder / "link.db").symlink_to("p.wg")
        for path in ("p.wg", "./p.wg", str(folder / "p.wg"), "link.db", f"file://{folder}/p.wg"):
            with pytest.raises(SourceError, match="is a workglow project"):
                ask(name, "SELECT 1", path)
    with pytest.raises(SourceError, match="is a workglow project"):
        ask(name, "SELECT 1", "p.wg")


@pytest.mark.parametrize("name", ["Query", "Write"])
def test_a_project_that_crashed_is_left_as_it_is(name: str, ask: Any, folder: Path) -> None:
    child = os.fork()
    if child == 0:
        project = wg.open("p.wg")
        project.run_sync(wg.Workflow().string_trim(), {"text": " a "})
        os._exit(0)  # without closing it
    os.waitpid(child, 0)
    before = {path.name: path.read_bytes() for path in folder.glob("p.wg*")}
    assert "p.wg-wal" in before
    with pytest.raises(SourceError, match="is a workglow project"):
        ask(name, "SELECT 1", "p.wg")
    assert {path.name: path.read_bytes() for path in folder.glob("p.wg*")} == before


def test_a_name_cannot_carry_options(ask: Any, folder: Path) -> None:
    for path in ("file:t.db?mode=rwc", "t.db?mode=memory", "", ":memory:"):
        with pytest.raises(SourceError, match="is not a file"):
            ask("Query", "SELECT 1", path)
    with pytest.raises(OutsideRootsError):
        ask("Query", "SELECT 1", "../t.db")


def test_a_file_that_is_no_database_is_refused(ask: Any, folder: Path) -> None:
    (folder / "w.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    for name in ("Query", "Write"):
        with pytest.raises(SourceError, match=r"not a database|malformed|not a workglow project, nor any SQLite"):
            ask(name, "SELECT * FROM sqlite_schema", "w.db")


def test_a_schema_cannot_call_what_its_reader_would_not(ask: Any, folder: Path) -> None:
    db = apsw.Connection("w.db")
    db.execute("CREATE TABLE t(x); CREATE VIEW v AS SELECT load_extension('evil') FROM t")
    db.execute("CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT load_extension('evil'); END")
    db.close()
    with pytest.raises(SourceError):
        ask("Query", "SELECT * FROM v", "w.db")
    with pytest.raises(SourceError):
        ask("Write", "INSERT INTO t VALUES (1)", "w.db")
