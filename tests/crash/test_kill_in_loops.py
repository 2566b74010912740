"""Promise: a process killed in the middle of a loop goes on from the turn it was in, and tries nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash_nursery import (
    Nursery,
    assert_nothing_finished_ran_again,
    assert_same_key_for_every_attempt,
    completed,
    wait,
)
from crash_tasks import build_long_loops, build_loops

import workglow as wg
from workglow.file import doctor

ITEMS = 4
ACCUMULATED = 1
for _ in range(ITEMS):
    ACCUMULATED = (3 * ACCUMULATED + 5) % 1009
TURNS = {item: 5 - item for item in range(ITEMS)}  # from the item's number to 5


def expected() -> dict[str, str]:
    paths = {"numbers": "completed", "map": "completed", "reduce": "completed", "while": "completed"}
    for item, turns in TURNS.items():
        paths[f"map[{item}]/either"] = "completed"
        paths[f"map[{item}]/either[0]/hopeless"] = "failed"
        paths[f"map[{item}]/either[1]/climb"] = "completed"
        for turn in range(turns):
            paths[f"map[{item}]/either[1]/climb[{turn}]/one_more"] = "completed"
    for turn in range(ITEMS):
        paths[f"reduce[{turn}]/taken_in"] = "completed"
    paths["while[0]/one_more"] = "completed"
    return paths


def finish(project: Path, nursery: Nursery, points: list[str]) -> None:
    with wg.open(project) as opened:
        opened.begin(build_loops(), {"count": ITEMS})
    finished: dict[int, set[tuple[str, str]]] = {}
    for point in points:
        wait(nursery.fork(project, point=point))
        finished[len(nursery.entries())] = completed(project)
    wait(nursery.fork(project))
    entries = nursery.entries()
    assert_nothing_finished_ran_again(entries, finished)
    assert_same_key_for_every_attempt(entries)
    with wg.open(project) as opened:
        (run,) = opened.runs()
        assert run.outputs == {"value": ACCUMULATED + 1}
        assert {path: found.status for path, found in run.tasks.items()} == expected()
    assert doctor(project).ok


@pytest.mark.parametrize("moment", ["halfway", "after"])
@pytest.mark.parametrize("kind", ["fail:1", "fail:3", "complete:2", "complete:6", "complete:14", "complete:21"])
def test_a_kill_in_a_loop_loses_no_turn(tmp_path: Path, nursery: Nursery, kind: str, moment: str) -> None:
    name, _, count = kind.partition(":")
    finish(tmp_path / "project.wg", nursery, [f"{name}.{moment}:{count}"])


def test_a_process_that_is_killed_at_every_third_commit_gets_there(tmp_path: Path, nursery: Nursery) -> None:
    finish(tmp_path / "project.wg", nursery, ["complete.after:3"] * 12)


def test_a_loop_whose_last_turn_ended_while_its_rows_were_read_back_is_not_forgotten(
    tmp_path: Path, nursery: Nursery
) -> None:
    """Between the end of that turn and the next one's beginning nothing in the loop is open."""
    project = tmp_path / "project.wg"
    items = [[*range(150)], [*range(150, 300)]]
    with wg.open(project) as opened:
        opened.begin(build_long_loops(), {"count": 150})
    wait(nursery.fork(project, point="complete.after:280"))
    for _ in range(6):
        wait(nursery.fork(project, point="complete.after:1"))
    wait(nursery.fork(project))
    with wg.open(project) as opened:
        (run,) = opened.runs()
        assert run.outputs == {"value": items}
        assert len(run.tasks) == 2 + 2 + 300
    assert doctor(project).ok
