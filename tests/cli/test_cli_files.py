"""`copy`, `info`, `doctor`, `recover` and `gc`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture
def notes(call: Call, chain: str, tasks: str) -> str:
    for text in ("a", "b", "c"):
        call("run", chain, "--tasks", tasks, "-i", f"text={text}", "--project", "notes.wg")
    return "notes.wg"


def test_a_copy_holds_the_same_runs(call: Call, notes: str) -> None:
    result = call("copy", notes, "other.wg", "--json")
    assert json.loads(result.stdout)["bytes"] == Path("other.wg").stat().st_size
    assert call("runs", "other.wg", "--json").stdout == call("runs", notes, "--json").stdout


def test_a_copy_replaces_nothing_unless_told(call: Call, notes: str) -> None:
    Path("other.wg").write_text("precious")
    result = call("copy", notes, "other.wg")
    assert result.exit_code == 1
    assert "--overwrite" in result.stderr
    assert Path("other.wg").read_text() == "precious"
    assert call("copy", notes, "other.wg", "--overwrite").exit_code == 0


def test_info_counts_rows_and_bytes(call: Call, notes: str) -> None:
    facts = json.loads(call("info", notes, "--json").stdout)
    assert (facts["rows"]["run"], facts["rows"]["task_run"], facts["state"]) == (3, 6, "closed")
    assert "task_run" in call("info", notes).stdout


def test_doctor_of_a_sound_file(call: Call, notes: str) -> None:
    result = call("doctor", notes)
    assert result.exit_code == 0
    assert "is well" in result.stdout
    assert json.loads(call("doctor", notes, "--json").stdout)["ok"] is True


def test_doctor_of_a_damaged_file_exits_with_1_and_says_what_to_do(call: Call, notes: str) -> None:
    data = bytearray(Path(notes).read_bytes())
    data[-8000:] = bytes(8000)
    Path(notes).write_bytes(data)
    result = call("doctor", notes)
    assert result.exit_code == 1
    assert "WRONG" in result.stdout
    assert "checks failed" in result.stdout
    report = json.loads(call("doctor", notes, "--json").stdout)
    assert not report["ok"]
    assert all(check["remedy"] for check in report["checks"] if not check["ok"])


def test_doctor_of_something_else(call: Call, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear doctor")
    assert call("doctor", "letter.txt").exit_code == 1


def test_gc_says_what_would_go_and_changes_nothing(call: Call, notes: str) -> None:
    before = Path(notes).read_bytes()
    result = call("gc", notes, "--keep-runs", "1")
    assert result.stdout.count("Would remove run ") == 2
    assert "--yes" in result.stdout
    assert Path(notes).read_bytes() == before


def test_gc_removes_what_it_said(call: Call, notes: str) -> None:
    planned = json.loads(call("gc", notes, "--keep-runs", "1", "--json").stdout)
    done = json.loads(call("gc", notes, "--keep-runs", "1", "--yes", "--json").stdout)
    assert (done["runs"], done["done"]) == (planned["runs"], True)
    assert len(json.loads(call("runs", notes, "--json").stdout)) == 1
    assert call("doctor", notes).exit_code == 0


def test_gc_by_age_leaves_what_is_younger(call: Call, notes: str) -> None:
    assert "nothing to remove" in call("gc", notes, "--older-than", "1").stdout
    assert json.loads(call("gc", notes, "--older-than", "0", "--json").stdout)["done"] is False


def test_recover_makes_a_file_of_what_is_sound_and_says_what_is_not(call: Call, notes: str) -> None:
    result = call("recover", notes, "whole.wg")
    assert result.stdout == f"whole.wg holds everything that was in {notes}.\n"
    data = bytearray(Path(notes).read_bytes())
    place = data.rindex(b'{"text"')
    data[place] = 0xFF
    Path(notes).write_bytes(data)
    assert call("doctor", notes).exit_code == 1
    result = call("recover", notes, "new.wg")
    assert result.exit_code == 0
    assert "what could be read and verified" in result.stdout
    assert json.loads(call("recover", notes, "other.wg", "--json").stdout)["complete"] is False
    assert call("doctor", "new.wg").exit_code == 0
    assert call("recover", notes, "new.wg").exit_code == 1
