"""What SQLite reports, in words that say what to do next."""

from __future__ import annotations

from typing import Final

import apsw

from workglow.errors import FileCorruptError, FileError, FileFullError, FileLockedError, FileReadOnlyError

__all__ = ["explain"]

_WORDS: Final[tuple[tuple[tuple[type[apsw.Error], ...], type[FileError], str], ...]] = (
    (
        (apsw.FullError,),
        FileFullError,
        "The disk that holds {path} is full.  This transaction was undone, everything before it is kept.  "
        "Free some space and try again.",
    ),
    (
        (apsw.BusyError, apsw.LockedError),
        FileLockedError,
        "Another process holds a lock on {path} ({error}).  Try again; `workglow info` shows who has the file open.",
    ),
    (
        (apsw.ReadOnlyError,),
        FileReadOnlyError,
        "{path} or its folder cannot be written ({error}).  Change the permissions, or open it with read_only=True.",
    ),
    (
        (apsw.CorruptError, apsw.NotADBError),
        FileCorruptError,
        "{path} is damaged ({error}).  `workglow doctor` says where; restore a backup or an older copy.",
    ),
    (
        (apsw.CantOpenError,),
        FileError,
        "{path} cannot be opened ({error}).  Check that you may read and write the file and its folder.",
    ),
    (
        (apsw.IOError,),
        FileError,
        "Reading or writing {path} failed ({error}).  What was committed before is kept; check the disk, then run "
        "`workglow doctor`.",
    ),
)


def explain(error: BaseException, path: str) -> FileError | None:
    """Return the error to raise from SQLite's `error`, or None when it is not about the file."""
    for causes, kind, text in _WORDS:
        if isinstance(error, causes):
            return kind(text.format(path=path, error=error))
    return None
