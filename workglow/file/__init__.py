"""The project file: one SQLite database that many processes may share, and that nothing else in workglow opens."""

from __future__ import annotations

from workglow.file.copy import copy
from workglow.file.file import Durability, File
from workglow.file.migrations import schema_sql, statements
from workglow.file.session import Session, end_session

__all__ = ["Durability", "File", "Session", "copy", "end_session", "schema_sql", "statements"]
