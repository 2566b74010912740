"""The task that embeds, with a real model: one text or many, their purpose, and how much of a vector is kept."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import workglow as wg
from workglow.ai import TextEmbeddingTask
from workglow.errors import TaskInputError

pytestmark = [
    pytest.mark.extra("local"),
    pytest.mark.skipif(find_spec("wordllama") is None, reason="needs wordllama: pip install 'workglow[local]'"),
]

MODEL = "local:wordllama"
SENTENCES = [
    "The cat sleeps on the sofa.",
    "A kitten is napping on the couch.",
    "The bank raised its interest rates.",
    "Loans became more expensive this year.",
]


def embedded(text: Any, model: Any = MODEL, **inputs: Any) -> Any:
    return (
        wg.Workflow()
        .then(TextEmbeddingTask(id="embed"))
        .run_sync({"text": text, "model": model, **inputs})
        .outputs["vector"]
    )


def test_a_text_has_one_vector_and_a_list_has_a_list() -> None:
    one, many, none = embedded(SENTENCES[0]), embedded(SENTENCES), embedded([])
    assert one.shape == (256,)
    assert many.shape == (4, 256)
    assert embedded(SENTENCES[:1]).shape == (1, 256)
    assert len(none) == 0
    assert np.allclose(one, many[0], atol=1e-6)


@pytest.mark.parametrize("dimensions", [256, 128, 64])
def test_the_beginning_of_a_vector_tells_nearly_as_much(dimensions: int) -> None:
    vectors = embedded(SENTENCES, dimensions=dimensions)
    assert vectors.shape == (4, dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    likeness = vectors @ vectors.T
    assert min(likeness[0, 1], likeness[2, 3]) > likeness[:2, 2:].max()
    whole = embedded(SENTENCES)[:, :dimensions]
    assert np.allclose(vectors, whole / np.linalg.norm(whole, axis=1, keepdims=True), atol=1e-6)
    assert not embedded("", dimensions=dimensions).any()


@pytest.mark.parametrize(("dimensions", "said"), [(257, r"'local:wordllama' have 256 numbers"), (0, "dimensions")])
def test_more_numbers_than_there_are_and_none_at_all_are_refused(dimensions: int, said: str) -> None:
    with pytest.raises(TaskInputError, match=said):
        embedded("a", dimensions=dimensions)


def test_a_question_and_a_document_have_the_prefixes_of_the_record() -> None:
    record = {"name": "mine:m", "provider": "local", "source": "wordllama"}
    record |= {"query_prefix": "question about cats: ", "document_prefix": "passage of a book: "}
    question, document = embedded("sofa", record, purpose="query"), embedded("sofa", record)
    assert np.allclose(question, embedded("question about cats: sofa"), atol=1e-6)
    assert np.allclose(document, embedded("passage of a book: sofa"), atol=1e-6)
    assert not np.allclose(question, document)
    with pytest.raises(TaskInputError, match="purpose"):
        embedded("sofa", record, purpose="search")


def test_purpose_and_dimensions_are_part_of_what_the_cache_knows(project: wg.Project) -> None:
    record = {"name": "mine:m", "provider": "local", "source": "wordllama", "query_prefix": "question: "}
    flow = wg.Workflow().text_embedding(model=record)

    def status(**inputs: Any) -> bool:
        return project.run_sync(flow, {"text": "sofa", **inputs}).tasks["text_embedding"].cached

    assert [status(), status(), status(purpose="query"), status(dimensions=64)] == [False, True, False, False]
