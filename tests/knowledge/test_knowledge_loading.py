"""Files of all four formats become documents; what cannot become one says why and what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import workglow as wg
from workglow.errors import DocumentError, MissingExtraError
from workglow.knowledge import Document, Section, find_documents, load_document


def places(document: Document) -> list[tuple[str, str]]:
    return [(section.place, document.text[section.start : section.end].strip()) for section in document.sections]


def test_text_is_read_as_it_is_and_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes("Grüße,\r\nWelt".encode())
    document = load_document(path)
    assert (document.name, document.text, document.media_type) == (str(path), "Grüße,\nWelt", "text/plain")
    assert load_document(path, name="greeting").name == "greeting"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes("naïve".encode(encoding))
    assert load_document(path).text == "naïve"


def test_another_encoding_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes("naïve".encode("latin-1"))
    with pytest.raises(DocumentError, match=r"note\.txt is not a text in utf-8.*encoding='cp1252'"):
        load_document(path)
    assert load_document(path, encoding="cp1252").text == "naïve"
    with pytest.raises(DocumentError, match="knows no text encoding 'klingon'"):
        load_document(path, encoding="klingon")


MARKDOWN = """---
title: 'The guide'
---
Before all headings.

# Guide to *it*

Welcome.

## Install

Run `pip`.

```
# not a heading
```

> # a quotation's, not the document's

Setext
------

Below.

# Appendix
"""


def test_markdown_keeps_its_text_and_has_a_section_for_each_heading(tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    path.write_text(MARKDOWN)
    document = load_document(path)
    assert document.text == MARKDOWN
    assert document.title == "The guide"
    assert [place for place, _ in places(document)] == [
        "",
        "Guide to it",
        "Guide to it > Install",
        "Guide to it > Setext",
        "Appendix",
    ]
    assert places(document)[1][1].startswith("# Guide to *it*\n\nWelcome.")
    assert places(document)[2][1].endswith("the document's")
    assert "".join(MARKDOWN[one.start : one.end] for one in document.sections) == MARKDOWN


def test_markdown_without_front_matter_is_called_by_its_first_highest_heading(tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    path.write_text("## Small\n\n# Large\n\n# Other\n")
    assert load_document(path).title == "Large"


HTML = """<!doctype html><html><head><title>All &amp; more</title><style>p {color: red}</style></head><body>
<h1>Guide</h1><p>Read <b>this</b>
first.</p><script>alert('x')</script><!-- hidden -->
<h2>Install</h2><ul><li>One</li><li>Two<br>three</li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
<pre>  keep
    this</pre></body></html>"""


def test_html_gives_what_a_reader_sees_and_a_section_for_each_heading(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(HTML)
    document = load_document(path)
    assert document.title == "All & more"
    assert document.text.strip() == (
        "Guide\n\nRead this first.\n\nInstall\n\nOne\n\nTwo\nthree\n\na | b\n1 | 2\n\n  keep\n    this"
    )
    assert {document.text[section.start] for section in document.sections} == {"G", "I"}  # not the space before
    assert places(document) == [
        ("Guide", "Guide\n\nRead this first."),
        ("Guide > Install", "Install\n\nOne\n\nTwo\nthree\n\na | b\n1 | 2\n\n  keep\n    this"),
    ]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("<meta charset='koi8-r'>", "koi8-r"),
        ("<meta charset='iso-8859-1'>", "cp1252"),
        ("<meta charset='utf-16'>", "utf-8"),
        ("<meta charset='punycode'>", "utf-8"),
        ("", "utf-8"),
        ("", "cp1252"),
    ],
)
def test_html_is_decoded_as_browsers_do(tmp_path: Path, head: str, encoding: str) -> None:
    word = "Привет" if encoding == "koi8-r" else "“naïve”"
    path = tmp_path / "page.htm"
    path.write_bytes(f"{head}<p>{word}</p>".encode(encoding))
    assert load_document(path).text == word


def test_a_pdf_has_a_section_for_each_page_with_text(tmp_path: Path, make_pdf: Callable[..., bytes]) -> None:
    path = tmp_path / "paper.pdf"
    path.write_bytes(make_pdf("First page\nhas two lines", "", "Third page", title="A paper"))
    document = load_document(path)
    assert (document.title, document.media_type) == ("A paper", "application/pdf")
    assert places(document) == [("page 1", "First page\nhas two lines"), ("page 3", "Third page")]
    assert {section.kind for section in document.sections} == {"page"}


def test_a_scan_is_refused_with_the_remedy(tmp_path: Path, make_pdf: Callable[..., bytes]) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(make_pdf("", ""))
    with pytest.raises(DocumentError, match=r"scan\.pdf has no text in its 2 pages.*ocrmypdf"):
        load_document(path)


@pytest.mark.parametrize("password", ["", "secret"])
def test_an_encrypted_pdf_is_read_only_without_a_password(
    tmp_path: Path, make_pdf: Callable[..., bytes], password: str
) -> None:
    from pypdf import PdfWriter

    plain, locked = tmp_path / "plain.pdf", tmp_path / "locked.pdf"
    plain.write_bytes(make_pdf("Confidential"))
    writer = PdfWriter(clone_from=plain)
    writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    writer.write(locked)
    if not password:
        assert load_document(locked).text == "Confidential"
        return
    with pytest.raises(DocumentError, match=r"locked\.pdf is encrypted.*qpdf --decrypt"):
        load_document(locked)


def test_each_refusal_names_the_file_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "blank.md").write_bytes("\u00a0\n".encode())
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "bare").write_bytes(b"x")
    (tmp_path / "binary.txt").write_bytes(bytes(range(128)))
    (tmp_path / "large.txt").write_bytes(b"x" * 101)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    for name, reason in {
        "empty.txt": "is empty.  Leave it out",
        "blank.md": "nothing but white space.  Leave it out",
        "picture.png": r"ending in '\.png' cannot be read.*media_type='text/plain'",
        "bare": "ending in ''",
        "binary.txt": "is not a text: it holds NUL at character 0",
        "large.txt": "has 101 bytes, more than the 100 allowed.  Split it, or give a larger max_bytes",
        "folder": "is a folder.*add_folder",
        "folder.txt": "cannot be read: Is a directory",
        "pipe.txt": "is not a file but a pipe or a device",
        "missing.txt": "No such file",
        "nul\0.txt": "cannot be read",
    }.items():
        with pytest.raises(DocumentError, match=f"(?s){name.split(chr(0))[0]}.*{reason}"):
            load_document(tmp_path / name, max_bytes=100 if name == "large.txt" else 1000)


def test_a_file_under_another_name_is_read_as_told(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("# Title")
    assert load_document(tmp_path / "README", media_type="text/markdown").title == "Title"


def test_a_missing_library_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = {"md": ("markdown", "markdown_it"), "html": ("html", "bs4"), "pdf": ("pdf", "pypdf")}
    for suffix, (module, library) in libraries.items():
        monkeypatch.delitem(sys.modules, f"workglow.knowledge.{module}", raising=False)
        monkeypatch.setitem(sys.modules, library, None)
        path = tmp_path / f"x.{suffix}"
        path.write_text("x")
        with pytest.raises(MissingExtraError, match=r"pip install 'workglow\[local\]'"):
            load_document(path)


def test_a_folder_is_found_sorted_without_what_is_hidden_or_unknown(tmp_path: Path) -> None:
    for name in ["b.txt", "a/z.MD", "a/b/c.html", ".hidden.txt", ".git/x.txt", "a/.cache/y.txt", "image.png", "B.pdf"]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    found = [os.path.relpath(path, tmp_path) for path in find_documents(tmp_path)]
    assert found == ["B.pdf", "a/b/c.html", "a/z.MD", "b.txt"]


def test_a_link_inside_the_folder_is_followed_and_one_out_of_it_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "secret.txt"
    (inside / "deep").mkdir(parents=True)
    outside.write_text("secret")
    (inside / "a.txt").write_text("x")
    (inside / "same.txt").symlink_to("a.txt")
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    assert [Path(path).name for path in find_documents(inside)] == ["a.txt", "same.txt"]
    (inside / "deep" / "leak.txt").symlink_to(outside)
    with pytest.raises(DocumentError, match=r"leak\.txt is a symbolic link out of its folder.*secret\.txt"):
        find_documents(inside)


def test_a_folder_link_out_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "etc").symlink_to("/etc", target_is_directory=True)
    with pytest.raises(DocumentError, match="symbolic link out of its folder"):
        find_documents(tmp_path / "inside")
    with pytest.raises(DocumentError, match="is not a folder"):
        find_documents(tmp_path / "nothing")


def test_a_document_refuses_what_no_file_could_hold() -> None:
    with pytest.raises(DocumentError, match="has no name"):
        Document("", "text")
    with pytest.raises(DocumentError, match="half a character"):
        Document("x", "a\ud800")
    for metadata in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(DocumentError, match="'x': its metadata cannot be written as JSON"):
            Document("x", "a", metadata=metadata)
    with pytest.raises(DocumentError, match="NUL"):
        Document("x", "a\0")
    with pytest.raises(DocumentError, match="'B' from 1 to 3 overlaps"):
        Document("x", "abc", sections=(Section("A", 0, 2), Section("B", 1, 3)))
    with pytest.raises(DocumentError, match="lies outside of the text's 3 characters"):
        Document("x", "abc", sections=(Section("A", 0, 4),))
    assert Document("x", "abc").title == "x"


def test_a_database_that_is_open_keeps_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "notes.wg"
    with wg.open(path):
        for suffix in (".txt", ".md"):
            os.link(path, tmp_path / f"hard{suffix}")
            (tmp_path / f"soft{suffix}").symlink_to(path)
            for name in ("hard", "soft"):
                with pytest.raises(DocumentError, match="open in this process"):
                    load_document(tmp_path / f"{name}{suffix}")
        for beside in ("", "-wal", "-shm"):
            with pytest.raises(DocumentError, match="open in this process"):
                load_document(f"{path}{beside}", media_type="text/plain")
