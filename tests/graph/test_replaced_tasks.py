"""A task that another configuration makes of one is checked like one that is made with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workglow import (
    ConditionalTask,
    FallbackTask,
    ForEachTask,
    GraphAsTask,
    MapTask,
    ReduceTask,
    Retry,
    SwitchTask,
    TaskGraph,
    WhileTask,
    task,
)
from workglow.errors import TaskConfigurationError


@task(name="replaced_body", output="text")
def body(text: str) -> str:
    return text


def graph() -> TaskGraph:
    made = TaskGraph()
    made.add_task(body)
    return made


def always(outputs: object) -> bool:
    return False


def over(options: dict[str, Any], **defaults: Any) -> dict[str, Any]:
    return {**defaults, **options}


LOOPS: list[Callable[..., Any]] = [
    lambda **options: MapTask(graph(), **over(options, max_iterations=3)),
    lambda **options: ForEachTask(graph(), **over(options, max_iterations=3)),
    lambda **options: ReduceTask(graph(), **over(options, max_iterations=3)),
    lambda **options: WhileTask(graph(), **over(options, max_iterations=3, condition=always)),
]


def said(call: Callable[..., object], **changes: Any) -> str:
    with pytest.raises(TaskConfigurationError) as caught:
        call(**changes)
    return str(caught.value)


@pytest.mark.parametrize("make", LOOPS)
@pytest.mark.parametrize("name", ["max_iterations", "maxIterations"])
@pytest.mark.parametrize("limit", [0, -1, True, None, "many", 1.5])
def test_a_loop_is_replaced_under_the_same_limits(make: Callable[..., Any], name: str, limit: object) -> None:
    assert said(make().replace, **{name: limit}) == said(make, max_iterations=limit)


@pytest.mark.parametrize("make", LOOPS)
def test_a_limit_that_is_one_replaces_the_other(make: Callable[..., Any]) -> None:
    assert make().replace(max_iterations=7).config["max_iterations"] == 7
    assert make().replace(maxIterations="unbounded").config["max_iterations"] == "unbounded"
    assert make().replace(id="other").id == "other"


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (LOOPS[0], {"retry": Retry()}),
        (lambda **options: GraphAsTask(graph(), **options), {"retry": Retry()}),
        (LOOPS[3], {"condition_operator": "is_true"}),
        (LOOPS[2], {"initial_value": 3}),
        (lambda **options: FallbackTask(graph(), **options), {"alternatives": [{"text": "a"}]}),
        (lambda **options: SwitchTask(**over(options, field="value", cases={"a": 1})), {"cases": {"a": 1, "b": 1}}),
        (lambda **options: SwitchTask(**over(options, field="value", cases={"a": 1})), {"cases": {}}),
        (
            lambda **options: ConditionalTask(**over(options, branches=[])),
            {"branches": [{"id": "a", "condition": always}, {"id": "a", "condition": always}]},
        ),
    ],
)
def test_what_cannot_be_made_cannot_be_made_of_another(make: Callable[..., Any], changes: dict[str, Any]) -> None:
    assert said(make().replace, **changes) == said(make, **changes)


def test_the_cases_of_a_switch_that_was_replaced_are_the_new_ones() -> None:
    made = TaskGraph()
    made.add_task(SwitchTask(id="switch", field="value", cases={"a": 1}).replace(cases={"b": 1}))
    assert dict(made.run_sync({"value": 1}).outputs)["_activeBranches"] == ["b"]
