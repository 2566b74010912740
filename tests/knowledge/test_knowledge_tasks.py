"""The tasks of a search pipeline, in graphs that connect by themselves."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import workglow as wg
from workglow.errors import KnowledgeError
from workglow.knowledge.document import Document
from workglow.knowledge.tasks import load, split, text_embedding

pytestmark = [
    pytest.mark.extra("local"),
    pytest.mark.skipif(find_spec("wordllama") is None, reason="needs wordllama: pip install 'workglow[local]'"),
]


def pipeline(path: Path) -> wg.Workflow:
    return wg.Workflow().load_document(path=str(path)).split_document().text_embedding().store_document()


def test_a_pipeline_connects_by_itself_and_its_document_is_found(project: wg.Project, tmp_path: Path) -> None:
    path = tmp_path / "guide.md"
    path.write_text("# Guide\n\nApples grow on trees.\n\n## Sour\n\nLemons are sour.")
    outputs = project.run_sync(pipeline(path)).outputs
    assert (outputs["status"], outputs["chunks"]) == ("added", 2)
    assert project.run_sync(pipeline(path)).outputs["status"] == "unchanged"
    run = project.run_sync(wg.Workflow().search_knowledge(query="lemon", limit=1))
    (result,) = run.outputs["results"]
    assert (result.document, result.place) == (str(path), "Guide > Sour")
    assert project.get(run.id).outputs["results"] == [result]  # as it came back from the file


def test_a_changed_file_is_read_again_and_nothing_old_is_left(project: wg.Project, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("old words")
    project.run_sync(pipeline(path))
    path.write_text("new words")
    assert project.run_sync(pipeline(path)).outputs["status"] == "replaced"
    assert [one.text for one in project.search("old words")] == ["new words"]


def test_storing_without_a_project_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("words")
    with pytest.raises(KnowledgeError, match=r"project\.run"):
        pipeline(path).run_sync()


def test_one_text_gives_a_vector_and_several_a_matrix() -> None:
    one = wg.Workflow().text_embedding(text="alpha").run_sync().outputs["vector"]
    many = wg.Workflow().text_embedding(text=["alpha", "beta"]).run_sync().outputs["vector"]
    assert (one.shape, one.dtype, many.shape) == ((256,), np.float32, (2, 256))
    assert np.allclose(one, many[0])
    assert np.allclose(np.linalg.norm(many, axis=1), 1)


def test_a_split_document_is_also_what_a_plain_call_gives() -> None:
    document = Document("x", "Alpha beta. " * 200)
    chunks, text = split(document, size=64)
    assert [chunk.embedded for chunk in chunks] == text
    assert len(chunks) > 5


def test_type_names_are_those_that_files_use() -> None:
    assert [one.task_type.type for one in (load, split, text_embedding)] == [
        "LoadDocumentTask",
        "SplitDocumentTask",
        "TextEmbeddingTask",
    ]
    assert load.task_type.cacheable is False
    assert text_embedding.task_type.cacheable is True
