"""From a model's name to the model.  The part before the colon says who runs it; only that provider is imported."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from workglow.errors import UnknownModelError

if TYPE_CHECKING:
    from workglow.ai.provider import EmbeddingModel, EmbeddingProvider

__all__ = ["EMBEDDING_PROVIDERS", "resolve_embedding_model"]

EMBEDDING_PROVIDERS: Final[dict[str, EmbeddingProvider | tuple[str, str]]] = {
    "local": ("workglow.providers.static", "StaticProvider"),
}
"""Who runs the models whose names begin so: a provider, or module and class of one that is imported on first use."""


def resolve_embedding_model(name: str) -> EmbeddingModel:
    """Return the embedding model of that name, such as 'local:wordllama'.

    Raises UnknownModelError, which says what there is, and MissingExtraError when the model's library is not installed.
    """
    home = EMBEDDING_PROVIDERS.get(name.partition(":")[0])
    if home is None or ":" not in name:
        known = ", ".join(f"'{prefix}:…'" for prefix in EMBEDDING_PROVIDERS)
        raise UnknownModelError(
            f"No provider runs a model called {name!r}.  Names begin with their provider: {known}; "
            "'local:wordllama' needs nothing but pip install 'workglow[local]'."
        )
    if isinstance(home, tuple):
        module, provider_class = home
        provider: EmbeddingProvider = getattr(import_module(module), provider_class)()
        return provider.embedding_model(name)
    return home.embedding_model(name)
