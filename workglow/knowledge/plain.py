"""Plain text from bytes."""

from __future__ import annotations

import codecs
from typing import Final

from workglow.errors import DocumentError
from workglow.knowledge.document import Document

__all__ = ["decode_text", "marked_encoding", "read_text"]

_MARKS: Final = (  # the longer first: UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(data: bytes, name: str, encoding: str | None) -> str:
    """Return the text with '\\n' for every line end: in the given encoding, else as a byte order mark says, else UTF-8.

    Raises DocumentError for bytes that are not a text in that encoding.
    """
    used = encoding or marked_encoding(data) or "utf-8"
    try:
        text = data.decode(used)
    except LookupError:
        raise DocumentError(
            f"{name}: Python knows no text encoding {used!r}.  Try 'utf-8', 'cp1252' or 'latin-1'."
        ) from None
    except UnicodeError as error:
        raise DocumentError(
            f"{name} is not a text in {used} ({error}).  Give its encoding, for instance encoding='cp1252', or convert "
            "it: iconv -f WINDOWS-1252 -t UTF-8."
        ) from None
    if "\0" in text:
        raise DocumentError(
            f"{name} is not a text: it holds NUL at character {text.index(chr(0))}.  If it is one in UTF-16, give "
            "encoding='utf-16-le' or 'utf-16-be'."
        )
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def marked_encoding(data: bytes) -> str | None:
    """The encoding that a byte order mark at the beginning tells, if there is one."""
    return next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)


def read_text(data: bytes, name: str, encoding: str | None) -> Document:
    """Read a plain text."""
    return Document(name, decode_text(data, name, encoding))
