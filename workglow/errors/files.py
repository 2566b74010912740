"""Something about the project file."""

from __future__ import annotations

from workglow.errors.root import WorkglowError

__all__ = [
    "EventsLostError",
    "FileCorruptError",
    "FileError",
    "FileFullError",
    "FileLockedError",
    "FileLostError",
    "FileReadOnlyError",
    "HalfCopyError",
    "NewerFileError",
    "NotAProjectError",
]


class EventsLostError(WorkglowError):
    """Changes that a reader asked for are not kept any more; it can go on from number `first`, None: none are kept."""

    def __init__(self, message: str, *, first: int | None) -> None:
        super().__init__(message)
        self.first = first


class FileError(WorkglowError):
    """Something about the project file."""


class NotAProjectError(FileError):
    """The file is not a workglow project."""


class NewerFileError(FileError):
    """The file was written by a newer workglow; it was not touched."""


class HalfCopyError(FileError):
    """The file was copied while in use, without what its write-ahead log held."""


class FileLockedError(FileError):
    """Another process, or another thread of this one (`here`), held the file's write lock for too long."""

    here = False


class FileFullError(FileError):
    """The disk is full; everything committed before is safe."""


class FileReadOnlyError(FileError):
    """The file or its folder cannot be written."""


class FileLostError(FileError):
    """The file was deleted, moved away or replaced while it was open; nothing more is written to it."""


class FileCorruptError(FileError):
    """The file is damaged, or contradicts itself."""
