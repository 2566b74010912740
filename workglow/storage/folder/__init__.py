"""Outputs and named graphs in a plain folder: JSON and the bytes beside it, readable in git, safe to share.

Several processes may use one folder.  A file is complete or not there; what cannot be read is told, never guessed.
"""

from __future__ import annotations

from workglow.storage.folder.graphs import FolderGraphs
from workglow.storage.folder.outputs import FolderTaskOutputRepository

__all__ = ["FolderGraphs", "FolderTaskOutputRepository"]
