"""What providers of models in Hugging Face's layout do alike, whatever runs the numbers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import msgspec

from workglow.ai.capability import MANAGEMENT
from workglow.ai.hub import hub_host
from workglow.ai.hub_search import models_on_hub
from workglow.ai.provider import Provider
from workglow.ai.record import ModelRecord
from workglow.ai.residents import SupportsClose
from workglow.errors import InvalidModelError, UnknownModelError
from workglow.providers.encoders import heads, hub
from workglow.providers.encoders.folder import ModelFolder, looks_like_a_path, read_folder
from workglow.providers.encoders.kinds import capabilities_of_folder, capabilities_of_pipeline

if TYPE_CHECKING:
    from workglow.ai.provider import Progress, Purpose, Vectors
    from workglow.ai.results import Entity, Filling, FoundAnswer, Label
    from workglow.providers.encoders.encoder import TextEncoder

__all__ = ["EncoderProvider"]

_CALLS_AT_ONCE: Final = 8
"""Of one model; more would not be done sooner, and each takes memory beside the weights."""

Loaded = TypeVar("Loaded", bound=SupportsClose)


class EncoderProvider(Provider):
    """Finds models in folders and in the hub's cache, and reads texts with them.

    Subclasses load: `encoder` gives a model that is fit for a capability.  `settings` are the options of a record that
    they know, `hub_tag` is what the hub calls models of this sort.
    """

    settings: ClassVar[frozenset[str]] = frozenset()
    hub_tag: ClassVar[str] = ""

    def encoder(self, model: ModelRecord, capability: str) -> AbstractContextManager[TextEncoder]:
        """Have the model for a call; it is loaded when it is not in memory."""
        raise NotImplementedError

    def weights(self, model: ModelRecord) -> Sequence[Sequence[str]]:
        """Return the sorts of weights that it can load, the best first, each as patterns of file names."""
        raise NotImplementedError

    # ------------------------------------------------------------------ in memory

    def kept(
        self,
        model: ModelRecord,
        files: Sequence[Path],
        what: Hashable,
        load: Callable[[], Loaded],
        *,
        growth: float = 1.0,
    ) -> AbstractContextManager[Loaded]:
        """Have what `load` makes of a model's files; `what` tells apart what is made of the same model.

        It takes what its record says, else as much as its files, times `growth`.
        """
        states = [file.stat() for file in files]
        changed = tuple((status.st_mtime_ns, status.st_size) for status in states)
        size = model.memory_bytes or int(sum(status.st_size for status in states) * growth)
        key = (*self._key(model), tuple(map(str, files)), changed, what)
        return self.residents.use(key, load, size=size, at_once=_CALLS_AT_ONCE)

    def is_loaded(self, model: ModelRecord) -> bool:
        """Whether the model's weights are in memory."""
        return bool(self._keys(model))

    def unload(self, model: ModelRecord) -> None:
        """Take the model out of memory, as soon as nobody uses it."""
        for key in self._keys(model):
            self.residents.unload(key)

    def _key(self, model: ModelRecord) -> tuple[Hashable, ...]:
        return self.name, model.source, model.revision, model.device, model.dtype

    def _keys(self, model: ModelRecord) -> list[Hashable]:
        own, loaded = self._key(model), self.residents.loaded()
        return [key for key in loaded if isinstance(key, tuple) and key[: len(own)] == own]

    # ------------------------------------------------------------------ finding

    def record(self, name: str) -> ModelRecord:
        """Return the record of a model by its full name; one of the hub need not be here yet."""
        record = super().record(name)
        folder = self.found(record)
        if folder is None:
            return record
        can = capabilities_of_folder(folder) & self.capabilities()
        return ModelRecord(
            name=name,
            provider=self.name,
            source=record.source,
            context_length=folder.max_tokens,
            dimensions=folder.dimensions if can & {"embed", "embed_image"} else None,
            pooling=folder.pooling,
            query_prefix=folder.prompt("query"),
            document_prefix=folder.prompt("document", "passage"),
        )

    def capabilities_of(self, model: ModelRecord) -> frozenset[str]:
        """What the record or the model's config.json says; everything, of a model that is not here yet."""
        every = self.capabilities()
        manageable = every & set(MANAGEMENT)
        if model.capabilities:
            return manageable | frozenset(model.capabilities)
        if model.options.get("pipeline"):
            return manageable | every & capabilities_of_pipeline(model.options["pipeline"])
        folder = self.found(model)
        return every if folder is None else manageable | every & capabilities_of_folder(folder)

    def found(self, model: ModelRecord) -> ModelFolder | None:
        """Return where a model is; None when it is of the hub, and not in its cache."""
        unknown = sorted(model.options.keys() - self.settings)
        if unknown:
            raise InvalidModelError(
                f"Invalid model record: {model.name!r} has the option {unknown[0]!r}; known are "
                f"{', '.join(sorted(self.settings))}."
            )
        if looks_like_a_path(model.source):
            return read_folder(Path(model.source).expanduser())
        folder = hub.cached_folder(model.source, model.revision)
        return None if folder is None else read_folder(folder)

    def folder(self, model: ModelRecord) -> ModelFolder:
        """Return where a model is; UnknownModelError says how to fetch it."""
        folder = self.found(model)
        if folder is None:
            raise UnknownModelError(
                f"The model {model.name!r} is not on this machine; "
                f"fetch it: workglow models download FILE {model.name}."
            )
        return folder

    def download(self, model: ModelRecord, progress: Progress) -> ModelRecord:
        """Bring a repository's files into the hub's cache; the record names the commit that they are of."""
        if self.is_here(model):
            self.folder(model)
            return model
        token = self.secret(model)
        got = hub.download(
            model.source, model.revision, self.weights(model), progress,
            endpoint=model.base_url, token=token.reveal() if token is not None else None,
        )  # fmt: skip
        return msgspec.structs.replace(model, revision=got.commit, fingerprint=got.commit, files=got.files)

    def is_here(self, model: ModelRecord) -> bool:
        """Whether the model is not one that could be fetched."""
        return looks_like_a_path(model.source)

    def info(self, model: ModelRecord) -> dict[str, Any]:
        """Say what is known of the model without loading it."""
        folder = self.found(model)
        known: dict[str, Any] = {"is_cached": folder is not None, "is_loaded": self.is_loaded(model)}
        if folder is not None:
            known |= {
                "folder": str(folder.path),
                "architecture": folder.architecture,
                "dimensions": model.dimensions or folder.dimensions,
                "context_length": model.context_length or folder.max_tokens,
                "file_sizes": folder.file_sizes(),
            }
        return known

    def hosts_asked(self) -> tuple[str, ...]:
        """The hub."""
        return (hub_host(),)

    async def search(self, query: str, *, limit: int) -> list[ModelRecord]:
        """Find models of the hub, the most downloaded first."""
        return await models_on_hub(query, provider=self.name, tag=self.hub_tag, limit=limit)

    def pooling(self, model: ModelRecord) -> str:
        """What the record says, else what the model's files say, else the mean."""
        return model.pooling or self.folder(model).pooling or "mean"

    # ------------------------------------------------------------------ reading

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        """Embed texts; of one that is too long its beginning counts."""
        pooling = self.pooling(model)
        with self.encoder(model, "embed") as encoder:
            return encoder.embed(texts, pooling)

    def answer(self, model: ModelRecord, question: str, *, context: str) -> FoundAnswer | None:
        """Find the part of a context, however long, that answers the question."""
        with self.encoder(model, "answer") as encoder:
            return heads.answer(encoder, question, context)

    def classify(self, model: ModelRecord, text: str) -> list[Label]:
        """Sort a text into the model's classes."""
        with self.encoder(model, "classify") as encoder:
            return heads.classify(encoder, text)

    def classify_freely(self, model: ModelRecord, text: str, *, labels: Sequence[str]) -> list[Label]:
        """Sort a text into any classes, by what it entails; `options["hypothesis"]` is the sentence that it may."""
        template = str(model.options.get("hypothesis", "This example is {}."))
        with self.encoder(model, "classify_freely") as encoder:
            return heads.classify_freely(encoder, text, labels, template)

    def fill_mask(self, model: ModelRecord, text: str, *, limit: int) -> list[Filling]:
        """Find words for a gap."""
        with self.encoder(model, "fill_mask") as encoder:
            return heads.fill_mask(encoder, text, limit)

    def recognise_entities(self, model: ModelRecord, text: str) -> list[Entity]:
        """Find names in a text, however long."""
        with self.encoder(model, "recognise_entities") as encoder:
            return heads.recognise_entities(encoder, text)
