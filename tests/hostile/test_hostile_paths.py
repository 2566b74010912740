"""Paths and files that mean harm."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import apsw
import pytest

import workglow as wg
from workglow.errors import OutsideRootsError, SourceError, TaskInputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root2").mkdir()
    (tmp_path / "root2" / "secret.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "ok.txt").write_text("ok")
    (root / "link").symlink_to(tmp_path / "secret.txt")
    (root / "up").symlink_to(tmp_path)
    (root / "inside").symlink_to(root / "ok.txt")
    (root / "circle").symlink_to(root / "circle")
    return root


OUT = [
    "../secret.txt", "in/../../secret.txt", "link", "up/secret.txt", "up", "/etc/passwd", "file:///etc/passwd",
    "file://localhost/etc/passwd", "file:///%65tc/passwd", "in/../up/secret.txt", "../root2/secret.txt", "..",
    "file:///etc/../etc/passwd", "/proc/self/environ", "/dev/zero", "FILE:///etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("place", OUT)
def test_no_path_leads_out_of_the_roots(place: str, root: Path, run: Any) -> None:
    for name, inputs in (
        ("FileLoaderTask", {"url": place}),
        ("FileSaverTask", {"path": place, "content": "x"}),
        ("FileListTask", {"path": place}),
        ("SqliteQueryTask", {"path": place, "sql": "SELECT 1"}),
        ("SqliteWriteTask", {"path": place, "sql": "CREATE TABLE t(x)"}),
    ):
        with pytest.raises(OutsideRootsError, match="outside of"):
            run(name, inputs, roots=[str(root)])
    assert (root.parent / "secret.txt").read_text() == "secret"


def test_what_stays_inside_is_read(root: Path, run: Any) -> None:
    for place in ("ok.txt", "in/../ok.txt", "inside", str(root / "ok.txt"), f"file://{root}/ok.txt", "up/root/ok.txt"):
        assert run("FileLoaderTask", {"url": place}, roots=[str(root)])["text"] == "ok"
    assert run("FileLoaderTask", {"url": str(root.parent / "root2/secret.txt")}, roots=[str(root), str(root.parent)])


def test_links_in_a_circle_are_refused(root: Path, run: Any) -> None:
    with pytest.raises(SourceError):
        run("FileLoaderTask", {"url": "circle"}, roots=[str(root)])
    with pytest.raises(SourceError):
        run("FileLoaderTask", {"url": "x" * 5000}, roots=[str(root)])


def test_a_list_leads_nowhere_else(root: Path, run: Any) -> None:
    assert run("FileListTask", {"pattern": "**/*"}, roots=[str(root)])["paths"] == [
        str(root / "inside"), str(root / "ok.txt"),
    ]  # fmt: skip
    for pattern in ("../*", "in/../../*", "/etc/*"):
        with pytest.raises(TaskInputError, match="leads out"):
            run("FileListTask", {"pattern": pattern}, roots=[str(root)])
    for pattern in ("", "a**b\0"):
        with pytest.raises(SourceError, match="cannot be looked through"):
            run("FileListTask", {"pattern": pattern}, roots=[str(root)])


def test_a_pipe_is_not_waited_for(root: Path, run: Any) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(SourceError, match="is not a file"):
        run("FileLoaderTask", {"url": "pipe"}, roots=[str(root)])


def test_an_open_project_keeps_its_locks_and_its_file(folder: Path, run: Any) -> None:
    with wg.open("p.wg") as project:
        (folder / "link").symlink_to("p.wg")
        os.link("p.wg", "hard")
        for name in ("p.wg", "p.wg-wal", "p.wg-shm", "link", "hard"):
            with pytest.raises(SourceError, match="open in this process"):
                run("FileLoaderTask", {"url": name, "format": "text"})
            with pytest.raises(SourceError, match="open in this process"):
                run("FileSaverTask", {"path": name, "content": "x"})
        assert project.run_sync(wg.Workflow().string_trim(), {"text": " a "}).outputs == {"text": "a"}
    db = apsw.Connection("p.wg")
    assert db.execute("PRAGMA integrity_check").get == "ok"
    db.close()


@pytest.mark.skipif(importlib.util.find_spec("yaml") is None, reason="needs pip install 'workglow[files]'")
@pytest.mark.extra("files")
@pytest.mark.parametrize(
    "front",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "a: " + "[" * 20_000,
        "a: " + "{b: " * 8_000,
        "a: [",
        "x" * 70_000,
        "a: " + "9" * 60_000,
        "? [1, 2]\n: x",
        "a: !!int x",
    ],
)
def test_front_matter_does_no_harm(front: str, folder: Path, run: Any) -> None:
    (folder / "a.md").write_text(f"---\n{front}\n---\n# Text\n")
    with pytest.raises(SourceError, match="front matter"):
        run("FileLoaderTask", {"url": "a.md"})


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "a\n" + '"' + "x" * 200_000 + '"'),
        ("a.json", "[" * 200_000),
        ("a.json", '{"a": ' + "9" * 10_000 + "}"),
        ("a.json", "\0"),
    ],
)
def test_a_file_that_no_parser_likes_is_refused(name: str, content: str, folder: Path, run: Any) -> None:
    (folder / name).write_text(content)
    with pytest.raises((SourceError, TaskInputError), match=r"no JSON|is not CSV|nested too deeply"):
        run("FileLoaderTask", {"url": name})
