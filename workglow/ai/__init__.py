"""Models: what a provider of them must offer, and how a model is found by its name."""

from workglow.ai.provider import EmbeddingModel, EmbeddingProvider, Purpose, Vectors, embed, embed_sync
from workglow.ai.resolve import resolve_embedding_model

__all__ = [
    "EmbeddingModel",
    "EmbeddingProvider",
    "Purpose",
    "Vectors",
    "embed",
    "embed_sync",
    "resolve_embedding_model",
]
