"""The tasks of a search pipeline, in graphs that connect by themselves."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import Field

import workglow as wg
from workglow.ai import TextEmbeddingTask
from workglow.errors import KnowledgeError, TaskEntitlementError, UnknownModelError
from workglow.knowledge.document import Document
from workglow.knowledge.tasks import load, split

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


def test_a_knowledge_base_is_named_or_given_and_a_run_keeps_its_name(project: wg.Project, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("Lemons are sour.")
    steps = wg.Workflow().load_document(path=str(path)).split_document().text_embedding()
    project.run_sync(steps.store_document(knowledge_base="other"))
    base = project.knowledge("other")
    search = wg.Workflow().search_knowledge(query="lemon")
    given = project.run_sync(search, {"knowledge_base": base})
    named = project.run_sync(search, {"knowledge_base": "other"})
    assert given.outputs == named.outputs
    assert len(given.outputs["results"]) == 1
    stored = {record.input for record in project._repositories.runs.all()[1:]}  # pyright: ignore
    assert stored == {'{"knowledge_base":"other"}'}


def test_a_model_is_found_by_its_name(project: wg.Project) -> None:
    @wg.task(name="uses_a_model", output="dimensions", inline=True)
    def dimensions(model: Annotated[Any, Field(json_schema_extra={"format": "model:TextEmbedding"})]) -> int:
        return model.dimensions

    assert project.run_sync(dimensions, {"model": "local:wordllama"}).outputs == {"dimensions": 256}
    again = project.run_sync(dimensions, {"model": project.models.model("local:wordllama")})
    assert again.usage["cached"] == 1
    with pytest.raises(UnknownModelError):
        project.run_sync(dimensions, {"model": "local:nothing"})


def test_a_graph_from_data_reads_only_the_files_that_it_may(project: wg.Project, tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("words")
    graph = wg.TaskGraph.from_json(pipeline(path).graph.to_json())
    with pytest.raises(TaskEntitlementError, match=f"files:read={path}"):
        project.run_sync(graph)
    assert project.run_sync(graph, entitlements=[f"files:read={tmp_path}"]).status == "completed"


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
    assert [one.task_type.type for one in (load, split)] + [TextEmbeddingTask.type] == [
        "LoadDocumentTask",
        "SplitDocumentTask",
        "TextEmbeddingTask",
    ]
    assert load.task_type.cacheable is False
    assert TextEmbeddingTask.cacheable is True
