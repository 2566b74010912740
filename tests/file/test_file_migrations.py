"""A file's format: made, migrated, refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st
from older_files import go_back

from workglow.errors import (
    FileCorruptError,
    FileError,
    FileLockedError,
    FileReadOnlyError,
    NewerFileError,
    NotAProjectError,
)
from workglow.file import File, doctor, schema_sql, statements
from workglow.file.migrations import expected_schema, migrations, schema_folder, schema_of
from workglow.file.pragmas import APPLICATION_ID
from workglow.testing import FakeClock

OPEN = "import sys; from workglow.file import File; sys.stdin.readline(); print(File.open(sys.argv[1]).uid)"


def fingerprint(path: Path) -> tuple[str, int, list[str]]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns, sorted(os.listdir(path.parent))


def change(path: Path, *sql: str) -> None:
    db = apsw.Connection(str(path))
    for statement in sql:
        db.execute(statement)
    db.close()


def older(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file that has only the first migration."""
    with monkeypatch.context() as patch:
        go_back(patch, 1)
        with File.open(path) as file, file.transaction() as db:
            db.execute("INSERT INTO event (at, kind) VALUES (0, 'kept')")


def test_schema_sql_is_what_the_migrations_give() -> None:
    shipped = schema_folder() / "schema.sql"
    assert shipped.read_text() == schema_sql(), f"write workglow.file.schema_sql() to {shipped}"


def test_schema_sql_can_be_executed_and_gives_the_same_tables() -> None:
    db = apsw.Connection(":memory:")
    for statement in statements(schema_sql()):
        db.execute(statement)
    assert schema_of(db) == expected_schema()


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.number for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_statements_are_not_cut_at_a_semicolon_in_a_string_comment_or_trigger() -> None:
    pieces = [
        "CREATE TABLE a (b TEXT DEFAULT ';') -- one; two\n;",
        "/* ; */ CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM a; SELECT ';'; END;",
        "-- last; without an end\nSELECT 1",
    ]
    assert statements("\n".join([*pieces, "-- nothing; here", ""])) == [*pieces[:2], pieces[2] + "\n-- nothing; here"]


@given(st.lists(st.text(alphabet="ab;'\n-", max_size=12), min_size=1, max_size=5))
def test_statements_keep_any_string_whole(texts: list[str]) -> None:
    quoted = ["SELECT '" + text.replace("'", "''") + "';" for text in texts]
    assert statements("\n".join(quoted)) == quoted


def test_a_new_file_says_what_it_is(path: Path, clock: FakeClock) -> None:
    with File.open(path, clock=clock) as file:
        assert file.db.pragma("application_id") == APPLICATION_ID == int.from_bytes(b"WGLW", "big")
        assert file.db.pragma("user_version") == len(migrations())
        rows = file.db.execute("SELECT number, name, sha256, applied_at FROM migration").fetchall()
        assert rows == [(m.number, m.name, m.sha256, clock.now()) for m in migrations()]
    header = path.read_bytes()[:100]
    assert header[68:72] == b"WGLW"
    assert int.from_bytes(header[60:64], "big") == len(migrations())


def test_a_newer_file_is_refused_and_not_touched(path: Path) -> None:
    File.open(path).close()
    change(path, f"PRAGMA user_version = {len(migrations()) + 1}")
    before = fingerprint(path)
    for read_only in (False, True):
        with pytest.raises(
            NewerFileError, match=f"number {len(migrations()) + 1}, .* up to {len(migrations())}.*Update"
        ):
            File.open(path, read_only=read_only)
    assert fingerprint(path) == before


def test_an_older_file_is_migrated_with_a_backup_beside_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older(path, monkeypatch)
    assert path.read_bytes()[63] == 1
    with pytest.raises(FileError, match="older format"):
        File.open(path, read_only=True)
    with File.open(path) as file:
        assert file.db.pragma("user_version") == len(migrations())
        assert file.db.execute("SELECT kind FROM event").get == "kept"
    assert doctor(path).ok
    backup = path.with_name("notes.wg.backup-v1")
    assert sorted(os.listdir(path.parent)) == ["notes.wg", backup.name]
    copy = apsw.Connection(str(backup))
    assert copy.pragma("user_version") == 1
    assert copy.execute("SELECT kind FROM event").get == "kept"
    copy.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older(path, monkeypatch)
    monkeypatch.setattr("workglow.file.opening.apply", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        File.open(path)
    monkeypatch.undo()
    db = apsw.Connection(str(path))
    assert db.pragma("user_version") == 1
    assert not db.table_exists("main", "chunk")
    db.close()
    File.open(path).close()


def test_an_older_file_in_use_elsewhere_is_not_migrated(
    path: Path, monkeypatch: pytest.MonkeyPatch, other: Callable[..., Any]
) -> None:
    older(path, monkeypatch)
    with monkeypatch.context() as patch:
        go_back(patch, 1)
        with File.open(path):
            patch.undo()
            with pytest.raises(FileLockedError, match="Close it there"):
                File.open(path)


def test_six_processes_open_one_new_file_at_once(path: Path, other: Callable[..., Any]) -> None:
    processes = [other(OPEN, path) for _ in range(6)]
    for process in processes:
        process.say()
    assert len({process.end() for process in processes}) == 1
    with File.open(path) as file:
        assert file.db.execute("SELECT count(*) FROM migration").get == len(migrations())
    assert doctor(path).ok


def test_an_empty_file_is_a_new_project(path: Path) -> None:
    path.touch()
    File.open(path).close()
    assert doctor(path).ok


def test_what_is_not_a_project_is_refused_and_not_touched(path: Path) -> None:
    path.write_text("Dear diary, " * 20)
    before = fingerprint(path)
    for read_only in (False, True):
        with pytest.raises(NotAProjectError, match="nor any SQLite file"):
            File.open(path, read_only=read_only)
    assert fingerprint(path) == before


@pytest.mark.parametrize("sql", ["CREATE TABLE t (a)", "PRAGMA application_id = 7", "PRAGMA user_version = 3"])
def test_another_programs_sqlite_file_is_refused_and_not_touched(path: Path, sql: str) -> None:
    change(path, "CREATE TABLE other (a)", sql.replace("t (a)", "more (a)"))
    before = fingerprint(path)
    with pytest.raises(NotAProjectError, match="another program"):
        File.open(path)
    assert fingerprint(path) == before


def test_a_path_that_can_never_be_a_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"is a folder.*notes.wg"):
        File.open(tmp_path)
    with pytest.raises(FileError, match=r"the folder .*missing does not exist.*Create it"):
        File.open(tmp_path / "missing" / "a.wg")
    with pytest.raises(FileError, match=r"a\.wg does not exist"):
        File.open(tmp_path / "a.wg", create=False)
    with pytest.raises(FileError, match=r"a\.wg does not exist"):
        File.open(tmp_path / "a.wg", read_only=True)
    (tmp_path / "f").write_text("")
    with pytest.raises(FileError, match="Not a directory"):
        File.open(tmp_path / "f" / "a.wg")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAProjectError, match="not a regular file"):
        File.open(tmp_path / "pipe")
    assert sorted(os.listdir(tmp_path)) == ["f", "pipe"]


READ_ONLY_FOLDER = """
import os, sys
from workglow.errors import FileReadOnlyError
from workglow.file import File
path = sys.argv[1]
if os.getuid() == 0:  # root may write everywhere
    os.setuid(65534)
for name in (path, path + "2"):
    try:
        File.open(name)
    except FileReadOnlyError as error:
        assert "may not write" in str(error) and "read_only=True" in str(error), error
    else:
        raise SystemExit("opened")
with File.open(path, read_only=True) as file:
    print(file.reader.execute("SELECT kind FROM event").get)
    try:
        with file.transaction():
            pass
    except FileReadOnlyError as error:
        print(error)
"""


def test_a_read_only_folder_is_refused_for_writing_and_can_be_read(other: Callable[..., Any]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="workglow-"))  # the folders of pytest are closed to other users
    try:
        with File.open(folder / "a.wg") as file, file.transaction() as db:
            db.execute("INSERT INTO event (at, kind) VALUES (0, 'seen')")
        folder.chmod(0o555)
        before = fingerprint(folder / "a.wg")
        said = other(READ_ONLY_FOLDER, folder / "a.wg").end().splitlines()
        assert said[0] == "seen"
        assert "read_only=True" in said[1]
        assert fingerprint(folder / "a.wg") == before
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_reading_leaves_no_trace(path: Path) -> None:
    File.open(path).close()
    before = fingerprint(path)
    with File.open(path, read_only=True) as file:
        assert file.session is None
        with pytest.raises(apsw.ReadOnlyError):
            file.reader.execute("DELETE FROM event")
        with pytest.raises(FileReadOnlyError), file.transaction():
            pass
    assert fingerprint(path) == before


def test_a_table_in_disguise_is_refused(path: Path) -> None:
    File.open(path).close()
    change(path, "DROP TABLE stream_chunk", "CREATE VIRTUAL TABLE stream_chunk USING fts5 (data)")
    for read_only in (False, True):
        with pytest.raises(FileCorruptError, match="'stream_chunk' that workglow did not make"):
            File.open(path, read_only=read_only)


def test_tables_of_others_do_no_harm(path: Path) -> None:
    File.open(path).close()
    change(path, "CREATE TABLE mine (a)")
    File.open(path).close()
    assert [check.name for check in doctor(path).failures] == ["schema"]


def test_named_graphs_of_an_older_file_have_a_first_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "old.wg"
    with monkeypatch.context() as patch:
        go_back(patch, 2)
        with File.open(path) as file, file.transaction() as db:
            db.execute("INSERT INTO graph (id, hash, created_at) VALUES (1, ?, 0)", ("a" * 64,))
            db.execute("INSERT INTO graph_name (name, graph_id, updated_at) VALUES ('ingest', 1, 5)")
    with File.open(path) as file:
        rows = file.reader.execute("SELECT name, number, graph_id, note, saved_at FROM graph_version").fetchall()
    assert rows == [("ingest", 1, 1, "", 5)]
    assert doctor(path).ok


@pytest.mark.parametrize(
    ("path", "said"), [("postgresql://host/base", "Postgres database is not built yet"), ("a\0b.wg", "is no path")]
)
def test_what_is_no_path_is_refused(path: str, said: str) -> None:
    with pytest.raises(FileError, match=said):
        File.open(path)


def test_an_unknown_durability_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="durability is 'pwoer'; give 'auto', 'power' or 'process'"):
        File.open(tmp_path / "new.wg", durability=cast("Any", "pwoer"))
    assert not list(tmp_path.iterdir())
