"""`workglow usage`: what runs took of models, and where `show` says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import workglow as wg
from workglow import TaskContext, Workflow, task

Call = Callable[..., Result]


@task(name="CliSpend", output="value")
def spend(value: int, context: TaskContext) -> int:
    context.record_usage("large", input_tokens=1000 * value, output_tokens=1, model_seconds=0.5, cost=0.25)
    return value


@task(name="CliFrugal", output="value")
def frugal(value: list[int], context: TaskContext) -> int:
    context.record_usage(input_tokens=1)
    return sum(value)


@pytest.fixture
def spent(tmp_path: Path) -> str:
    """A file with a run of two items, and a fork of it that only repeats what is cheap."""
    with wg.open(tmp_path / "spent.wg") as project:
        run = project.run_sync(
            Workflow().map(Workflow().then(spend, id="spend")).then(frugal, id="sum"), {"value": [1, 2]}
        )
        project.fork_sync(run.id, from_task="sum")
    return str(tmp_path / "spent.wg")


def test_a_line_for_each_run_and_each_model(call: Call, spent: str) -> None:
    lines = [" ".join(line.split()) for line in call("usage", spent).stdout.splitlines()]
    assert [line.split()[4:] for line in lines[1:3]] == [
        ["3,001", "2", "1.0", "s", "0.5000"],
        ["1", "0", "0", "ms", "0.0000"],
    ]
    assert lines[3] == "in all 3,002 2 1.0 s 0.5000"
    assert lines[5:] == [
        "MODEL TOKENS IN TOKENS OUT TIME COST",
        "large 3,000 2 1.0 s 0.5000",
        "not named 2 0 0 ms 0.0000",
        "in all 3,002 2 1.0 s 0.5000",
    ]


def test_a_line_for_each_task_of_a_run_with_a_loop_as_one(call: Call, spent: str) -> None:
    first = json.loads(call("runs", spent, "--json").stdout)[0]["run"]
    lines = [" ".join(line.split()) for line in call("usage", spent, first).stdout.splitlines()]
    assert lines[1:4] == [
        "map[*]/spend 3,000 2 1.0 s 0.5000",
        "sum 1 0 0 ms 0.0000",
        "in all 3,001 2 1.0 s 0.5000",
    ]


def test_json_has_all_of_it(call: Call, spent: str) -> None:
    whole = json.loads(call("usage", spent, "--json").stdout)
    assert [run["total"]["input_tokens"] for run in whole["runs"]] == [3001, 1]
    assert [sorted(run["models"]) for run in whole["runs"]] == [["", "large"], [""]]
    assert [len(run["tasks"]) for run in whole["runs"]] == [3, 1]
    assert whole["total"] == {"input_tokens": 3002, "output_tokens": 2, "model_seconds": 1.0, "cost": 0.5}
    assert whole["models"]["large"]["output_tokens"] == 2


def test_show_says_it_of_a_run_and_of_a_task(call: Call, spent: str) -> None:
    first = json.loads(call("runs", spent, "--json").stdout)[0]["run"]
    assert "used 3,001 tokens in, 2 out, models worked 1.0 s, cost 0.5000" in call("show", spent, first).stdout
    assert "used 1 tokens in, 0 out\n" in call("show", spent, first, "sum").stdout
    told = json.loads(call("show", spent, first, "--json").stdout)
    assert told["usage"]["input_tokens"] == 3001
    assert [task["usage"]["cost"] for task in told["tasks"] if task["path"] == "sum"] == [0.0]


def test_without_a_usage_it_says_how_there_would_be_one(call: Call, tmp_path: Path) -> None:
    with wg.open(tmp_path / "free.wg"):
        pass
    assert "record_usage" in call("usage", str(tmp_path / "free.wg")).stdout
