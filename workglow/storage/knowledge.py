"""What a place that keeps documents and finds chunks must be able to do, and the rows it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BaseRecord", "ChunkRecord", "DocumentRecord", "FoundChunk", "KnowledgeRepository", "StoredDocument"]


@dataclass(frozen=True, slots=True)
class BaseRecord:
    """A knowledge base: every vector in it is of this model, with so many dimensions."""

    name: str
    model: str
    dimensions: int
    created_at: int


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """A piece of a document: the characters from `start` to `end` of its text, and where that is, for people.

    `key` is unique in the document.
    """

    key: str
    place: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """What is known of a document beside its chunks.  `hash` (64 characters) differs when anything about it differs."""

    name: str
    title: str
    media_type: str
    hash: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document as listed: its record, the number of its chunks, and when it was stored (milliseconds)."""

    record: DocumentRecord
    chunks: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class FoundChunk:
    """A chunk that a search came upon.  Ranks count from 1, the best; None: not among the best that way."""

    document: str
    title: str
    chunk: ChunkRecord
    vector_rank: int | None
    word_rank: int | None


class KnowledgeRepository(Protocol):
    """Knowledge bases, known by name.  Each method that writes is one transaction.

    Vectors are float32 of shape (number of chunks, dimensions).
    """

    def bases(self) -> list[BaseRecord]: ...

    def base(self, name: str) -> BaseRecord | None: ...

    def ensure_base(self, name: str, model: str, dimensions: int) -> BaseRecord:
        """Return the base, made if need be; KnowledgeError when it holds vectors of another model or length."""
        ...

    def delete_base(self, name: str) -> bool:
        """Delete a base with all that is in it; False when there is none."""
        ...

    def documents(self, base: str) -> list[StoredDocument]:
        """List the documents by name."""
        ...

    def document(self, base: str, name: str) -> StoredDocument | None: ...

    def chunks(self, base: str, name: str) -> list[tuple[ChunkRecord, NDArray[np.float32]]]:
        """Return a document's chunks in order, each with its vector."""
        ...

    def upsert_document(
        self, base: BaseRecord, document: DocumentRecord, chunks: Sequence[ChunkRecord], vectors: NDArray[np.float32]
    ) -> bool:
        """Store a document in place of its earlier version, of which nothing is left.

        False, and nothing is written, when the stored one has the same hash.  KnowledgeError when the base is gone, or
        now belongs to another model.
        """
        ...

    def delete_document(self, base: str, name: str) -> bool:
        """Delete a document and its chunks; False when there is none of that name."""
        ...

    def count_chunks(self, base: str) -> int: ...

    def search(self, base: str, vector: NDArray[np.float32], words: Sequence[str], *, depth: int) -> list[FoundChunk]:
        """Return the `depth` chunks nearest to the vector and the `depth` that fit the words best, as of one moment.

        A chunk that is among both comes once.  Words are plain text, whatever they look like: none is ever a command.
        A vector of zeros is near to nothing.
        """
        ...
