"""Random graphs with every kind of compound task inside each other, as JSON and as Python."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import random_graph, registry

from workglow import TaskGraph


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**9), st.booleans())
def test_json_and_python_are_the_identity(seed: int, waits: bool) -> None:
    graph = random_graph(Random(seed), waits=waits)
    stored = graph.to_json()
    assert TaskGraph.from_json(stored, registry()).to_json() == stored
    names: dict[str, Any] = {}
    exec(graph.to_python(), names)
    assert names["workflow"].graph.to_json() == stored
