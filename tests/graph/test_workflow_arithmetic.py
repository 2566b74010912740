"""The arithmetic methods of a workflow: numbers or vectors, by what comes in."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from workglow import Workflow, parallel, pipe, task_registry
from workglow.errors import AutoConnectError
from workglow.graph.building.adaptive import ADAPTIVE
from workglow.tasks import TaskRegistry
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, inline=True, **options)


@task(output="rows")
def matrix(scale: int = 1) -> list[list[float]]:
    return [[1.0 * scale, 2.0], [3.0, 4.0]]


@task(output="vectors")
def array(scale: int = 1) -> np.ndarray:
    return np.array([[1.0 * scale, 2.0], [3.0, 4.0]])


@task(output="values")
def numbers() -> list[float]:
    return [1.0, 2.0, 4.0]


@task()
def three() -> int:
    return 3


@task()
def twice(number: int) -> int:
    return number * 2


@task()
def squared(number: int) -> int:
    return number * number


@task()
def total(numbers: list[int]) -> int:
    return sum(numbers)


def last(workflow: Workflow) -> str:
    return list(workflow.graph.tasks.values())[-1].type


@pytest.mark.parametrize("name", ADAPTIVE)
def test_literals_decide_when_only_one_task_has_such_a_port(name: str) -> None:
    scalar, vector = ADAPTIVE[name]
    literals = {"values": [8.0, 2.0]} if name == "sum" else {"a": 8.0, "b": 2.0}
    assert last(getattr(Workflow(), name)(**literals)) == scalar
    assert last(getattr(Workflow().then(array), name)(**literals)) == scalar
    assert last(getattr(Workflow().then(numbers), name)(vectors=[[1.0], [2.0]])) == vector


def test_the_previous_task_decides_otherwise() -> None:
    assert last(Workflow().then(array).sum()) == last(Workflow().then(matrix).sum()) == "VectorSumTask"
    assert Workflow().then(matrix).add().run_sync().outputs == {"result": [4.0, 6.0]}
    product: Any = Workflow().then(array).multiply().run_sync().outputs["result"]
    assert product.tolist() == [3.0, 8.0]
    assert Workflow().then(numbers).sum().run_sync().outputs == {"result": 7.0}
    assert last(Workflow().then(numbers).sum()) == "ScalarSumTask"
    assert last(Workflow().sum()) == "ScalarSumTask"


def test_a_result_goes_on_as_the_operand_that_is_missing() -> None:
    workflow = Workflow().add(a=1, b=2).multiply(b=5).subtract(a=100).divide(b=5)
    assert workflow.run_sync().outputs == {"result": 17.0}
    with pytest.raises(AutoConnectError):
        Workflow().add(a=1, b=2).add()


def test_two_sums_of_literals_are_two_results() -> None:
    """C15: scalarAdd(1, 2).add(3, 4)."""
    assert Workflow().scalar_add(a=1, b=2).add(a=3, b=4).run_sync().outputs == {"result": [3, 7]}


def test_a_registered_type_of_that_name_goes_first() -> None:
    @task(output="total", name="add")
    def own(x: int) -> int:
        return x + 1

    registry = TaskRegistry([own.task_type, *(task_registry.get(name) for pair in ADAPTIVE.values() for name in pair)])
    known: Any = Workflow(registry=registry)
    assert known.add(x=1).run_sync().outputs == {"total": 2}
    assert Workflow(registry=registry).sum(values=[1, 2]).run_sync().outputs == {"result": 3}
    with pytest.raises(AttributeError, match="no method 'sum'"):
        Workflow(registry=TaskRegistry([own.task_type])).sum(values=[1])
    assert {*ADAPTIVE} <= {*dir(Workflow())}


def test_what_is_refused_leaves_no_trace() -> None:
    workflow = Workflow().then(numbers).sum()
    with pytest.raises(AutoConnectError):
        workflow.add()
    assert list(workflow.undo().graph.tasks) == ["numbers"]


def test_tasks_make_a_workflow_one_after_the_other_or_side_by_side() -> None:
    assert pipe(three, twice, squared).run_sync().outputs == {"output": 36}
    both = parallel([twice, squared])
    assert both.run_sync({"number": 4}).outputs == {"output": [8, 16]}
    results = parallel([twice], merge="GRAPH_RESULT_ARRAY").run_sync({"number": 4}).outputs["results"]
    assert results == [{"id": "twice", "type": "twice", "data": {"output": 8}}]
    assert pipe(parallel([twice, squared]), total).run_sync({"number": 4}).outputs == {"output": 24}
