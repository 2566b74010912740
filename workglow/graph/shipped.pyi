"""Made by tests/house/task_methods.py; change the tasks instead."""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypedDict, Unpack

from workglow.knowledge.chunking import Chunk
from workglow.knowledge.document import Document
from workglow.retry import Retry

__all__ = ["ShippedTasks"]

class TaskOptions(TypedDict, total=False):
    """What every task takes."""

    id: str | None
    title: str
    description: str
    extras: Mapping[str, Any]
    timeout: float
    retry: Retry
    cache: bool

class ShippedTasks:
    """Has a method for each task type that comes with workglow."""
    def debug_log(
        self,
        *,
        log_level: Literal["dir", "log", "debug", "info", "warn", "error"] = ...,
        id: str | None = None,
        **inputs: Any,
    ) -> Self:
        """Shows what passes by, for debugging a graph."""

    def load_document(
        self,
        *,
        path: str = ...,
        media_type: str | None = ...,
        encoding: str | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Read a text, Markdown, HTML or PDF file."""

    def search_knowledge(
        self,
        *,
        query: str = ...,
        knowledge_base: str = ...,
        limit: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Find the chunks that fit the query best, by meaning and by words."""

    def split_document(
        self,
        *,
        document: Document = ...,
        model: str = ...,
        size: int = ...,
        overlap: int = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Cut a document into chunks of at most `size` of the model's tokens; `text` is what to embed."""

    def store_document(
        self,
        *,
        document: Document = ...,
        chunks: list[Chunk] = ...,
        vector: Any = ...,
        knowledge_base: str = ...,
        model: str | None = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Store a document with its chunks and their vectors, in place of an earlier one of the same name."""

    def text_embedding(
        self,
        *,
        text: str | list[str] = ...,
        model: str = ...,
        **options: Unpack[TaskOptions],
    ) -> Self:
        """Turn a text into a vector of unit length; several texts into a matrix with a row for each."""
