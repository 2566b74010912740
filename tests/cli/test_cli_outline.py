"""The tasks of a run as indented lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from workglow.cli.outline import outline


@dataclass
class Told:
    path: str
    status: str = "completed"


def lines(paths: Iterable[str | tuple[str, str]], most: int | None = 20) -> list[tuple[int, str, str, str]]:
    told = [Told(*path) if isinstance(path, tuple) else Told(path) for path in paths]
    return [(line.depth, line.name, line.status, line.note) for line in outline(told, most=most)]


def test_what_is_inside_stands_below() -> None:
    assert lines(["a", "group", "group/b", "group/c"]) == [
        (0, "a", "completed", ""),
        (0, "group", "completed", ""),
        (1, "b", "completed", ""),
        (1, "c", "completed", ""),
    ]


def test_items_stand_in_the_order_of_their_numbers_whenever_they_became_ready() -> None:
    shown = lines(["map", "map[10]/x", "map[2]/x", "map[2]/y"])
    assert [name for _, name, _, _ in shown] == ["map", "map[2]", "x", "y", "map[10]", "x"]


def test_the_status_of_an_item_is_the_gravest_of_its_tasks() -> None:
    shown = lines([("map", "running"), ("map[0]/x", "completed"), ("map[0]/y", "failed"), ("map[1]/x", "running")])
    assert [(name, status) for _, name, status, _ in shown if name.startswith("map[")] == [
        ("map[0]", "failed"),
        ("map[1]", "running"),
    ]


@pytest.mark.parametrize(("count", "folded"), [(20, False), (21, True)])
def test_a_loop_is_folded_beyond_the_limit(count: int, folded: bool) -> None:
    shown = lines(["map", *(f"map[{number}]/x" for number in range(count))])
    assert shown[0] == (0, "map", "completed", f"{count} items")
    assert (len(shown) == 1) is folded


def test_a_folded_loop_counts_its_items_by_status_and_shows_the_first_failures() -> None:
    tasks = [(f"map[{number}]/x", "failed" if number % 3 == 0 else "completed") for number in range(30)]
    shown = lines([("map", "failed"), *tasks], most=0)
    assert shown[0][3] == "30 items: 20 completed, 10 failed"
    assert [name for _, name, _, _ in shown[1:]] == [f"map[{number}]/x" for number in (0, 3, 6, 9, 12)]


def test_no_limit_lists_everything() -> None:
    assert len(lines([f"map[{number}]/x" for number in range(30)], most=None)) == 61


def test_loops_inside_loops() -> None:
    shown = lines(["a", "a[0]/b", "a[0]/b[0]/c", "a[0]/b[1]/c"])
    assert [(depth, name) for depth, name, _, _ in shown] == [
        (0, "a"),
        (1, "a[0]"),
        (2, "b"),
        (3, "b[0]"),
        (4, "c"),
        (3, "b[1]"),
        (4, "c"),
    ]
