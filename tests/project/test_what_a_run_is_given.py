"""What a call of a run may be given, and a graph that gives it nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import workglow as wg
from workglow import Project, Run, TaskGraph, Workflow, task
from workglow.errors import TaskConfigurationError, TaskInputError

Runner = Callable[..., Run]


@task(name="given_length", output="length", inline=True)
def length(text: str) -> int:
    return len(text)


@pytest.fixture
def project() -> Iterator[Project]:
    with wg.open(":memory:") as opened:
        yield opened


@pytest.fixture(params=["memory", "project"])
def run(request: pytest.FixtureRequest, project: Project) -> Runner:
    def in_memory(graph: Any, inputs: Any = None, **settings: Any) -> Run:
        return graph.run_sync(inputs, **settings)

    return in_memory if request.param == "memory" else project.run_sync


@pytest.mark.timeout(10)
@pytest.mark.parametrize("empty", [Workflow, TaskGraph])
def test_a_graph_without_tasks_completes_at_once(run: Runner, empty: Callable[[], Any]) -> None:
    ended = run(empty())
    assert (ended.status, dict(ended.outputs), list(ended.tasks)) == ("completed", {}, [])


@pytest.mark.parametrize("inputs", [["four"], "four", {1: "four"}, 0])
def test_inputs_that_are_no_mapping_of_names_are_refused(run: Runner, project: Project, inputs: Any) -> None:
    graph = Workflow().then(length)
    for call in (run, project.begin):
        with pytest.raises(TaskInputError, match=r"mapping of names|name of an input is a text"):
            call(graph, inputs)
    assert project.runs() == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"timeout": -1}, "timeout is -1"),
        ({"timeout": "5"}, "timeout is '5'"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"concurrency": "2"}, "concurrency is '2'"),
        ({"max_tasks": -1}, "max_tasks is -1"),
        ({"wait": "yes"}, "wait is 'yes'"),
    ],
)
def test_options_that_make_no_sense_are_refused(run: Runner, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskConfigurationError, match=said):
        run(Workflow().then(length), {"text": "four"}, **settings)


def test_an_option_that_is_none_is_named_and_so_is_the_one_that_was_meant(run: Runner) -> None:
    with pytest.raises(TypeError, match=r"'concurency' is no option of a run. Did you mean 'concurrency'"):
        run(Workflow().then(length), {"text": "four"}, concurency=2)
    with pytest.raises(TypeError, match=r"'text' is no option of a run.*inputs are one mapping"):
        run(Workflow().then(length), text="four")
