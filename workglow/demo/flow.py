"""From documents to a knowledge base: list → for each document load → split → embed → store."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from workglow.errors import DocumentError
from workglow.graph.control.map import MapTask
from workglow.graph.graph import TaskGraph
from workglow.knowledge import Document, find_documents, load_document
from workglow.knowledge.chunking import Chunk
from workglow.tasks import TaskContext, task

__all__ = ["documents", "embed", "ingestion", "load", "split", "store"]

_CONCURRENCY = 2
"""Documents in work at a time: reading, cutting and embedding keep one core busy, so more would only wait."""


@task(name="demo_documents", output="paths", cache=False, entitlements=("files:read={sources}",))
def documents(sources: list[str], most: int) -> list[str]:
    """List the documents in folders and files, `most` of them at most."""
    found: list[str] = []
    for source in sources:
        found += find_documents(source) if os.path.isdir(source) else [source]
    if not found:
        raise DocumentError(
            f"{', '.join(sources)} holds no documents.  Give a folder with text, Markdown, HTML or PDF files."
        )
    return found[:most]


@task(name="demo_load", output="document", cache=False, entitlements=("files:read={path}",))
def load(path: str, sources: list[str]) -> Document:
    """Read a document; its name is its path below the folder."""
    folder = next((source for source in sources if path.startswith(os.path.join(source, ""))), os.path.dirname(path))
    return load_document(path, name=os.path.relpath(path, folder))


@task(name="demo_split", output="chunks")
def split(document: Document, context: TaskContext) -> list[Chunk]:
    """Cut a document into passages that a person can read and the model can embed."""
    return _base(context).split(document)


@task(name="demo_embed", output="vectors")
def embed(chunks: list[Chunk], context: TaskContext) -> np.ndarray:
    """Turn each passage into a vector, with a model in this process."""
    return _base(context).model.embed_sync([chunk.embedded for chunk in chunks])


@task(name="demo_store", output="stored", side_effects=True)
def store(document: Document, chunks: list[Chunk], vectors: np.ndarray, context: TaskContext) -> str:
    """Put a document with its passages and vectors into the project file."""
    return _base(context).store(document, chunks, vectors).name


def _base(context: TaskContext) -> Any:
    if context.project is None:
        raise DocumentError("The demonstration stores documents in a project, and this run has none.  Run it in one.")
    return context.project.knowledge()


def ingestion() -> TaskGraph:
    """Return the graph: its inputs are `sources`, files and folders, and `most`, how many documents to take."""
    body = TaskGraph()
    for name, step in {"load": load, "split": split, "embed": embed, "store": store}.items():
        body.add_task(step, id=name)
    body.add_dataflow("load", "document", "split", "document")
    body.add_dataflow("load", "document", "store", "document")
    body.add_dataflow("split", "chunks", "embed", "chunks")
    body.add_dataflow("split", "chunks", "store", "chunks")
    body.add_dataflow("embed", "vectors", "store", "vectors")
    graph = TaskGraph()
    graph.add_task(documents, id="documents")
    each = MapTask(
        body, id="each", max_iterations="unbounded", iterate=("path",), broadcast=("sources",), concurrency=_CONCURRENCY
    )
    graph.add_task(each)
    graph.add_dataflow("documents", "paths", "each", "path")
    graph.name_input("sources", "documents", "sources")
    graph.name_input("sources", "each", "sources")
    return graph
