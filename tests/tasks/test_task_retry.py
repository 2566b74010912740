"""Retry: what it is given, and how long it waits."""

from __future__ import annotations

from typing import Any

import pytest

from workglow import Retry
from workglow.errors import TaskConfigurationError


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"attempts": 0}, r"attempts=0\): give a whole number, at least 1"),
        ({"attempts": "3"}, r"attempts='3'\): give a whole number"),
        ({"attempts": 2.5}, r"attempts=2.5\): give a whole number"),
        ({"delay": -1}, r"delay=-1\): give a finite number, at least 0"),
        ({"delay": "1"}, r"delay='1'\): give a finite number"),
        ({"delay": float("nan")}, r"delay=nan\): give a finite number"),
        ({"factor": 0.5}, r"factor=0.5\): give a finite number, at least 1"),
        ({"maximum": None}, r"maximum=None\): give a finite number"),
        ({"maximum": float("inf")}, r"maximum=inf\): give a finite number"),
        ({"on": int}, r"on=\(<class 'int'>,\)\): give exceptions"),
        ({"on": (ValueError, "KeyError")}, r"give exceptions"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(TaskConfigurationError, match=said):
        Retry(**options)


def test_each_wait_is_longer_by_the_factor_up_to_the_maximum() -> None:
    retry = Retry(attempts=5, delay=1, factor=3, maximum=20)
    assert [retry.wait(failures) for failures in range(1, 6)] == [1, 3, 9, 20, 20]


@pytest.mark.parametrize(("delay", "longest"), [(0.0, 0.0), (1.0, 600.0)])
def test_the_wait_after_very_many_failures_is_the_maximum(delay: float, longest: float) -> None:
    assert Retry(attempts=100_000, delay=delay).wait(50_000) == longest


def test_one_class_of_exceptions_needs_no_tuple() -> None:
    assert Retry(on=LookupError) == Retry(on=(LookupError,))
