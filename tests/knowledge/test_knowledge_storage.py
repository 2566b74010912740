"""The SQLite repository: documents are replaced whole or not at all, and the index of words never lags behind."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workglow.errors import CorruptValueError, FileReadOnlyError, KnowledgeError
from workglow.file import File
from workglow.storage.knowledge import BaseRecord, ChunkRecord, DocumentRecord
from workglow.storage.sqlite.knowledge import SqliteKnowledge
from workglow.testing import FakeClock

NOWHERE = np.zeros(2, np.float32)


def document(name: str, version: str = "1") -> DocumentRecord:
    return DocumentRecord(
        name, f"Title of {name}", "text/plain", hashlib.sha256(version.encode()).hexdigest(), {"v": version}
    )


def chunks(*texts: str, place: str = "") -> list[ChunkRecord]:
    return [ChunkRecord(f"key{at}", place, at, at + len(text), text) for at, text in enumerate(texts)]


def vectors(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(len(rows), 2)


def put(repository: SqliteKnowledge, name: str, *texts: str, version: str = "1", base: str = "default") -> bool:
    record = repository.ensure_base(base, "model", 2)
    return repository.upsert_document(record, document(name, version), chunks(*texts), vectors(*[(1, 0)] * len(texts)))


def check_words(file: File) -> None:
    """FTS5 compares its index with every row of `chunk`; a difference is a CorruptError."""
    with file.transaction() as db:
        db.execute("INSERT INTO chunk_text (chunk_text, rank) VALUES ('integrity-check', 1)")


def find(repository: SqliteKnowledge, *words: str, base: str = "default") -> list[str]:
    return [one.chunk.text for one in repository.search(base, NOWHERE, words, depth=50)]


def test_a_document_comes_back_as_it_was_stored(repository: SqliteKnowledge, clock: FakeClock) -> None:
    base = repository.ensure_base("default", "model", 2)
    pieces = chunks("alpha", "beta", place="A > B")
    assert repository.upsert_document(base, document("x"), pieces, vectors((1, 0), (0, 1)))
    (stored,) = repository.documents("default")
    assert (stored.record, stored.chunks, stored.updated_at) == (document("x"), 2, clock.now())
    assert repository.document("default", "x") == stored
    assert repository.document("default", "y") is None
    found = repository.chunks("default", "x")
    assert [chunk for chunk, _ in found] == pieces
    assert [vector.tolist() for _, vector in found] == [[1, 0], [0, 1]]
    assert repository.bases() == [BaseRecord("default", "model", 2, clock.now())]


def test_reingesting_leaves_no_stale_chunk_and_no_stale_word(repository: SqliteKnowledge, file: File) -> None:
    put(repository, "x", "old alpha", "old beta", "shared")
    assert put(repository, "x", "shared", "new gamma", version="2")
    assert [chunk.text for chunk, _ in repository.chunks("default", "x")] == ["shared", "new gamma"]
    assert repository.count_chunks("default") == 2
    assert find(repository, "old") == find(repository, "alpha") == find(repository, "beta") == []
    assert find(repository, "new") == ["new gamma"]
    assert file.reader.execute("SELECT count(*) FROM chunk_text_docsize").get == 2
    check_words(file)


def test_the_same_version_is_reported_and_not_written(
    repository: SqliteKnowledge, file: File, clock: FakeClock
) -> None:
    assert put(repository, "x", "alpha")
    before = file.db.total_changes()
    clock.advance(60)
    assert put(repository, "x", "alpha") is False
    assert file.db.total_changes() == before
    assert repository.documents("default")[0].updated_at == clock.now() - 60_000


def test_deleting_takes_chunks_and_words_along(repository: SqliteKnowledge, file: File) -> None:
    put(repository, "x", "alpha")
    put(repository, "y", "alpha beta")
    assert repository.delete_document("default", "x")
    assert repository.delete_document("default", "x") is False
    assert repository.delete_document("nobase", "y") is False
    assert find(repository, "alpha") == ["alpha beta"]
    check_words(file)


def test_deleting_a_base_takes_everything_along_and_leaves_the_others(repository: SqliteKnowledge, file: File) -> None:
    put(repository, "x", "alpha", base="one")
    put(repository, "x", "alpha", base="two")
    assert repository.delete_base("one")
    assert repository.delete_base("one") is False
    assert (find(repository, "alpha", base="one"), find(repository, "alpha", base="two")) == ([], ["alpha"])
    assert file.reader.execute("SELECT count(*) FROM chunk").get == 1
    check_words(file)


def test_no_deletion_can_pass_the_index_of_words_by(repository: SqliteKnowledge, file: File) -> None:
    put(repository, "x", "alpha")
    for statement in ("DELETE FROM document", "DELETE FROM knowledge_base"):
        with pytest.raises(apsw.ConstraintError):
            with file.transaction() as db:
                db.execute(statement)


def test_a_base_belongs_to_one_model(repository: SqliteKnowledge) -> None:
    base = repository.ensure_base("default", "model", 2)
    assert repository.ensure_base("default", "model", 2) == base
    for model, dimensions in [("other", 2), ("model", 3)]:
        with pytest.raises(KnowledgeError, match=rf"'default' holds vectors of 'model' \(2 dimensions\).*'{model}'"):
            repository.ensure_base("default", model, dimensions)


def test_vectors_of_a_wrong_shape_are_refused(repository: SqliteKnowledge) -> None:
    base = repository.ensure_base("default", "model", 2)
    with pytest.raises(KnowledgeError, match="Vector dimension mismatch: 'x' has 1 chunks"):
        repository.upsert_document(base, document("x"), chunks("alpha"), np.zeros((1, 3), np.float32))


def test_storing_into_a_base_that_changed_hands_is_refused(repository: SqliteKnowledge) -> None:
    base = repository.ensure_base("default", "model", 2)
    repository.delete_base("default")
    with pytest.raises(KnowledgeError, match="was deleted meanwhile"):
        repository.upsert_document(base, document("x"), chunks("alpha"), vectors((1, 0)))
    repository.ensure_base("default", "other", 2)
    with pytest.raises(KnowledgeError, match="holds vectors of 'other'"):
        repository.upsert_document(base, document("x"), chunks("alpha"), vectors((1, 0)))


def test_an_error_in_the_middle_leaves_the_old_version_whole(repository: SqliteKnowledge, file: File) -> None:
    put(repository, "x", "old alpha", "old beta")
    base = repository.ensure_base("default", "model", 2)
    same_key = [ChunkRecord("key", "", 0, 1, "new one"), ChunkRecord("key", "", 1, 2, "new two")]
    with pytest.raises(apsw.ConstraintError):
        repository.upsert_document(base, document("x", "2"), same_key, vectors((1, 0), (1, 0)))
    assert repository.documents("default")[0].record == document("x")
    assert find(repository, "old") == ["old alpha", "old beta"]
    assert find(repository, "new") == []
    check_words(file)


KILLED = """
import os, signal, sys
import numpy as np
from workglow.file import File
from workglow.storage.knowledge import ChunkRecord, DocumentRecord
from workglow.storage.sqlite.knowledge import SqliteKnowledge

file = File.open(sys.argv[1])
repository = SqliteKnowledge(file)

def trace(cursor, sql, bindings):
    if sql.strip().startswith(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return True

file.db.exec_trace = trace
repository.upsert_document(
    repository.base("default"),
    DocumentRecord("x", "new", "text/plain", "n" * 64, {}),
    [ChunkRecord("new", "", 0, 9, "new gamma")],
    np.array([[0, 1]], np.float32),
)
"""


@pytest.mark.parametrize(
    "moment", ["DELETE FROM chunk", "INSERT INTO document", "INSERT INTO chunk (", "INSERT INTO chunk_text (rowid"]
)
def test_a_kill_in_the_middle_leaves_the_old_version_whole(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "notes.wg"
    with File.open(path) as file:
        put(SqliteKnowledge(file), "x", "old alpha", "old beta")
    killed = subprocess.run([sys.executable, "-c", KILLED, path, moment], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with File.open(path) as file:
        repository = SqliteKnowledge(file)
        assert [stored.record for stored in repository.documents("default")] == [document("x")]
        assert find(repository, "old") == ["old alpha", "old beta"]
        assert find(repository, "new") == []
        check_words(file)


def test_vectors_and_words_are_ranked_apart(repository: SqliteKnowledge) -> None:
    base = repository.ensure_base("default", "model", 2)
    pieces = chunks("alpha", "alpha beta and a long rest of other words", "gamma", "nothing")
    repository.upsert_document(base, document("x"), pieces, vectors((0, 1), (1, 0), (0.8, 0.6), (0, 0)))
    found = repository.search("default", np.array([1, 0], np.float32), ["alpha"], depth=50)
    assert {one.chunk.text[:10]: (one.vector_rank, one.word_rank) for one in found} == {
        "alpha": (3, 1),
        "alpha beta": (1, 2),
        "gamma": (2, None),
    }
    nearest = repository.search("default", np.array([1, 0], np.float32), [], depth=1)
    assert [one.chunk.text[:10] for one in nearest] == ["alpha beta"]


def test_a_search_stays_in_its_base(repository: SqliteKnowledge) -> None:
    put(repository, "x", "alpha one", base="one")
    put(repository, "x", "alpha two", base="two")
    found = repository.search("two", np.array([1, 0], np.float32), ["alpha"], depth=50)
    assert [(one.chunk.text, one.vector_rank, one.word_rank) for one in found] == [("alpha two", 1, 1)]


def test_words_are_found_by_stem_accent_and_heading(repository: SqliteKnowledge) -> None:
    base = repository.ensure_base("default", "model", 2)
    repository.upsert_document(
        base, document("x"), chunks("Running naïve tests", place="Install > Linux"), vectors((1, 0))
    )
    for word in ("runs", "NAIVE", "test", "linux"):
        assert find(repository, word) == ["Running naïve tests"]


PIECES = ["alpha", "beta", "near", "AND", "OR", "NOT", "NEAR", "(", ")", '"', "'", "*", "^", "-", ":", "+", "{", "}",
          "text", "place", "rank", "\0", " ", ",", "\ud800", "é", "--", "/*", "%", "_", ";"]  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(st.characters()), max_size=40)
)
def test_no_word_is_ever_a_command(repository: SqliteKnowledge, words: list[str]) -> None:
    put(repository, "x", "nothing of it")
    assert find(repository, *words) in ([], ["nothing of it"])
    assert find(repository, "nothing", *words[:31]) == ["nothing of it"]
    assert find(repository, *words[:31], "nothing") == ["nothing of it"]


def test_a_column_filter_and_a_prefix_are_just_words(repository: SqliteKnowledge) -> None:
    put(repository, "x", "alpha")
    for words in [
        'text : "alpha',
        "place:beta",
        "alph*",
        '"alpha" NOT "alpha"',
        "{text}:",
        "alpha NOT alpha",
        "zeta AND",
    ]:
        assert find(repository, words) == []


def test_a_damaged_vector_is_reported_and_not_guessed(repository: SqliteKnowledge, file: File) -> None:
    put(repository, "x", "alpha")
    with file.transaction() as db:
        db.execute("UPDATE chunk SET vector = x'00010203'")
    with pytest.raises(CorruptValueError, match=r"'default' cannot be searched.*workglow doctor"):
        repository.search("default", np.array([1, 0], np.float32), [], depth=5)


def test_no_extension_can_be_loaded_by_sql(repository: SqliteKnowledge, file: File) -> None:
    put(repository, "x", "alpha")
    find(repository, "alpha")
    for db in (file.reader, file.db):
        with pytest.raises(apsw.SQLError, match="not authorized"):
            db.execute("SELECT load_extension('anything')")
    with pytest.raises(apsw.Error, match="not authorized"):
        file.reader.load_extension("anything")
    with pytest.raises(apsw.SQLError, match="no such function"):
        file.db.execute("SELECT vec_version()")


def test_the_reader_alone_finds_what_a_read_only_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "notes.wg"
    with File.open(path) as file:
        put(SqliteKnowledge(file), "x", "alpha")
    with File.open(path, read_only=True) as file:
        repository = SqliteKnowledge(file)
        assert find(repository, "alpha") == ["alpha"]
        with pytest.raises(FileReadOnlyError):
            put(repository, "y", "beta")


def test_it_works_in_memory(clock: FakeClock) -> None:
    with File.open(":memory:", clock=clock) as file:
        repository = SqliteKnowledge(file)
        put(repository, "x", "alpha")
        assert find(repository, "alpha") == ["alpha"]
        assert put(repository, "x", "beta", version="2")
        assert find(repository, "alpha") == []
        check_words(file)
