"""HTML: the text a reader sees, and its headings.  Nothing is fetched and no script runs."""

from __future__ import annotations

import codecs
import re
import warnings
from typing import TYPE_CHECKING, Final

from workglow.errors import DocumentError, MissingExtraError
from workglow.knowledge.document import Document, Section
from workglow.knowledge.outline import Outline
from workglow.knowledge.plain import decode_text, marked_encoding

try:
    from bs4 import BeautifulSoup
    from bs4.dammit import EncodingDetector
    from bs4.element import NavigableString, PageElement, PreformattedString, Tag
    from bs4.exceptions import ParserRejectedMarkup
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "Reading HTML needs beautifulsoup4, which is not installed: pip install 'workglow[local]'."
    ) from error

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_html"]

_UNSEEN: Final = re.compile(
    "audio|canvas|head|iframe|math|noscript|object|script|select|style|svg|template|textarea|title|video"
)
_PARAGRAPH: Final = re.compile(
    "address|article|aside|blockquote|body|caption|dd|details|div|dl|dt|fieldset|figcaption|figure|footer|form|h[1-6r]"
    "|header|li|main|nav|ol|p|pre|section|summary|table|ul"
)
_LINES: Final = frozenset(["br", "tr"])
_CELLS: Final = frozenset(["td", "th"])
_HEADING: Final = re.compile(r"h([1-6])")
_LONGEST_HEADING: Final = 300
# What opens something, and what alone can close it.
_OPENINGS: Final = (
    (re.compile(r"<!--"), re.compile(r"-->")),
    (re.compile(r"<!\[(?!(?:if|else|endif)\b)", re.IGNORECASE), re.compile(r"]\s*]\s*>")),
    (re.compile(r"<!\["), re.compile(r"]\s*>")),
    (re.compile(r"<"), re.compile(r">")),
)
# Encodings of pages; Python knows others, of which some are no encodings of texts and some take for ever.
_OF_PAGES: Final = re.compile(r"utf-8|cp\d+|iso8859-\d+|koi8-[rtu]|shift_jis|euc_\w+|gb\w+|big5\w*|tis-620|iso2022_jp")
_CORRECTED: Final = {"iso8859-1": "cp1252", "ascii": "cp1252", "utf-16": "utf-8"}  # by the HTML standard
_PRESCAN: Final = 4096


def read_html(data: bytes, name: str, encoding: str | None) -> Document:
    """Read HTML: in the given encoding, else in the one it declares, else in UTF-8 or Windows-1252, as browsers do."""
    text = _decoded(data, name, encoding)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Beautiful Soup wonders aloud whether this is a file name, or XML
            soup = BeautifulSoup(_without_open_ends(text), "html.parser")
    except (ParserRejectedMarkup, RecursionError) as error:
        raise DocumentError(f"{name} cannot be read as HTML: {error}.  Save it again from a browser.") from error
    page = _Page()
    page.read(soup)
    titled = soup.find("title")
    title = " ".join(titled.get_text().split()) if titled else ""
    body, sections = page.result()
    if not body.strip():
        raise DocumentError(f"{name} shows no text.  A page that a script fills must be saved from a browser first.")
    return Document(name, body, title or page.outline.title, "text/html", sections)


def _decoded(data: bytes, name: str, encoding: str | None) -> str:
    if encoding or marked_encoding(data):
        return decode_text(data, name, encoding)
    for candidate in (*_declared(data), "utf-8", "cp1252"):
        try:
            return decode_text(data, name, candidate)
        except DocumentError:
            continue
    return decode_text(data, name, "latin-1")


def _declared(data: bytes) -> list[str]:
    declared = EncodingDetector.find_declared_encoding(data[:_PRESCAN], is_html=True, search_entire_document=True)
    try:
        known = codecs.lookup(declared).name if declared else ""
    except LookupError:
        return []
    known = _CORRECTED.get(known, known)
    return [known] if _OF_PAGES.fullmatch(known) else []


def _without_open_ends(text: str) -> str:
    """Make plain text of what opens and is never closed.

    At each such place, the standard library's parser (before Python 3.11.14 and 3.13.6) reads the rest of the text
    again: a megabyte of '<!--' takes it an hour.
    """
    for opening, closing in _OPENINGS:
        end = 0
        for match in closing.finditer(text):
            end = match.end()
        text = text[:end] + opening.sub(lambda match: "&lt;" + match[0][1:], text[end:])
    return text


class _Page:
    """Walks the tree without recursion, for a hostile page is ten thousand levels deep."""

    def __init__(self) -> None:
        self.outline = Outline()
        self._pieces: list[str] = []
        self._length = 0
        self._gap = ""  # white space that is due before the next words
        self._heading: tuple[int, int, int] | None = None  # level, length and number of pieces where it began

    def read(self, root: Tag) -> None:
        steps: list[tuple[Iterator[PageElement], Tag]] = [(iter(root.contents), root)]
        preformatted = 0
        while steps:
            children, tag = steps[-1]
            child = next(children, None)
            if child is None:
                steps.pop()
                preformatted -= tag.name == "pre"
                self._close(tag.name)
            elif isinstance(child, Tag):
                if not _UNSEEN.fullmatch(child.name):
                    steps.append((iter(child.contents), child))
                    preformatted += child.name == "pre"
                    self._open(child.name)
            elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
                self._add(child, preformatted > 0)

    def result(self) -> tuple[str, tuple[Section, ...]]:
        """Return the text and its sections."""
        return "".join(self._pieces), self.outline.sections(lambda at: at, self._length)

    def _open(self, tag: str) -> None:
        if _PARAGRAPH.fullmatch(tag):
            self._gap = "\n\n"
        elif tag in _LINES and self._gap != "\n\n":
            self._gap = "\n"
        elif tag in _CELLS and "\n" not in self._gap:
            self._gap = " | "
        heading = _HEADING.fullmatch(tag)
        if heading:
            self._heading = (int(heading[1]), self._length, len(self._pieces))

    def _close(self, tag: str) -> None:
        if _PARAGRAPH.fullmatch(tag):
            self._gap = "\n\n"
        if self._heading is not None and _HEADING.fullmatch(tag):
            level, length, pieces = self._heading
            self._heading = None
            words = " ".join("".join(self._pieces[pieces:]).split())
            # The white space before the heading still belongs to what was before.
            space = len(self._pieces[pieces]) - len(self._pieces[pieces].lstrip()) if words else 0
            self.outline.open(level, words[:_LONGEST_HEADING], length + space)

    def _add(self, text: str, preformatted: bool) -> None:
        plain = text.replace("\0", "\ufffd")
        words = plain if preformatted else " ".join(plain.split())
        if words:
            space = " " if plain[0].isspace() and not preformatted else ""
            piece = (self._gap or space) + words if self._pieces else words
            self._pieces.append(piece)
            self._length += len(piece)
            self._gap = ""
        if plain and plain[-1].isspace() and not preformatted:
            self._gap = self._gap or " "
