"""`schedules`, `schedule` and `unschedule`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow.testing import FakeClock

Call = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s.wg")


def test_a_schedule_is_made_shown_paused_resumed_and_forgotten(call: Call, path: str) -> None:
    made = call(
        "schedule", path, "nightly", "report", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin", "--input", "day=1"
    )
    assert made.exit_code == 0, made.stderr
    assert made.stdout.splitlines()[0].split() == ["SCHEDULE", "DOES", "WHEN", "NEXT", "LAST", "MADE"]
    assert made.stdout.splitlines()[1].split()[:8] == [*["nightly", "report", "0", "3", "*", "*", "*", "Europe/Berlin"]]
    (facts,) = json.loads(call("schedules", path, "--json").stdout)
    assert (facts["inputs"], facts["catch_up"], facts["queue"], facts["every"]) == ({"day": 1}, "one", "default", None)
    assert facts["next_at"] > facts["created_at"]
    assert "paused" in call("schedule", path, "nightly", "--pause").stdout
    assert "paused" not in call("schedule", path, "nightly", "--resume").stdout
    assert call("unschedule", path, "nightly").exit_code == 0
    assert json.loads(call("schedules", path, "--json").stdout) == []
    assert "has no schedule" in call("schedules", path).stdout


def test_a_graph_of_a_file_or_of_the_project_is_scheduled(call: Call, path: str, chain: str, tasks: str) -> None:
    made = call("schedule", path, "g", "--graph", chain, "--every", "60", "--tasks", tasks, "-i", "text=x")
    assert made.exit_code == 0, made.stderr
    (facts,) = json.loads(call("schedules", path, "--json").stdout)
    assert (facts["every"], len(facts["graph"])) == (60.0, 64)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["s"], "HANDLER"),
        (["s", "h", "--pause"], "HANDLER"),
        (["s", "--pause"], "no schedule"),
        (["s", "h"], "either"),
        (["s", "h", "--cron", "x"], "fields"),
    ],
)
def test_what_makes_no_sense_is_said(call: Call, path: str, words: list[str], word: str) -> None:
    wg.open(path, clock=FakeClock()).close()
    done = call("schedule", path, *words)
    assert done.exit_code in (1, 2)
    assert word in " ".join(done.stderr.replace("│", " ").split())


def test_forgetting_what_is_not_there_fails(call: Call, path: str) -> None:
    wg.open(path).close()
    assert call("unschedule", path, "s").exit_code == 1
