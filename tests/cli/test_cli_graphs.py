"""`graphs`, and running and showing a graph by its name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workglow as wg

Call = Callable[..., Any]


@pytest.fixture
def notes(call: Call, chain: str, loop: str, tasks: str, tmp_path: Path) -> str:
    """A project in which `ingest` is a chain and then a loop."""
    path = str(tmp_path / "notes.wg")
    for graph, note in ((chain, "first"), (loop, "in pieces")):
        assert call("graphs", path, "ingest", "--save", graph, "--note", note, "--tasks", tasks).exit_code == 0
    return path


def said(result: Any) -> str:
    """What a command complained about, without the frame and its line breaks."""
    return " ".join(result.stderr.replace("│", " ").split())


def test_graphs_lists_names_and_one_name_lists_its_history(call: Call, notes: str) -> None:
    listed = call("graphs", notes).stdout
    assert listed.splitlines()[0].split() == ["GRAPH", "VERSION", "SAVED", "NOTE"]
    assert listed.splitlines()[1].split()[:2] == ["ingest", "2"]
    assert "in pieces" in listed
    history = call("graphs", notes, "ingest").stdout
    assert [line.split()[0] for line in history.splitlines()] == ["VERSION", "1", "2"]
    facts = json.loads(call("graphs", notes, "ingest", "--json").stdout)
    assert [(one["number"], one["note"]) for one in facts] == [(1, "first"), (2, "in pieces")]
    assert json.loads(call("graphs", notes, "--json").stdout) == facts[-1:]


def test_a_project_without_graphs_says_how_to_save_one(call: Call, tmp_path: Path) -> None:
    wg.open(tmp_path / "a.wg").close()
    assert "--save GRAPH.json" in call("graphs", str(tmp_path / "a.wg")).stdout


def test_a_graph_is_restored_renamed_and_removed(call: Call, notes: str) -> None:
    assert call("graphs", notes, "ingest", "--restore", "1").stdout.splitlines()[-1].endswith("version 1 again")
    assert "VERSION" in call("graphs", notes, "ingest", "--rename", "load").stdout
    assert json.loads(call("graphs", notes, "--json").stdout)[0]["name"] == "load"
    assert call("graphs", notes, "load", "--remove").exit_code == 0
    assert json.loads(call("graphs", notes, "--json").stdout) == []


def test_what_graphs_is_asked_has_to_make_sense(call: Call, notes: str, chain: str) -> None:
    assert call("graphs", notes, "ingest", "--remove", "--restore", "1").exit_code == 2
    assert call("graphs", notes, "--remove").exit_code == 2


@pytest.mark.parametrize("words", [["--remove"], ["--restore", "1"], ["--rename", "b"], []])
def test_a_name_that_is_not_there_is_told(notes: str, call: Call, words: list[str]) -> None:
    done = call("graphs", notes, "ingets", *words)
    assert done.exit_code == 1
    assert "Did you mean 'ingest'?" in said(done)


def test_a_named_graph_runs(call: Call, notes: str, tasks: str) -> None:
    done = call("run", "ingest", "--project", notes, "--tasks", tasks, "-i", "text=so it goes", "--json")
    assert json.loads(done.stdout)["outputs"] == {"total": 8}


def test_a_file_of_that_name_goes_first(call: Call, notes: str, chain: str, tasks: str) -> None:
    Path("ingest").write_bytes(Path(chain).read_bytes())
    done = call("run", "ingest", "--project", notes, "--tasks", tasks, "-i", "text=so  it", "--json")
    assert json.loads(done.stdout)["outputs"] == {"text": "SO IT"}


def test_what_is_neither_a_file_nor_a_name_says_that_both_were_tried(call: Call, notes: str, tasks: str) -> None:
    done = call("run", "ingets", "--project", notes, "--tasks", tasks)
    assert done.exit_code == 2
    assert "There is no file ingets, and" in said(done)
    assert "has no graph of that name; it has ingest. Did you mean 'ingest'?" in said(done)
    assert "Did you mean 'chain.json'?" in said(call("run", "chian.json", "--project", notes))


def test_a_name_needs_a_project_and_makes_none(call: Call) -> None:
    done = call("run", "ingest")
    assert (done.exit_code, "There is no file ingest. A graph is run by its name with --project" in said(done)) == (
        2,
        True,
    )
    done = call("run", "ingest", "--project", "none.wg")
    assert (done.exit_code, "no project none.wg" in said(done)) == (2, True)
    assert not Path("none.wg").exists()


def test_graph_shows_a_version(call: Call, notes: str, chain: str, tasks: str) -> None:
    shown = call("graph", notes, "ingest", "--version", "1", "--json", "--tasks", tasks)
    assert json.loads(shown.stdout) == json.loads(Path(chain).read_text())
    assert "measure" in call("graph", notes, "ingest", "--tasks", tasks).stdout


def test_looking_at_a_project_that_is_open_here_leaves_it_its_locks(call: Call, notes: str) -> None:
    take = f"import fcntl; fcntl.lockf(open({notes!r}, 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    with wg.open(notes):
        assert call("graph", notes, "ingest").exit_code == 0
        done = call("run", notes)
        assert (done.exit_code, "is a project file that is open" in said(done)) == (2, True)
        other = subprocess.run([sys.executable, "-c", take], capture_output=True, check=False)
        assert b"BlockingIOError" in other.stderr


@pytest.mark.parametrize("form", ["--json", "--mermaid", "--svg"])
@pytest.mark.parametrize("place", ["name", "run", "json"])
def test_a_graph_is_shown_without_the_code_of_its_tasks(
    call: Call, spawn: Callable[..., subprocess.Popen[str]], notes: str, loop: str, tasks: str, form: str, place: str
) -> None:
    assert call("run", loop, "--project", notes, "--tasks", tasks, "--input", "text=a bc").exit_code == 0
    words = {"name": ("graph", notes, "ingest", form), "run": ("graph", notes, form), "json": ("graph", loop, form)}
    alone = spawn(*words[place])
    shown, complaint = alone.communicate()
    assert (alone.returncode, complaint) == (0, "")
    assert shown == call(*words[place], "--tasks", tasks).stdout


def test_what_only_the_code_tells_is_left_out_or_refused(
    call: Call, spawn: Callable[..., subprocess.Popen[str]], notes: str, tasks: str
) -> None:
    alone = spawn("graph", notes, "ingest").communicate()[0]
    whole = call("graph", notes, "ingest", "--tasks", tasks).stdout
    assert alone.splitlines()[:5] == whole.splitlines()[:5]
    assert "said in the code of its tasks: name it with --tasks" in alone
    refused = spawn("graph", notes, "ingest", "--python")
    assert ("--tasks FILE.py" in refused.communicate()[1], refused.returncode) == (True, 1)


def test_json_that_is_no_graph_is_refused_with_its_place_also_without_the_code(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"tasks": [{"id": "a", "type": "Nowhere"}], "dataflows": [{"sourceTaskId": "a"}]}')
    refused = call("graph", str(path), "--mermaid")
    assert (refused.exit_code, "$.dataflows[0]" in said(refused)) == (1, True)


def test_a_file_that_is_not_there_is_said_to_be_missing(call: Call) -> None:
    for words in (("graph", "none.wg"), ("graph", "none.wg", "last"), ("graph", "none.wg", "last", "--json")):
        missing = call(*words)
        assert (missing.exit_code, "none.wg cannot be read: No such file" in said(missing)) == (2, True)
