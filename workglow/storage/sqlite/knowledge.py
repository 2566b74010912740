# apsw's type stubs name collections.abc.Buffer, which Python 3.11 lacks: what goes through it has no known type.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false
"""Knowledge bases in the project file: sqlite-vec measures vectors, FTS5 finds words.

The index of words (`chunk_text`) holds no text of its own, so it can forget a chunk only while it is told the text that
it indexed.  Connections to a project file have no triggers; therefore every deletion of chunks here first says 'delete'
to the index, in the same transaction.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

import apsw

from workglow.errors import CorruptValueError, KnowledgeError
from workglow.storage.knowledge import BaseRecord, ChunkRecord, DocumentRecord, FoundChunk, StoredDocument

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from workglow.file import File

__all__ = ["SqliteKnowledge"]

_MOST_WORDS: Final = 32  # in one search; FTS5 refuses expressions deeper than 256
_LONGEST_WORD: Final = 100  # characters

_FORGET_WORDS = """
INSERT INTO chunk_text (chunk_text, rowid, text, place)
SELECT 'delete', id, text, place FROM chunk WHERE document_id = ?
"""
_INDEX_WORDS = """
INSERT INTO chunk_text (rowid, text, place)
SELECT id, text, place FROM chunk WHERE document_id = ? ORDER BY id
"""
_UPSERT_DOCUMENT = """
INSERT INTO document (base_id, name, title, media_type, hash, metadata, updated_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (base_id, name) DO UPDATE
   SET title = excluded.title, media_type = excluded.media_type, hash = excluded.hash,
       metadata = excluded.metadata, updated_at = excluded.updated_at
RETURNING id
"""
_INSERT_CHUNK = """
INSERT INTO chunk (document_id, position, key, place, start_at, end_at, text, vector)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT_DOCUMENTS = """
SELECT document.name, title, media_type, hash, metadata, updated_at,
       (SELECT count(*) FROM chunk WHERE document_id = document.id)
  FROM document JOIN knowledge_base ON knowledge_base.id = base_id
 WHERE knowledge_base.name = ?
"""
# One statement, so that both lists and the texts are of the same moment.  The distance of a zero vector is NULL.
_SEARCH = """
WITH
  here AS MATERIALIZED (
    SELECT document.id FROM document JOIN knowledge_base ON knowledge_base.id = base_id
     WHERE knowledge_base.name = :base
  ),
  near AS MATERIALIZED (
    SELECT id, vec_distance_cosine(vector, :vector) AS distance
      FROM chunk
     WHERE document_id IN (SELECT id FROM here)
     ORDER BY distance NULLS LAST, id LIMIT :depth
  ),
  worded AS MATERIALIZED (
    SELECT chunk.id, chunk_text.rank AS score
      FROM chunk_text CROSS JOIN chunk ON chunk.id = chunk_text.rowid
     WHERE chunk_text MATCH :words AND document_id IN (SELECT id FROM here)
     ORDER BY chunk_text.rank LIMIT :depth
  ),
  by_vector AS (
    SELECT id, row_number() OVER (ORDER BY distance, id) AS place FROM near WHERE distance IS NOT NULL
  ),
  by_words AS (
    SELECT id, row_number() OVER (ORDER BY score, id) AS place FROM worded
  )
SELECT document.name, title, key, chunk.place, start_at, end_at, text, by_vector.place, by_words.place
  FROM (SELECT id FROM by_vector UNION SELECT id FROM by_words) AS found
  JOIN chunk ON chunk.id = found.id
  JOIN document ON document.id = document_id
  LEFT JOIN by_vector ON by_vector.id = found.id
  LEFT JOIN by_words ON by_words.id = found.id
 ORDER BY found.id
"""


class SqliteKnowledge:
    """The knowledge bases of one file."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._reading = threading.Lock()
        self._measuring: apsw.Connection | None = None

    def bases(self) -> list[BaseRecord]:
        rows = self._rows("SELECT name, model, dimensions, created_at FROM knowledge_base ORDER BY name")
        return [BaseRecord(*row) for row in rows]

    def base(self, name: str) -> BaseRecord | None:
        rows = self._rows("SELECT name, model, dimensions, created_at FROM knowledge_base WHERE name = ?", (name,))
        return BaseRecord(*rows[0]) if rows else None

    def ensure_base(self, name: str, model: str, dimensions: int) -> BaseRecord:
        known = self.base(name)
        if known is None:
            with self._file.transaction() as db:
                db.execute(
                    """
                    INSERT INTO knowledge_base (name, model, dimensions, created_at) VALUES (?, ?, ?, ?)
                    ON CONFLICT (name) DO NOTHING
                    """,
                    (name, model, dimensions, self._file.clock.now()),
                )
            known = self.base(name)
        if known is None or (known.model, known.dimensions) != (model, dimensions):
            raise _mismatch(name, known, model, dimensions)
        return known

    def delete_base(self, name: str) -> bool:
        with self._file.transaction() as db:
            found = db.execute("SELECT id FROM knowledge_base WHERE name = ?", (name,)).fetchone()
            if found is None:
                return False
            for (document_id,) in db.execute("SELECT id FROM document WHERE base_id = ?", found).fetchall():
                _delete_chunks(db, document_id)
            db.execute("DELETE FROM document WHERE base_id = ?", found)
            db.execute("DELETE FROM knowledge_base WHERE id = ?", found)
        return True

    def documents(self, base: str) -> list[StoredDocument]:
        return [_stored(row) for row in self._rows(f"{_SELECT_DOCUMENTS} ORDER BY document.name", (base,))]

    def document(self, base: str, name: str) -> StoredDocument | None:
        rows = self._rows(f"{_SELECT_DOCUMENTS} AND document.name = ?", (base, name))
        return _stored(rows[0]) if rows else None

    def chunks(self, base: str, name: str) -> list[tuple[ChunkRecord, NDArray[np.float32]]]:
        rows = self._rows(
            """
            SELECT key, place, start_at, end_at, text, vector
              FROM chunk
             WHERE document_id = (SELECT document.id
                                    FROM document JOIN knowledge_base ON knowledge_base.id = base_id
                                   WHERE knowledge_base.name = ? AND document.name = ?)
             ORDER BY position
            """,
            (base, name),
        )
        import numpy as np

        return [(ChunkRecord(*row[:-1]), np.frombuffer(row[-1], "<f4")) for row in rows]

    def upsert_document(
        self, base: BaseRecord, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: NDArray[np.float32]
    ) -> bool:
        if vectors.shape != (len(chunks), base.dimensions):
            raise KnowledgeError(
                f"Vector dimension mismatch: {document.name!r} has {len(chunks)} chunks, and the vectors of "
                f"{base.name!r} have {base.dimensions} dimensions; an array of shape {vectors.shape} was given."
            )
        rows = [
            (position, chunk.key, chunk.place, chunk.start, chunk.end, chunk.text, vector.tobytes())
            for position, (chunk, vector) in enumerate(zip(chunks, vectors.astype("<f4", copy=False), strict=True))
        ]
        metadata = json.dumps(dict(document.metadata), ensure_ascii=False)
        with self._file.transaction() as db:
            base_id = _base_id(db, base)
            stored = db.execute(
                "SELECT id, hash FROM document WHERE base_id = ? AND name = ?", (base_id, document.name)
            ).fetchone()
            if stored is not None:
                if stored[1] == document.hash:
                    return False
                _delete_chunks(db, stored[0])
            described = (document.name, document.title, document.media_type, document.hash, metadata)
            document_id = db.execute(_UPSERT_DOCUMENT, (base_id, *described, self._file.clock.now())).get
            db.executemany(_INSERT_CHUNK, ((document_id, *row) for row in rows))
            db.execute(_INDEX_WORDS, (document_id,))
        return True

    def delete_document(self, base: str, name: str) -> bool:
        with self._file.transaction() as db:
            found = db.execute(
                """
                SELECT document.id FROM document JOIN knowledge_base ON knowledge_base.id = base_id
                 WHERE knowledge_base.name = ? AND document.name = ?
                """,
                (base, name),
            ).fetchone()
            if found is None:
                return False
            _delete_chunks(db, found[0])
            db.execute("DELETE FROM document WHERE id = ?", found)
        return True

    def count_chunks(self, base: str) -> int:
        rows = self._rows(
            """
            SELECT count(*)
              FROM chunk
              JOIN document ON document.id = document_id
              JOIN knowledge_base ON knowledge_base.id = base_id
             WHERE knowledge_base.name = ?
            """,
            (base,),
        )
        return rows[0][0]

    def search(self, base: str, vector: NDArray[np.float32], words: Sequence[str], *, depth: int) -> list[FoundChunk]:
        sought = {
            "base": base,
            "vector": vector.astype("<f4", copy=False).tobytes(),
            "words": _match_expression(words),
            "depth": depth,
        }
        try:
            with self._reading:
                rows = self._measuring_reader().execute(_SEARCH, sought).fetchall()
        except apsw.SQLError as error:  # the statement never changes, so it is the vectors that sqlite-vec cannot read
            raise CorruptValueError(
                f"The knowledge base {base!r} cannot be searched: {error}  Either the query has not the length of its "
                f"vectors, or a stored one is damaged: run `workglow doctor {self._file.path}`."
            ) from error
        return [FoundChunk(row[0], row[1], ChunkRecord(*row[2:7]), row[7], row[8]) for row in rows]

    def _rows(self, statement: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        with self._reading:  # apsw refuses a connection that another thread is using, rather than wait for it
            return self._file.reader.execute(statement, values).fetchall()

    def _measuring_reader(self) -> apsw.Connection:
        """Return the reader with sqlite-vec's functions.  No SQL can load an extension, before or after."""
        reader = self._file.reader
        if reader is not self._measuring:
            import sqlite_vec  # pyright: ignore[reportMissingTypeStubs]

            reader.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1)  # for this call only, and not for SQL at all
            try:
                reader.load_extension(sqlite_vec.loadable_path())
            finally:
                reader.config(apsw.SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0)
            self._measuring = reader
        return reader


def _base_id(db: apsw.Connection, base: BaseRecord) -> int:
    row = db.execute("SELECT id, model, dimensions FROM knowledge_base WHERE name = ?", (base.name,)).fetchone()
    if row is None:
        raise KnowledgeError(f"The knowledge base {base.name!r} was deleted meanwhile.  Add the document again.")
    if row[1:] != (base.model, base.dimensions):
        raise _mismatch(base.name, BaseRecord(base.name, row[1], row[2], 0), base.model, base.dimensions)
    return row[0]


def _delete_chunks(db: apsw.Connection, document_id: int) -> None:
    db.execute(_FORGET_WORDS, (document_id,))
    db.execute("DELETE FROM chunk WHERE document_id = ?", (document_id,))


def _match_expression(words: Sequence[str]) -> str:
    """Return an FTS5 expression that any of the words fits.

    Between quotes nothing is a command to FTS5; a quote is doubled, and NUL would end the expression.
    """
    short = (word[:_LONGEST_WORD].replace("\0", " ") for word in words[:_MOST_WORDS])
    plain = (word.encode("utf-8", "replace").decode() for word in short)
    return " OR ".join('"' + word.replace('"', '""') + '"' for word in plain) or '""'


def _stored(row: tuple[str, str, str, str, str, int, int]) -> StoredDocument:
    name, title, media_type, hash, metadata, updated_at, chunks = row
    return StoredDocument(DocumentRecord(name, title, media_type, hash, json.loads(metadata)), chunks, updated_at)


def _mismatch(name: str, known: BaseRecord | None, model: str, dimensions: int) -> KnowledgeError:
    if known is None:
        return KnowledgeError(f"The knowledge base {name!r} was deleted meanwhile.  Add the document again.")
    return KnowledgeError(
        f"The knowledge base {name!r} holds vectors of {known.model!r} ({known.dimensions} dimensions); those of "
        f"{model!r} ({dimensions}) mean something else and cannot be compared with them.  Use {known.model!r}, or give "
        "the new base another name."
    )
