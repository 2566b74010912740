"""Texts longer than a model's context: cut where a person would, done piece by piece, resumed piece by piece."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_provider import ToyProvider

import workglow as wg
from workglow import TaskGraph, Workflow
from workglow.ai import long_rewrite, long_summary, long_translation
from workglow.ai.long_text import JoinTextTask, SplitTextTask
from workglow.ai.messages import text_of
from workglow.errors import MaxIterationsError, ModelCallError, TaskInputError, WorkglowError
from workglow.testing import ScriptedProvider

pytestmark = pytest.mark.extra("local")
pytest.importorskip("semantic_text_splitter")

PARAGRAPHS = [" ".join(f"word{number}-{place}" for place in range(20)) for number in range(6)]
TEXT = "\n\n".join(PARAGRAPHS)


def outputs(task: Any, **inputs: Any) -> dict[str, Any]:
    graph = TaskGraph()
    graph.add_task(task)
    return graph.run_sync(inputs).outputs


def shown(provider: ScriptedProvider) -> list[str]:
    return [text_of(request.messages[-1]) for request in provider.requests]


# ---------------------------------------------------------------------- cutting and joining


def test_a_text_is_cut_at_its_paragraphs_and_counted_by_the_model() -> None:
    with ScriptedProvider():
        found = outputs(SplitTextTask(defaults={"model": "scripted:a", "size": 32}), text=TEXT)
        whole = outputs(SplitTextTask(defaults={"model": "scripted:a"}), text=TEXT)
    assert found == {"text": PARAGRAPHS, "gaps": ["\n\n"] * 5, "count": 6}
    assert whole == {"text": [TEXT], "gaps": [], "count": 1}


def test_pieces_leave_the_model_room_to_answer(toy: type[ToyProvider]) -> None:
    record = {"name": "toy:count", "provider": "toy", "capabilities": ["count_tokens"]}
    small = {**record, "context_length": 128 + 2 * 40}
    mute = {**record, "context_length": 4096, "max_output_tokens": 20}
    assert outputs(SplitTextTask(defaults={"model": small}), text=TEXT)["text"] == [
        "\n\n".join(PARAGRAPHS[at : at + 2]) for at in (0, 2, 4)
    ]
    assert outputs(SplitTextTask(defaults={"model": mute}), text=TEXT)["count"] == 6


@given(st.text(alphabet="ab c.\n", max_size=300), st.integers(16, 40))
@settings(max_examples=60, deadline=None)
def test_what_was_cut_is_put_together_again(text: str, size: int) -> None:
    with ScriptedProvider():
        found = outputs(SplitTextTask(defaults={"model": "scripted:a", "size": size}), text=text)
    assert all(len(piece.split()) <= size for piece in found["text"])
    joined = outputs(JoinTextTask(), text=found["text"], gaps=found["gaps"])["text"]
    assert joined.strip() == text.strip()


def test_pieces_that_do_not_go_with_their_gaps_are_refused() -> None:
    with pytest.raises(WorkglowError, match="input 'gaps' has 0 for 2 pieces") as caught:
        outputs(JoinTextTask(), text=["a", "b"], gaps=[])
    assert isinstance(caught.value.__cause__ or caught.value, TaskInputError)


# ---------------------------------------------------------------------- the whole


def test_a_long_text_is_translated_in_pieces_and_keeps_its_layout() -> None:
    answers = [f"Absatz {number}" for number in range(6)]
    with ScriptedProvider(answers=answers) as provider:
        found = outputs(long_translation("scripted:a", target_lang="de", size=32), text=TEXT)
    assert found == {"text": "\n\n".join(answers)}
    assert shown(provider) == PARAGRAPHS


def test_a_long_text_is_rewritten_in_pieces(toy: type[ToyProvider]) -> None:
    record = {"name": "toy:both", "provider": "toy", "capabilities": ["rewrite", "count_tokens"]}
    assert outputs(long_rewrite(record, prompt="Loud.", size=32), text=TEXT)["text"] == TEXT.upper()


def test_a_summary_of_summaries_until_one_piece_is_left() -> None:
    firsts = [f"summary {number} " + "of ten words in all that it has" for number in range(6)]
    seconds = ["second half" + " x" * 8, "other half" + " y" * 8]
    with ScriptedProvider(answers=[*firsts, *seconds, "the end"]) as provider:
        found = outputs(long_summary("scripted:a", size=32), text=TEXT)
    assert found == {"text": "the end"}
    assert shown(provider)[:6] == PARAGRAPHS
    assert shown(provider)[8] == "\n\n".join(seconds)
    assert len(provider.requests) == 9


def test_a_text_that_is_not_long_is_summarised_once() -> None:
    with ScriptedProvider(answers=["short"]) as provider:
        assert outputs(long_summary("scripted:a"), text=TEXT) == {"text": "short"}
    assert shown(provider) == [TEXT]


def test_the_style_is_that_of_the_last_summary() -> None:
    with ScriptedProvider(answers=["text", "- points"]) as provider:
        assert outputs(long_summary("scripted:a", style="bullets"), text=TEXT) == {"text": "- points"}
    assert "'- '" not in text_of(provider.requests[0].messages[0])
    assert "'- '" in text_of(provider.requests[1].messages[0])
    assert shown(provider)[1] == "text"


def test_summaries_that_do_not_get_shorter_come_to_an_end() -> None:
    with ScriptedProvider(answers=[PARAGRAPHS[0]] * 100), pytest.raises(WorkglowError) as caught:
        outputs(long_summary("scripted:a", size=32), text=TEXT)
    assert isinstance(caught.value, MaxIterationsError) or isinstance(caught.value.__cause__, MaxIterationsError)


def test_what_was_summarised_before_a_failure_is_not_summarised_again(project: wg.Project) -> None:
    flow = Workflow().then(long_summary("scripted:a", size=32, concurrency=1))
    answers: list[object] = ["one", "two", "three", ModelCallError("out of credit"), "four", "five", "six", "all"]
    with ScriptedProvider(answers=answers) as provider:
        with pytest.raises(WorkglowError, match="out of credit") as caught:
            project.run_sync(flow, {"text": TEXT})
        run = project.rerun_failed_sync(caught.value.run.id)  # type: ignore[attr-defined]
    assert run.outputs == {"text": "all"}
    assert shown(provider) == [
        *PARAGRAPHS[:4],
        *PARAGRAPHS[3:],
        "\n\n".join(("one", "two", "three", "four", "five", "six")),
    ]
    assert "long_summary/condense[0]/map[3]/summary" in run.tasks


def test_the_split_is_seen_in_the_graph_and_the_graph_can_be_stored() -> None:
    graph = Workflow().then(long_translation("scripted:a", target_lang="de", source_lang="en")).to_graph()
    for word in ("SplitTextTask", "MapTask", "TextTranslationTask", "JoinTextTask"):
        assert word in graph.to_mermaid()
    assert TaskGraph.from_json(graph.to_json()).to_json() == graph.to_json()
    twice = Workflow().then(long_summary("scripted:a"), id="first").then(long_summary("scripted:a"), id="second")
    assert list(twice.to_graph().tasks) == ["first", "second"]
    again: dict[str, Any] = {}
    exec(twice.to_graph().to_python(), again)
    assert again["workflow"].to_graph().to_json() == twice.to_graph().to_json()


def test_a_real_model_counts() -> None:
    from workglow.ai import models_without_project

    count = models_without_project().model("local:wordllama").count_tokens
    pieces = outputs(SplitTextTask(defaults={"model": "local:wordllama", "size": 64}), text=TEXT)["text"]
    assert len(pieces) > 6
    assert all(count(piece) <= 64 for piece in pieces)
