"""Loops and alternatives in a file: what a fork or a rerun takes along, and what `why` says about them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import FallbackTask, GraphAsTask, MapTask, Project, ReduceTask, Run, TaskContext, TaskGraph, WhileTask
from workglow.errors import MaxIterationsError, TaskFailedError, TaskSerializationError
from workglow.file import doctor
from workglow.tasks import task

begun: list[str] = []
broken: set[str] = set()


@task(name="restart_add", output="accumulator", cache=False)
def add(accumulator: int, item: int, context: TaskContext) -> int:
    enter(context)
    return 2 * accumulator + item


@task(name="restart_step", output="value", cache=False)
def step(value: int, context: TaskContext) -> int:
    enter(context)
    return value + 1


@task(name="restart_other", output="value", cache=False)
def other(value: int, context: TaskContext) -> int:
    enter(context)
    return -value


def enter(context: TaskContext) -> None:
    begun.append(context.path)
    if context.path in broken:
        raise ValueError("on purpose")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    begun.clear()
    broken.clear()
    with wg.open(tmp_path / "project.wg") as project:
        yield project
    assert doctor(tmp_path / "project.wg").ok


def graph_of(*tasks: Any) -> TaskGraph:
    graph = TaskGraph()
    for each in tasks:
        graph.add_task(each)
    return graph


def summing() -> TaskGraph:
    return graph_of(ReduceTask(graph_of(add), id="reduce", initial_value=0, max_iterations="unbounded"))


def counting(**options: Any) -> WhileTask:
    settings: dict[str, Any] = {"condition_operator": "less_than", "condition_value": 5, "max_iterations": 9}
    return WhileTask(graph_of(step), id="while", condition_field="value", **{**settings, **options})


def either() -> TaskGraph:
    graph = graph_of(FallbackTask(graph_of(step, other), id="fallback"))
    graph.add_task(step, id="after")
    graph.add_dataflow("fallback", "value", "after", "value")
    return graph


def failed(project: Project, graph: TaskGraph, inputs: dict[str, object]) -> str:
    with pytest.raises(TaskFailedError) as caught:
        project.run_sync(graph, inputs)
    run = caught.value.run
    assert isinstance(run, Run)
    return run.id


def test_a_fork_from_one_turn_runs_the_turns_after_it_again(project: Project) -> None:
    run = project.run_sync(summing(), {"item": [1, 1, 1, 1]})
    assert run.outputs == {"accumulator": 15}
    begun.clear()
    forked = project.fork_sync(run.id, from_task="reduce[2]/restart_add")
    assert forked.outputs == {"accumulator": 15}
    assert begun == ["reduce[2]/restart_add", "reduce[3]/restart_add"]
    assert [path for path, found in forked.tasks.items() if found.cached] == [
        "reduce[0]/restart_add",
        "reduce[1]/restart_add",
    ]


def test_a_turn_that_failed_goes_on_from_the_turn_before(project: Project) -> None:
    broken.add("reduce[2]/restart_add")
    run = failed(project, summing(), {"item": [1, 1, 1, 1]})
    assert "'reduce[2]/restart_add' was started once and failed" in project.why(run, "reduce[2]/restart_add")
    broken.clear()
    begun.clear()
    assert project.rerun_failed_sync(run).outputs == {"accumulator": 15}
    assert begun == ["reduce[2]/restart_add", "reduce[3]/restart_add"]


def test_a_while_goes_on_from_the_turn_that_failed(project: Project) -> None:
    broken.add("map[1]/while[3]/restart_step")
    graph = graph_of(MapTask(graph_of(counting()), id="map", max_iterations="unbounded", concurrency=1))
    run = failed(project, graph, {"value": [3, 1, 2]})
    broken.clear()
    begun.clear()
    assert project.rerun_failed_sync(run).outputs == {"value": [5, 5, 5]}
    assert begun == [
        "map[1]/while[3]/restart_step",
        *(f"map[2]/while[{turn}]/restart_step" for turn in range(3)),
    ]


def test_a_while_can_be_forked_at_a_turn_and_end_elsewhere(project: Project) -> None:
    run = project.run_sync(graph_of(counting()), {"value": 2})
    assert [path for path in run.tasks if "[" in path] == [f"while[{turn}]/restart_step" for turn in range(3)]
    begun.clear()
    assert project.fork_sync(run.id, from_task="while[1]/restart_step").outputs == {"value": 5}
    assert begun == ["while[1]/restart_step", "while[2]/restart_step"]


def test_what_was_tried_in_vain_is_not_tried_again(project: Project) -> None:
    broken.update(("fallback[0]/restart_step", "after"))
    run = failed(project, either(), {"value": 7})
    begun.clear()
    broken.clear()
    again = project.rerun_failed_sync(run)
    assert again.outputs == {"value": -6}
    assert begun == ["after"]
    assert again.tasks["fallback[0]/restart_step"].status == "failed"
    assert "Alternative 1 failed: Task 'fallback[0]/restart_step' failed: ValueError: on purpose" in project.why(
        again.id, "fallback"
    )


def test_all_alternatives_are_tried_again_when_all_had_failed(project: Project) -> None:
    broken.update(("fallback[0]/restart_step", "fallback[1]/restart_other"))
    run = failed(project, either(), {"value": 7})
    begun.clear()
    broken.remove("fallback[1]/restart_other")
    assert project.rerun_failed_sync(run).outputs == {"value": -6}
    assert begun == ["fallback[0]/restart_step", "fallback[1]/restart_other", "after"]
    assert project.fork_sync(run, from_task="fallback[1]/restart_other").outputs == {"value": -6}


def test_a_fork_of_the_first_alternative_forgets_the_second(project: Project) -> None:
    broken.add("fallback[0]/restart_step")
    run = project.run_sync(either(), {"value": 7})
    assert run.outputs == {"value": -6}
    broken.clear()
    forked = project.fork_sync(run.id, from_task="fallback[0]/restart_step")
    assert forked.outputs == {"value": 9}
    assert "fallback[1]/restart_other" not in forked.tasks


def test_why_says_that_a_loop_stopped_at_its_limit(project: Project) -> None:
    run = project.run_sync(graph_of(counting(max_iterations=2)), {"value": 0})
    assert run.outputs == {"value": 2}
    assert "stopped after 2 turns, its max_iterations; its condition still held" in project.why(run.id, "while")
    run = project.run_sync(graph_of(counting()), {"value": 0})
    assert "max_iterations" not in project.why(run.id, "while")


def test_a_loop_that_failed_at_its_limit_fails_there_again(project: Project) -> None:
    graph = graph_of(counting(max_iterations=2, on_limit="error"))
    run = failed(project, graph, {"value": 0})
    begun.clear()
    with pytest.raises(MaxIterationsError, match="has run 2 times"):
        project.rerun_failed_sync(run)
    assert begun == []


def test_a_map_with_too_many_items_fails_again_too(project: Project) -> None:
    graph = graph_of(GraphAsTask(graph_of(MapTask(graph_of(step), id="map", max_iterations=1)), id="group"))
    run = failed(project, graph, {"value": [1, 2]})
    with pytest.raises(MaxIterationsError, match="was given 2 items"):
        project.rerun_failed_sync(run)


def test_a_condition_that_is_code_is_refused_with_the_name_of_its_task(project: Project) -> None:
    graph = graph_of(WhileTask(graph_of(step), id="loop", condition=bool, max_iterations=3))
    with pytest.raises(TaskSerializationError, match=r"Task \"WhileTask\" cannot be serialized.*'loop'"):
        project.run_sync(graph, {"value": 0})
