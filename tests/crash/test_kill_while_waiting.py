"""Promise: a run that waits needs no process, and whoever is killed then, nothing before the question runs again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import apsw
import pytest
from crash_nursery import Nursery, assert_nothing_finished_ran_again, completed, kill

import workglow as wg
from workglow.file import doctor
from workglow.testing import CRASH_VARIABLE

PROGRAM = Path(__file__).with_name("waiting_program.py")


class Place:
    """A project, its ledger, and processes that work on it."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project.wg"
        self.ledger = folder / "ledger"

    def start(self, command: str, *more: str, point: str = "") -> subprocess.Popen[str]:
        words = [sys.executable, str(PROGRAM), command, str(self.project), str(self.ledger), *more]
        return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, CRASH_VARIABLE: point})

    def call(self, command: str, *more: str, point: str = "") -> str:
        said, _ = self.start(command, *more, point=point).communicate()
        return said.strip()

    def begun(self) -> Counter[str]:
        lines = self.ledger.read_text().splitlines() if self.ledger.exists() else []
        return Counter(line.split()[0] for line in lines)

    def waiting(self) -> int:
        """How many tasks the file says are waiting, read by another connection."""
        try:
            db = apsw.Connection(str(self.project), flags=apsw.SQLITE_OPEN_READONLY)
        except apsw.CantOpenError:
            return 0
        db.set_busy_timeout(10_000)
        try:
            return db.execute("SELECT count(*) FROM task_run WHERE status = 'waiting'").get
        except apsw.SQLError:
            return 0  # the table is not there yet
        finally:
            db.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def finish(place: Place) -> None:
    """Answer from one process, resume in another, and look at what came out."""
    assert place.call("answer", "0", "yes") == "kept"
    assert place.call("resume") == "waiting"
    assert place.call("answer", "1", "no") == "kept"
    assert place.call("resume") == "completed"
    with wg.open(place.project, read_only=True) as project:
        (run,) = project.runs()
        assert run.outputs == {"url": ["https://about bees", None]}
        assert project.questions() == []
    assert doctor(place.project).ok
    assert place.begun()["map[0]/publish"] == 1
    assert place.begun()["map[1]/publish"] == 0


def test_killed_while_it_waits_answered_by_another_and_resumed_by_a_third(place: Place) -> None:
    driver = place.start("stay")
    while place.waiting() < 2:
        os.sched_yield()
    kill(driver.pid)
    driver.communicate()
    assert place.begun() == {"map[0]/draft": 1, "map[1]/draft": 1}
    finish(place)
    assert place.begun() == {"map[0]/draft": 1, "map[1]/draft": 1, "map[0]/publish": 1}


def test_an_answer_from_another_process_wakes_the_one_that_drives_the_run(place: Place) -> None:
    driver = place.start("stay")
    while place.waiting() < 2:
        os.sched_yield()
    assert place.call("answer", "0", "yes") == "kept"
    assert place.call("answer", "1", "no") == "kept"
    assert driver.communicate()[0].strip() == "completed"
    assert place.begun() == {"map[0]/draft": 1, "map[1]/draft": 1, "map[0]/publish": 1}


POINTS = ["wait.before:1", "wait.halfway:1", "wait.inside:1", "wait.after:1", "finish.before:1", "finish.inside:1"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_every_point_of_beginning_to_wait(place: Place, point: str) -> None:
    assert place.call("run", point=point) == ""
    nursery = Nursery.__new__(Nursery)  # only to read the ledger
    nursery.ledger = place.ledger
    finished = {len(nursery.entries()): completed(place.project)}
    assert place.call("resume") == "waiting"
    finish(place)
    assert_nothing_finished_ran_again(nursery.entries(), finished)


@pytest.mark.parametrize("point", ["complete.before:1", "complete.inside:1", "complete.after:1"])
def test_killed_when_it_acts_on_an_answer(place: Place, point: str) -> None:
    assert place.call("run") == "waiting"
    assert place.call("answer", "0", "yes") == "kept"
    assert place.call("resume", point=point) == ""
    assert place.call("answer", "0", "no").startswith("refused")
    assert place.call("resume") == "waiting"
    assert place.call("answer", "1", "no") == "kept"
    assert place.call("resume") == "completed"
    assert place.begun()["map[0]/draft"] == place.begun()["map[1]/draft"] == 1
    assert doctor(place.project).ok


@pytest.mark.parametrize(
    ("turn", "point"),
    [
        (0, "wait.inside:1"),
        (0, "wait.after:1"),
        (1, "start.after:1"),
        (1, "wait.before:1"),
        (2, "wait.halfway:1"),
        (3, "complete.before:1"),
    ],
)
def test_killed_between_the_turns_of_a_conversation(place: Place, point: str, turn: int) -> None:
    said: list[str] = []
    place.call("talk", point=point if turn == 0 else "")
    for number in range(1, 9):
        with wg.open(place.project) as project:
            runs = project.runs()
        if not runs:
            assert place.call("talk") == "waiting"
        elif runs[-1].status == "completed":
            break
        elif (now := place.call("say", f"{number}-")) != "":
            said.append(now)
        place.call("resume", point=point if turn == number else "")
    with wg.open(place.project, read_only=True) as project:
        (run,) = project.runs()
        assert run.status == "completed"
        told = project.answers(run.id, "talk")
        assert [one.question.turn for one in told] == [1, 2, 3]
        assert run.tasks["talk"].outputs == {"text": " ".join(one.content["answer"] for one in told)}
    assert said == ["0", "1", "2"]  # nobody was asked twice
    assert place.begun()["draft"] == place.begun()["publish"] == 1
    assert doctor(place.project).ok


def test_of_two_processes_that_answer_at_once_one_wins(place: Place) -> None:
    assert place.call("run") == "waiting"
    racing = [place.start("answer", "0", said) for said in ("yes", "no", "yes", "no")]
    said = [process.communicate()[0].split() for process in racing]
    assert sorted(words[0] for words in said) == ["kept", "refused", "refused", "refused"]
    winner = ("yes", "no", "yes", "no")[[words[0] for words in said].index("kept")]
    assert place.call("answer", "1", "no") == "kept"
    assert place.call("resume") == "completed"
    assert place.begun()["map[0]/publish"] == (winner == "yes")
