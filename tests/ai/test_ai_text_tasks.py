"""Each text task, done by a model that was made for it and by one that is told in words."""

from __future__ import annotations

from typing import Any

import pytest
from toy_provider import ToyProvider

from workglow import TaskGraph
from workglow.ai import Finish
from workglow.ai.messages import text_of
from workglow.errors import (
    ModelCallError,
    ModelOutputError,
    TaskInputError,
    TruncatedOutputError,
    UnsupportedCapabilityError,
    WorkglowError,
)
from workglow.graph.events import Event
from workglow.tasks import task_registry
from workglow.testing import ScriptedProvider


def run(kind: str, model: object, *events: Any, **inputs: Any) -> dict[str, Any]:
    graph = TaskGraph()
    graph.add_task(task_registry.get(kind)(id="task", defaults={"model": model}))
    return graph.run_sync(inputs, **({"on_event": events[0]} if events else {})).outputs


def refused(kind: str, model: object, **inputs: Any) -> BaseException:
    with pytest.raises(WorkglowError) as caught:
        run(kind, model, **inputs)
    return caught.value.__cause__ or caught.value


def said(provider: ScriptedProvider, at: int = -1) -> str:
    return "\n".join(map(text_of, provider.requests[at].messages))


# ---------------------------------------------------------------------- writing


WRITERS = {
    "TextRewriterTask": {"text": "Hi there.", "prompt": "Make it formal."},
    "TextSummaryTask": {"text": "Foxes are small.  They eat mice."},
    "TextTranslationTask": {"text": "Good day", "source_lang": "en", "target_lang": "de"},
    "TextQuestionAnswerTask": {"context": "The key is on the shelf.", "question": "Where is the key?"},
    "TextGenerationTask": {"prompt": "Say hello."},
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_chat_model_writes_piece_by_piece(kind: str) -> None:
    heard: list[object] = []

    def listen(event: Event) -> None:
        if event.kind == "task_chunk" and event.data.port == "text":
            heard.append(event.data.data)

    with ScriptedProvider(answers=[["Good ", "day, ", "Sir.", Finish()]]):
        outputs = run(kind, "scripted:a", listen, **WRITERS[kind])
    assert heard == ["Good ", "day, ", "Sir."]
    assert (outputs["text"], outputs["finish_reason"]) == ("Good day, Sir.", "stop")


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_given_is_what_the_model_is_told(kind: str) -> None:
    with ScriptedProvider(answers=["done"]) as provider:
        run(kind, "scripted:a", **WRITERS[kind], max_tokens=50, temperature=0.5, seed=7)
    request = provider.requests[0]
    assert (request.max_tokens, request.temperature, request.seed) == (50, 0.5, 7)
    wanted = {"en": "English", "de": "German"}
    for value in WRITERS[kind].values():
        assert wanted.get(value, value) in said(provider)


def test_a_model_that_goes_on_with_a_text_is_told_in_one_message(toy: type[ToyProvider]) -> None:
    assert run("TextSummaryTask", "toy:generate", text="Foxes are small.")["text"] == "and so on"
    ((_, told),) = toy.asked
    (message,) = told["messages"]
    assert message["role"] == "user"
    assert text_of(message).startswith("Summarize the text")
    assert text_of(message).endswith("\n\nFoxes are small.\n\n")


def test_models_made_for_one_thing_are_asked_for_just_that(toy: type[ToyProvider]) -> None:
    assert run("TextRewriterTask", "toy:rewrite", text="a", prompt="Loud.")["text"] == "A"
    assert run("TextSummaryTask", "toy:summarise", text="One two three", length="short")["text"] == "One…"
    translated = run("TextTranslationTask", "toy:translate", text="x", source_lang="en", target_lang="fr")
    assert translated == {"text": "<en>x<fr>", "target_lang": "fr", "finish_reason": "stop"}
    assert toy.asked == [
        ("rewrite", {"text": "a", "prompt": "Loud."}),
        ("summarise", {"text": "One two three", "max_tokens": 60}),
        ("translate", {"text": "x", "source": "en", "target": "fr"}),
    ]


def test_what_a_model_cannot_be_told_is_refused_by_name(toy: type[ToyProvider]) -> None:
    for inputs in ({"style": "bullets"}, {"focus": "mice"}, {"temperature": 0.0}):
        error = refused("TextSummaryTask", "toy:summarise", text="x", **inputs)
        assert isinstance(error, TaskInputError)
        assert f"Task 'task' (TextSummaryTask): input '{next(iter(inputs))}' cannot be told" in str(error)
    assert "input 'source_lang' is required" in str(
        refused("TextTranslationTask", "toy:translate", text="x", target_lang="de")
    )
    assert toy.asked == []
    assert run("TextSummaryTask", "toy:summarise", text="x y", max_tokens=9)["text"] == "x…"
    assert toy.asked[0][1]["max_tokens"] == 9


def test_a_text_that_is_cut_off_is_no_translation_unless_a_part_will_do() -> None:
    cut = ["Guten", Finish("length")]
    words = {"text": "Good day", "target_lang": "de"}
    with ScriptedProvider(answers=[cut, cut, cut]):
        assert isinstance(refused("TextTranslationTask", "scripted:a", **words), TruncatedOutputError)
        part = run("TextTranslationTask", "scripted:a", **words, max_tokens=1)
        assert (part["text"], part["finish_reason"]) == ("Guten", "length")
        assert run("TextGenerationTask", "scripted:a", prompt="x")["finish_reason"] == "length"


def test_a_model_that_refuses_has_written_nothing_of_use() -> None:
    with ScriptedProvider(answers=[["No.", Finish("refused")]]):
        error = refused("TextRewriterTask", "scripted:a", text="x", prompt="Make it rude.")
    assert isinstance(error, ModelOutputError)
    assert "refused" in str(error)


def test_nothing_is_asked_about_an_empty_text(toy: type[ToyProvider]) -> None:
    assert run("TextSummaryTask", "toy:summarise", text=" \n")["text"] == ""
    assert run("TextRewriterTask", "toy:rewrite", text="", prompt="Loud.")["text"] == ""
    same = run("TextTranslationTask", "toy:translate", text="Hi", source_lang="en", target_lang="en")
    assert same["text"] == "Hi"
    assert toy.asked == []
    assert isinstance(refused("TextGenerationTask", "toy:generate", prompt=" "), TaskInputError)


@pytest.mark.parametrize("length", ["short", "medium", "long"])
@pytest.mark.parametrize("style", ["text", "bullets", "headline"])
def test_each_length_and_style_of_a_summary_is_told_in_other_words(length: str, style: str) -> None:
    with ScriptedProvider(answers=["a", "b"]) as provider:
        run("TextSummaryTask", "scripted:a", text="x", length=length, style=style, focus="the mice")
        run("TextSummaryTask", "scripted:a", text="x")
    assert "the mice" in said(provider, 0)
    assert (said(provider, 0).partition("\n")[0] == said(provider, 1).partition("\n")[0]) == (
        (length, style) == ("medium", "text")
    )


# ---------------------------------------------------------------------- answers, classes, languages, names


def test_an_answer_is_found_with_its_place(toy: type[ToyProvider]) -> None:
    found = run("TextQuestionAnswerTask", "toy:answer", context="Go to Rome.", question="Where is Rome?")
    assert found == {"text": "Rome", "score": 0.9, "start": 6, "end": 10, "finish_reason": "stop"}
    none = run("TextQuestionAnswerTask", "toy:answer", context="Go home.", question="Where is Rome?")
    assert (none["text"], none["score"]) == ("", None)


def test_classes_of_the_model_come_likeliest_first(toy: type[ToyProvider]) -> None:
    found = run("TextClassificationTask", "toy:classify", text="x")["categories"]
    assert [one["label"] for one in found] == ["class 7", "class 6", "class 5", "class 4", "class 3"]
    assert len(run("TextClassificationTask", "toy:classify", text="x", max_categories=2)["categories"]) == 2
    error = refused("TextClassificationTask", "toy:classify", text="x", candidate_labels=["a"])
    assert isinstance(error, UnsupportedCapabilityError)
    assert "It can: classify" in str(error)


def test_candidate_labels_go_to_a_model_that_takes_them(toy: type[ToyProvider]) -> None:
    found = run(
        "TextClassificationTask", "toy:classify_freely", text=["a cat", "a dog"], candidate_labels=["dog", "cat"]
    )
    assert [one[0]["label"] for one in found["categories"]] == ["cat", "dog"]


def test_a_chat_model_sorts_by_an_object_that_it_writes() -> None:
    object_ = {"found": [{"label": "sad", "confidence": 20}, {"label": "glad", "confidence": 80}]}
    only_chat = {"name": "scripted:b", "provider": "scripted", "capabilities": ["chat"]}
    with ScriptedProvider(answers=[object_, f"Sure!\n```json\n{object_}\n```".replace("'", '"')]) as provider:
        for model in ("scripted:a", only_chat):
            found = run("TextClassificationTask", model, text="Hooray", candidate_labels=["glad", "sad"])
            assert found == {"categories": [{"label": "glad", "score": 0.8}, {"label": "sad", "score": 0.2}]}
    by_object, by_words = provider.requests
    assert by_object.schema is not None
    assert by_words.schema is None
    assert '"enum": ["glad", "sad"]' in said(provider, 1)


def test_languages_are_limited_by_number_score_and_lists(toy: type[ToyProvider]) -> None:
    def codes(**limits: Any) -> list[str]:
        found = run("TextLanguageDetectionTask", "toy:detect_language", text="x", **limits)
        return [one["language"] for one in found["languages"]]

    assert codes() == codes(max_languages=0) == ["de", "pt-BR", "en", "nl"]
    assert codes(max_languages=1) == ["de"]
    assert codes(score_threshold=0.15) == ["de", "pt-BR", "en"]
    assert codes(block_list=["pt", "DE"]) == ["en", "nl"]
    assert codes(allow_list=["pt", "nl"]) == ["pt-BR", "nl"]
    assert codes(allow_list=["fr"]) == []


def test_a_chat_model_names_the_language() -> None:
    with ScriptedProvider(answers=[{"found": [{"language": "de", "confidence": 97}]}]):
        found = run("TextLanguageDetectionTask", "scripted:a", text="Guten Tag")
    assert found == {"languages": [{"language": "de", "score": 0.97}]}


def test_names_come_in_the_order_of_the_text_and_kinds_can_be_left_out(toy: type[ToyProvider]) -> None:
    text = "Ada Lovelace saw Rome"
    found = run("TextNamedEntityRecognitionTask", "toy:recognise_entities", text=text)["entities"]
    assert [(one["word"], text[one["start"] : one["end"]]) for one in found] == [
        ("Ada Lovelace", "Ada Lovelace"),
        ("Rome", "Rome"),
    ]
    left = run("TextNamedEntityRecognitionTask", "toy:recognise_entities", text=[text, ""], block_list=["per"])
    assert [[one["word"] for one in each] for each in left["entities"]] == [["Rome"], []]


def test_names_that_a_chat_model_finds_are_looked_up_in_the_text() -> None:
    text = "Rome met Rome; Ada was there."
    words = [("Rome", "LOC"), ("Rome", "LOC"), ("Ada", "PER"), ("Atlantis", "LOC")]
    answer = {"found": [{"word": word, "entity": kind, "confidence": 90} for word, kind in words]}
    with ScriptedProvider(answers=[answer]):
        found = run("TextNamedEntityRecognitionTask", "scripted:a", text=text)["entities"]
    assert [(one["word"], one["start"], one["end"]) for one in found] == [
        ("Rome", 0, 4),
        ("Rome", 9, 13),
        ("Ada", 15, 18),
    ]


def test_gaps_are_filled(toy: type[ToyProvider]) -> None:
    found = run("TextFillMaskTask", "toy:fill_mask", text="The sky is <mask>.", max_predictions=2)["predictions"]
    assert [one["sequence"] for one in found] == ["The sky is blue.", "The sky is grey."]
    with ScriptedProvider(answers=[{"found": [{"entity": "blue", "confidence": 60}]}]):
        found = run("TextFillMaskTask", "scripted:a", text="The sky is [MASK].")["predictions"]
        assert found == [{"entity": "blue", "score": 0.6, "sequence": "The sky is blue."}]
        assert "has 0 gaps" in str(refused("TextFillMaskTask", "scripted:a", text="The sky is."))


def test_tokens_are_counted_by_the_model_and_not_estimated(toy: type[ToyProvider]) -> None:
    assert run("CountTokensTask", "toy:count_tokens", text="one two") == {"count": 2}
    assert run("CountTokensTask", "toy:count_tokens", text=["one", "", "a b c"]) == {"count": [1, 0, 3]}
    assert isinstance(refused("CountTokensTask", "toy:classify", text="x"), UnsupportedCapabilityError)


# ---------------------------------------------------------------------- models that do not fit


def test_a_model_that_is_for_other_tasks_is_refused_with_task_port_and_reason() -> None:
    record = {"name": "scripted:a", "provider": "scripted", "tasks": ["TextGenerationTask"]}
    with ScriptedProvider():
        error = refused("TextSummaryTask", record, text="x")
    assert isinstance(error, ModelCallError)
    assert "'scripted:a' for 'model' is not compatible with task 'TextSummaryTask'" in str(error)
    assert "TextGenerationTask" in str(error)


@pytest.mark.parametrize(
    ("kind", "inputs", "port"),
    [
        ("TextTranslationTask", {"text": "x", "target_lang": "German"}, "target_lang"),
        ("TextClassificationTask", {"text": "x", "max_categories": 0}, "max_categories"),
        ("TextClassificationTask", {"text": "x", "candidate_labels": []}, "candidate_labels"),
        ("TextSummaryTask", {"text": "x", "length": "huge"}, "length"),
        ("TextRewriterTask", {"text": "x", "prompt": ""}, "prompt"),
        ("TextLanguageDetectionTask", {"text": "x", "score_threshold": 2}, "score_threshold"),
        ("TextGenerationTask", {"prompt": "x", "top_p": 0}, "top_p"),
    ],
)
def test_what_fits_no_port_is_told_with_task_and_port(kind: str, inputs: dict[str, Any], port: str) -> None:
    with ScriptedProvider():
        error = refused(kind, "scripted:a", **inputs)
    assert isinstance(error, TaskInputError)
    assert f"Task 'task' ({kind}): input '{port}'" in str(error)
