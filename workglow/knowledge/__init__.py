"""Documents, and what can be found in them: loading, chunking, knowledge bases, search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.knowledge.document import Document, Section
from workglow.knowledge.knowledge_base import Added, KnowledgeBase, SearchResult
from workglow.knowledge.loading import find_documents, load_document

if TYPE_CHECKING:
    from workglow.ai import Models
    from workglow.file import File

__all__ = [
    "Added",
    "Document",
    "KnowledgeBase",
    "SearchResult",
    "Section",
    "find_documents",
    "load_document",
    "open_knowledge_base",
]


def open_knowledge_base(
    file: File, name: str = "default", model: str | None = None, *, models: Models | None = None
) -> KnowledgeBase:
    """Open a knowledge base of a project file; errors as in KnowledgeBase."""
    from workglow.storage.sqlite.knowledge import SqliteKnowledge

    return KnowledgeBase(SqliteKnowledge(file), model, name=name, models=models)
