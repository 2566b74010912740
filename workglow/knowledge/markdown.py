"""Markdown: the text stays as it was written, so that offsets fit the file; headings become sections."""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

from workglow.errors import MissingExtraError
from workglow.knowledge.document import Document
from workglow.knowledge.outline import Outline
from workglow.knowledge.plain import decode_text

try:
    from markdown_it import MarkdownIt
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "Reading Markdown needs markdown-it-py, which is not installed: pip install 'workglow[local]'."
    ) from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

__all__ = ["read_markdown"]

_FRONT_MATTER: Final = re.compile(r"---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE: Final = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.MULTILINE)
_LONGEST_HEADING: Final = 300


def read_markdown(data: bytes, name: str, encoding: str | None) -> Document:
    """Read Markdown.  The title is the front matter's, else the first heading of the highest level."""
    text = decode_text(data, name, encoding)
    matter = _FRONT_MATTER.match(text)
    hidden = matter.end() if matter else 0
    # The parser would take front matter for a heading; blank lines in its place keep every line's number.
    visible = "\n" * text.count("\n", 0, hidden) + text[hidden:]
    outline = Outline()
    for level, heading, line in _headings(visible):
        outline.open(level, heading, line)
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    sections = outline.sections(lambda line: starts[line], len(text))
    titled = _TITLE.search(text, 0, hidden)
    title = titled[2] if titled else outline.title
    return Document(name, text, title, "text/markdown", sections)


def _headings(text: str) -> list[tuple[int, str, int]]:
    """Level, words and line of each heading that stands by itself, not in a quotation or list."""
    parser = MarkdownIt("commonmark")
    words = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])  # the insides of paragraphs are of no interest here
    tokens = parser.parse(text)
    found: list[tuple[int, str, int]] = []
    for token, inside in pairwise(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            heading = _words(words.parseInline(inside.content[:_LONGEST_HEADING]))
            found.append((int(token.tag[1]), heading, token.map[0]))
    return found


def _words(tokens: Sequence[Token]) -> str:
    """What a reader sees of a line, without its marks."""
    pieces = (child.content or " " * (child.type in {"softbreak", "hardbreak"}) for child in tokens[0].children or ())
    return " ".join("".join(pieces).split())
