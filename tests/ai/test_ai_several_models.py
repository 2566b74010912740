"""A task that is made with a list of models does its work with each, in a task run of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import workglow as wg
from workglow import TaskGraph, Workflow
from workglow.ai import Finish
from workglow.ai.embedding import TextEmbeddingTask
from workglow.ai.generation import TextGenerationTask
from workglow.ai.summary import TextSummaryTask
from workglow.errors import IncompatiblePortsError, ModelCallError, TaskInputError, WorkglowError
from workglow.testing import ScriptedProvider

MODELS = ["scripted:a", "scripted:b", "scripted:c"]


def graph_with(**defaults: Any) -> TaskGraph:
    graph = TaskGraph()
    graph.add_task(TextSummaryTask(id="summary", defaults=defaults))
    return graph


def test_results_come_in_the_order_of_the_models(project: wg.Project) -> None:
    with ScriptedProvider(answers=["A", "B", "C"]):
        run = project.run_sync(graph_with(model=MODELS), {"text": "x"})
    assert run.outputs == {"text": ["A", "B", "C"], "finish_reason": ["stop"] * 3}
    assert list(run.tasks) == ["summary", "summary[0]/summary", "summary[1]/summary", "summary[2]/summary"]


def test_each_model_has_its_own_usage_and_place_in_the_cache(project: wg.Project) -> None:
    with ScriptedProvider(answers=["A", "B", "C"]) as provider:
        project.run_sync(graph_with(model=MODELS[:2]), {"text": "x"})
        again = project.run_sync(graph_with(model=["scripted:b", "scripted:c", "scripted:a"]), {"text": "x"})
    assert again.outputs["text"] == ["B", "C", "A"]
    assert len(provider.requests) == 3


def test_a_run_that_broke_off_asks_only_the_models_that_are_left(project: wg.Project) -> None:
    with ScriptedProvider(answers=["A", ModelCallError("no credit"), "B"]) as provider:
        with pytest.raises(WorkglowError, match="no credit") as caught:
            project.run_sync(graph_with(model=MODELS[:2]), {"text": "x"}, concurrency=1)
        run = project.rerun_failed_sync(caught.value.run.id)  # type: ignore[attr-defined]
    assert run.outputs["text"] == ["A", "B"]
    assert len(provider.requests) == 3


def test_the_ports_say_that_there_are_several() -> None:
    several = TextSummaryTask(defaults={"model": MODELS})
    assert several.outputs["text"].schema == {"type": "array", "items": {"type": "string"}}
    one = several.replace(defaults={"model": "scripted:a"})
    assert one.outputs["text"].schema["type"] == "string"
    assert (several.mode, one.mode) == ("compound", "stream")
    graph = graph_with(model=MODELS)
    graph.add_task(TextGenerationTask(id="next", defaults={"model": "scripted:a"}))
    with pytest.raises(IncompatiblePortsError):
        graph.add_dataflow("summary", "text", "next", "prompt")


def test_one_model_in_a_list_still_gives_lists() -> None:
    with ScriptedProvider(answers=["A"]):
        assert graph_with(model=["scripted:a"]).run_sync({"text": "x"}).outputs["text"] == ["A"]


def test_vectors_of_several_models_are_a_list_of_arrays() -> None:
    script = {"x": [3.0, 4.0]}
    graph = TaskGraph()
    graph.add_task(TextEmbeddingTask(id="e", defaults={"model": MODELS[:2]}))
    with ScriptedProvider(script, dimensions=2):
        vectors = graph.run_sync({"text": "x"}).outputs["vector"]
    assert isinstance(vectors, list)
    assert np.allclose(vectors, [[0.6, 0.8], [0.6, 0.8]])


def test_it_is_stored_and_written_as_what_it_was_made_of() -> None:
    graph = graph_with(model=MODELS)
    assert TaskGraph.from_json(graph.to_json()).to_json() == graph.to_json()
    assert "model=['scripted:a', 'scripted:b', 'scripted:c']" in graph.to_python().replace('"', "'")


def test_a_list_that_comes_in_later_is_refused_and_array_takes_it() -> None:
    with ScriptedProvider(answers=["A", "B"]):
        with pytest.raises(WorkglowError, match=r"input 'model' is a list.*workflow\.array") as caught:
            graph_with().run_sync({"text": "x", "model": MODELS})
        assert isinstance(caught.value.__cause__ or caught.value, TaskInputError)
        each = Workflow().array(TextSummaryTask(id="summary"))
        assert each.run_sync({"text": "x", "model": MODELS[:2]}).outputs["text"] == ["A", "B"]


def test_other_models_when_one_fails() -> None:
    """Extras: Fallback in its data mode, over models."""
    flow = Workflow().fallback_with([{"model": "scripted:a"}, {"model": "scripted:b"}], TextSummaryTask(id="s"))
    with ScriptedProvider(answers=[ModelCallError("a is out"), ["B", Finish()]]):
        assert flow.run_sync({"text": "x"}).outputs["text"] == "B"
    with ScriptedProvider(answers=[ModelCallError("a is out"), ModelCallError("b is out")]):
        with pytest.raises(WorkglowError, match=r"a is out(.|\n)*b is out"):
            flow.run_sync({"text": "x"})
