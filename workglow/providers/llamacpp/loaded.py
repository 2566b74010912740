"""A model in memory: its weights, and the room in which they work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors import ModelCallError
from workglow.providers.llamacpp.contexts import EmbeddingContext, TextContext
from workglow.providers.llamacpp.library import llama
from workglow.providers.llamacpp.weights import Weights

if TYPE_CHECKING:
    from pathlib import Path

    from workglow.providers.llamacpp.options import LlamaOptions

__all__ = ["LoadedModel"]


class LoadedModel:
    """Weights, with a context for texts and one for vectors, each made when it is first needed."""

    def __init__(self, path: Path, size: int, pooling: str, options: LlamaOptions) -> None:
        self.options = options
        self._size = size
        self._pooling = pooling
        self.weights = Weights(path, gpu_layers=options.gpu_layers, mmap=options.mmap, mlock=options.mlock)
        self._text: TextContext | None = None
        self._vectors: EmbeddingContext | None = None

    @property
    def text(self) -> TextContext:
        """Where it goes on with texts."""
        if self._text is None:
            model = self.weights.model
            if llama.llama_model_has_encoder(model) or not llama.llama_model_has_decoder(model):
                raise ModelCallError(f"{self.weights.path} is no model that goes on with a text.")
            self._text = TextContext(self.weights, self._size, self.options)
        return self._text

    @property
    def vectors(self) -> EmbeddingContext:
        """Where it turns texts into vectors."""
        if self._vectors is None:
            self._vectors = EmbeddingContext(self.weights, self._size, self._pooling, self.options)
        return self._vectors

    def close(self) -> None:
        """Give the memory back."""
        for part in (self._text, self._vectors, self.weights):
            if part is not None:
                part.close()
        self._text = self._vectors = None
