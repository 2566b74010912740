"""What the tests of the command line share: tasks in a file, graphs in files, and two ways to call a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from workglow.cli.commands import app
from workglow.graph.control.map import MapTask
from workglow.graph.graph import TaskGraph

TASKS = Path(__file__).with_name("command_line_tasks.py")
ROOT = Path(__file__).parents[2]

Call = Callable[..., Result]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Call a command in this process, from a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # --tasks adds to it, for the length of a command's process
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def invoke(*words: str) -> Result:
        result = CliRunner().invoke(app, words, prog_name="workglow")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a command in a process of its own."""

    def start(*words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "workglow", *words],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )

    return start


def _tasks() -> dict[str, object]:
    from workglow.cli.taskfiles import import_tasks

    import_tasks([str(TASKS)])
    return vars(sys.modules["command_line_tasks"])


@pytest.fixture
def tasks() -> str:
    """The Python file that defines the tasks of the graphs below."""
    return str(TASKS)


@pytest.fixture
def chain(tmp_path: Path) -> str:
    """tidy → shout: text in, text out."""
    known = _tasks()
    graph = TaskGraph()
    graph.add_task(known["tidy"], id="tidy")  # pyright: ignore
    graph.add_task(known["shout"], id="shout")  # pyright: ignore
    graph.add_dataflow("tidy", "text", "shout", "text")
    return _written(graph, tmp_path / "chain.json")


@pytest.fixture
def loop(tmp_path: Path) -> str:
    """words → for each word measure → add: text in, number out."""
    known = _tasks()
    body = TaskGraph()
    body.add_task(known["measure"], id="measure")  # pyright: ignore
    graph = TaskGraph()
    graph.add_task(known["words"], id="words")  # pyright: ignore
    graph.add_task(MapTask(body, id="each", max_iterations="unbounded", iterate=("word",)))
    graph.add_task(known["add"], id="add")  # pyright: ignore
    graph.add_dataflow("words", "words", "each", "word")
    graph.add_dataflow("each", "length", "add", "numbers")
    return _written(graph, tmp_path / "loop.json")


@pytest.fixture
def single(tmp_path: Path) -> Callable[[str], str]:
    """A graph of the one task of that name."""

    def write(name: str) -> str:
        graph = TaskGraph()
        graph.add_task(_tasks()[name], id=name)  # pyright: ignore
        return _written(graph, tmp_path / f"{name}.json")

    return write


def _written(graph: TaskGraph, path: Path) -> str:
    path.write_text(json.dumps(graph.to_json()))
    return str(path)
