"""The project file: one SQLite database that many processes may share, and that nothing else in workglow opens."""

from __future__ import annotations

from workglow.file.copy import copy
from workglow.file.doctor import Check, Report, doctor
from workglow.file.file import Durability, File
from workglow.file.info import Info, info
from workglow.file.migrations import schema_sql, statements
from workglow.file.session import Session, end_session

__all__ = [
    "Check",
    "Durability",
    "File",
    "Info",
    "Report",
    "Session",
    "copy",
    "doctor",
    "end_session",
    "info",
    "schema_sql",
    "statements",
]
