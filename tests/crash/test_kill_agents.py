"""Promise: no finished turn of an agent or a chat, and no finished call of a tool, is repeated after SIGKILL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from crash_nursery import Entry, assert_same_key_for_every_attempt, completed

import workglow as wg
from workglow.file import doctor
from workglow.testing import CRASH_VARIABLE

PROGRAM = Path(__file__).with_name("agent_program.py")
STEPS = (
    "model[0]",
    "agent[0]/calls[0]/add",
    "agent[0]/calls[1]/send",
    "model[1]",
    "agent[1]/calls[0]/refuse",
    "agent[1]/calls[1]/send",
    "model[2]",
)


class Place:
    """A project, its ledger, and processes that work on it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project.wg"
        self.ledger = folder / "ledger"

    def call(self, command: str, *more: str, point: str = "") -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(PROGRAM), command, str(self.project), str(self.ledger), *more]
        root = str(PROGRAM.parents[2])
        environment = {**os.environ, CRASH_VARIABLE: point, "PYTHONPATH": root}
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    def resume(self, expected: str) -> None:
        done = self.call("resume")
        assert done.stdout.strip() == expected, done.stderr

    def entries(self) -> list[Entry]:
        fields = (line.split() for line in self.ledger.read_text().splitlines())
        return [Entry(path, int(attempt), key, run, int(pid)) for path, attempt, key, run, pid in fields]

    def begun(self) -> Counter[str]:
        return Counter(entry.path for entry in self.entries())

    def outputs(self) -> Any:
        with wg.open(self.project, read_only=True) as project:
            (run,) = project.runs()
            assert run.status == "completed"
            return run.outputs


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def check_answer(place: Place) -> None:
    outputs = place.outputs()
    assert (outputs["text"], outputs["turns"]) == ("Turn 2.", 3)
    results = {
        part["tool_use_id"]: (part["is_error"], part["content"][0]["text"])
        for message in outputs["messages"]
        if message["role"] == "tool"
        for part in message["content"]
    }
    assert results.pop("c")[0]
    assert results == {
        "a": (False, '{"sum":5}'),
        "b": (False, "sent hello"),
        "d": (True, "ValueError: I refuse"),
        "e": (False, "sent bye"),
    }
    assert doctor(place.project).ok


@pytest.mark.parametrize("step", STEPS)
def test_killed_in_the_middle_of_a_step_an_agent_repeats_that_step_only(place: Place, step: str) -> None:
    assert place.call("agent", step).returncode == -9
    done = {path for _, path in completed(place.project)}
    place.resume("completed")
    begun = place.begun()
    again = {path for path, count in begun.items() if count > 1}
    assert step in again
    assert not again & done
    # calls of one turn run at the same time: what was in flight beside the one that was killed repeats, too
    turn = step.partition("]/calls")[0]
    assert all(path == step or path.startswith(f"{turn}]/calls") for path in again)
    assert set(begun) == set(STEPS)
    assert_same_key_for_every_attempt([entry for entry in place.entries() if entry.key != "-"])
    check_answer(place)


def test_the_effect_of_a_call_in_flight_is_reported_to_the_model_when_it_may_not_be_repeated(place: Place) -> None:
    step = "agent[1]/calls[1]/send"
    assert place.call("agent-once", step).returncode == -9
    assert place.call("resume-once").stdout.strip() == "completed"
    assert place.begun()[step] == 1
    last = [message for message in place.outputs()["messages"] if message["role"] == "tool"][-1]
    (sent,) = [part for part in last["content"] if part["tool_use_id"] == "e"]
    assert sent["is_error"]
    assert "whether its effect happened is not known" in sent["content"][0]["text"]


@pytest.mark.parametrize("kind", ["open", "complete", "fail", "start"])
@pytest.mark.parametrize("moment", ["before", "halfway", "inside", "after"])
def test_killed_at_any_moment_of_a_transition_an_agent_ends_the_same(tmp_path: Path, kind: str, moment: str) -> None:
    killed = 0
    for number in range(1, 30, 3):
        place = Place(tmp_path / str(number))
        place.project.parent.mkdir()
        if place.call("agent", point=f"{kind}.{moment}:{number}").returncode != -9:
            break
        killed += 1
        with wg.open(place.project, read_only=True) as project:
            has_begun = bool(project.runs())
        if has_begun:
            done = {path for _, path in completed(place.project)}
            lines = len(place.entries()) if place.ledger.exists() else 0
            place.resume("completed")
            assert not {entry.path for entry in place.entries()[lines:]} & done
            check_answer(place)
    assert killed


def test_usage_adds_up_over_the_turns(place: Place) -> None:
    assert place.call("agent").stdout.strip() == "completed"
    with wg.open(place.project, read_only=True) as project:
        (run,) = project.runs()
        assert (run.usage["input_tokens"], run.usage["output_tokens"]) == (30, 15)


def test_a_chat_is_one_row_while_it_waits_and_no_answer_of_the_model_is_written_twice(place: Place) -> None:
    assert place.call("chat", "model[0]").returncode == -9
    place.resume("waiting")
    place.call("answer", "go on")
    place.resume("waiting")
    place.call("answer", "once more")
    assert place.call("resume", "model[2]").returncode == -9
    place.resume("waiting")
    place.call("answer", "")
    place.resume("completed")
    assert place.begun() == {"model[0]": 2, "model[1]": 1, "model[2]": 2}
    outputs = place.outputs()
    assert (outputs["text"], outputs["iterations"]) == ("Turn 2", 3)
    said = [part["text"] for message in outputs["messages"] for part in message["content"]]
    assert said == ["Go", "Turn 0", "go on", "Turn 1", "once more", "Turn 2"]
