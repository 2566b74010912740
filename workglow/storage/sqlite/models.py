"""The catalogue of models, in the table `model`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from workglow.storage.models import StoredModel
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    from workglow.file import File

__all__ = ["SqliteModels"]

_MODEL: Final = "SELECT name, provider, record, seal FROM model"


class SqliteModels:
    """The models of one file."""

    def __init__(self, file: File) -> None:
        self._file = file

    def add(self, model: StoredModel) -> bool:
        now = self._file.clock.now()
        with self._file.transaction(sync=True) as db:
            db.execute(
                "INSERT INTO model (name, provider, record, seal, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (name) DO NOTHING",
                (model.name, model.provider, model.record, model.seal, now, now),
            )
            return db.changes() > 0

    def update(self, model: StoredModel) -> bool:
        with self._file.transaction(sync=True) as db:
            db.execute(
                "UPDATE model SET provider = ?, record = ?, seal = ?, updated_at = ? WHERE name = ?",
                (model.provider, model.record, model.seal, self._file.clock.now(), model.name),
            )
            return db.changes() > 0

    def remove(self, name: str) -> bool:
        if not is_text(name):
            return False
        with self._file.transaction(sync=True) as db:
            db.execute("DELETE FROM model WHERE name = ?", (name,))
            return db.changes() > 0

    def get(self, name: str) -> StoredModel | None:
        row: Any = self._file.look_up(_MODEL + " WHERE name = ?", (name,)) if is_text(name) else None
        return None if row is None else StoredModel(*row)

    def all(self) -> list[StoredModel]:
        rows: list[Any] = self._file.reader.execute(_MODEL + " ORDER BY name").fetchall()
        return [StoredModel(*row) for row in rows]
