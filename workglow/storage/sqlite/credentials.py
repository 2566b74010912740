"""Sealed secrets, in the tables `credential_key` and `credential`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.storage.credentials import KeyRecord, SealedCredential
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import apsw

    from workglow.file import File

__all__ = ["SqliteCredentials"]

_KEY = "SELECT salt, cost, nonce, proof FROM credential_key"
_CREDENTIALS = "SELECT name, label, nonce, sealed, created_at, updated_at FROM credential"
_PUT = """
INSERT INTO credential (name, label, nonce, sealed, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (name) DO UPDATE
   SET label = excluded.label, nonce = excluded.nonce, sealed = excluded.sealed, updated_at = excluded.updated_at
"""
_SAVE_KEY = """
INSERT OR REPLACE INTO credential_key (id, salt, cost, nonce, proof, created_at) VALUES (1, ?, ?, ?, ?, ?)
"""


class SqliteCredentials:
    """The sealed secrets of one project file."""

    def __init__(self, file: File) -> None:
        self._file = file

    def key(self) -> KeyRecord | None:
        return next((KeyRecord(*row) for row in _rows(self._file.read(_KEY))), None)

    def begin(self, key: KeyRecord) -> KeyRecord:
        with self._file.transaction() as db:
            for row in _rows(db.execute(_KEY)):
                return KeyRecord(*row)
            self._save(db, key)
        return key

    def put(self, credential: SealedCredential, salt: bytes) -> bool:
        with self._file.transaction() as db:
            if not _is_key(db, salt):
                return False
            found = (credential.name, credential.label, credential.nonce, credential.sealed)
            db.execute(_PUT, (*found, self._file.clock.now()))
        return True

    def get(self, name: str) -> SealedCredential | None:
        if not is_text(name):
            return None
        for row in self._file.read(f"{_CREDENTIALS} WHERE name = ?", (name,)):
            return SealedCredential(*row)
        return None

    def all(self) -> list[SealedCredential]:
        return [SealedCredential(*row) for row in self._file.read(f"{_CREDENTIALS} ORDER BY name")]

    def remove(self, name: str) -> bool:
        if not is_text(name):
            return False
        with self._file.transaction() as db:
            db.execute("DELETE FROM credential WHERE name = ?", (name,))
            return bool(db.changes())

    def replace(self, key: KeyRecord, credentials: Sequence[SealedCredential], salt: bytes) -> bool:
        with self._file.transaction() as db:
            names = [name for (name,) in db.execute("SELECT name FROM credential ORDER BY name")]
            if not _is_key(db, salt) or names != [one.name for one in credentials]:
                return False
            self._save(db, key)
            now = self._file.clock.now()
            db.executemany(_PUT, [(one.name, one.label, one.nonce, one.sealed, now) for one in credentials])
        return True

    def _save(self, db: apsw.Connection, key: KeyRecord) -> None:
        db.execute(_SAVE_KEY, (key.salt, key.cost, key.nonce, key.proof, self._file.clock.now()))


def _rows(found: Iterable[Any]) -> Iterable[tuple[Any, ...]]:
    """The rows, whose types the table's definition promises."""
    return found


def _is_key(db: apsw.Connection, salt: bytes) -> bool:
    return db.execute("SELECT salt FROM credential_key").fetchall() == [(salt,)]
