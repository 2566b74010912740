"""ArrayTask: one value or many, and every combination of them."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Annotated, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from workglow import ArrayTask, Project, TaskGraph, Workflow
from workglow import task as registered
from workglow.errors import MaxIterationsError, TaskFailedError
from workglow.tasks import TaskContext, TaskRegistry
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, cache=False, inline=True, **options)


@task(output="sum", name="array_plus")
def plus(a: int, b: int = 0) -> int:
    return a + b


@task(output="sum", name="array_total")
def total(values: list[int], factor: int) -> int:
    return sum(values) * factor


@task(output="sum", name="array_marked")
def marked(a: Annotated[Any, Field(json_schema_extra={"x-replicate": True})], b: Any) -> Any:
    return [a, b]


REFUSED: set[int] = set()
ENTERED: list[str] = []


@registered(output="value", name="array_risky", cache=False, inline=True)
def risky(a: int, b: int, context: TaskContext) -> int:
    ENTERED.append(context.path)
    if a * b in REFUSED:
        raise ValueError(f"{a} * {b}")
    return a * b


KNOWN = TaskRegistry([plus.task_type, total.task_type, risky.task_type, ArrayTask])
single_or_many = st.integers(-3, 3) | st.lists(st.integers(-3, 3), max_size=4)


def array(body: Any, **options: Any) -> TaskGraph:
    inner = TaskGraph()
    inner.add_task(body)
    graph = TaskGraph()
    graph.add_task(ArrayTask(inner, id="array", **options))
    return graph


def outputs(graph: TaskGraph, **inputs: object) -> dict[str, object]:
    return dict(graph.run_sync(inputs).outputs)


@settings(max_examples=60, deadline=None)
@given(single_or_many, single_or_many, st.none() | st.integers(1, 3), st.booleans())
def test_it_is_the_product_of_what_is_given(a: Any, b: Any, concurrency: int | None, turned: bool) -> None:
    inputs: dict[str, Any] = {"b": b, "a": a} if turned else {"a": a, "b": b}
    many: list[Any] = [one if isinstance(one, list) else [one] for one in (a, b)]
    sums = [x + y for x, y in product(*many)]
    expected = sums if many[0] is a or many[1] is b else sums[0]
    assert outputs(array(plus, concurrency=concurrency), **inputs) == {"sum": expected}


def test_a_hundred_and_one_combinations_of_the_reference() -> None:
    found: Any = outputs(array(plus), a=list(range(11)), b=[1, 2])["sum"]
    assert len(found) == 22


def test_what_is_not_given_has_its_default() -> None:
    assert outputs(array(plus), a=3) == {"sum": 3}
    assert outputs(array(plus), a=[3]) == {"sum": [3]}
    assert outputs(array(plus), a=[]) == {"sum": []}


def test_a_port_that_takes_a_list_is_combined_when_it_is_given_lists_of_lists() -> None:
    assert outputs(array(total), values=[1, 2], factor=2) == {"sum": 6}
    assert outputs(array(total), values=[1, 2], factor=[2, 3]) == {"sum": [6, 9]}
    assert outputs(array(total), values=[[1, 2], [3]], factor=2) == {"sum": [6, 6]}


def test_it_may_be_told_which_inputs_are_lists() -> None:
    assert outputs(array(marked), a=[1, 2], b=[3, 4]) == {"sum": [[1, [3, 4]], [2, [3, 4]]]}
    assert outputs(array(marked), a=1, b=[3, 4]) == {"sum": [1, [3, 4]]}
    chosen = array(plus, iterate=("a",))
    properties = chosen.input_schema()["properties"]
    assert properties["a"]["anyOf"][1] == {"type": "array", "items": {"type": "integer"}}
    assert "anyOf" not in properties["b"]
    assert outputs(chosen, a=[1, 2], b=5) == {"sum": [6, 7]}


def test_too_many_combinations_are_refused_before_anything_ran() -> None:
    with pytest.raises(MaxIterationsError, match=r"6 combinations \(a=3, b=2\), but max_iterations is 5"):
        array(plus, max_iterations=5).run_sync({"a": [1, 2, 3], "b": [1, 2]})


def test_the_schema_holds_for_one_and_for_many() -> None:
    schema = array(plus).output_schema()["properties"]["sum"]
    assert schema == {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}}]}


def test_each_combination_has_rows_of_its_own_and_none_runs_twice(project: Project) -> None:
    ENTERED.clear()
    REFUSED.clear()
    REFUSED.add(6)
    graph = array(risky, concurrency=1)
    with pytest.raises(TaskFailedError):
        project.run_sync(graph, {"b": [1, 2], "a": [2, 3]})
    assert ENTERED == ["array[0]/array_risky", "array[1]/array_risky", "array[2]/array_risky", "array[3]/array_risky"]
    ENTERED.clear()
    REFUSED.clear()
    (failed,) = project.runs()
    run = project.rerun_failed_sync(failed.id)
    assert run.outputs == {"value": [2, 4, 3, 6]}
    assert ENTERED == ["array[3]/array_risky"]
    alone = project.run_sync(graph, {"a": 2, "b": 5})
    assert alone.outputs == {"value": 10}
    assert "array[0]/array_risky" in alone.tasks


def test_a_workflow_builds_it_and_it_comes_back_from_json() -> None:
    workflow = Workflow().array(iterate=("a",), id="each").then(plus).end_array()
    assert workflow.run_sync({"a": [1, 2], "b": 1}).outputs == {"sum": [2, 3]}
    read = TaskGraph.from_json(workflow.graph.to_json(), KNOWN)
    assert read.to_json() == workflow.graph.to_json()
    assert Workflow().array(plus).run_sync({"a": 1}).outputs == {"sum": 1}
    assert type(workflow.graph.tasks["each"]) is ArrayTask


def test_it_is_written_as_a_call() -> None:
    program = Workflow().array(concurrency=2).text_embedding(model="local:wordllama").end_array().to_python()
    assert "array(concurrency=2)" in program
    names: dict[str, Any] = {}
    exec(program, names)
    assert names["workflow"].to_python() == program
