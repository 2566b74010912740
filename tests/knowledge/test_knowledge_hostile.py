"""Documents that mean harm: they end in a document or a DocumentError, soon, and never in anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workglow.errors import DocumentError
from workglow.knowledge import Document, load_document
from workglow.knowledge.chunking import split_document

pytestmark = pytest.mark.timeout(60)  # without the measures taken, each of these takes minutes

BOMBS = {
    "nested": "<div>" * 10_000 + "deep" + "</div>" * 10_000,
    "nested headings": "<h1>" * 10_000 + "deep",
    "open comments": "<p>text</p>" + "<!--" * 100_000,
    "open comments in angles": "<p>text</p>" + "<!--x>" * 200_000,
    "open sections in angles": "<p>text</p>" + "<![CDATA[ >" * 200_000,
    "open conditions in angles": "<p>text</p>" + "<![if x>" * 200_000,
    "open quotes": "<p>text</p>" + '<a b="' * 100_000,
    "open tags": "<p>text</p>" + "<a" * 200_000,
    "open end tags": "<p>text</p>" + "</" * 400_000,
    "open instructions": "<p>text</p>" + "<?" * 400_000,
    "ampersands": "<p>text</p>" + "&" * 200_000,
    "attributes": "<a " + " ".join(f"a{number}=1" for number in range(50_000)) + ">text</a>",
    "meta": "<meta " * 200_000 + "<p>text</p>",
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_html_bomb_is_read_soon(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.html"
    path.write_text(BOMBS[name])
    document = load_document(path)
    assert "deep" in document.text or "text" in document.text


@pytest.mark.parametrize("unit", ["> ", "- ", "# x\n", "[", "*a ", "`", "![](", "\t"])
def test_a_markdown_bomb_is_read_and_split_soon(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "bomb.md"
    path.write_text(unit * 20_000 + "end")
    chunks = split_document(load_document(path), size=1000)
    assert chunks[-1].text.endswith("end")


@pytest.mark.parametrize("unit", ["a", "漢字仮名交じり文", ". ", "😀", "\n", "a\u0301"])
def test_a_text_without_bounds_is_split_soon(unit: str) -> None:
    text = unit * (100_000 // len(unit)) + "end"
    chunks = split_document(Document("x", text), size=400)
    assert chunks[-1].text.endswith("end")


def refusal(path: Path) -> str | None:
    try:
        assert split_document(load_document(path))
    except DocumentError as error:
        return str(error)
    return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6)), min_size=1, max_size=4))
def test_a_damaged_pdf_is_a_document_or_an_error(
    tmp_path: Path, make_pdf: Callable[..., bytes], cuts: list[tuple[float, bytes]]
) -> None:
    data = bytearray(make_pdf("First page", "Second page"))
    for place, bytes_ in cuts:
        at = int(place * len(data))
        data[at : at + len(bytes_)] = bytes_
    path = tmp_path / "damaged.pdf"
    path.write_bytes(data)
    assert refusal(path) is None or "damaged.pdf" in str(refusal(path))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=300), suffix=st.sampled_from(["txt", "md", "html", "pdf"]))
def test_any_bytes_are_a_document_or_an_error(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    path.write_bytes(data)
    assert refusal(path) is None or f"x.{suffix}" in str(refusal(path))


HTML_PIECES = ["<p>", "</p>", "<h1>", "</h1>", "<h2 a='", "<!--", "-->", "<![CDATA[", "]]>", "<pre>", "</pre>",
               "<td>", "<", ">", "&lt;", "&#xD800;", "&#0;", "word", " ", "\n", "<br>", "<![if x]>", "<?",
               "<title>", "</"]  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(HTML_PIECES), max_size=30))
def test_sections_of_any_html_lie_in_its_text(tmp_path: Path, pieces: list[str]) -> None:
    path = tmp_path / "x.html"
    path.write_text("".join(pieces) + "<p>end</p>")
    try:
        document = load_document(path)
    except DocumentError:
        return
    assert "".join(document.text[one.start : one.end] for one in document.sections) == document.text
    for section in document.sections[1:]:
        assert document.text[section.start : section.end].strip() != ""


def test_nothing_in_a_document_is_executed_or_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a document reached for the network")

    monkeypatch.setattr(socket, "socket", refuse)
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    page = tmp_path / "page.html"
    page.write_text(
        f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]><link rel=stylesheet href="http://127.0.0.1:9/x">'
        f'<img src="http://127.0.0.1:9/y"><iframe src="file://{secret}"></iframe><p>&e;text</p>'
    )
    assert "SECRET" not in load_document(page).text
    page.write_text(f"![x](http://127.0.0.1:9/y)\n\n[a]: file://{secret}\n")
    assert "SECRET" not in load_document(page, media_type="text/markdown").text
