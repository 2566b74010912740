"""Files as documents.  Reading one never executes, fetches or follows anything that is in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from workglow.errors import DocumentError
from workglow.file.guard import is_open_database
from workglow.knowledge.document import Document

__all__ = ["LARGEST", "SUFFIXES", "find_documents", "load_document"]

LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a file that is read unless the caller allows more."""

SUFFIXES: Final = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".rst": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".htm": "text/html",
    ".html": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
}
"""What a file is, by the end of its name."""

_Reader = Callable[[bytes, str, "str | None"], Document]


def load_document(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    media_type: str | None = None,
    encoding: str | None = None,
    max_bytes: int = LARGEST,
) -> Document:
    """Read a text, Markdown, HTML or PDF file.

    `name` is what the document will be called, by default the path as given.  `media_type` decides how to read it, by
    default the suffix does.  `encoding` is that of a text; by default it is found out, and UTF-8 when nothing tells.

    Raises DocumentError, which names the file and the remedy: not there, a folder, unknown, empty, too large, damaged,
    encrypted, not a text, without a text.  Raises MissingExtraError when the format's library is not installed.
    """
    place = os.fspath(path)
    reader = _reader(place, media_type or SUFFIXES.get(Path(place).suffix.lower()))
    data = _bytes_of(place, max_bytes)
    if not data.strip():
        raise DocumentError(f"{place} is empty.  Leave it out.")
    document = reader(data, name or place, encoding)
    if not document.text.strip():
        raise DocumentError(f"{place} holds nothing but white space.  Leave it out.")
    return document


def find_documents(folder: str | os.PathLike[str]) -> list[str]:
    """Return the paths of all files under a folder that `load_document` reads, sorted.

    What is hidden (its name begins with a dot) is skipped, folders behind symbolic links too.  Raises DocumentError for
    a symbolic link that leads out of the folder: following it could publish files that nobody meant to add.
    """
    root = os.fspath(folder)
    if not Path(root).is_dir():
        raise DocumentError(f"{root} is not a folder.  Give one, or load the file itself.")
    inside = Path(root).resolve()
    found: list[str] = []
    for place, folders, files in os.walk(root, onerror=_unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in (*folders, *files):
            _refuse_way_out(Path(place, name), inside)
        found.extend(
            os.path.join(place, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        )
    return sorted(found)


def _refuse_way_out(path: Path, inside: Path) -> None:
    if not path.is_symlink() or path.name.startswith("."):
        return
    try:
        target = path.resolve(strict=False)
    except (OSError, RuntimeError):  # a link that leads to itself
        target = path
    if not target.is_relative_to(inside):
        raise DocumentError(
            f"{path} is a symbolic link out of its folder, to {target}.  Remove it, or add {target} by itself."
        )


def _unreadable(error: OSError) -> None:
    raise DocumentError(f"{error.filename} cannot be read: {error.strerror}.  Change its permissions, or move it.")


def _reader(place: str, media_type: str | None) -> _Reader:
    """Import the one module that reads the type."""
    if media_type == "text/plain":
        from workglow.knowledge.plain import read_text as reader
    elif media_type == "text/markdown":
        from workglow.knowledge.markdown import read_markdown as reader
    elif media_type in {"text/html", "application/xhtml+xml"}:
        from workglow.knowledge.html import read_html as reader
    elif media_type == "application/pdf":
        from workglow.knowledge.pdf import read_pdf as reader
    elif Path(place).is_dir():
        raise DocumentError(f"{place} is a folder.  Give a file, or add all that is in it with add_folder().")
    else:
        known = " ".join(SUFFIXES)
        what = f"of the type {media_type!r}" if media_type else f"with a name ending in {Path(place).suffix!r}"
        raise DocumentError(
            f"{place}: files {what} cannot be read; those that can end in {known}.  If it is one of them under another "
            "name, give media_type='text/plain', 'text/markdown', 'text/html' or 'application/pdf'."
        )
    return reader


def _bytes_of(place: str, max_bytes: int) -> bytes:
    if is_open_database(place):
        raise DocumentError(f"{place} is a database that is open in this process.  Leave it out.")
    try:
        with open(place, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DocumentError(f"{place} is not a file but a pipe or a device.  Give a file.")
            if status.st_size > max_bytes:
                raise DocumentError(
                    f"{place} has {status.st_size:,} bytes, more than the {max_bytes:,} allowed.  Split it, or give a "
                    "larger max_bytes."
                )
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise DocumentError(
            f"{place} cannot be read: {getattr(error, 'strerror', None) or error}.  Check the path and its permissions."
        ) from None
    if len(data) > max_bytes:
        raise DocumentError(f"{place} grew beyond {max_bytes:,} bytes while it was read.  Try again.")
    return data


def _open_without_waiting(place: str, flags: int) -> int:
    return os.open(place, flags | os.O_NONBLOCK)  # a named pipe would wait for its writer for ever
