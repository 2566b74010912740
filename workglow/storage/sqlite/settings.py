"""What the owner of a project set for it, as JSON in the row of table `project`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from workglow.file import File

__all__ = ["SqliteSettings"]

_SETTINGS = "SELECT settings FROM project"


class SqliteSettings:
    """The settings of one file, by name."""

    def __init__(self, file: File) -> None:
        self._file = file

    def get(self, name: str) -> object:
        """Return a setting; None when it was never set."""
        ((text,),) = self._file.read(_SETTINGS)
        return _settings(text).get(name)

    def set(self, name: str, value: object) -> None:
        """Keep a setting; None forgets it."""
        with self._file.transaction(sync=True) as db:
            settings = _settings(db.execute(_SETTINGS).get)
            settings[name] = value
            kept = {name: value for name, value in settings.items() if value is not None}
            db.execute("UPDATE project SET settings = ?", (msgspec.json.encode(kept).decode(),))


def _settings(text: str) -> dict[str, Any]:
    found: object = msgspec.json.decode(text)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
