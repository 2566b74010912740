"""Turning texts into vectors, as a task does it, and what a search needs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from workglow.ai.task import AiTask, ModelPort, model_port
from workglow.errors import TaskInputError
from workglow.tasks import TaskContext, task_registry

if TYPE_CHECKING:
    from workglow.ai.provider import Purpose, Vectors

__all__ = ["EmbeddingModel", "TextEmbeddingTask"]


class EmbeddingModel(Protocol):
    """What a knowledge base needs of a model; `Model` has it."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int | None:
        """How much of a text the model reads; None when it reads all."""
        ...

    def count_tokens(self, text: str, /) -> int:
        """Count the tokens the model will see."""
        ...

    def embed_sync(self, texts: Sequence[str], /, *, purpose: Purpose = "document") -> Vectors:
        """Return float32 of shape (number of texts, dimensions), each row of unit length, or of zeros."""
        ...


class _Input(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    text: str | list[str]
    model: Annotated[ModelPort, model_port("TextEmbeddingTask")] = "local:wordllama"
    purpose: Literal["document", "query"] = "document"
    dimensions: Annotated[int | None, Field(ge=1)] = None


class _Output(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    vector: NDArray[np.float32]


class TextEmbeddingTask(AiTask):
    """Turn a text into a vector of unit length; several texts into a matrix with a row for each.

    `purpose` is "query" for the question of a search.  `dimensions` keeps the first so many numbers, for models that
    were trained for it (Matryoshka).
    """

    title: ClassVar[str] = "Text Embedding"
    version: ClassVar[str] = "2"
    capabilities: ClassVar[tuple[str, ...]] = ("embed",)
    Input: ClassVar[type[BaseModel] | None] = _Input
    Output: ClassVar[type[BaseModel] | None] = _Output

    async def execute(self, inputs: dict[str, Any], context: TaskContext) -> dict[str, Any]:
        """Embed."""
        model, _ = self.model(inputs["model"], context)
        text, dimensions = inputs["text"], inputs["dimensions"]
        vectors = await model.embed([text] if isinstance(text, str) else text, purpose=inputs["purpose"])
        if dimensions is not None:
            vectors = shortened(vectors, dimensions, model.name)
        return {"vector": vectors[0] if isinstance(text, str) else vectors}


def shortened(vectors: Vectors, dimensions: int, name: str) -> Vectors:
    """Return the first numbers of each vector, at unit length."""
    if dimensions > vectors.shape[1]:
        raise TaskInputError(
            f"dimensions is {dimensions}, but the vectors of {name!r} have {vectors.shape[1]} numbers; "
            "give fewer, or leave it out."
        )
    parts = vectors[:, :dimensions]
    lengths = np.linalg.norm(parts, axis=1, keepdims=True)
    return np.divide(parts, lengths, out=np.zeros_like(parts), where=lengths > 0)


task_registry.register(TextEmbeddingTask)
