"""Where a project file is, and what lies beside it."""

from __future__ import annotations

import os
import stat
from typing import Final

from workglow.errors import FileError, FileReadOnlyError, NotAProjectError
from workglow.values.refusal import is_text

__all__ = [
    "absolute",
    "check_place",
    "check_writable",
    "host_name",
    "identity",
    "log_path",
    "log_size",
    "sync_folder",
]

_LOG_HEADER: Final = 32  # bytes; a shorter write-ahead log holds nothing


def absolute(path: str | os.PathLike[str]) -> str:
    """Return the absolute path, with symbolic links kept; FileError for what is no path."""
    text: str = os.fspath(path)
    if text.startswith(("postgresql://", "postgres://")):
        raise FileError("A project is a file; one in a Postgres database is not built yet.  Give the path of a file.")
    if "\0" in text:
        raise FileError(f"{text!r} is no path: it holds a zero character.")
    if not is_text(text):
        raise FileError(f"{text!r} cannot be opened: the path of a project file is in UTF-8.  Choose another name.")
    return os.path.abspath(text)


def check_place(path: str, *, create: bool) -> bool:
    """Return whether the file exists; refuse a path that can never be a project file, with the reason."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        folder = os.path.dirname(path)
        if not os.path.isdir(folder):
            raise FileError(f"{path} cannot be opened: the folder {folder} does not exist.  Create it first.") from None
        if not create:
            made = f"`workglow run GRAPH --project {os.path.basename(path)}` makes a new file"
            raise FileError(
                f"{path} does not exist.  Check the name.  {made}, and so does wg.open, if it may."
            ) from None
        return False
    except PermissionError:
        raise FileReadOnlyError(f"You may not look into the folder of {path}.  Change its permissions.") from None
    except OSError as error:
        raise FileError(f"{path} cannot be opened: {error.strerror}.  Choose another name.") from None
    if stat.S_ISDIR(found.st_mode):
        raise FileError(f"{path} is a folder.  Give the path of a file in it, such as {path}/notes.wg.")
    if not stat.S_ISREG(found.st_mode):
        raise NotAProjectError(f"{path} is not a regular file.  A project is one ordinary file on a disk.")
    return True


def check_writable(path: str, *, exists: bool) -> None:
    """Refuse a file or folder that this user may not write."""
    folder = os.path.dirname(path)
    for place in (path, folder) if exists else (folder,):
        if not os.access(place, os.W_OK):
            raise FileReadOnlyError(
                f"{path} cannot be opened for writing: you may not write to {place}.  Change its permissions, copy the "
                "file elsewhere, or open it with read_only=True."
            )


def identity(path: str) -> tuple[int, int] | None:
    """Which file a path leads to, whatever it is called; None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def host_name() -> str:
    """What people call this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import platform  # slow to load, and needed on Windows only

    return platform.node()


def log_path(path: str) -> str:
    """Where SQLite keeps the write-ahead log of a file; it follows symbolic links."""
    return os.path.realpath(path) + "-wal"


def log_size(path: str) -> int:
    """Bytes of the write-ahead log, or 0 when there is none or it is too short to hold anything."""
    try:
        size = os.stat(log_path(path)).st_size
    except OSError:
        return 0
    return size if size >= _LOG_HEADER else 0


def sync_folder(path: str) -> None:
    """Wait until the disk knows the name of the file at `path`."""
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
