"""The tasks of a search pipeline: load a document, split it, embed its chunks, store it, find chunks again.

A graph that stores or finds needs a project: `project.run(…)`.  What a task remembers is the name of the model, never
the model, so a run goes on in another process.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workglow.ai.task import models_of
from workglow.errors import KnowledgeError
from workglow.knowledge.chunking import Chunk, split_document
from workglow.knowledge.document import Document
from workglow.knowledge.knowledge_base import Added, KnowledgeBase, SearchResult
from workglow.knowledge.loading import load_document
from workglow.tasks import TaskContext, task
from workglow.values import value_types

__all__ = ["Split", "load", "search_knowledge", "split", "store"]


Named: TypeAlias = Annotated[str, Field(json_schema_extra={"format": "knowledge-base"})] | KnowledgeBase
"""A knowledge base or its name; a project finds the one by the other."""


class Split(NamedTuple):
    """A document's chunks, and of each the text to embed."""

    chunks: list[Chunk]
    text: list[str]


class _Project(Protocol):
    def knowledge(self, name: str, *, model: str | None = None) -> KnowledgeBase: ...


# Not cached: the file may have changed.
@task(
    name="LoadDocumentTask",
    output="document",
    title="Load Document",
    category="Document",
    version="1",
    cache=False,
    entitlements=("files:read={path}",),
)
def load(path: str, media_type: str | None = None, encoding: str | None = None) -> Document:
    """Read a text, Markdown, HTML or PDF file."""
    return load_document(path, media_type=media_type, encoding=encoding)


@task(name="SplitDocumentTask", title="Split Document", category="Document", version="1")
def split(
    document: Document,
    model: str = "local:wordllama",
    size: int = 256,
    overlap: int = 0,
    context: TaskContext | None = None,
) -> Split:
    """Cut a document into chunks of at most `size` of the model's tokens; `text` is what to embed."""
    embedding = models_of(context).model(model)
    size = min(size, embedding.max_tokens or size)
    chunks = split_document(document, size=size, overlap=overlap, count_tokens=embedding.count_tokens)
    return Split(chunks, [chunk.embedded for chunk in chunks])


# Not cached, for its effect is what counts; storing the same again changes nothing, so it may be repeated.
@task(
    name="StoreDocumentTask",
    title="Store Document",
    category="Knowledge",
    version="1",
    cache=False,
    inline=True,
)
def store(
    document: Document,
    chunks: list[Chunk],
    vector: NDArray[np.float32],
    context: TaskContext,
    *,
    knowledge_base: str = "default",
    model: str | None = None,
) -> Added:
    """Store a document with its chunks and their vectors, in place of an earlier one of the same name."""
    return _knowledge(context, knowledge_base, model).store(document, chunks, vector)


@task(
    name="SearchKnowledgeTask",
    output="results",
    title="Search Knowledge",
    category="Knowledge",
    version="1",
    cache=False,
    inline=True,
)
def search_knowledge(
    query: str, context: TaskContext, *, knowledge_base: Named = "default", limit: int = 5
) -> list[SearchResult]:
    """Find the chunks that fit the query best, by meaning and by words."""
    return _knowledge(context, knowledge_base, None).search(query, limit=limit)


def _knowledge(context: TaskContext, name: str | KnowledgeBase, model: str | None) -> KnowledgeBase:
    if isinstance(name, KnowledgeBase):
        return name
    if context.project is None:
        raise KnowledgeError(
            "A knowledge base is kept in a project file, and this run has none.  Run the graph with project.run(…)."
        )
    return cast("_Project", context.project).knowledge(name, model=model)


value_types.register(SearchResult, "workglow.SearchResult")
