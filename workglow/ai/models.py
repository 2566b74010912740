"""The models of a project by their names: its catalogue, and whoever runs them."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from workglow.ai.batching import Batches
from workglow.ai.bridging import called, in_thread
from workglow.ai.catalogue import Catalogue
from workglow.ai.envelope import inline_record
from workglow.ai.model import Model
from workglow.ai.passage import Passage
from workglow.ai.record import ModelRecord
from workglow.ai.registry import ProviderRegistry, provider_registry
from workglow.ai.residents import Residents, default_budget
from workglow.errors import MissingExtraError, UnknownModelError, UnsupportedCapabilityError, WorkglowError
from workglow.tasks.standard_resolvers import credential

if TYPE_CHECKING:
    from workglow.ai.download import Downloads
    from workglow.ai.provider import CredentialReader, Progress, Provider
    from workglow.ai.record import SourceFile
    from workglow.file.seal import Seal
    from workglow.limits import Limits
    from workglow.storage.models import ModelRepository
    from workglow.tasks.usage import Usage
    from workglow.values import Secret

__all__ = ["Models", "models_without_project"]


class Models(Catalogue):
    """Finds models by name, and calls them.

    A name is that of a record in the catalogue, or else it begins with a provider, who then knows the model.
    `residents` are the models in memory; its budget is three quarters of the machine's, unless it is set.
    """

    def __init__(
        self,
        registry: ProviderRegistry = provider_registry,
        *,
        credentials: CredentialReader = credential,
        limits: Callable[[], Limits] | None = None,
        repository: ModelRepository | None = None,
        seal: Seal | None = None,
    ) -> None:
        super().__init__(registry, repository, seal)
        self._credentials = credentials
        self._passage = None if limits is None else Passage(limits)
        self._batches = Batches()
        self._downloads: Downloads | None = None
        self._providers: dict[type[Provider], Provider] = {}
        self.residents = Residents(default_budget())

    def find(self, named: str | Mapping[str, Any] | ModelRecord) -> ModelRecord:
        """Return the record of a model, given by its name, or by the record itself, in our words or those of others.

        UnknownModelError says what there is; InvalidModelError names the field that is wrong.
        """
        if not isinstance(named, str):
            return inline_record(named)
        record = self._usable(named)
        if record is not None:
            return record
        prefix, colon, _ = named.partition(":")
        if not colon or prefix not in self.registry:
            raise UnknownModelError(f"Model {named!r:.500} not found.{self._remedy(named)}")
        return self.provider(prefix).record(named)

    def _remedy(self, named: str) -> str:
        names = [record.name for record in self.all()]
        near = difflib.get_close_matches(named, names, 3)
        meant = f"  Did you mean {' or '.join(map(repr, near))}?" if near else ""
        held = f"The catalogue holds {len(names)} under other names" if names else "The catalogue is empty"
        known = ", ".join(f"'{name}:…'" for name in self.registry)
        return (
            f"{meant}  {held}; a name that is not in it begins with a provider: {known}.  'local:wordllama' needs "
            "nothing but pip install 'workglow[local]'."
        )

    def model(
        self, named: str | Mapping[str, Any] | ModelRecord, on_usage: Callable[[str, Usage], None] | None = None
    ) -> Model:
        """Return a model that can be called; errors as in `find`, and MissingExtraError."""
        record = self.find(named)
        provider = self.provider(record.provider)
        return Model(record, provider, on_usage, passage=self._passage, batches=self._batches)

    def provider(self, name: str) -> Provider:
        """Return who runs models of that name; there is one for the whole project."""
        kind = self.registry.get(name)
        found = self._providers.get(kind)
        if found is None:
            found = self._providers[kind] = kind(self._credentials)
            found.residents = self.residents
        return found

    def abilities(self, record: ModelRecord) -> frozenset[str]:
        """What a model can do, by its record and by who runs it; nothing when nobody here does."""
        if record.provider not in self.registry:
            return super().abilities(record)
        try:
            return self.provider(record.provider).capabilities_of(record)
        except MissingExtraError:
            return super().abilities(record) or frozenset(self.registry.facts(record.provider).capabilities)

    @property
    def downloads(self) -> Downloads:
        """Where downloads go, and from where they may come; set another one to change that."""
        if self._downloads is None:
            from workglow.ai.download import Downloads

            self._downloads = Downloads()
        return self._downloads

    @downloads.setter
    def downloads(self, downloads: Downloads) -> None:
        self._downloads = downloads

    async def download(
        self,
        named: str | Mapping[str, Any] | ModelRecord,
        progress: Progress | None = None,
        *,
        allow: Callable[[str], None] = lambda _: None,
    ) -> ModelRecord:
        """Bring the files of a model to this machine, and return its record with them; they are kept if they are here.

        The catalogue notes them, also for a name that it did not have.  `progress` is told of each file; `allow` of
        each host before it is asked, and may raise.  UnsupportedCapabilityError when there is nothing to download.
        """
        from workglow.ai.files import urls_of, with_files
        from workglow.ai.gguf_repository import is_on_hub, with_files_of_hub

        given, tell = self._to_download(named), progress or _nobody
        record = given if given.files else await in_thread(lambda: with_files(given))
        manages = "download" in self.registry.facts(record.provider).manages and "://" not in record.source
        if not record.files and is_on_hub(record):
            record = await with_files_of_hub(record, self.downloads, self._secret(record), allow)
        urls = () if manages else urls_of(record)
        if urls:
            fetched = await self._fetched(record, urls, tell, allow)
            found = await in_thread(lambda: self._described(fetched))
        elif record.files and not manages:
            found = record
        else:
            found = await self._provided(record, tell, allow)
        if isinstance(named, str) and found != self.get(named):
            self.put(found)
        return found

    def _to_download(self, named: str | Mapping[str, Any] | ModelRecord) -> ModelRecord:
        """Return a record also for a name whose provider knows no model before its file is here."""
        from workglow.ai.files import urls_of

        try:
            return self.find(named)
        except UnknownModelError:
            prefix, _, source = str(named).partition(":")
            if prefix not in self.registry or not source:
                raise
            plain = ModelRecord(name=str(named), provider=prefix, source=source)
            if not urls_of(plain):
                raise
            return plain

    def _described(self, record: ModelRecord) -> ModelRecord:
        """Return a record with what its provider reads from its file, where the record itself says nothing."""
        try:
            told = self.provider(record.provider).record(f"{record.provider}:{record.files[0].path}")
        except WorkglowError:  # what it is of shows when it is used
            return record
        own = told.to_json().keys() - record.to_json().keys() - {"files", "fingerprint"}
        return msgspec.structs.replace(record, **{name: getattr(told, name) for name in own})

    async def _fetched(
        self, record: ModelRecord, urls: Sequence[SourceFile], tell: Progress, allow: Callable[[str], None]
    ) -> ModelRecord:
        from workglow.ai.files import fingerprint_of
        from workglow.ai.hub import authorization

        secret = self._secret(record)
        files = tuple(
            [
                await self.downloads.fetch(file, tell, headers=authorization(secret, file.url), allow=allow)
                for file in urls
            ]
        )
        return msgspec.structs.replace(record, files=files, fingerprint=fingerprint_of(files))

    def _secret(self, record: ModelRecord) -> Secret | None:
        return self._credentials(record.credential) if record.credential else None

    async def _provided(self, record: ModelRecord, tell: Progress, allow: Callable[[str], None]) -> ModelRecord:
        provider = self.provider(record.provider)
        if "download" not in provider.capabilities():
            raise UnsupportedCapabilityError(f"{record.name!r} has no files to download; it runs where it is.")
        for host in provider.hosts_asked():
            allow(host)
        waiting = True

        def telling(name: str, done: int, total: int | None) -> None:
            if not waiting:
                raise asyncio.CancelledError  # ends the transfer in its thread, which nobody waits for any more
            tell(name, done, total)

        try:
            return await called(provider.download, record, telling)
        finally:
            waiting = False

    async def unload(self, named: str | Mapping[str, Any] | ModelRecord) -> ModelRecord:
        """Take a model out of the memory of this process; its files stay."""
        record = self.find(named)
        provider = self.provider(record.provider)
        if "unload" in provider.capabilities():
            await called(provider.unload, record)
        return record

    async def info(self, named: str | Mapping[str, Any] | ModelRecord) -> dict[str, Any]:
        """Return what whoever runs a model knows of it without loading it."""
        record = self.find(named)
        provider = self.provider(record.provider)
        return dict(await called(provider.info, record)) if "info" in provider.capabilities() else {}

    async def search_provider(
        self, provider: str, text: str = "", *, limit: int = 20, allow: Callable[[str], None] = lambda _: None
    ) -> list[ModelRecord]:
        """Find models that a provider knows and that could be added; an empty text lists what there is."""
        found = self.provider(provider)
        if "search" in found.capabilities():
            for host in found.hosts_asked():
                allow(host)
        return list(await called(found.search, text, limit=limit))

    def close(self) -> None:
        """Let go of all models and connections."""
        providers, self._providers = list(self._providers.values()), {}
        for provider in providers:
            provider.close()
        self.residents.close()


def _nobody(name: str, done: int, total: int | None) -> None:
    """Nobody wants to know how far a download is."""


_models: Models | None = None


def models_without_project() -> Models:
    """Return the models of runs that no project file keeps; their catalogue is forgotten when the process ends."""
    global _models  # noqa: PLW0603 - weights are in memory once, whoever asks for them
    if _models is None:
        _models = Models()
    return _models
