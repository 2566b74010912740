"""The doctor finds what is wrong, says what to do, and changes nothing."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest

from workglow.errors import FileError, FileReadOnlyError, NotAProjectError
from workglow.file import File, doctor, info
from workglow.file.examination import invariants
from workglow.file.migrations import migrations
from workglow.testing import FakeClock
from workglow.values.blob import content_hash, pack

Add = Callable[..., None]

GRAPH = "INSERT INTO graph (hash, created_at) VALUES ('" + "0" * 64 + "', 0)"
RUN = "INSERT INTO run (uid, graph_id, status, input, created_at) VALUES ('r', 1, 'running', '{}', 0)"


class Row(NamedTuple):
    """A row to insert; what the table needs beside the given columns is filled in."""

    table: str
    columns: dict[str, object]

    def insert(self, db: apsw.Connection) -> None:
        values = dict(self.columns)
        for _, name, kind, required, default, key in db.execute(f"PRAGMA table_info ({self.table})"):
            if required and default is None and not key and name not in values:
                values[name] = {"INTEGER": 0, "TEXT": name, "BLOB": b""}[kind]
        marks = ", ".join("?" * len(values))
        db.execute(f"INSERT INTO {self.table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


BASE = Row("knowledge_base", {"dimensions": 2})
DOCUMENT = Row("document", {"base_id": 1, "hash": "0" * 64})


def chunk(vector: int) -> Row:
    return Row("chunk", {"document_id": 1, "text": "hello", "vector": bytes(vector)})


def word() -> str:
    return "INSERT INTO chunk_text (rowid, text) VALUES (1, 'hello')"


def task(columns: str, values: str) -> str:
    return f"INSERT INTO task_run (run_id, path, attempt, {columns}) VALUES (1, 't', 1, {values})"


def resumed(epoch: int) -> str:
    return f"""INSERT INTO event (at, run_id, kind, data) VALUES (0, 1, 'resumed', '{{"epoch": {epoch}}}')"""


def answered(attempt: int) -> Row:
    columns = {"task_run_id": 2 - (attempt == 2), "attempt": attempt, "turn": 1, "action": "accept", "content": "{}"}
    return Row("answer", {**columns, "answered_at": 0})


QUEUE = Row("queue", {"name": "q", "scope": "{}", "settings": "{}"})


def job(status: str = "pending", **columns: object) -> Row:
    return Row("job", {"queue_id": 1, "status": status, "input": "{}", "max_attempts": 3, **columns})


def running(**columns: object) -> Row:
    return job("running", **{"session_id": 1, "claim": 1, "attempt": 1, "started_at": 0, **columns})


def tried(claim: int) -> Row:
    return Row("job_attempt", {"job_id": 1, "claim": claim, "attempt": 1, "outcome": "failed"})


WORKER = Row("worker", {"session_id": 1, "queues": "[]", "handlers": "[]", "jobs_from": 1})
NEEDS = "INSERT INTO job_dependency (job_id, needs_id) VALUES (1, 2)"

WAITING = """INSERT INTO task_run (run_id, path, attempt, status, started_at, state)
             VALUES (1, 'w', 1, 'waiting', 0, '{"waits_for": "event", "event": "e"}')"""


def said(attempt: int) -> str:
    return f"INSERT INTO stream_chunk VALUES (1, {attempt}, 1, 'text', 'append', '{{}}', 0)"


DONE = task("status, output, finished_at", "'completed', '{}', 0")
LISTED = "INSERT INTO waiting SELECT id FROM task_run WHERE status = 'waiting'"
SCHEDULE = """INSERT INTO schedule (name, every, start_at, catch_up, queue_id, handler, input, priority, max_attempts,
                                   cost, paused_at, next_at, created_at)
              VALUES ('s', 1, 0, 'one', 1, 'h', '{}', 0, 1, 1, 5, 6, 0)"""
REFERENCE = task("status, output, finished_at", """'completed', '{"a": {"$value": "%s"}}', 0""" % ("a" * 64))

LIMITED = "UPDATE queue SET limiters = '[1]'"
LIMITER = Row("limiter", {"scope": "{}", "rules": '[{"kind": "DelayLimiter"}]', "state": "[{}]"})


def slot(job_id: int, claim: int) -> Row:
    return Row("limiter_slot", {"job_id": job_id, "number": claim, "limiter_id": 1, "session_id": 1})


BROKEN = {
    "project_row": ["DELETE FROM project"],
    "migrations": ["DELETE FROM migration WHERE number = 1"],
    "checkpoints": ["UPDATE project SET sealed = cycle + 1"],
    "completed_tasks": [GRAPH, RUN, task("status, finished_at", "'completed', 0")],
    "finished_tasks": [GRAPH, RUN, task("status, started_at, finished_at", "'running', 0, 0")],
    "started_tasks": [GRAPH, RUN, task("status", "'running'")],
    "finished_runs": [GRAPH, RUN, "UPDATE run SET finished_at = 0"],
    "completed_runs": [GRAPH, RUN, "UPDATE run SET status = 'completed', finished_at = 0"],
    "open_tasks_of_finished_runs": [
        GRAPH, RUN, task("status", "'pending'"), "UPDATE run SET status = 'failed', finished_at = 0",
    ],
    "owners_of_finished_runs": [GRAPH, RUN, "UPDATE run SET status = 'failed', finished_at = 0, session_id = 1"],
    "waiting_runs": [GRAPH, RUN, "UPDATE run SET status = 'waiting'"],
    "waiting_tasks": [GRAPH, RUN, task("status, started_at, state", "'waiting', 0, '{}'"), LISTED],
    "waiting_list": [GRAPH, RUN, WAITING],
    "answers": [GRAPH, RUN, WAITING, LISTED, answered(2)],
    "waiting_only": [GRAPH, RUN, DONE, "INSERT INTO waiting VALUES (1)"],
    "queued_tasks": [
        GRAPH, RUN, WAITING, LISTED, """UPDATE task_run SET state = '{"waits_for": "job"}'""",
    ],
    "jobs_of_finished_tasks": [GRAPH, RUN, DONE, QUEUE, job(task_run_id=1, task_attempt=1)],
    "submitted_runs": [
        GRAPH, RUN, "UPDATE run SET status = 'waiting'", WAITING, LISTED, answered(2), QUEUE,
        "UPDATE answer SET attempt = 1, task_run_id = 1", "INSERT INTO submitted_run VALUES (1, 1, 0)",
    ],
    "epochs": [GRAPH, RUN, resumed(1)],
    "reused_outputs": [
        GRAPH, RUN, task("status", "'pending'"),
        """INSERT INTO task_run (run_id, path, attempt, status, finished_at, output, source_id)
           VALUES (1, 'u', 0, 'completed', 0, '{}', 1)""",
    ],
    "valid_json": [GRAPH, RUN, task("status, error, finished_at", "'failed', '{', 0")],
    "chunks_of_finished_tasks": [GRAPH, RUN, task("status, finished_at", "'failed', 0"), said(1)],
    "chunk_attempts": [GRAPH, RUN, task("status, started_at", "'running', 0"), said(2)],
    "values": [GRAPH, RUN, REFERENCE],
    "vectors": [BASE, DOCUMENT, chunk(7), word()],
    "words": [BASE, DOCUMENT, chunk(8)],
    "graph_names": [GRAPH, "INSERT INTO graph_name (name, graph_id, updated_at) VALUES ('ingest', 1, 0)"],
    "running_jobs": [QUEUE, WORKER, running(attempt=0)],
    "jobs_of_workers": [QUEUE, running(), Row("worker", {**WORKER.columns, "jobs_from": 2})],
    "finished_jobs": [QUEUE, job("failed")],
    "completed_jobs": [QUEUE, job("completed", finished_at=0)],
    "job_attempts": [QUEUE, job(attempt=4, claim=4)],
    "job_claims": [QUEUE, WORKER, running(), tried(1)],
    "deferred_jobs": [QUEUE, job("aborted", finished_at=0, run_after=1)],
    "needed_jobs": [QUEUE, job(waits_for=1), job("completed", finished_at=0, output="{}"), NEEDS],
    "started_early": [QUEUE, WORKER, running(), job(), NEEDS],
    "aborted_jobs": [QUEUE, job(abort_reason="enough")],
    "kept_jobs": [QUEUE, job(delete_at=1)],
    "job_json": [QUEUE, job(options="{")],
    "limiter_slots": [QUEUE, WORKER, LIMITER, running(claim=3), slot(1, 2)],
    "limiters": [LIMITER, "UPDATE limiter SET state = '[{}, {}]'"],
    "queue_limiters": [QUEUE, LIMITED],
    "changes": ["INSERT INTO change_log (id, first_seq, keep_for, keep_rows) VALUES (1, 3, 1, 1)"],
    "schedules": [QUEUE, SCHEDULE],
    "pages": [BASE, DOCUMENT, chunk(8), word(), "UPDATE chunk_text_data SET block = zeroblob(3) WHERE id > 10"],
    "references": [Row("document", {"base_id": 9, "hash": "0" * 64})],
    "schema": ["CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM run; END"],
    "contents": ["INSERT INTO value (hash, kind, encoding, size, data) VALUES (zeroblob(32), 'text', 'raw', 1, x'61')"],
}  # fmt: skip

SOUND = [
    GRAPH, RUN, "UPDATE run SET epoch = 2", resumed(1), resumed(2),
    task("status, output, finished_at", "'completed', '{\"a\": 1}', 0"),
    "UPDATE run SET status = 'waiting'", WAITING, LISTED, answered(1),
    BASE, DOCUMENT, chunk(8), word(), QUEUE, WORKER,
    job(waits_for=1), running(claim=2), NEEDS, tried(0), job("completed", finished_at=0, output="{}", delete_at=0),
    LIMITER, LIMITED, slot(2, 2),
    "INSERT INTO graph_name (name, graph_id, updated_at) VALUES ('ingest', 1, 0)",
    "INSERT INTO graph_version (name, number, graph_id, note, saved_at) VALUES ('ingest', 1, 1, '', 0)",
]  # fmt: skip


def perform(db: apsw.Connection, *changes: str | Row) -> None:
    for change in changes:
        if isinstance(change, Row):
            change.insert(db)
        else:
            db.execute(change)


def change(path: Path, *changes: str | Row) -> None:
    """Do to the file what a careless program with another SQLite can do."""
    db = apsw.Connection(str(path))
    db.pragma("ignore_check_constraints", 1)
    perform(db, *changes)
    db.close()


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def test_every_invariant_has_a_test() -> None:
    assert {name for name, _, _ in invariants()} <= set(BROKEN)


def test_a_sound_file_passes(path: Path) -> None:
    File.open(path).close()
    change(path, *SOUND)
    before = files(path.parent)
    report = doctor(path)
    assert report.failures == ()
    assert report.ok
    assert {check.name for check in report.checks} == {"copy", "format", *BROKEN}
    assert files(path.parent) == before


def test_a_file_in_use_passes(file: File, add: Add) -> None:
    add(file)
    assert doctor(file.path).ok
    with file.transaction() as db:
        db.execute("INSERT INTO event (at, kind) VALUES (0, 'x')")
        assert doctor(file.path).ok
    add(file)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_and_nothing_is_changed(path: Path, name: str) -> None:
    File.open(path).close()
    change(path, *BROKEN[name])
    before = files(path.parent)
    failures = {check.name: check for check in doctor(path).failures}
    assert name in failures
    assert failures[name].remedy
    assert "Not so: " in failures[name].detail
    assert files(path.parent) == before


def test_an_epoch_that_went_back_is_found(path: Path) -> None:
    File.open(path).close()
    change(path, GRAPH, RUN, "UPDATE run SET epoch = 5", resumed(3), resumed(2))
    assert [check.name for check in doctor(path).failures] == ["epochs"]


def test_a_changed_value_is_found_although_sqlite_finds_no_damage(path: Path) -> None:
    """Flip single bits of stored values: the page check of SQLite misses them, the content hash does not."""
    chance = random.Random(1)
    with File.open(path) as file, file.transaction() as db:
        for number in range(50):
            for kind, data in (("text", (f"{number} " + "word " * 2000).encode()), ("bytes", chance.randbytes(6000))):
                blob = pack(kind, data, content_hash(kind, data))
                db.execute("INSERT INTO value (hash, kind, encoding, size, data) VALUES (?, ?, ?, ?, ?)", blob)
    assert doctor(path).ok
    sound = path.read_bytes()
    for _ in range(10):
        db = apsw.Connection(str(path))
        number = chance.randrange(1, 101)
        data = bytearray(db.execute("SELECT data FROM value WHERE id = ?", (number,)).get)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        db.execute("UPDATE value SET data = ? WHERE id = ?", (bytes(data), number))
        db.close()
        failures = doctor(path).failures
        assert [check.name for check in failures] == ["contents"]
        assert f"value {number} " in failures[0].detail
        assert doctor(path, quick=True).ok
        path.write_bytes(sound)


def test_pages_that_are_garbage_are_reported_and_not_raised(path: Path) -> None:
    chance = random.Random(2)
    with File.open(path) as file, file.transaction() as db:
        for _ in range(200):
            db.execute("INSERT INTO event (at, kind) VALUES (0, ?)", ("x" * 500,))
    sound = path.read_bytes()
    for _ in range(40):
        damaged = bytearray(sound)
        page = chance.randrange(1, len(sound) // 4096)
        damaged[page * 4096 : (page + 1) * 4096] = chance.randbytes(4096)
        path.write_bytes(damaged)
        report = doctor(path)
        assert report.checks
    path.write_bytes(sound[: len(sound) // 2])
    assert not doctor(path).ok


def test_what_is_no_project_gets_a_report(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("Dear diary, " * 50)
    report = doctor(tmp_path / "diary.txt")
    assert not report.ok
    assert "nor any SQLite file" in report.failures[0].detail
    (tmp_path / "empty.wg").touch()
    assert doctor(tmp_path / "empty.wg").ok
    with pytest.raises(FileError, match="does not exist"):
        doctor(tmp_path / "missing.wg")


def test_a_newer_file_gets_a_report(path: Path) -> None:
    File.open(path).close()
    change(path, f"PRAGMA user_version = {len(migrations()) + 1}")
    assert "newer workglow" in doctor(path).failures[0].detail


def test_info_tells_what_a_file_holds(path: Path, clock: FakeClock, add: Add) -> None:
    with File.open(path, clock=clock) as file:
        data = b"a" * 50_000
        with file.transaction() as db:
            db.execute(
                "INSERT INTO value (hash, kind, encoding, size, data) VALUES (?, ?, ?, ?, ?)",
                pack("bytes", data, content_hash("bytes", data)),
            )
        for _ in range(3):
            add(file)
        found = info(path)
        assert (found.uid, found.created_at, found.state) == (file.uid, clock.now(), "open")
        assert found.format == len(migrations())
        assert found.sqlite == apsw.sqlite_lib_version()
        assert found.created_by.endswith(found.sqlite)
        assert found.rows["event"] == 3
        assert found.rows["value"] == 1
        assert "chunk_text_data" not in found.rows
        assert next(iter(found.bytes)) == "value"
        assert found.bytes["value"] > 50_000
        assert found.biggest[0].hash == content_hash("bytes", data).hex()
        assert (found.biggest[0].kind, found.biggest[0].size, found.biggest[0].stored) == ("bytes", 50_000, 50_000)
        assert found.log_size > 50_000
        assert [(session.pid, session.dead) for session in found.sessions] == [(os.getpid(), None)]
    found = info(path)
    assert (found.state, found.log_size, found.sessions) == ("closed", 0, ())
    assert found.size == path.stat().st_size == found.pages * found.page_size
    assert os.listdir(path.parent) == [path.name]


def test_info_of_what_is_no_project_says_so(path: Path) -> None:
    path.touch()
    with pytest.raises(NotAProjectError, match="is empty"):
        info(path)
    path.write_text("Dear diary, " * 50)
    with pytest.raises(NotAProjectError, match="nor any SQLite file"):
        info(path)


def test_a_strangers_file_runs_none_of_its_code(path: Path, add: Add) -> None:
    """Triggers and views of the file are dead, functions with side effects unknown to its schema; ours still work."""
    ran: list[Any] = []
    File.open(path).close()
    change(
        path,
        "CREATE TRIGGER trap AFTER INSERT ON event BEGIN INSERT INTO event (at, kind) VALUES (evil(1), 'trap'); END",
        "CREATE VIEW bait AS SELECT evil(2) AS a",
        "CREATE INDEX hook ON event (kind)",
    )
    with File.open(path) as file:
        for db in (file.db, file.reader):
            db.create_scalar_function("evil", lambda *given: ran.append(given) or 0)
        add(file)
        assert file.reader.execute("SELECT kind FROM event").fetchall() == [("x",)]
        with pytest.raises(apsw.SQLError):
            file.reader.execute("SELECT a FROM bait").fetchall()
        with pytest.raises(apsw.SQLError), file.transaction() as db:
            db.execute("CREATE TABLE t (a DEFAULT (evil(3))); INSERT INTO t DEFAULT VALUES")
    assert ran == []


def test_words_are_found_and_rows_cascade_with_triggers_off(path: Path) -> None:
    with File.open(path) as file:
        with file.transaction() as db:
            perform(db, BASE, DOCUMENT, chunk(8), word())
            perform(db, GRAPH, Row("graph_task", {"graph_id": 1, "definition": "{}", "task_id": "a"}))
        assert file.reader.execute("SELECT rowid FROM chunk_text WHERE chunk_text MATCH 'hello'").get == 1
        with file.transaction() as db:
            db.execute("DELETE FROM graph")
        assert file.reader.execute("SELECT count(*) FROM graph_task").get == 0
        with pytest.raises(apsw.ConstraintError), file.transaction() as db:
            perform(db, Row("document", {"base_id": 2, "hash": "0" * 64}))


def test_the_schema_cannot_be_written_by_hand(file: File) -> None:
    for statement in (
        "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = ''",
        "DELETE FROM chunk_text_data",
    ):
        with pytest.raises((apsw.SQLError, FileReadOnlyError)), file.transaction() as db:
            db.execute(statement)
    with pytest.raises(apsw.SQLError), file.transaction() as db:
        db.execute('SELECT "no such column"').fetchall()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"), ("foreign_keys", 1), ("trusted_schema", 0), ("cell_size_check", 1), ("mmap_size", 0),
        ("auto_vacuum", 2), ("page_size", 4096), ("wal_autocheckpoint", 0), ("synchronous", 1),
        ("journal_size_limit", 64 * 1024 * 1024),
    ],
)  # fmt: skip
def test_settings_of_both_connections(file: File, pragma: str, value: object) -> None:
    assert file.db.pragma(pragma) == value
    if pragma != "synchronous":
        assert file.reader.pragma(pragma) == value
