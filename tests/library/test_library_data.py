"""Merge, split, JSON and paths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from workglow.errors import ResourceLimitError, TaskInputError
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.library.data import MergeTask, SplitTask, follow


def test_merge_sorts_by_the_numbers_in_the_names(run: Any) -> None:
    inputs = {"input_10": "c", "input_2": "b", "input_1": "a"}
    assert run("MergeTask", inputs) == {"output": ["a", "b", "c"]}
    assert run("MergeTask") == {"output": []}


def test_split_gives_each_item_an_output(run: Any) -> None:
    assert run("SplitTask", {"input": ["a", "b"]}) == {"output_0": "a", "output_1": "b"}
    assert run("SplitTask", {"input": "ab"}) == {"output_0": "ab"}
    assert run("SplitTask", {"input": []}) == {}
    rows = run("SplitTask", {"input": np.array([[1, 2], [3, 4]])})
    assert list(rows) == ["output_0", "output_1"]
    assert rows["output_1"].tolist() == [3, 4]


def test_what_was_split_is_merged_again_over_edges() -> None:
    graph = TaskGraph()
    graph.add_task(SplitTask(), id="split")
    graph.add_task(MergeTask(), id="merge")
    graph.add_dataflow("split", "output_1", "merge", "input_1")
    graph.add_dataflow("split", "output_0", "merge", "input_2")
    assert run_in_memory_sync(graph, {"input": [1, 2, 3]}).outputs == {"output": [2, 1]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.0.b", 1),
        ("a.*.b", [1, 2]),
        ("a.*.c.*", [3, 4]),
        ("m.*.x", [5, 6]),
        ("*.p.x", [5]),
        ("a.7.b", None),
        ("a.b", None),
        ("", {"a": [{"b": 1, "c": [3]}, {"b": 2, "c": [4]}, 0], "m": {"p": {"x": 5}, "q": {"x": 6}}}),
        ("nowhere.*", []),
    ],
)
def test_a_path_is_followed(path: str, found: object, run: Any) -> None:
    value = {"a": [{"b": 1, "c": [3]}, {"b": 2, "c": [4]}, 0], "m": {"p": {"x": 5}, "q": {"x": 6}}}
    assert run("JsonPathTask", {"value": value, "path": path}) == {"result": found}


def test_a_path_that_leads_to_too_much_is_stopped() -> None:
    value: list[Any] = []
    for _ in range(40):
        value = [value, value]
    with pytest.raises(ResourceLimitError, match="more than 1,000,000 values"):
        follow(value, ".".join("*" * 40))


def test_a_text_is_read_as_json(run: Any) -> None:
    assert run("JsonParseTask", {"text": '{"a": [1, 2.5, null]}'}) == {"result": {"a": [1, 2.5, None]}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "Expecting"), ("NaN", "NaN is no JSON"), ("[" * 100_000, "nested"), ("9" * 9999, "digits")],
)
def test_a_text_that_is_no_json_is_refused(text: str, reason: str, run: Any) -> None:
    with pytest.raises(TaskInputError, match=reason):
        run("JsonParseTask", {"text": text})
