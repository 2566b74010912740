"""The proof of the demonstration can fail."""

from __future__ import annotations

import pytest

import workglow as wg
from workglow.demo import Crash, prove


def double(x: int) -> int:
    return 2 * x


@pytest.fixture
def crash(project: wg.Project) -> Crash:
    """A finished run, noted as if it had been looked at before."""
    graph = wg.TaskGraph()
    graph.add_task(double, id="double")
    run = project.run_sync(graph, {"x": 1})
    task = run.tasks["double"]
    return Crash(run.id, finished={"double": (task.attempt, task.finished_at)})


def test_it_holds_when_what_was_finished_is_as_it_was(project: wg.Project, crash: Crash) -> None:
    assert prove(crash, project).holds


@pytest.mark.parametrize("before", [(2, None), (1, 5)])
def test_it_fails_when_a_finished_task_was_started_or_finished_again(
    project: wg.Project, crash: Crash, before: tuple[int, int | None]
) -> None:
    crash.finished["double"] = before
    proof = prove(crash, project)
    assert (proof.holds, proof.violations) == (False, ["double"])


def test_it_fails_when_a_finished_task_is_gone(project: wg.Project, crash: Crash) -> None:
    crash.finished["vanished"] = (1, 5)
    assert prove(crash, project).violations == ["vanished"]


def test_it_fails_when_what_was_in_flight_did_not_start_again(project: wg.Project, crash: Crash) -> None:
    crash.finished.clear()
    crash.in_flight.append("double")
    assert prove(crash, project).violations == ["double"]
