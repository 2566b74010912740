"""Why a task was never reached: said from the stored graph, by a process that knows none of its tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

import workglow as wg
from workglow import HumanApprovalTask, Workflow, task
from workglow.errors import UnknownTaskError
from workglow.tasks import TaskRegistry


@task(name="unreached_make", output="text")
def make(topic: str) -> str:
    return topic


@task(name="unreached_use", output="length")
def use(text: str) -> int:
    return len(text)


@task(name="unreached_again", output="double")
def again(length: int) -> int:
    return 2 * length


def inner() -> Workflow:
    return Workflow().then(make, id="make").then(HumanApprovalTask(id="ask", message="Go on?")).then(use, id="use")


@pytest.fixture
def run(project_path: Path) -> str:
    flow = Workflow().map(inner(), id="map", max_iterations=9, concurrency=1)
    flow = flow.map(Workflow().then(again, id="again"), id="later", max_iterations=9)
    with wg.open(project_path) as project:
        return project.run_sync(flow, {"topic": ["bees", "ants"]}).id


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("later", "'later' has not started: it waits for 'map' (running)."),
        ("map[0]/use", "'map[0]/use' has not started: it waits for 'map[0]/ask' (waits for a person: Go on?)."),
        ("map[1]/use", "it is inside 'map', which has begun 1 of the graphs inside it, and not yet this one."),
        (
            "later[0]/again",
            "it is inside 'later', which has not started either.\n"
            "'later' has not started: it waits for 'map' (running).",
        ),
    ],
)
def test_every_path_of_the_graph_is_known_without_its_code(project_path: Path, run: str, path: str, said: str) -> None:
    with wg.open(project_path, registry=TaskRegistry(), read_only=True) as project:
        assert said in project.why(run, path)


@pytest.mark.parametrize(
    "path", ["no", "map/no", "map[0]/no", "map[0]/use/no", "use[0]", "map[0]", "map[x]/use", "/", ""]
)
def test_a_path_that_the_graph_has_not_is_an_error(project_path: Path, run: str, path: str) -> None:
    with wg.open(project_path, registry=TaskRegistry(), read_only=True) as project:
        with pytest.raises(UnknownTaskError, match="no task at"):
            project.why(run, path)
