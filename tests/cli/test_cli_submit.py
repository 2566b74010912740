"""`workglow submit`: a run for the workers of a queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import workglow as wg
from workglow.cli.commands import app


def test_a_graph_is_submitted_and_a_worker_drives_it(tmp_path: Path) -> None:
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps(wg.Workflow().then(wg.DelayTask(seconds=0.0)).graph.to_json()))
    file = str(tmp_path / "project.wg")
    words = ["submit", str(graph), "--project", file, "--input", "word=hello"]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    told = json.loads(CliRunner().invoke(app, [*words, "--queue", "late", "--json"]).output)
    assert (told["status"], told["queue"]) == ("pending", "late")
    with wg.open(file) as project:
        assert [run.id for run in project.runs()] == [said.output.strip(), told["run"]]
        while project.queue("runs").work_sync():
            pass
        assert [run.status for run in project.runs()] == ["completed", "pending"]
        assert project.runs()[0].outputs["word"] == "hello"


@pytest.mark.parametrize("words", [["submit", "missing.json", "--project", "nowhere.wg"], ["submit", "graph.json"]])
def test_what_is_not_there_is_said(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2
