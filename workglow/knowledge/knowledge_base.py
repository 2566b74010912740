"""A knowledge base: documents go in, and what they say is found again by meaning and by words."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, Literal

from workglow.ai import Models, models_without_project
from workglow.errors import KnowledgeError
from workglow.knowledge.document import Document
from workglow.knowledge.fusion import reciprocal_rank_score
from workglow.knowledge.loading import LARGEST, find_documents, load_document
from workglow.storage.knowledge import ChunkRecord, DocumentRecord, FoundChunk
from workglow.values import fingerprint

if TYPE_CHECKING:
    from workglow.ai.embedding import EmbeddingModel
    from workglow.ai.provider import Vectors
    from workglow.knowledge.chunking import Chunk
    from workglow.storage.knowledge import KnowledgeRepository, StoredDocument

__all__ = ["Added", "KnowledgeBase", "SearchResult", "describe"]

_DEFAULT_MODEL: Final = "local:wordllama"
_WORD: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 32
_LONGEST_WORD: Final = 64
_LONGEST_QUERY: Final = 10_000  # characters
_MOST_RESULTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a document: 'unchanged' when the knowledge base holds it just so, 'failed' with the `reason`.

    `embedded` counts the chunks that the model was asked for; the others were known from the earlier version.
    """

    name: str
    status: Literal["added", "replaced", "unchanged", "failed"]
    chunks: int = 0
    embedded: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A chunk that was found: the characters from `start` to `end` of the document's text.

    `score` orders the results of one search and means nothing beyond it.  `vector_rank` and `word_rank` say how good
    the chunk is by meaning and by words, 1 being the best; None: not among the best that way.
    """

    document: str
    title: str
    place: str
    start: int
    end: int
    text: str
    score: float
    vector_rank: int | None
    word_rank: int | None


class KnowledgeBase:
    """Documents of one project under one name, all embedded by one model.

    `model` may be a model or its name; None takes the one that the base was made with, for a new base
    'local:wordllama'; `models` finds it by name.  Chunks have at most `chunk_size` of its tokens, of which `overlap`
    repeat.

    Its methods block while files are read and models work; in an event loop, call them with asyncio.to_thread.
    Raises KnowledgeError when the base holds vectors of another model.
    """

    def __init__(
        self,
        repository: KnowledgeRepository,
        model: EmbeddingModel | str | None = None,
        *,
        name: str = "default",
        chunk_size: int = 256,
        overlap: int = 0,
        models: Models | None = None,
    ) -> None:
        self.name = name
        self.chunk_size = chunk_size
        self.overlap = overlap
        self._repository = repository
        base = repository.base(name)
        wanted = model or (base.model if base else _DEFAULT_MODEL)
        known = models or models_without_project()
        self.model: EmbeddingModel = known.model(wanted) if isinstance(wanted, str) else wanted
        if base is not None:
            repository.ensure_base(name, self.model.name, self.model.dimensions)

    def __repr__(self) -> str:
        return f"KnowledgeBase({self.name!r}, model={self.model.name!r})"

    def __len__(self) -> int:
        """Count the chunks."""
        return self._repository.count_chunks(self.name)

    def __bool__(self) -> bool:
        return True  # an empty base is still a base, so `base or …` does what it says

    def add(self, source: str | os.PathLike[str] | Document) -> Added:
        """Add a file or a document, in place of an earlier one of the same name.

        What has not changed is neither embedded nor written again.  A file is read by `load_document`: call that
        yourself to give its encoding or another name.  Its errors are raised here; a document that cannot be read or
        stored leaves its earlier version as it was.
        """
        document = source if isinstance(source, Document) else load_document(source)
        chunks = self.split(document)
        record = describe(document, chunks)
        stored = self._repository.document(self.name, document.name)
        if stored is not None and stored.record.hash == record.hash:
            return Added(document.name, "unchanged", len(chunks))
        vectors, embedded = self._vectors(document.name, chunks)
        return self._store(record, chunks, vectors, embedded)

    def add_folder(self, folder: str | os.PathLike[str], *, max_bytes: int = LARGEST) -> list[Added]:
        """Add every document under a folder, in the order of their paths; see `find_documents`.

        A file that cannot be read does not stop the others: its entry has the status 'failed' and says why.
        """
        return [self._tried(path, max_bytes) for path in find_documents(folder)]

    def split(self, document: Document) -> list[Chunk]:
        """Cut a document as `add` does."""
        from workglow.knowledge.chunking import split_document

        size = min(self.chunk_size, self.model.max_tokens or self.chunk_size)
        return split_document(
            document, size=size, overlap=min(self.overlap, size // 2), count_tokens=self.model.count_tokens
        )

    def store(self, document: Document, chunks: Sequence[Chunk], vectors: Vectors) -> Added:
        """Store a document whose chunks were cut and embedded already, in place of an earlier one of the same name.

        `vectors` are this base's model's, float32 of shape (number of chunks, dimensions).
        """
        return self._store(describe(document, chunks), chunks, vectors, 0)

    def search(self, text: str, *, limit: int = 5) -> list[SearchResult]:
        """Find the chunks that fit the text best.

        Two lists are fused by reciprocal rank: the nearest by the model's vectors, and the best by words (BM25).  A
        chunk with the very words comes before one that only means the same, when nothing else tells them apart.
        Nothing in the text is ever a command; quotes and operators are just characters.

        Raises KnowledgeError for a text without content, or a limit outside 1 … 1000.
        """
        if not text.strip():
            raise KnowledgeError("The search text is empty.  Give a question, or words that the documents use.")
        if not 1 <= limit <= _MOST_RESULTS:
            raise KnowledgeError(f"A search gives 1 to {_MOST_RESULTS} results; {limit} were asked for.")
        if self._repository.base(self.name) is None:
            return []
        self._repository.ensure_base(self.name, self.model.name, self.model.dimensions)
        asked = text[:_LONGEST_QUERY].encode("utf-8", "replace").decode()
        vector = self.model.embed_sync([asked], purpose="query")[0]
        found = self._repository.search(self.name, vector, _words(asked), depth=max(50, 4 * limit))
        results = [_result(one) for one in found]
        results.sort(key=lambda one: (-one.score, one.word_rank or _MOST_RESULTS * 8, one.document, one.start))
        return results[:limit]

    def documents(self) -> list[StoredDocument]:
        """List the documents, by name."""
        return self._repository.documents(self.name)

    def remove(self, name: str) -> bool:
        """Remove a document; False when there is none of that name."""
        return self._repository.delete_document(self.name, name)

    def _tried(self, path: str, max_bytes: int) -> Added:
        try:
            return self.add(load_document(path, max_bytes=max_bytes))
        except KnowledgeError as error:
            return Added(path, "failed", reason=str(error))

    def _vectors(self, name: str, chunks: Sequence[Chunk]) -> tuple[Vectors, int]:
        """Embed what is new.  Text and place together tell a chunk, for its heading path is embedded with it."""
        import numpy as np

        known = {
            (chunk.text, chunk.place): vector
            for chunk, vector in self._repository.chunks(self.name, name)
            if vector.shape == (self.model.dimensions,)  # a damaged one is mended by embedding it again
        }
        new = [chunk for chunk in chunks if (chunk.text, chunk.place) not in known]
        fresh = iter(self.model.embed_sync([chunk.embedded for chunk in new]) if new else ())
        rows = [known[place] if (place := (chunk.text, chunk.place)) in known else next(fresh) for chunk in chunks]
        return np.asarray(rows, np.float32).reshape(len(chunks), self.model.dimensions), len(new)

    def _store(self, record: DocumentRecord, chunks: Sequence[Chunk], vectors: Vectors, embedded: int) -> Added:
        base = self._repository.ensure_base(self.name, self.model.name, self.model.dimensions)
        before = self._repository.document(self.name, record.name)
        rows = [ChunkRecord(chunk.key, chunk.place, chunk.start, chunk.end, chunk.text) for chunk in chunks]
        if not self._repository.upsert_document(base, record, rows, vectors):
            return Added(record.name, "unchanged", len(chunks), embedded)
        return Added(record.name, "replaced" if before else "added", len(chunks), embedded)


def describe(document: Document, chunks: Sequence[Chunk]) -> DocumentRecord:
    """Return a document's record; its hash is over all there is of it, and over where it is cut."""
    cuts = [[chunk.key, chunk.place, chunk.start, chunk.end] for chunk in chunks]
    whole = fingerprint(document.title, document.media_type, document.text, document.metadata, cuts)
    return DocumentRecord(document.name, document.title, document.media_type, whole.hex(), document.metadata)


def _words(text: str) -> list[str]:
    """The distinct words of a text, in its order, as many as a search can use."""
    words = (match[0] for match in _WORD.finditer(unicodedata.normalize("NFC", text)))
    distinct = dict.fromkeys(word.casefold() for word in words if len(word) <= _LONGEST_WORD)
    return list(islice(distinct, _MOST_WORDS))


def _result(found: FoundChunk) -> SearchResult:
    chunk = found.chunk
    return SearchResult(
        document=found.document,
        title=found.title,
        place=chunk.place,
        start=chunk.start,
        end=chunk.end,
        text=chunk.text,
        score=reciprocal_rank_score(found.vector_rank, found.word_rank),
        vector_rank=found.vector_rank,
        word_rank=found.word_rank,
    )
