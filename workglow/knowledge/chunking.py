"""Documents in pieces that a model can embed and a person can read.

Policy.  A chunk never reaches over a heading.  Inside a section, semantic-text-splitter cuts at the highest bound that
gives chunks of at most `size` tokens: paragraphs, then sentences, then words.  What the model is shown of a chunk
begins with its heading path, because the words that say what a passage is about are often only there; the path counts
towards `size`.  The same document and settings always give the same chunks.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from workglow.ai.splitting import TextCutter
from workglow.errors import DocumentError, KnowledgeError
from workglow.knowledge.document import Document, Section
from workglow.values import value_types

__all__ = ["Chunk", "split_document"]

_SMALLEST: Final = 16


@dataclass(frozen=True, slots=True)
class Chunk:
    """The characters from `start` to `end` of a document's text.

    `key` comes from the text alone, so it stays when something else in the document changes; if the document says the
    same twice, the second has '-2' at the end.  `place` is the heading path or the page, for people.
    `embedded` is what a model is to embed: the text under its heading path.
    """

    key: str
    place: str
    start: int
    end: int
    text: str
    embedded: str


def split_document(
    document: Document, *, size: int = 256, overlap: int = 0, count_tokens: Callable[[str], int] | None = None
) -> list[Chunk]:
    """Cut a document into chunks of at most `size` tokens, of which up to `overlap` repeat the chunk before.

    `count_tokens` is the model's; without it, `size` and `overlap` are characters.

    Raises KnowledgeError for sizes that make no sense and DocumentError for a document without text.
    """
    if size < _SMALLEST or not 0 <= overlap <= size // 2:
        raise KnowledgeError(
            f"Chunks of size {size} with an overlap of {overlap} make no sense: give a size of at least {_SMALLEST}, "
            "and an overlap from 0 to half of it."
        )
    count = count_tokens or len
    seen: Counter[str] = Counter()
    chunks: list[Chunk] = []
    for section, heading in _parts(document):
        head = f"{heading}\n" if heading and count(heading) < size // 2 else ""
        room = size - (count(head) if head else 0)
        cutter = TextCutter(
            room,
            overlap=min(overlap, room // 2),
            count_tokens=count_tokens,
            is_markdown=document.media_type == "text/markdown",
        )
        for start, text in cutter.cut(document.text, section.start, section.end):
            key = hashlib.sha256(text.encode()).hexdigest()[:32]
            seen[key] += 1
            unique = key if seen[key] == 1 else f"{key}-{seen[key]}"
            end = start + len(text)
            place = section.place or _pages(document, start, end)
            chunks.append(Chunk(unique, place, start, end, text, head + text))
    if not chunks:
        raise DocumentError(f"{document.name!r} has no text to find anything in.  Leave it out.")
    return chunks


def _parts(document: Document) -> Iterator[tuple[Section, str]]:
    """What chunks must not reach over, each with its heading path.  A sentence does reach over the end of a page."""
    at = 0
    for section in document.sections:
        if section.kind == "heading":
            if at < section.start:
                yield Section("", at, section.start), ""
            yield section, section.place
            at = section.end
    if at < len(document.text):
        yield Section("", at, len(document.text)), ""


def _pages(document: Document, start: int, end: int) -> str:
    pages = [one.place for one in document.sections if one.kind == "page" and one.start < end and start < one.end]
    if len(pages) < 2:
        return "".join(pages)
    return f"{pages[0]} to {pages[-1]}"


value_types.register(Chunk, "workglow.Chunk")
