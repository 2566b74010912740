"""The bytes of one file, as many as are allowed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from workglow.errors import ResourceLimitError, SourceError
from workglow.file.guard import is_open_database

__all__ = ["LARGEST", "read_bytes", "refuse_open_database"]

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a file that is read unless the caller allows more."""


def read_bytes(path: Path, max_bytes: int = LARGEST) -> bytes:
    """Read a file whose path has been resolved: SourceError when it is none, ResourceLimitError when it is too large.

    A symbolic link that was put there since is not followed, and a pipe is not waited for.
    """
    refuse_open_database(path)
    try:
        with open(path, "rb", opener=_open_plainly) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{path} is not a file.  Give one.")
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.  Check the path and its permissions.") from None
    if len(data) > max_bytes:
        raise ResourceLimitError(f"{path} has more than {max_bytes:,} bytes.  Split it, or give a larger max_bytes.")
    return data


def refuse_open_database(path: Path) -> None:
    """Raise SourceError for a database that this process has open."""
    if is_open_database(path):
        raise SourceError(f"{path} is a database that is open in this process.  A file task may not touch it.")


def _open_plainly(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
