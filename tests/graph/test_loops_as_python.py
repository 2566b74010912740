"""Loops, alternatives and switches against the few lines of Python that they stand for."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow import FallbackTask, MapTask, ReduceTask, SwitchTask, TaskGraph, WhileTask
from workglow.errors import TaskFailedError
from workglow.tasks import task

numbers = st.integers(-20, 20)
few = settings(max_examples=60, deadline=None)


@task(name="plain_triple", output="value", cache=False, inline=True)
def triple(value: int) -> int:
    return 3 * value + 1


@task(name="plain_several", output="value", cache=False, inline=True)
def several(value: int) -> list[int]:
    return [value] * (value % 3)


@task(name="plain_fold", output="accumulator", cache=False, inline=True)
def fold(accumulator: int, value: int) -> int:
    return 2 * accumulator - value


@task(name="plain_check", output="value", cache=False, inline=True)
def check(value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{value} < {least}")
    return value


def alone(single: Any, **options: Any) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(single, **options)
    return graph


@few
@given(st.lists(numbers, max_size=9), st.one_of(st.none(), st.integers(1, 4)), st.one_of(st.none(), st.integers(1, 4)))
def test_a_map_is_a_comprehension(values: list[int], concurrency: int | None, batch: int | None) -> None:
    settings = {"id": "map", "max_iterations": "unbounded", "concurrency": concurrency, "batch_size": batch}
    assert alone(MapTask(alone(triple), **settings)).run_sync({"value": values}).outputs == {
        "value": [3 * value + 1 for value in values]
    }
    assert alone(MapTask(alone(several), flatten=True, **settings)).run_sync({"value": values}).outputs == {
        "value": [value for value in values for _ in range(value % 3)]
    }


@few
@given(st.lists(numbers, max_size=9), numbers)
def test_a_reduce_is_functools_reduce(values: list[int], initial: int) -> None:
    graph = alone(ReduceTask(alone(fold), id="r", initial_value=initial, max_iterations="unbounded"))
    assert graph.run_sync({"value": values}).outputs == {
        "accumulator": reduce(lambda accumulator, value: 2 * accumulator - value, values, initial)
    }


@few
@given(numbers, numbers, st.integers(1, 6), st.booleans())
def test_a_while_is_a_loop_that_asks_at_its_end(value: int, bound: int, limit: int, chain: bool) -> None:
    loop = WhileTask(
        alone(triple),
        id="w",
        condition_field="value",
        condition_operator="less_than",
        condition_value=bound,
        max_iterations=limit,
        chain_iterations=chain,
    )
    given_in, turns = value, 0
    while True:
        found, turns = 3 * given_in + 1, turns + 1
        if turns == limit or not found < bound:
            break
        given_in = found if chain else value
    run = alone(loop).run_sync({"value": value})
    assert run.outputs == {"value": found}
    assert len(run.tasks) == turns + 1


@few
@given(numbers, st.lists(numbers, min_size=1, max_size=5), st.booleans())
def test_a_fallback_is_the_first_that_does_not_raise(value: int, least: list[int], as_tasks: bool) -> None:
    if as_tasks:
        inner = TaskGraph()
        for number, bound in enumerate(least):
            inner.add_task(check, id=f"t{number}", least=bound)
        graph = alone(FallbackTask(inner, id="f"))
    else:
        graph = alone(
            FallbackTask(alone(check), id="f", mode="data", alternatives=[{"least": bound} for bound in least])
        )
    passed = [number for number, bound in enumerate(least) if value >= bound]
    if passed:
        run = graph.run_sync({"value": value})
        assert run.outputs == {"value": value}
        assert len(run.tasks) == passed[0] + 2
    else:
        with pytest.raises(TaskFailedError) as caught:
            graph.run_sync({"value": value})
        assert str(caught.value).count("alternative ") == len(least)


@few
@given(
    st.one_of(numbers, st.booleans(), st.none(), st.text(max_size=3), st.floats(-3, 3)),
    st.dictionaries(
        st.sampled_from("abc"), st.lists(st.one_of(st.booleans(), st.text(max_size=3)), max_size=3), min_size=1
    ),
    st.sampled_from([None, "a", "other"]),
)
def test_a_switch_is_a_look_up(value: object, cases: dict[str, list[object]], default: str | None) -> None:
    listed = [item for values in cases.values() for item in values]
    if len({(type(item), item) for item in listed}) < len(listed):
        return
    found = next((port for port, items in cases.items() for item in items if _same(item, value)), default)
    outputs = SwitchTask(id="s", field="x", cases=cases, default=default).execute({"x": value})
    assert outputs == {"_activeBranches": [found] if found else [], **({found: {"x": value}} if found else {})}


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other
