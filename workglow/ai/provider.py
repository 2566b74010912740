"""What a provider of models must offer.  There is one small protocol for each thing that models can do.

A provider gives a model object by name; the model does the work.  Its methods may be plain functions (a model in this
process) or coroutines (a model behind a network); `embed` and `embed_sync` call either, and see to it that what comes
back is what the protocol promises.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from workglow.errors import KnowledgeError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors: TypeAlias = NDArray[np.float32]
else:
    Vectors = "numpy.ndarray"  # numpy costs 100 ms, and whoever only resolves a name needs none

__all__ = ["EmbeddingModel", "EmbeddingProvider", "Purpose", "Vectors", "embed", "embed_sync"]

Purpose: TypeAlias = Literal["document", "query"]
"""Some models embed a question otherwise than the texts among which its answer is sought."""


class EmbeddingModel(Protocol):
    """A model that turns texts into vectors.  `name` is the full name, such as 'local:wordllama'."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int | None:
        """How much of a text the model reads; None when it reads all."""
        ...

    def count_tokens(self, text: str, /) -> int:
        """Count the tokens the model will see.  A model that cannot say gives an estimate, rather too high."""
        ...

    def embed(self, texts: Sequence[str], /, *, purpose: Purpose = "document") -> Vectors | Awaitable[Vectors]:
        """Return float32 of shape (number of texts, dimensions), each row of unit length.

        A text without anything the model knows has a row of zeros.
        """
        ...


class EmbeddingProvider(Protocol):
    """Whoever runs embedding models.  `name` is what their names begin with: 'local' in 'local:wordllama'."""

    @property
    def name(self) -> str: ...

    def embedding_model(self, name: str, /) -> EmbeddingModel:
        """Return the model of that full name; UnknownModelError says which there are."""
        ...


async def embed(model: EmbeddingModel, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
    """Embed on the event loop: a coroutine is awaited, a plain function works in a thread.

    Raises KnowledgeError when the model returns something that is not one finite vector for each text.
    """
    if inspect.iscoroutinefunction(model.embed):
        return _checked(model, texts, await model.embed(texts, purpose=purpose))
    import asyncio

    result = await asyncio.to_thread(model.embed, texts, purpose=purpose)
    return _checked(model, texts, await result if isinstance(result, Awaitable) else result)


def embed_sync(model: EmbeddingModel, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
    """`embed`, blocking; a model in this process is called on the spot."""
    if not inspect.iscoroutinefunction(model.embed):
        result = model.embed(texts, purpose=purpose)
        if not isinstance(result, Awaitable):
            return _checked(model, texts, result)
        awaited = result

        async def finish() -> Vectors:
            return _checked(model, texts, await awaited)

        work = finish
    else:

        def work():
            return embed(model, texts, purpose=purpose)

    from workglow.blocking import run_blocking

    return run_blocking(work)


def _checked(model: EmbeddingModel, texts: Sequence[str], given: object) -> Vectors:
    import numpy as np

    vectors = np.asarray(given, dtype=np.float32)
    if vectors.shape != (len(texts), model.dimensions):
        raise KnowledgeError(
            f"The model {model.name!r} returned vectors of shape {vectors.shape} for {len(texts)} texts; "
            f"({len(texts)}, {model.dimensions}) was expected.  Its `dimensions` or its `embed` is wrong."
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise KnowledgeError(f"The model {model.name!r} returned vectors that hold NaN or infinity.")
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
