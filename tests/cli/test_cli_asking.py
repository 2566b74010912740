"""`questions`, `answer` and `send`, what waits in `runs`, `show` and `why`, and questions on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import HumanApprovalTask, HumanInputTask, Task, TaskGraph, WaitForEventTask, Workflow
from workglow.cli.taskfiles import import_tasks

Call = Callable[..., Any]
ROOT = Path(__file__).parents[2]


def around(waiting: Task, path: Path, tasks: str) -> str:
    """tidy → the task → shout, in a file."""
    import_tasks([tasks])
    known = vars(sys.modules["command_line_tasks"])
    flow = Workflow().then(known["tidy"], id="tidy").then(waiting).then(known["shout"], id="shout")
    path.write_text(json.dumps(flow.to_graph().to_json()))
    return str(path)


@pytest.fixture
def asks(tmp_path: Path, tasks: str) -> str:
    return around(HumanApprovalTask(id="approve", message="Say it loud?"), tmp_path / "asks.json", tasks)


@pytest.fixture
def begun(call: Call, asks: str, tasks: str) -> str:
    """A file with one run that waits, and the run's id."""
    result = call("run", asks, "--tasks", tasks, "-i", "text=so  it", "--project", "notes.wg")
    assert result.exit_code == 3
    assert "workglow answer notes.wg" in result.stdout
    [run] = json.loads(call("runs", "notes.wg", "--json").stdout)
    assert run["status"] == "waiting"
    return str(run["run"])


def test_a_question_is_listed_answered_and_the_run_resumed(call: Call, begun: str, tasks: str) -> None:
    listed = call("questions", "notes.wg").stdout
    assert "Say it loud?" in listed
    assert "text  so it" in listed
    [question] = json.loads(call("questions", "notes.wg", "--json").stdout)
    assert (question["run"], question["task"], question["data"]) == (begun, "approve", {"text": "so it"})
    [command] = [line.strip() for line in listed.splitlines() if "workglow answer" in line]
    said = call(*command.split()[1:]).stdout
    assert f"workglow resume notes.wg {begun}" in said
    assert call("questions", "notes.wg").stdout == "notes.wg has no open question.\n"
    result = call("resume", "notes.wg", "--tasks", tasks)
    assert result.exit_code == 0
    assert "text  SO IT" in result.stdout


def test_what_waits_says_for_what_everywhere(call: Call, begun: str, tasks: str) -> None:
    reason = "waits for a person: Say it loud?"
    for words in (("runs", "notes.wg"), ("show", "notes.wg"), ("show", "notes.wg", "last", "approve")):
        assert reason in call(*words).stdout
    why = call("why", "notes.wg", "last", "approve").stdout
    assert reason in why
    assert "workglow questions notes.wg" in why
    assert "\n  workglow questions notes.wg\n" in call("show", "notes.wg").stdout  # the file as it was typed
    facts = json.loads(call("show", "notes.wg", "--json").stdout)
    assert facts["status"] == "waiting"
    assert facts["tasks"][1]["waits_for"] == "for a person: Say it loud?"
    call("answer", "notes.wg", "last", "approve", "--value", "true")
    assert "has come: resuming the run goes on" in call("why", "notes.wg", "last", "approve").stdout
    assert "workglow resume notes.wg" in call("runs", "notes.wg").stdout


def test_a_value_that_is_not_json_is_refused_with_what_to_write(call: Call, begun: str, tasks: str) -> None:
    result = call("answer", "notes.wg", "last", "approve", "--value", "maybe")
    assert result.exit_code == 2
    assert "A text is given with --text." in result.stderr


def test_resume_leaves_alone_what_nothing_came_for(call: Call, begun: str, tasks: str) -> None:
    result = call("resume", "notes.wg", "--tasks", tasks)
    assert result.exit_code == 0
    assert "all unfinished runs wait" in result.stderr
    assert call("resume", "notes.wg", begun, "--tasks", tasks, "--json").exit_code == 3


def test_declining_with_a_reason(call: Call, begun: str, tasks: str) -> None:
    facts = call("answer", "notes.wg", begun, "approve", "--decline", "--reason", "too loud", "--json").stdout
    assert json.loads(facts) == {"runs": [begun], "to_resume": [begun]}
    assert call("resume", "notes.wg", "--tasks", tasks).exit_code == 0
    outputs = json.loads(call("show", "notes.wg", begun, "approve", "--json").stdout)["outputs"]
    assert outputs == {"text": "so it", "approved": False, "action": "decline", "reason": "too loud"}


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--value", "3"), 1, "expected bool"),
        (("--value", "{"), 2, "is not JSON"),
        ((), 2, "Give one of"),
        (("--value", "true", "--decline"), 2, "Give one of"),
    ],
)
def test_a_wrong_answer_is_refused(call: Call, begun: str, options: tuple[str, ...], code: int, said: str) -> None:
    result = call("answer", "notes.wg", begun, "approve", *options)
    assert result.exit_code == code
    assert said in result.stderr
    assert call("questions", "notes.wg").stdout.count("approve in run") == 1


def test_an_event_is_sent(call: Call, tmp_path: Path, tasks: str) -> None:
    graph = around(WaitForEventTask(id="paid", event="paid"), tmp_path / "paid.json", tasks)
    assert call("run", graph, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg").exit_code == 3
    assert "waits for the event 'paid'" in call("show", "notes.wg").stdout
    assert "was sent to 1 run." in call("send", "notes.wg", "paid", "--payload", '{"amount": 3}').stdout
    assert call("resume", "notes.wg", "--tasks", tasks).exit_code == 0
    paid = json.loads(call("show", "notes.wg", "last", "paid", "--json").stdout)
    assert paid["outputs"] == {"text": "a", "payload": {"amount": 3}}
    assert "was sent to 0 runs." in call("send", "notes.wg", "paid").stdout


def test_json_says_that_the_run_waits(call: Call, asks: str, tasks: str) -> None:
    words = ("run", asks, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg", "--json")
    result = call(*words)
    assert result.exit_code == 3
    assert json.loads(result.stdout)["status"] == "waiting"


def test_in_memory_nobody_could_answer(call: Call, asks: str, tasks: str) -> None:
    result = call("run", asks, "--tasks", tasks, "-i", "text=a")
    assert result.exit_code == 1
    assert "kept nowhere" in result.stderr


# ---------------------------------------------------------------------- on a terminal


def on_a_terminal(folder: Path, typed: str, *words: str, interrupted_at: str | None = None) -> tuple[int, str]:
    """Run a command as a person does, who perhaps interrupts it at a prompt: code, and what was on the screen."""
    master, slave = pty.openpty()
    os.write(master, typed.encode())
    command = [sys.executable, "-m", "workglow", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown, interrupted = b"", False
    while True:
        if interrupted and not select.select([master], [], [], 5)[0]:
            process.send_signal(signal.SIGINT)  # Python hears none that comes just before it begins to read
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
        if interrupted_at is not None and not interrupted and interrupted_at.encode() in shown:
            interrupted = True
            process.send_signal(signal.SIGINT)
    os.close(master)
    return process.wait(), shown.decode(errors="replace")


def test_a_person_at_the_terminal_is_asked(tmp_path: Path, asks: str, tasks: str) -> None:
    words = ("run", asks, "--tasks", tasks, "-i", "text=so  it", "--project", "notes.wg")
    code, shown = on_a_terminal(tmp_path, "perhaps\nyes\n\n", *words)
    assert code == 0
    assert "Say it loud?" in shown
    assert "SO IT" in shown
    with wg.open(tmp_path / "notes.wg", read_only=True) as project:
        assert project.runs()[0].tasks["approve"].outputs["approved"] is True


def test_a_person_at_the_terminal_is_asked_by_a_run_in_memory_too(tmp_path: Path, asks: str, tasks: str) -> None:
    code, shown = on_a_terminal(tmp_path, "perhaps\nyes\n\n", "run", asks, "--tasks", tasks, "-i", "text=so  it")
    assert code == 0, shown
    assert "Say it loud?" in shown
    assert "SO IT" in shown
    assert " in run " not in shown


@pytest.mark.parametrize(("typed", "more"), [("\n", ()), ("", ("--no-ask",))])
def test_a_question_in_memory_that_is_left_open_fails_the_run(
    tmp_path: Path, asks: str, tasks: str, typed: str, more: tuple[str, ...]
) -> None:
    code, shown = on_a_terminal(tmp_path, typed, "run", asks, "--tasks", tasks, "-i", "text=a", *more)
    assert code == 1
    assert ("kept nowhere" if more else "no answer to 'approve'") in shown


def test_ctrl_c_at_the_question_of_a_run_in_memory_ends_it(tmp_path: Path, asks: str, tasks: str) -> None:
    words = ("run", asks, "--tasks", tasks, "-i", "text=a")
    code, shown = on_a_terminal(tmp_path, "", *words, interrupted_at="(yes/no)")
    assert (code, "Interrupted." in shown) == (130, True), shown


@pytest.mark.parametrize(("typed", "more"), [("\n", ()), ("", ("--no-ask",))])
def test_a_question_can_be_left_open(tmp_path: Path, asks: str, tasks: str, typed: str, more: tuple[str, ...]) -> None:
    words = ("run", asks, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg", *more)
    code, shown = on_a_terminal(tmp_path, typed, *words)
    assert code == 3
    assert "workglow answer notes.wg" in shown


def test_every_kind_of_field_can_be_typed(tmp_path: Path) -> None:
    fields = {
        "name": {"type": "string", "title": "Your \x1b[31mname"},
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string"},
    }
    schema = {"type": "object", "properties": fields, "required": ["name", "age"]}
    graph = TaskGraph()
    graph.add_task(HumanInputTask(id="ask", message="Who?", content_schema=schema))
    path = tmp_path / "ask.json"
    path.write_text(json.dumps(graph.to_json()))
    typed = 'Ann\n-1\n\n\nAnn\n41\n["a"]\n\n'  # -1 is refused by the schema, and all is asked again
    code, shown = on_a_terminal(tmp_path, typed, "run", str(path), "--project", "notes.wg")
    assert code == 0, shown
    assert "Your \x1b" not in shown
    with wg.open(tmp_path / "notes.wg", read_only=True) as project:
        assert project.runs()[0].outputs == {"name": "Ann", "age": 41, "tags": ["a"], "action": "accept"}
