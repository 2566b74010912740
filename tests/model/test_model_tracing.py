"""Whatever a graph does, its spans are a tree in which nothing outlives what is around it, and each ends once."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import random_graph, registry
from span_recorder import Recorder

import workglow as wg
from workglow.errors import WorkglowError


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), value=st.integers(-3, 6), continue_on_error=st.booleans())
def test_spans_are_a_tree(seed: int, value: int, continue_on_error: bool) -> None:
    graph, recorder = random_graph(Random(seed)), Recorder()
    with wg.open(":memory:", registry=registry(), tracer=recorder) as project:
        run = None
        with suppress(WorkglowError):
            run = project.run_sync(graph, {"value": value}, continue_on_error=continue_on_error)
        run = run or project.runs()[0]
        recorder.check_all_ended()
        (root,) = recorder.roots()
        assert root.status == run.status
        ran = {path: task for path, task in run.tasks.items() if task.status in ("completed", "failed")}
        assert {span.path for span in recorder.spans if span.name.startswith("task ")} >= set(ran)
        for path, task in ran.items():
            last = [span for span in recorder.at(path) if span.name.startswith("task ")][-1]
            assert (last.status, last.attributes["workglow.task.attempt"]) == (task.status, task.attempt)
        for span in recorder.spans:
            if span.parent is not None:
                above = span.parent.path
                assert span.path.startswith((above + "/", above + "[")) if above else "/" not in span.path
