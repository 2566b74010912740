"""`runs`, `show`, `why`, `graph`, `tasks` and `search`: reading a project file."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow.cli.streams import _Teller  # pyright: ignore[reportPrivateUsage]
from workglow.errors import GraphFormatError

Call = Callable[..., Any]


@pytest.fixture
def notes(call: Call, loop: str, chain: str, tasks: str) -> str:
    """A file with a completed run of a loop and a failed run of a chain."""
    call("run", loop, "--tasks", tasks, "-i", "text=a bb ccc", "--project", "notes.wg")
    call("run", chain, "--tasks", tasks, "-i", "text=whisper", "--project", "notes.wg")
    return "notes.wg"


def test_runs_lists_them_oldest_first(call: Call, notes: str) -> None:
    lines = call("runs", notes).stdout.splitlines()
    assert lines[0].split() == ["RUN", "STATUS", "BEGAN", "TIME", "TASKS", "NOTE"]
    assert "completed" in lines[1]
    assert "failed" in lines[2]
    assert lines[2].endswith("Task 'shout' failed: ValueError: too quiet: whisper")


def test_a_run_may_be_given_as_last_or_by_a_unique_beginning(call: Call, notes: str) -> None:
    first, last = (run["run"] for run in json.loads(call("runs", notes, "--json").stdout))
    assert json.loads(call("show", notes, "--json").stdout)["run"] == last
    assert json.loads(call("show", notes, "last", "--json").stdout)["run"] == last
    assert json.loads(call("show", notes, first, "--json").stdout)["run"] == first
    common = first[: next(i for i in range(len(first)) if first[i] != last[i]) + 1]
    assert json.loads(call("show", notes, common, "--json").stdout)["run"] == first
    assert call("show", notes, common[:-1]).exit_code == 1


def test_show_draws_a_tree_of_paths(call: Call, notes: str) -> None:
    [first, _] = (run["run"] for run in json.loads(call("runs", notes, "--json").stdout))
    result = call("show", notes, first)
    shown = result.stdout.splitlines()
    for start in ("words  ", "each  ", "├─ each[0]  ", "│  └─ measure  ", "└─ each[2]  ", "   └─ measure  ", "add  "):
        assert any(line.startswith(start) for line in shown), start
    assert "total  6" in result.stdout


def test_show_folds_a_loop_of_more_than_twenty_items(call: Call, loop: str, tasks: str) -> None:
    call("run", loop, "--tasks", tasks, "-i", f"text={'w ' * 21}", "--project", "notes.wg")
    folded = call("show", "notes.wg").stdout
    assert "21 items" in folded
    assert "each[20]" not in folded
    assert "each[20]" in call("show", "notes.wg", "last", "--tasks-all").stdout


def test_show_of_a_folded_loop_names_what_failed(call: Call, loop: str, tasks: str) -> None:
    text = "w " * 25 + "bad"
    call("run", loop, "--tasks", tasks, "-i", f"text={text}", "--project", "notes.wg", "--continue-on-error")
    shown = call("show", "notes.wg").stdout
    assert "26 items: 25 completed, 1 failed" in shown
    assert "each[25]/measure  failed" in shown


def test_show_of_one_task_has_its_outputs(call: Call, notes: str) -> None:
    [first, _] = (run["run"] for run in json.loads(call("runs", notes, "--json").stdout))
    assert "length  2" in call("show", notes, first, "each[1]/measure").stdout
    assert json.loads(call("show", notes, first, "each[1]/measure", "--json").stdout)["outputs"] == {"length": 2}


def test_show_of_a_task_that_is_not_there(call: Call, notes: str) -> None:
    result = call("show", notes, "last", "nothing")
    assert result.exit_code == 1
    assert "no task at 'nothing'" in result.stderr


def test_why(call: Call, notes: str, tasks: str) -> None:
    assert "failed: ValueError: too quiet: whisper" in call("why", notes, "last", "shout").stdout
    facts = json.loads(call("why", notes, "last", "shout", "--json").stdout)
    assert (facts["status"], facts["path"]) == ("failed", "shout")
    assert facts["why"]
    assert call("why", notes, "last", "nothing").exit_code == 1


def test_reading_leaves_the_file_as_it_was(call: Call, notes: str, tasks: str) -> None:
    before = Path(notes).read_bytes()
    for words in (["runs"], ["show"], ["why", "last", "shout"], ["graph", "--tasks", tasks], ["info"], ["doctor"]):
        assert call(words[0], notes, *words[1:]).exit_code == 0
    assert Path(notes).read_bytes() == before
    assert [path.name for path in Path().glob("notes.wg*")] == ["notes.wg"]


@pytest.mark.parametrize("command", ["runs", "show", "info", "doctor", "search"])
def test_a_missing_file_is_one_line_and_1(call: Call, command: str) -> None:
    result = call(command, "missing.wg", *(["text"] if command == "search" else []))
    assert result.exit_code == 1
    assert "missing.wg does not exist" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_empty_project_says_how_to_start(call: Call) -> None:
    wg.open("empty.wg").close()
    assert "holds no run yet" in call("runs", "empty.wg").stdout
    assert json.loads(call("runs", "empty.wg", "--json").stdout) == []
    assert call("show", "empty.wg").exit_code == 1


def test_graph_of_a_file_and_of_a_run_is_the_same(call: Call, chain: str, notes: str, tasks: str) -> None:
    written = json.loads(Path(chain).read_text())
    assert json.loads(call("graph", chain, "--json", "--tasks", tasks).stdout) == written
    assert json.loads(call("graph", notes, "--json", "--tasks", tasks).stdout) == written


def test_graph_for_people_and_as_mermaid(call: Call, chain: str, loop: str, tasks: str) -> None:
    shown = call("graph", chain, "--tasks", tasks).stdout
    assert "text ← tidy[text]" in shown
    assert "takes  text: string" in shown
    assert "  measure  CliMeasure" in call("graph", loop, "--tasks", tasks).stdout
    assert call("graph", chain, "--mermaid", "--tasks", tasks).stdout.startswith("flowchart")
    assert call("graph", chain, "--svg", "--tasks", tasks).stdout.startswith("<svg ")
    assert call("graph", chain, "--mermaid", "--json").exit_code == 2
    assert call("graph", chain, "--svg", "--python").exit_code == 2


def test_graph_as_a_program_that_builds_it(call: Call, chain: str, loop: str, tasks: str) -> None:
    for file in (chain, loop):
        program = call("graph", file, "--python", "--tasks", tasks).stdout
        names: dict[str, Any] = {}
        exec(program, names)
        assert names["workflow"].graph.to_json() == json.loads(call("graph", file, "--json", "--tasks", tasks).stdout)


def test_a_graph_file_has_no_runs(call: Call, chain: str, tasks: str) -> None:
    assert call("graph", chain, "last", "--tasks", tasks).exit_code == 2


def test_tasks_lists_ports_and_descriptions(call: Call, tasks: str) -> None:
    shown = call("tasks", "--tasks", tasks).stdout
    assert "CliTidy\n  Collapse white space.\n  takes text: string  gives text: string\n" in shown
    facts = {kind["type"]: kind for kind in json.loads(call("tasks", "--tasks", tasks, "--json").stdout)}
    assert facts["CliMeasure"]["inputs"]["required"] == ["word"]
    assert "MapTask" in facts


def test_every_listed_type_can_be_named_in_a_graph(call: Call, tasks: str) -> None:
    for kind in json.loads(call("tasks", "--tasks", tasks, "--json").stdout):
        graph = {"tasks": [{"id": "x", "type": kind["type"]}], "dataflows": []}
        with contextlib.suppress(GraphFormatError):  # it wants a configuration, or a graph inside it
            wg.TaskGraph.from_json(graph)


def test_search_answers_with_document_place_and_score(call: Call) -> None:
    with wg.open("docs.wg") as project:
        Path("guide.md").write_text(
            "# Guide\n\n## Bread\n\nBake the dough for an hour.\n\n## Tea\n\nBoil fresh water.\n"
        )
        project.knowledge().add("guide.md")
    shown = call("search", "docs.wg", "baking dough").stdout
    assert shown.startswith("1  guide.md  Guide > Bread")
    found = json.loads(call("search", "docs.wg", "baking dough", "--limit", "1", "--json").stdout)
    assert [(one["document"], one["place"]) for one in found] == [("guide.md", "Guide > Bread")]


def test_search_without_documents_says_how_to_add_some(call: Call) -> None:
    wg.open("empty.wg").close()
    result = call("search", "empty.wg", "anything")
    assert result.exit_code == 1
    assert "add_folder" in result.stderr


def test_follow_tells_what_a_finished_run_had_streamed(call: Call, single: Callable[[str], str], tasks: str) -> None:
    call("run", single("tell"), "--tasks", tasks, "--project", "notes.wg")
    assert call("follow", "notes.wg").stdout == "tell: Once upon a time\nthe end\n"
    record = json.loads(call("follow", "notes.wg", "last", "--task", "tell", "--json").stdout)
    assert (record["path"], record["kind"]) == ("tell", "value")
    assert call("follow", "notes.wg", "--from", str(record["seq"] + 1)).stdout == ""
    refused = call("follow", "notes.wg", "--task", "nobody")
    assert refused.exit_code == 1
    assert "no task at 'nobody'" in refused.stderr


def test_follow_says_when_there_is_nothing_to_follow(call: Call, chain: str, tasks: str) -> None:
    call("run", chain, "--tasks", tasks, "--project", "notes.wg", "--input", "text=hello")
    result = call("follow", "notes.wg")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("Nothing was streamed.  What came out:\n  workglow show notes.wg ")


def test_follow_says_that_a_run_waits(spawn: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    with wg.open(tmp_path / "notes.wg") as project:
        project.run_sync(wg.Workflow().then(wg.HumanApprovalTask, id="approve", message="Go on?"))
    with spawn("follow", "notes.wg") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("The run waits, and nobody works on it now.")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


def test_follow_writes_pieces_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    tell = _Teller()
    said: list[tuple[str, Any, object]] = [
        ("a", "append", "One "),
        ("a", "append", "two"),
        ("b", "append", "Eins\x1b[2J"),
        ("a", "append", " three"),
        ("b", "restarted", None),
        ("b", "append", "Zwei"),
        ("b", "value", {"text": "Zwei drei"}),
        ("a", "failed", "no more"),
        ("c", "replace", "Bon"),
        ("c", "replace", "Bonjour"),
        ("c", "value", {"text": "Bonjour"}),
    ]
    for path, kind, data in said:
        tell(wg.StreamRecord(1, path, 1, "" if kind in ("value", "failed", "restarted") else "text", kind, data))
    written = capsys.readouterr()
    assert written.out == ("a: One two\nb: Eins�[2J\na:  three\nb: Zwei drei\nc: Bon\nc: Bonjour\n")
    assert written.err == "b begins again, attempt 1\na failed: no more\n"
