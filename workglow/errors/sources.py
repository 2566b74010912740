"""What comes from outside: documents, other files and databases, scripts, libraries."""

from __future__ import annotations

from workglow.errors.root import WorkglowError

__all__ = [
    "CredentialError",
    "DocumentError",
    "KnowledgeError",
    "MissingExtraError",
    "OutsideRootsError",
    "ResourceLimitError",
    "ScriptError",
    "SourceError",
]


class KnowledgeError(WorkglowError):
    """Something about documents and search."""


class DocumentError(KnowledgeError):
    """A document cannot be read; the text names it and the reason."""


class SourceError(WorkglowError):
    """A file or database outside the project cannot be read or written; the text names it and the reason."""


class OutsideRootsError(SourceError):
    """A path leads out of the folders that a task may use, by `..`, a symbolic link, or plainly."""


class CredentialError(WorkglowError):
    """A secret is not where its reference says, or cannot be opened; no part of it is in the text."""


class ScriptError(WorkglowError):
    """A script threw, or gave what JSON has not."""


class ResourceLimitError(WorkglowError):
    """A script, a pattern or a query needs more time or memory than it may."""


class MissingExtraError(WorkglowError):
    """An optional library is needed; the text says which extra brings it."""
