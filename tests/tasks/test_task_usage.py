"""Amounts, and what a task may report."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow import TaskContext, Usage
from workglow.errors import CorruptValueError, InvalidValueError
from workglow.graph.usage import add_usage, read_parts, total

tokens = st.integers(0, 10**9)
usages = st.builds(Usage, tokens, tokens, st.integers(0, 10**6).map(float), st.integers(0, 10**6).map(float))


@pytest.mark.parametrize(
    "amounts",
    [
        {"input_tokens": -1}, {"input_tokens": 1.5}, {"output_tokens": True}, {"output_tokens": "3"},
        {"cost": float("nan")}, {"cost": float("inf")}, {"cost": -0.1}, {"model_seconds": None},
        {"input_tokens": 1 << 60}, {"model": 3},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_amount_is_refused_where_it_is_reported(amounts: dict[str, Any]) -> None:
    (name,) = amounts
    with pytest.raises(InvalidValueError, match=name):
        TaskContext().record_usage(**amounts)


def test_every_kind_of_number_is_taken() -> None:
    heard: list[tuple[str, Usage]] = []
    context = TaskContext(on_usage=lambda model, usage: heard.append((model, usage)))
    context.record_usage("m", input_tokens=np.int64(3), output_tokens=4.0, cost=Decimal("0.25"))  # type: ignore[arg-type]
    assert heard == [("m", Usage(3, 4, 0.0, 0.25))]
    assert [type(value) for value in heard[0][1].to_json().values()] == [int, int, float, float]


def test_sums_of_small_amounts_are_what_one_expects() -> None:
    assert sum([Usage(cost=0.1)] * 10, Usage()).cost == 1.0


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["", "a", "b"]), usages)))
def test_a_row_keeps_every_amount_under_its_attempt_and_model(recorded: list[tuple[int, str, Usage]]) -> None:
    text: str | None = None
    for attempt, model, usage in recorded:
        text = add_usage(text, attempt, model, usage)
    parts = read_parts(text)
    assert len(parts) == len({(attempt, model) for attempt, model, _ in recorded})
    for part in parts:
        mine = [usage for attempt, model, usage in recorded if (attempt, model) == (part.attempt, part.model)]
        assert part.usage == sum(mine, Usage())
    assert total(parts) == sum((usage for _, _, usage in recorded), Usage())


@pytest.mark.parametrize("text", ["", "3", "[]", '{"parts":3}', '{"parts":[{"attempt":"x"}]}', '{"seconds":1}'])
def test_damage_is_named(text: str) -> None:
    with pytest.raises(CorruptValueError, match="usage"):
        read_parts(text)
