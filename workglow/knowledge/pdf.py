"""PDF: the text of each page, as far as the file has one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from workglow.errors import DocumentError, MissingExtraError
from workglow.knowledge.document import Document, Section

try:
    from pypdf import PdfReader
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "Reading PDF needs pypdf, which is not installed: pip install 'workglow[local]'."
    ) from error

if TYPE_CHECKING:
    from pypdf import PageObject

__all__ = ["read_pdf"]

_MOST_CHARACTERS: Final = 50_000_000  # a small file can unfold into any amount of text
_MOST_PAGES: Final = 50_000


def read_pdf(data: bytes, name: str, _encoding: str | None) -> Document:
    """Read a PDF.  The sections are its pages, 'page 1' being the first in the file."""
    try:
        return _read(data, name)
    except DocumentError:
        raise
    except Exception as error:  # pypdf raises nearly anything for a file that is not quite a PDF
        raise DocumentError(
            f"{name} cannot be read as a PDF: {error or type(error).__name__}.  Open it in a viewer and print it to a "
            "new PDF, or mend it: qpdf broken.pdf mended.pdf."
        ) from error


def _read(data: bytes, name: str) -> Document:
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):  # many files are locked with an empty password
        raise DocumentError(
            f"{name} is encrypted.  Save it without its password: qpdf --decrypt --password=… in.pdf out.pdf."
        )
    if len(reader.pages) > _MOST_PAGES:
        raise DocumentError(f"{name} says it has {len(reader.pages)} pages; more than {_MOST_PAGES} are not read.")
    pieces: list[str] = []
    sections: list[Section] = []
    at = 0
    for number, page in enumerate(reader.pages, 1):
        text = _text_of(page)
        if not text:
            continue
        pieces.append(text)
        sections.append(Section(f"page {number}", at, at + len(text), "page"))
        at += len(text) + 1
        if at > _MOST_CHARACTERS:
            raise DocumentError(f"{name} holds more than {_MOST_CHARACTERS:,} characters; split it into several files.")
    if not sections:
        raise DocumentError(
            f"{name} has no text in its {len(reader.pages)} pages; it is probably a scan.  Recognise its text first: "
            "ocrmypdf scan.pdf text.pdf."
        )
    return Document(name, "\n".join(pieces), _title(reader), "application/pdf", tuple(sections))


def _text_of(page: PageObject) -> str:
    # Fonts without a table of characters give half characters and NULs.
    text = page.extract_text().replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode().strip()


def _title(reader: PdfReader) -> str:
    title = reader.metadata.title if reader.metadata else None
    return " ".join(title.replace("\0", "").encode("utf-8", "replace").decode().split()) if title else ""
