"""Who runs models: an allow-list of providers by name, each imported when it is first wanted."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Final

from workglow.ai.facts import ProviderFacts, facts_of_class, facts_of_source
from workglow.ai.provider import CredentialReader, Provider
from workglow.errors import TaskConfigurationError, UnknownModelError

__all__ = ["ProviderRegistry", "provider_registry"]

_SHIPPED: Final = {
    "anthropic": ("workglow.providers.anthropic", "AnthropicProvider"),
    "gguf": ("workglow.providers.llamacpp", "LlamaCppProvider"),
    "hf": ("workglow.providers.transformers.provider", "TransformersProvider"),
    "local": ("workglow.providers.static", "StaticProvider"),
    "mediapipe": ("workglow.providers.mediapipe", "MediaPipeProvider"),
    "onnx": ("workglow.providers.onnx", "OnnxProvider"),
    "openai": ("workglow.providers.openai", "OpenAIProvider"),
}


class ProviderRegistry:
    """Provider classes by the prefix of their models' names."""

    def __init__(self) -> None:
        self._homes: dict[str, tuple[str, str]] = dict(_SHIPPED)
        self._classes: dict[str, type[Provider]] = {}

    def register(self, provider: type[Provider]) -> type[Provider]:
        """Let models be named after this provider; usable as a decorator.

        TaskConfigurationError when another one has its name, or when it can do nothing.
        """
        known = self._classes.get(provider.name)
        if (known is not None and known is not provider) or (known is None and provider.name in self._homes):
            raise TaskConfigurationError(f"A provider {provider.name!r} is registered already; unregister it first.")
        if not provider.capabilities():
            raise TaskConfigurationError(
                f"{provider.__name__} can do nothing: write at least one of the methods that Provider describes."
            )
        self._classes[provider.name] = provider
        return provider

    def unregister(self, name: str) -> bool:
        """Forget a provider; False when it was not registered."""
        return (self._classes.pop(name, None) or self._homes.pop(name, None)) is not None

    def get(self, name: str) -> type[Provider]:
        """Return the class of a provider; UnknownModelError names those that there are.

        MissingExtraError when its library is not installed.
        """
        found = self._classes.get(name)
        if found is None and name in self._homes:
            module, class_name = self._homes[name]
            found = self._classes[name] = getattr(import_module(module), class_name)
        if found is None:
            known = ", ".join(f"'{prefix}:…'" for prefix in self)
            raise UnknownModelError(
                f"No provider is called {name!r}.  Names of models begin with their provider: {known}; "
                "'local:wordllama' needs nothing but pip install 'workglow[local]'."
            )
        return found

    def facts(self, name: str) -> ProviderFacts:
        """Return what a provider can do, and whether its libraries are installed, without loading them."""
        if name in self._homes:
            return facts_of_source(name, *self._homes[name])
        return facts_of_class(self.get(name))

    def open(self, name: str, credentials: CredentialReader | None = None) -> Provider:
        """Make a provider that reads its keys there."""
        return self.get(name)(credentials)

    def copy(self) -> ProviderRegistry:
        """Return a registry with the same providers that can be changed on its own."""
        twin = ProviderRegistry()
        twin._homes, twin._classes = dict(self._homes), dict(self._classes)
        return twin

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._homes, *self._classes}))

    def __contains__(self, name: object) -> bool:
        return name in self._homes or name in self._classes


provider_registry = ProviderRegistry()
"""Those that ship with workglow, and what a program registers; a project may use another one."""
