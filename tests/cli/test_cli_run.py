"""`run`, `resume`, `fork` and `rerun`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import WaitForEventTask, Workflow

Call = Callable[..., Any]


def test_run_in_memory_prints_tasks_and_outputs(call: Call, chain: str, tasks: str) -> None:
    result = call("run", chain, "--tasks", tasks, "--input", "text=so  it   goes")
    assert result.exit_code == 0
    assert "shout  completed" in result.stdout
    assert "text  SO IT GOES" in result.stdout
    assert not list(Path().glob("*.wg"))


def test_run_in_a_project_keeps_the_run_and_says_where(call: Call, chain: str, tasks: str) -> None:
    result = call("run", chain, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg")
    [run] = json.loads(call("runs", "notes.wg", "--json").stdout)
    assert run["status"] == "completed"
    assert f"run {run['run']} in notes.wg" in result.stdout


def test_json_has_outputs_and_tasks_and_nothing_else_on_stdout(call: Call, chain: str, tasks: str) -> None:
    result = call("run", chain, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg", "--json")
    facts = json.loads(result.stdout)
    assert (facts["status"], facts["outputs"]) == ("completed", {"text": "A"})
    assert [(task["path"], task["attempt"]) for task in facts["tasks"]] == [("tidy", 1), ("shout", 1)]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("3", 3),
        ("[1, 2]", [1, 2]),
        ("true", True),
        ("null", None),
        ('"3"', "3"),
        ("a=b", "a=b"),
        ("NaN", "NaN"),
        ("", ""),
    ],
)
def test_an_input_is_json_when_it_reads_as_json_else_text(given: str, expected: object) -> None:
    from workglow.cli.inputs import read_inputs

    assert read_inputs([f"name={given}"], None) == {"name": expected}


def test_inputs_of_a_file_yield_to_those_given_one_by_one(tmp_path: Path) -> None:
    from workglow.cli.inputs import read_inputs

    file = tmp_path / "inputs.json"
    file.write_text('{"a": 1, "b": 2}')
    assert read_inputs(["b=3"], str(file)) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "text"], "'text' is not NAME=VALUE"),
        (["--input-file", "missing.json"], "missing.json cannot be read"),
        (["--tasks", "missing.py"], "missing.py cannot be imported: FileNotFoundError"),
        (["--tasks", "no_such_module"], "no_such_module cannot be imported: ModuleNotFoundError"),
        (["--concurrency", "0"], "--concurrency"),
        (["--cache", "maybe"], "maybe"),
    ],
)
def test_a_command_that_is_not_understood_exits_with_2(
    call: Call, chain: str, tasks: str, words: list[str], said: str
) -> None:
    result = call("run", chain, "--tasks", tasks, *words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_task_file_that_raises_says_where(call: Call, chain: str, tmp_path: Path) -> None:
    (tmp_path / "broken_tasks.py").write_text("x = 1\nx.nothing\n")
    result = call("run", chain, "--tasks", "broken_tasks.py")
    assert result.exit_code == 2
    assert "AttributeError" in result.stderr
    assert "broken_tasks.py, line 2" in " ".join(result.stderr.split())


def test_a_task_file_does_not_take_the_place_of_a_module(call: Call, chain: str, tasks: str, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("marker = True\n")
    call("run", chain, "--tasks", tasks, "--tasks", "json.py", "-i", "text=a")
    import json as module

    assert not hasattr(module, "marker")


def test_a_graph_that_is_no_graph_names_file_and_place(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text('{"tasks": [{"type": "X"}], "dataflows": []}')
    result = call("run", "bad.json")
    assert result.exit_code == 1
    assert "bad.json: $.tasks[0]" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_task_type_names_the_option_that_helps(call: Call, tmp_path: Path) -> None:
    graph = {"tasks": [{"id": "x", "type": "CliNobodyKnows"}], "dataflows": []}
    (tmp_path / "unknown.json").write_text(json.dumps(graph))
    result = call("run", "unknown.json")
    assert result.exit_code == 1
    assert "--tasks FILE.py" in result.stderr


def test_an_unknown_input_is_refused_with_the_nearest(call: Call, chain: str, tasks: str) -> None:
    result = call("run", chain, "--tasks", tasks, "-i", "txt=a")
    assert result.exit_code == 1
    assert "Did you mean 'text'" in result.stderr


def test_a_failure_shows_the_table_the_line_that_raised_and_how_to_try_again(
    call: Call, chain: str, tasks: str
) -> None:
    result = call("run", chain, "--tasks", tasks, "-i", "text=whisper", "--project", "notes.wg")
    assert result.exit_code == 1
    assert "shout  failed" in result.stdout
    assert "error: Task 'shout' failed: ValueError: too quiet: whisper" in result.stderr
    assert "command_line_tasks.py" in result.stderr
    assert "workglow rerun notes.wg" in result.stderr
    assert "Traceback" not in result.stderr


def test_continue_on_error_ends_with_1_and_the_rest_done(call: Call, loop: str, tasks: str) -> None:
    result = call("run", loop, "--tasks", tasks, "-i", "text=good bad fine", "--continue-on-error", "--json")
    facts = {task["path"]: task["status"] for task in json.loads(result.stdout)["tasks"]}
    assert result.exit_code == 1
    assert facts["each[0]/measure"] == facts["each[2]/measure"] == "completed"


def test_arrays_are_summarised_for_people_and_whole_for_programs(
    call: Call, single: Callable[[str], str], tasks: str
) -> None:
    assert "vectors  float32 array 2 x 3: 0, 1, 2, 3, …" in call("run", single("arrays"), "--tasks", tasks).stdout
    facts = json.loads(call("run", single("arrays"), "--tasks", tasks, "--json").stdout)
    assert facts["outputs"] == {"vectors": [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]}


def test_streamed_text_is_told_line_by_line(call: Call, single: Callable[[str], str], tasks: str) -> None:
    result = call("run", single("tell"), "--tasks", tasks)
    assert "tell: Once upon a time\ntell: the end\n" in result.stderr


def test_what_tasks_say_cannot_take_over_the_terminal(call: Call, single: Callable[[str], str], tasks: str) -> None:
    result = call("run", single("hostile"), "--tasks", tasks)
    assert "\x1b" not in result.output
    assert "\x9b" not in result.output
    assert "\u202e" not in result.output
    assert "[bold]loud[/bold]" in result.stdout


def test_resume_of_a_finished_file_says_that_there_is_nothing_to_do(call: Call, chain: str, tasks: str) -> None:
    call("run", chain, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg")
    result = call("resume", "notes.wg")
    assert result.exit_code == 0
    assert "nothing to resume" in result.stderr


def test_resume_takes_a_run_or_all(call: Call) -> None:
    assert call("resume", "notes.wg", "last", "--all").exit_code == 2


def test_resume_does_not_make_a_file(call: Call) -> None:
    assert call("resume", "missing.wg").exit_code == 1
    assert not Path("missing.wg").exists()


def test_fork_runs_from_a_task_and_reuses_what_is_before_it(call: Call, chain: str, tasks: str) -> None:
    call("run", chain, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg")
    facts = json.loads(call("fork", "notes.wg", "last", "--from", "shout", "--tasks", tasks, "--json").stdout)
    assert {task["path"]: task["reused"] for task in facts["tasks"]} == {"tidy": True, "shout": False}


def test_fork_with_another_input(call: Call, chain: str, tasks: str) -> None:
    call("run", chain, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg")
    facts = json.loads(call("fork", "notes.wg", "last", "-i", "text=b", "--tasks", tasks, "--json").stdout)
    assert facts["outputs"] == {"text": "B"}
    assert facts["forked_from"]


def test_a_fork_needs_a_change(call: Call, chain: str, tasks: str) -> None:
    assert call("fork", "notes.wg", "last").exit_code == 2


def test_rerun_runs_what_failed(call: Call, chain: str, tasks: str) -> None:
    call("run", chain, "--tasks", tasks, "-i", "text=whisper", "--project", "notes.wg")
    result = call("rerun", "notes.wg", "last", "--failed", "--tasks", tasks, "--json")
    assert result.exit_code == 1
    assert {task["path"]: task["reused"] for task in json.loads(result.stdout)["tasks"]} == {
        "tidy": True,
        "shout": False,
    }


def test_resume_with_json_prints_a_document_also_when_there_is_nothing_to_do(
    call: Call, chain: str, tasks: str
) -> None:
    call("run", chain, "--tasks", tasks, "-i", "text=a", "--project", "notes.wg")
    assert json.loads(call("resume", "notes.wg", "--json").stdout) is None
    assert json.loads(call("resume", "notes.wg", "--all", "--json").stdout) == []


def test_resume_all_goes_on_with_each_run_whatever_becomes_of_those_before_it(call: Call, tmp_path: Path) -> None:
    with wg.open(tmp_path / "many.wg") as project:
        begun = [
            project.begin(each).id
            for each in (
                Workflow().regex(value="a", pattern="("),
                Workflow().then(WaitForEventTask(id="go", event="go")),
                Workflow().scalar_add(a=1, b=2),
            )
        ]
    result = call("resume", "many.wg", "--all", "--json")
    shown = json.loads(result.stdout)
    assert [run["run"] for run in shown] == begun
    assert [run["status"] for run in shown] == ["failed", "waiting", "completed"]
    assert result.exit_code == 1
    assert "error: The pattern '(' cannot be used" in result.stderr
