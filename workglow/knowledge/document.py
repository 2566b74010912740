"""A document: its text, and where in it the headings and pages are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from workglow.errors import DocumentError
from workglow.values import value_types

__all__ = ["Document", "Section"]


@dataclass(frozen=True, slots=True)
class Section:
    """The characters from `start` to `end` of a document's text.

    `place` is a heading path ('Guide > Install') or a page ('page 3').  A heading begins something new, so no chunk
    reaches over it; a page just ends where the paper did.
    """

    place: str
    start: int
    end: int
    kind: Literal["heading", "page"] = "heading"


@dataclass(frozen=True, slots=True)
class Document:
    """A text with a name.  `sections` are in order and do not overlap; what is in none of them is text all the same.

    `name` tells documents of one knowledge base apart: a document of the same name takes the place of the earlier one.
    `metadata` is whatever else should be kept, as JSON.
    Raises DocumentError for what no file could hold, and for sections that do not lie in the text.
    """

    name: str
    text: str
    title: str = ""
    media_type: str = "text/plain"
    sections: tuple[Section, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not self.name:
            raise DocumentError("A document has no name.  Give it one: it is how it is found and replaced.")
        if not self.title:
            object.__setattr__(self, "title", self.name)
        for value in (self.name, self.title, self.text):
            _refuse_half_characters(self.name, value)
        try:
            json.dumps(self.metadata, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise DocumentError(f"{self.name!r}: its metadata cannot be written as JSON: {error}.") from None
        at = 0
        for section in self.sections:
            if not at <= section.start <= section.end <= len(self.text):
                raise DocumentError(
                    f"{self.name!r}: the section {section.place!r} from {section.start} to {section.end} overlaps "
                    f"another one, or lies outside of the text's {len(self.text)} characters."
                )
            at = section.end


def _refuse_half_characters(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DocumentError(
            f"{name!r} holds half a character (a lone surrogate) at {error.start}, which no file can hold.  Rename "
            "the document, or mend its text with text.encode('utf-8', 'replace').decode()."
        ) from None
    if "\0" in text:
        raise DocumentError(f"{name!r} holds a NUL character at {text.index(chr(0))}, so it is not a text.")


value_types.register(Section, "workglow.Section")
value_types.register(Document, "workglow.Document")
