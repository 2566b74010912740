"""A file's first 100 bytes, read before SQLite gets to see the file.

They are read through SQLite's own file layer, never with `open()`: closing any descriptor of a file drops every POSIX
lock this process has on it, and with them the locks of a connection that is open elsewhere in the process.  SQLite
keeps count of its descriptors by inode and delays such a close.
"""

from __future__ import annotations

from typing import NamedTuple

import apsw

from workglow.errors import FileError, FileReadOnlyError, NewerFileError, NotAProjectError
from workglow.file.pragmas import APPLICATION_ID

__all__ = ["Header", "check_header", "read_header"]

_MAGIC = b"SQLite format 3\0"


class Header(NamedTuple):
    """What a file says it is."""

    application_id: int
    user_version: int


def read_header(path: str, vfs: str = "") -> Header | None:
    """Return what the file says of itself, or None when it is empty."""
    try:
        file = apsw.VFSFile(vfs, path, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    except apsw.CantOpenError:
        raise FileReadOnlyError(f"You may not read {path}.  Change its permissions.") from None
    try:
        size = file.xFileSize()
        if size == 0:
            return None
        data = file.xRead(min(size, 100), 0)
    except apsw.IOError as error:
        raise FileError(f"Reading {path} failed ({error}).  Check the disk.") from error
    finally:
        file.xClose()
    if len(data) < 100 or data[:16] != _MAGIC:
        raise NotAProjectError(f"{path} is not a workglow project, nor any SQLite file.  It was not touched.")
    return Header(int.from_bytes(data[68:72], "big"), int.from_bytes(data[60:64], "big"))


def check_header(path: str, header: Header, known: int) -> None:
    """Refuse another program's file, and one with more than the `known` migrations."""
    if header.application_id != APPLICATION_ID and header != (0, 0):
        raise NotAProjectError(f"{path} is another program's SQLite file, not a workglow project.  It was not touched.")
    if header.application_id == APPLICATION_ID and header.user_version > known:
        raise NewerFileError(
            f"{path} was written by a newer workglow: its format is number {header.user_version}, this one knows up to "
            f"{known}.  It was not touched.  Update workglow to open it."
        )
