"""The repositories of a project file.  All SQL of the package is in here and in schema/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.storage.repositories import Repositories
from workglow.storage.sqlite.graphs import SqliteGraphs
from workglow.storage.sqlite.named import SqliteNamedGraphs
from workglow.storage.sqlite.outputs import SqliteOutputs
from workglow.storage.sqlite.runs import SqliteRuns
from workglow.storage.sqlite.settings import SqliteSettings
from workglow.storage.sqlite.values import SqliteValues
from workglow.storage.sqlite.waiting import SqliteWaiting

if TYPE_CHECKING:
    from workglow.file import File

__all__ = ["sqlite_repositories"]


def sqlite_repositories(file: File) -> Repositories:
    """Return everything that a project file keeps."""
    outputs = SqliteOutputs(file)
    runs = SqliteRuns(file, on_commit=outputs.committed)
    return Repositories(
        file.uid,
        SqliteGraphs(file),
        runs,
        outputs,
        SqliteValues(file),
        SqliteSettings(file),
        SqliteWaiting(file),
        SqliteNamedGraphs(file),
    )
