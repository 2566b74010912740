"""Commands as real processes: interrupted, on a terminal, and the demonstration from beginning to end."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
Spawn = Callable[..., "subprocess.Popen[str]"]

ROOT = Path(__file__).parents[2]
QUESTIONS = ("How is bread baked?", "How is tea made?", "How are knots tied?")


def test_ctrl_c_leaves_a_run_that_can_be_resumed(
    call: Call, spawn: Spawn, single: Callable[[str], str], tasks: str
) -> None:
    with spawn("run", single("hang"), "--tasks", tasks, "--project", "notes.wg") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    [run] = json.loads(call("runs", "notes.wg", "--json").stdout)
    assert process.returncode == 130
    assert f"workglow resume notes.wg {run['run']} --tasks {tasks}" in said
    assert "Traceback" not in said
    assert run["status"] == "interrupted"
    assert "workglow resume notes.wg" in call("runs", "notes.wg").stdout
    resumed = json.loads(call("resume", "notes.wg", "--tasks", tasks, "--json").stdout)
    assert (resumed["status"], resumed["outputs"]) == ("completed", {"tries": 2})
    assert json.loads(call("runs", "notes.wg", "--json").stdout)[0]["status"] == "completed"


def test_a_killed_run_is_listed_as_interrupted(
    call: Call, spawn: Spawn, single: Callable[[str], str], tasks: str
) -> None:
    with spawn("run", single("hang"), "--tasks", tasks, "--project", "notes.wg") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    assert "interrupted" in call("show", "notes.wg").stdout
    assert "Nobody works on the run any more" in call("why", "notes.wg", "last", "hang").stdout
    assert call("resume", "notes.wg", "--all", "--tasks", tasks).exit_code == 0


def on_a_terminal(folder: Path, *words: str, **environment: str) -> str:
    """Run a command on a pseudo-terminal and return what it drew."""
    ours, theirs = pty.openpty()
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "workglow", *words],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**known, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "70", "LINES": "20", **environment},
    )
    os.close(theirs)
    drawn = b""
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # how a terminal says that everybody has left
            break
        if not data:
            break
        drawn += data
    os.close(ours)
    assert process.wait() == 0, drawn.decode(errors="replace")
    return drawn.decode()


def test_a_terminal_gets_bars_and_colours(tmp_path: Path, loop: str, tasks: str) -> None:
    drawn = on_a_terminal(tmp_path, "run", loop, "--tasks", tasks, "-i", "text=a bb")
    assert "\x1b[32mcompleted" in drawn
    assert "━" in drawn


def test_no_color_is_honoured(tmp_path: Path, loop: str, tasks: str) -> None:
    drawn = on_a_terminal(tmp_path, "run", loop, "--tasks", tasks, "-i", "text=a bb", NO_COLOR="1")
    assert "completed" in drawn
    assert not any(f"\x1b[{code}" in drawn for code in ("31", "32", "33", "34", "35", "36", "38", "1;3"))


@pytest.fixture
def documents(tmp_path: Path) -> str:
    """A folder with ten documents, in folders."""
    topics = {
        "bread": "Bake the dough in a hot oven.",
        "tea": "Pour boiling water over leaves.",
        "knots": "Cross the rope.",
    }
    for number in range(10):
        topic = list(topics)[number % 3]
        path = tmp_path / "documents" / topic / f"{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        sections = (f"## Part {part}\n\n{topics[topic]} {'More of it follows. ' * 40}\n" for part in range(5))
        path.write_text(f"# {topic.title()} {number}\n\n" + "\n".join(sections))
    return str(tmp_path / "documents")


def test_the_demonstration_proves_that_nothing_finished_runs_again(call: Call, documents: str, tmp_path: Path) -> None:
    result = call("demo", documents, "--project", str(tmp_path / "finished.wg"), "--json")
    assert result.exit_code == 0, result.output
    proof = json.loads(result.stdout)
    rows = {(row["finished"], row["attempts"]): row["tasks"] for row in proof["rows"]}
    finished, in_flight = proof["finished_before_the_kill"], proof["in_flight_at_the_kill"]
    assert proof["ok"]
    assert proof["status"] == "completed"
    assert proof["documents"] == 10
    assert 4 <= proof["stored_before_the_kill"] <= 6
    assert rows["before the kill", 1] == len(finished)
    assert set(proof["ran_again"]) == set(in_flight)
    assert rows.get(("after the resume", 2), 0) == len(in_flight)
    assert sum(rows.values()) == 1 + 1 + 10 * 4
    assert {(answer["document"].partition("/")[0]) for answer in proof["answers"]} <= {"bread", "tea", "knots"}
    assert len(proof["answers"]) == 3
    assert json.loads(call("runs", proof["killed_file"], "--json").stdout)[0]["status"] == "interrupted"
    assert call("doctor", proof["file"]).exit_code == 0
    assert proof["file"] == str(tmp_path / "finished.wg")


def test_the_demonstration_for_people_of_one_document_and_one_that_is_broken(call: Call, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    (tmp_path / "few" / "one.txt").write_text("A single line of text, and no more.")
    (tmp_path / "few" / "broken.pdf").write_text("%PDF-1.7 and no more")
    result = call("demo", "few")
    assert result.exit_code == 0, result.output
    for said in ("none of them ran again", "before the kill", "SELECT", "Left out: ", "broken.pdf", "workglow search"):
        assert said in result.stdout


def test_the_demonstration_without_documents(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = call("demo", "empty")
    assert result.exit_code == 1
    assert "holds no documents" in " ".join(result.stderr.split())
    assert call("demo", "missing").exit_code == 2
