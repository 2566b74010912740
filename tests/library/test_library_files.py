"""File tasks: what they read and write, and what they need to be allowed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from workglow.errors import MissingExtraError, ResourceLimitError, SourceError, TaskInputError
from workglow.library import filetype
from workglow.library.files import FileListTask, FileLoaderTask, FileSaverTask
from workglow.tasks import Entitlement

with_yaml = pytest.mark.skipif(importlib.util.find_spec("yaml") is None, reason="needs pip install 'workglow[files]'")


def load(run: Any, folder: Path, name: str, content: str | bytes, **inputs: Any) -> dict[str, Any]:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return run("FileLoaderTask", {"url": name, **inputs})


def test_a_text_is_read_as_it_is(run: Any, folder: Path) -> None:
    found = load(run, folder, "a.txt", "\ufeff---\nnot: yaml\n---\nté\r\n")
    assert found["text"] == "---\nnot: yaml\n---\nté\r\n"
    assert found["metadata"] == {
        "url": "a.txt", "format": "text", "size": 26, "title": "a", "mimeType": "text/plain",
    }  # fmt: skip
    assert load(run, folder, "b.unknown", "x")["text"] == "x"
    assert load(run, folder, "empty.txt", "")["text"] == ""


@with_yaml
@pytest.mark.extra("files")
def test_front_matter_is_real_yaml(run: Any, folder: Path) -> None:
    front = 'title: Hello\nn: 3\nx: 1.5\ndone: true\nnone: ~\nquoted: "3"\nlist: [a, b]\nnested:\n  k: v\n'
    front += "day: 2024-01-02"
    found = load(run, folder, "A.MD", f"---\n{front}\n---\n\n# Hello World\n\nThis is the body.")
    assert found["text"] == "# Hello World\n\nThis is the body."
    assert found["frontmatter"] == {
        "title": "Hello", "n": 3, "x": 1.5, "done": True, "none": None, "quoted": "3", "list": ["a", "b"],
        "nested": {"k": "v"}, "day": "2024-01-02",
    }  # fmt: skip
    assert "frontmatter" not in load(run, folder, "b.md", "# No front matter\n---\n---\n")
    assert load(run, folder, "c.md", "---\njust a text\n---\nx")["text"] == "---\njust a text\n---\nx"


def test_csv_is_a_mapping_for_each_row(run: Any, folder: Path) -> None:
    text = 'id, name ,note\r\n1,"Contains, commas","Has ""quotes"""\r\n\r\n2,,\r\n3,x\r\n'
    assert load(run, folder, "a.csv", text)["csv"] == [
        {"id": "1", "name": "Contains, commas", "note": 'Has "quotes"'},
        {"id": "2", "name": "", "note": ""},
        {"id": "3", "name": "x", "note": ""},
    ]


def test_json_html_images_and_pdf(run: Any, folder: Path) -> None:
    assert load(run, folder, "a.JSON", '{"a": 1}')["json"] == {"a": 1}
    assert load(run, folder, "a.html", "<p>x</p>")["text"] == "<p>x</p>"
    assert load(run, folder, "a.PNG", b"PNG")["image"] == "data:image/png;base64,UE5H"
    assert load(run, folder, "a.pdf", b"%PDF")["pdf"] == "data:application/pdf;base64,JVBERg=="
    assert load(run, folder, "data.txt", "[1]", format="json")["json"] == [1]


@pytest.mark.parametrize(
    ("name", "content", "inputs", "error", "reason"),
    [
        ("a.json", "{", {}, TaskInputError, "no JSON"),
        ("a.txt", b"\xff\xfe\xfa", {}, SourceError, "is not utf-8 text"),
        ("a.csv", "", {}, SourceError, "no header row"),
        ("a.csv", "a,a\n1,2", {}, SourceError, "names a column twice"),
        ("a.csv", "a\n1,2", {}, SourceError, "2 values in row 2"),
        ("a.csv", 'a\n"1', {}, SourceError, "is not CSV"),
        ("a.txt", "x", {"format": "image"}, TaskInputError, "none of the names that images have"),
        ("a.txt", "x", {"url": "b.txt"}, SourceError, "No such file"),
        ("a.txt", "x", {"url": "."}, SourceError, "is not a file|Is a directory"),
        ("a.txt", "x", {"url": "https://example.org/a"}, SourceError, "fetch it"),
        ("a.txt", "x", {"url": "file://elsewhere/a"}, SourceError, "no file of this machine"),
        ("a.txt", "x", {"url": "a\0b"}, SourceError, "zero character"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(
    name: str, content: str, inputs: Any, error: type[Exception], reason: str, run: Any, folder: Path
) -> None:
    with pytest.raises(error, match=reason):
        load(run, folder, name, content, **inputs)


def test_another_encoding_is_given(run: Any, folder: Path) -> None:
    (folder / "a.txt").write_bytes("é".encode("cp1252"))
    assert run("FileLoaderTask", {"url": "a.txt"}, encoding="cp1252")["text"] == "é"
    with pytest.raises(SourceError, match="not known"):
        run("FileLoaderTask", {"url": "a.txt"}, encoding="nonsense")


def test_a_file_that_is_too_large_is_not_read(run: Any, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"x" * 11)
    assert run("FileLoaderTask", {"url": "a.txt"}, max_bytes=11)["text"] == "x" * 11
    with pytest.raises(ResourceLimitError, match="more than 10 bytes"):
        run("FileLoaderTask", {"url": "a.txt"}, max_bytes=10)


def test_without_its_library_front_matter_is_not_dropped(
    run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(filetype, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"workglow\[files\]"):
        load(run, folder, "a.md", "---\na: 1\n---\n")


def test_a_file_is_written_whole(run: Any, folder: Path) -> None:
    saved = run("FileSaverTask", {"path": "a.txt", "content": "é"})
    assert saved == {"path": str(folder / "a.txt"), "size": 2}
    assert (folder / "a.txt").read_text("utf-8") == "é"
    (folder / "a.txt").chmod(0o640)
    run("FileSaverTask", {"path": "a.txt", "content": b"\0"})
    assert (folder / "a.txt").read_bytes() == b"\0"
    assert (folder / "a.txt").stat().st_mode & 0o777 == 0o640
    assert os.listdir(folder) == ["a.txt"]


def test_a_file_that_is_there(run: Any, folder: Path) -> None:
    (folder / "a.txt").write_text("1")
    assert run("FileSaverTask", {"path": "a.txt", "content": "2"}, if_exists="append")["size"] == 2
    assert (folder / "a.txt").read_text() == "12"
    with pytest.raises(SourceError, match="File exists"):
        run("FileSaverTask", {"path": "a.txt", "content": "3"}, if_exists="error")
    assert (folder / "a.txt").read_text() == "12"
    assert run("FileSaverTask", {"path": "b.txt", "content": "3"}, if_exists="error")["size"] == 1
    assert sorted(os.listdir(folder)) == ["a.txt", "b.txt"]


def test_a_file_that_cannot_be_written_leaves_nothing(run: Any, folder: Path) -> None:
    (folder / "inner").mkdir()
    for path in ("none/a.txt", "inner"):
        with pytest.raises(SourceError, match="cannot be written"):
            run("FileSaverTask", {"path": path, "content": "x"})
    with pytest.raises(TaskInputError, match="UTF-8"):
        run("FileSaverTask", {"path": "a.txt", "content": "\ud800"})
    assert os.listdir(folder) == ["inner"]


def test_a_folder_is_listed(run: Any, folder: Path) -> None:
    (folder / "in").mkdir()
    for name in ("b.md", "a.md", "c.txt", ".hidden.md", "in/d.md"):
        (folder / name).write_text("")
    paths = [str(folder / name) for name in ("a.md", "b.md")]
    assert run("FileListTask", {"pattern": "*.md"}) == {"paths": paths, "count": 2}
    assert run("FileListTask", {"pattern": "**/*.md"})["count"] == 3
    assert run("FileListTask", {"path": "in", "pattern": "*"})["paths"] == [str(folder / "in" / "d.md")]
    with pytest.raises(SourceError, match="not a folder"):
        run("FileListTask", {"path": "a.md"})


def test_a_task_says_which_file_it_needs(folder: Path) -> None:
    place = str(folder / "a.txt")
    assert FileLoaderTask().required_entitlements({"url": "x/../a.txt"}) == (Entitlement("files:read", (place,)),)
    assert FileLoaderTask(defaults={"url": "a.txt"}).required_entitlements() == (Entitlement("files:read", (place,)),)
    assert FileSaverTask().required_entitlements({"path": "a.txt"}) == (Entitlement("files:write", (place,)),)
    assert FileSaverTask().required_entitlements() == (Entitlement("files:write"),)
    assert FileListTask().required_entitlements({"path": "."}) == (Entitlement("files:read", (str(folder),)),)
