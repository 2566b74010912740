"""What graphs from files may do, on the command line: granted, denied, kept, and asked for on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

ROOT = Path(__file__).parents[2]

Call = Callable[..., Result]
Single = Callable[[str], str]


@pytest.fixture
def reading(single: Single) -> str:
    return single("read")


def test_a_graph_from_a_file_may_do_nothing_until_it_is_allowed(call: Call, reading: str, tasks: str) -> None:
    words = ("run", reading, "--tasks", tasks, "-i", "path=docs/a")
    denied = call(*words)
    assert denied.exit_code == 1
    allow = f"--allow files:read={os.path.realpath('docs/a')}"
    assert "Denied entitlements: files:read=" in denied.stderr
    assert allow in denied.stderr
    assert call(*words, *allow.split()).exit_code == 0  # the remedy is one
    assert call(*words, "--allow", "files:read=docs").exit_code == 0
    assert call(*words, "--allow", "files:read=other").exit_code == 1
    assert call(*words, "--allow", "files", "--deny", "files:read=docs").exit_code == 1
    assert call(*words, "--allow", "network", "--allow", "files:read").exit_code == 0


def test_a_file_cannot_allow_itself_anything(call: Call, reading: str, tasks: str) -> None:
    data = json.loads(Path(reading).read_text())
    data["tasks"][0]["entitlements"] = {"entitlements": [], "grant": ["*"]}
    Path(reading).write_text(json.dumps(data))
    assert "Denied entitlements" in call("run", reading, "--tasks", tasks, "-i", "path=a").stderr


@pytest.mark.parametrize("text", ["no thing", "files:read=", "=docs", ""])
def test_what_is_no_entitlement_is_a_usage_error(call: Call, reading: str, text: str) -> None:
    for option in ("--allow", "--deny"):
        result = call("run", reading, option, text)
        assert result.exit_code == 2
        assert option in result.stderr


def test_json_is_given_an_error_and_no_question(call: Call, reading: str, tasks: str) -> None:
    result = call("run", reading, "--tasks", tasks, "-i", "path=a", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Denied entitlements" in result.stderr


def test_rerun_and_fork_may_do_what_was_allowed_here_and_have_to_be_allowed_it_in_a_copy(
    call: Call, single: Single, tasks: str
) -> None:
    with_tasks = ("--tasks", tasks)
    begun = call(
        "run", single("flaky"), *with_tasks, "--project", "notes.wg", "-i", "path=a", "--allow", "files:read=a"
    )
    assert (begun.exit_code, "not mended" in begun.stderr) == (1, True)
    Path("mended").write_text("")
    for copied in ("one.wg", "two.wg"):
        call("copy", "notes.wg", copied)
    assert call("rerun", "notes.wg", "last", *with_tasks).exit_code == 0
    assert call("fork", "notes.wg", "last", "--from", "flaky", *with_tasks).exit_code == 0
    assert "/b" in call("fork", "notes.wg", "last", "-i", "path=b", *with_tasks).stderr
    for words in (("rerun", "one.wg", "last"), ("fork", "two.wg", "last", "--from", "flaky")):
        assert "Denied entitlements" in call(*words, *with_tasks).stderr
        assert call(*words, *with_tasks, "--allow", "files:read").exit_code == 0
        assert (
            "denied by rule" in call("fork", words[1], "last", "--from", "flaky", *with_tasks, "--deny", "files").stderr
        )


def test_resume_goes_on_here_and_has_to_be_allowed_in_a_copy(
    call: Call, spawn: Callable[..., subprocess.Popen[str]], single: Single, tasks: str
) -> None:
    Path("wait").write_text("")
    Path("mended").write_text("")
    words = (
        "run",
        single("flaky"),
        "--tasks",
        tasks,
        "--project",
        "notes.wg",
        "-i",
        "path=a",
        "--allow",
        "files:read=a",
    )
    with spawn(*words) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.kill()
    call("copy", "notes.wg", "copy.wg")
    assert "Denied entitlements" in call("resume", "copy.wg", "--tasks", tasks).stderr
    assert call("resume", "copy.wg", "--tasks", tasks, "--allow", "files:read").exit_code == 0
    assert call("resume", "notes.wg", "--tasks", tasks).exit_code == 0


def test_a_project_is_allowed_something_for_good(call: Call, reading: str, tasks: str) -> None:
    words = ("run", reading, "--tasks", tasks, "-i", "path=docs/a", "--project", "notes.wg")
    assert call(*words).exit_code == 1
    assert "Nothing is allowed" in call("allow", "notes.wg").stdout
    here = os.path.realpath(".")
    assert call("allow", "notes.wg", "files:read=docs", "network").stdout.split() == [
        f"files:read={here}/docs",
        "network",
    ]
    assert call(*words).exit_code == 0
    assert json.loads(call("allow", "notes.wg", "--json").stdout) == [f"files:read={here}/docs", "network"]
    assert call("allow", "notes.wg", "files:read=docs", "--revoke").stdout.split() == ["network"]
    assert call(*words).exit_code == 1
    assert "was not granted" in call("allow", "notes.wg", "files", "--revoke").stderr
    assert call("allow", "notes.wg", "--revoke").exit_code == 2
    assert call("allow", "notes.wg", "no thing").exit_code == 2
    assert call("allow", "missing.wg", "network").exit_code == 1
    call("copy", "notes.wg", "copy.wg")
    assert "Nothing is allowed" in call("allow", "copy.wg").stdout


# ---------------------------------------------------------------------- on a terminal


def on_a_terminal(folder: Path, typed: str, *words: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal, type when it asks, and return its exit code and what it wrote."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "workglow", *words],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "NO_COLOR": "1", "COLUMNS": "200", "LINES": "40"},
    )
    os.close(theirs)
    drawn, answers = "", typed.splitlines(keepends=True)
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        drawn += data.decode()
        if drawn.count("(no):") > len(typed.splitlines()) - len(answers) and answers:
            os.write(ours, answers.pop(0).encode())
    os.close(ours)
    return process.wait(), drawn


def test_a_person_on_a_terminal_is_asked(tmp_path: Path, reading: str, tasks: str) -> None:
    words = ("run", reading, "--tasks", tasks, "-i", "path=/data/a")
    code, drawn = on_a_terminal(tmp_path, "once\n", *words)
    assert (code, "read /data/a" in drawn) == (0, True)
    assert "read (CliRead) wants files:read=/data/a" in drawn
    assert "always" not in drawn  # there is no project that could remember it
    code, drawn = on_a_terminal(tmp_path, "no\n", *words)
    assert (code, "Denied entitlements" in drawn) == (1, True)
    code, drawn = on_a_terminal(tmp_path, "\n", *words)
    assert code == 1
    for typed, expected in (("n\n", 1), ("O\n", 0)):  # the beginning of an answer is enough
        code, drawn = on_a_terminal(tmp_path, typed, *words)
        assert (code, "Please select" in drawn) == (expected, False)
    code, drawn = on_a_terminal(tmp_path, "", *words, "--deny", "files:read=/data")
    assert (code, "wants" in drawn) == (1, False)


def test_always_is_remembered_by_the_project(tmp_path: Path, reading: str, tasks: str, call: Call) -> None:
    words = ("run", reading, "--tasks", tasks, "-i", "path=/data/a", "--project", "notes.wg")
    code, drawn = on_a_terminal(tmp_path, "once\n", *words)
    assert (code, call(*words).exit_code) == (0, 1)
    code, drawn = on_a_terminal(tmp_path, "always\n", *words)
    assert (code, "always in this project" in drawn) == (0, True)
    assert call(*words).exit_code == 0
    assert call("allow", "notes.wg").stdout == "files:read=/data/a\n"


def test_what_is_asked_about_cannot_take_over_the_terminal(tmp_path: Path, reading: str, tasks: str) -> None:
    code, drawn = on_a_terminal(
        tmp_path, "no\n", "run", reading, "--tasks", tasks, "-i", "path=/a\x1b[2J\x1b[31m[bold]x[/bold]\u202e"
    )
    assert code == 1
    assert "\x1b[2J" not in drawn
    assert "\u202e" not in drawn
    assert "[bold]x[/bold]" in drawn
