"""Chunks: right offsets, right size, the same each time, and keys that stay when the text stays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from semantic_text_splitter import MarkdownSplitter, TextSplitter

from workglow.ai import splitting
from workglow.errors import DocumentError, KnowledgeError
from workglow.knowledge import Document, Section
from workglow.knowledge.chunking import split_document

TEXTS = st.text(
    st.one_of(
        st.sampled_from("ab .\n#漢é😀\u0301\t-*"), st.characters(exclude_categories=("Cs",), exclude_characters="\0")
    ),
    max_size=400,
)


def words(text: str) -> int:
    return len(text.split())


@given(
    text=TEXTS,
    cuts=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["heading", "page"])), max_size=6),
    size=st.integers(16, 60),
    overlap=st.integers(0, 8),
    media_type=st.sampled_from(["text/plain", "text/markdown"]),
)
def test_offsets_are_right_and_nothing_is_lost(
    text: str, cuts: list[tuple[int, Any]], size: int, overlap: int, media_type: str
) -> None:
    places = sorted((at, kind) for at, kind in cuts if at <= len(text))
    sections = tuple(Section(f"place {at}", at, end, kind) for (at, kind), (end, _) in list(pairwise(places))[::2])
    document = Document("x", text, media_type=media_type, sections=sections)
    try:
        chunks = split_document(document, size=size, overlap=overlap)
    except DocumentError:
        assert not text.strip()
        return
    covered: set[int] = set()
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        covered.update(range(chunk.start, chunk.end))
    assert not "".join(one for at, one in enumerate(text) if at not in covered).strip()
    assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)
    assert len({chunk.key for chunk in chunks}) == len(chunks)
    assert chunks == split_document(document, size=size, overlap=overlap)


@given(text=TEXTS, size=st.integers(16, 40), heading=st.text("hd ", min_size=1, max_size=30))
def test_no_chunk_has_more_tokens_than_allowed_with_its_heading(text: str, size: int, heading: str) -> None:
    document = Document("x", text + "x", sections=(Section(heading, 0, len(text) + 1),))
    for chunk in split_document(document, size=size, count_tokens=len):
        assert len(chunk.embedded) <= size
        assert chunk.embedded.endswith(chunk.text)


def test_cuts_are_at_sentences_and_words() -> None:
    text = "One two three four. Five six seven eight. " * 20
    chunks = split_document(Document("x", text), size=16, count_tokens=words)
    assert {chunk.text[-1] for chunk in chunks} == {"."}
    assert max(words(chunk.text) for chunk in chunks) == 16


def test_a_chunk_never_reaches_over_a_heading_and_is_embedded_under_it() -> None:
    text = "Intro.\nA\nAlpha beta.\nB\nGamma."
    sections = (Section("", 0, 7), Section("A", 7, 21), Section("A > B", 21, len(text)))
    chunks = split_document(Document("x", text, sections=sections))
    assert [(one.place, one.text, one.embedded) for one in chunks] == [
        ("", "Intro.", "Intro."),
        ("A", "A\nAlpha beta.", "A\nA\nAlpha beta."),
        ("A > B", "B\nGamma.", "A > B\nB\nGamma."),
    ]


def test_a_chunk_may_reach_over_the_end_of_a_page_and_says_so() -> None:
    text = "The sentence goes\non here.\n" + "Filler words. " * 30
    pages = (Section("page 1", 0, 17, "page"), Section("page 2", 18, len(text), "page"))
    chunks = split_document(Document("x", text, sections=pages), size=40, count_tokens=words)
    assert chunks[0].place == "page 1 to page 2"
    assert chunks[0].text.startswith("The sentence goes\non here.")
    assert {one.place for one in chunks[1:]} == {"page 2"}
    assert chunks[0].embedded == chunks[0].text


def test_a_key_stays_when_something_else_changes() -> None:
    paragraphs = ["Alpha one two three.", "Beta one two three.", "Gamma one two three."]
    before = split_document(Document("x", "\n\n".join(paragraphs)), size=24)
    after = split_document(Document("x", "\n\n".join(["Something new here.", *paragraphs[1:]])), size=24)
    assert [one.key for one in before[1:]] == [one.key for one in after[1:]]
    assert before[0].key != after[0].key
    assert before[1].start != after[1].start or before[1].text == after[1].text


def test_the_same_text_twice_has_two_keys() -> None:
    chunks = split_document(Document("x", "Same words again.\n\nSame words again.\n\nSame words again."), size=20)
    first = chunks[0].key
    assert [one.key for one in chunks] == [first, f"{first}-2", f"{first}-3"]


def test_overlap_repeats_the_end_of_the_chunk_before() -> None:
    chunks = split_document(Document("x", "One two. Three four. Five six. Seven eight."), size=22, overlap=11)
    assert all(later.start < earlier.end for earlier, later in pairwise(chunks))


@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown"])
@pytest.mark.parametrize("unit", ["A few words.\n\n", "line\n", "word ", "漢"])
def test_a_book_is_split_in_windows_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, unit: str, media_type: str
) -> None:
    seen: list[int] = []

    class Spy:
        def __init__(self, capacity: int, overlap: int) -> None:
            kind = TextSplitter if media_type == "text/plain" else MarkdownSplitter
            self.splitter = kind(capacity, overlap)

        def chunk_indices(self, text: str) -> list[tuple[int, str]]:
            seen.append(len(text))
            return self.splitter.chunk_indices(text)

    monkeypatch.setattr(splitting, "TextSplitter" if media_type == "text/plain" else "MarkdownSplitter", Spy)
    text = "Title\n\n" + unit * (50_000 // len(unit))
    sections = (Section("Title", 0, 7), Section("Body", 7, len(text)))
    chunks = split_document(Document("x", text, media_type=media_type, sections=sections), size=500)
    assert max(seen) <= 20_000
    assert all(text[one.start : one.end] == one.text for one in chunks)
    assert "".join("".join(one.text for one in chunks).split()) == "".join(text.split())


def test_sizes_that_make_no_sense_are_refused() -> None:
    document = Document("x", "text")
    for size, overlap in [(15, 0), (100, 51), (100, -1)]:
        with pytest.raises(KnowledgeError, match=f"size {size} with an overlap of {overlap} make no sense"):
            split_document(document, size=size, overlap=overlap)
    with pytest.raises(DocumentError, match="'x' has no text"):
        split_document(Document("x", " \n "))
