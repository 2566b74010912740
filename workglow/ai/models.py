"""The models of a project by their names: its catalogue, and whoever runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workglow.ai.model import Model
from workglow.ai.record import ModelRecord, as_record
from workglow.ai.registry import ProviderRegistry, provider_registry
from workglow.ai.residents import Residents, default_budget
from workglow.errors import UnknownModelError
from workglow.tasks.standard_resolvers import credential

if TYPE_CHECKING:
    from workglow.ai.provider import CredentialReader, Provider
    from workglow.tasks.usage import Usage

__all__ = ["Models", "models_without_project"]


class Models:
    """Finds models by name, and calls them.

    A name is that of a record in the catalogue, or it begins with a provider, who then knows the model.  `residents`
    are the models in memory; its budget is three quarters of the machine's, unless it is set.
    """

    def __init__(
        self, registry: ProviderRegistry = provider_registry, *, credentials: CredentialReader = credential
    ) -> None:
        self.registry = registry
        self._credentials = credentials
        self._providers: dict[type[Provider], Provider] = {}
        self.residents = Residents(default_budget())

    def find(self, named: str | Mapping[str, Any] | ModelRecord) -> ModelRecord:
        """Return the record of a model, given by its name, or by the record itself.

        UnknownModelError says what there is; InvalidModelError names the field that is wrong.
        """
        if not isinstance(named, str):
            return as_record(named)
        prefix, colon, _ = named.partition(":")
        if not colon or prefix not in self.registry:
            known = ", ".join(f"'{name}:…'" for name in self.registry)
            raise UnknownModelError(
                f"Model {named!r} not found.  Names begin with their provider: {known}; "
                "'local:wordllama' needs nothing but pip install 'workglow[local]'."
            )
        return self.provider(prefix).record(named)

    def model(
        self, named: str | Mapping[str, Any] | ModelRecord, on_usage: Callable[[str, Usage], None] | None = None
    ) -> Model:
        """Return a model that can be called; errors as in `find`, and MissingExtraError."""
        record = self.find(named)
        return Model(record, self.provider(record.provider), on_usage)

    def provider(self, name: str) -> Provider:
        """Return who runs models of that name; there is one for the whole project."""
        kind = self.registry.get(name)
        found = self._providers.get(kind)
        if found is None:
            found = self._providers[kind] = kind(self._credentials)
            found.residents = self.residents
        return found

    def close(self) -> None:
        """Let go of all models and connections."""
        providers, self._providers = list(self._providers.values()), {}
        for provider in providers:
            provider.close()
        self.residents.close()


_models: Models | None = None


def models_without_project() -> Models:
    """Return the models of runs that no project file keeps; there is no catalogue."""
    global _models  # noqa: PLW0603 - weights are in memory once, whoever asks for them
    if _models is None:
        _models = Models()
    return _models
