"""The project file: one SQLite database that many processes may share, and that nothing else in workglow opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.file.copy import copy
from workglow.file.file import Durability, File
from workglow.file.migrations import schema_sql, statements
from workglow.file.session import Session, end_session

if TYPE_CHECKING:
    from workglow.file.description import Info, OpenSession, StoredValue, info
    from workglow.file.examination import Check, Report, doctor

__all__ = [
    "Check",
    "Durability",
    "File",
    "Info",
    "OpenSession",
    "Report",
    "Session",
    "StoredValue",
    "copy",
    "doctor",
    "end_session",
    "info",
    "schema_sql",
    "statements",
]

_LATER = {
    "Check": "examination",
    "Info": "description",
    "OpenSession": "description",
    "Report": "examination",
    "StoredValue": "description",
    "doctor": "examination",
    "info": "description",
}


def __getattr__(name: str) -> object:
    """Load what only looks at files when it is first asked for: a program that runs a workflow never needs it."""
    from importlib import import_module

    if name not in _LATER:
        raise AttributeError(f"module 'workglow.file' has no attribute '{name}'")
    return getattr(import_module(f"workglow.file.{_LATER[name]}"), name)
