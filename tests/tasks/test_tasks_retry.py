"""How often and how long: what `Retry` takes, and the waits it gives."""

from __future__ import annotations

from typing import Any

import pytest

from workglow import Retry
from workglow.errors import TaskConfigurationError


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"attempts": 0}, r"Retry\(attempts=0\): give at least 1"),
        ({"attempts": 1.5}, r"Retry\(attempts=1.5\): give a whole number"),
        ({"attempts": "3"}, r"Retry\(attempts='3'\): give a whole number"),
        ({"delay": float("nan")}, r"Retry\(delay=nan\): give a number"),
        ({"delay": float("inf")}, r"Retry\(delay=inf\): give a number"),
        ({"delay": -1}, "must not be negative"),
        ({"maximum": -1}, "must not be negative"),
        ({"factor": 0.5}, "the factor at least 1"),
        ({"on": ("ValueError",)}, "give a tuple of exceptions"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(given: dict[str, Any], says: str) -> None:
    with pytest.raises(TaskConfigurationError, match=says):
        Retry(**given)


def test_one_exception_is_a_tuple_of_one() -> None:
    assert Retry(on=ValueError) == Retry(on=(ValueError,))  # pyright: ignore[reportArgumentType]


def test_the_wait_grows_to_its_maximum_and_stays_there() -> None:
    retry = Retry(attempts=10_000, delay=1, maximum=600)
    assert [retry.wait(failures) for failures in (1, 2, 3, 11, 1_100, 9_999)] == [1, 2, 4, 600, 600, 600]
    assert Retry(attempts=10_000).wait(9_999) == 0
