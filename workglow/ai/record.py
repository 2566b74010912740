"""What is known of a model: whose it is, what it can do, and what it needs."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from workglow.errors import InvalidModelError

__all__ = ["ModelRecord", "Prices", "SourceFile", "as_record"]

_NAME: Final = re.compile(r"[^\s:]+:\S.{0,498}")
_IDENTITY: Final = (
    *("provider", "source", "revision", "base_url", "fingerprint", "dtype", "quantization", "capabilities"),
    *("dimensions", "pooling", "normalize", "query_prefix", "document_prefix", "context_length", "max_output_tokens"),
    *("options",),
)
_COUNTS: Final = ("context_length", "max_output_tokens", "dimensions", "max_concurrency")


class Prices(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a million tokens cost, in a currency of your choice that is the same for all models."""

    input: float = 0.0
    output: float = 0.0
    cached_input: float | None = None

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """What a call costs; `cached_tokens` are those of the input that the provider had in its cache."""
        cached = self.input if self.cached_input is None else self.cached_input
        return (
            (input_tokens - cached_tokens) * self.input + cached_tokens * cached + output_tokens * self.output
        ) / 1e6


class SourceFile(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One file of a model: where it is or comes from, its length in bytes, and the SHA-256 of what it holds."""

    path: str = ""
    url: str = ""
    size: int | None = None
    sha256: str = ""


class ModelRecord(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A model under the name that tasks call it by.

    `name` is unique in a catalogue and begins with a short word, 'openai:gpt-5-mini' or 'mine:summariser'.  `provider`
    names who runs it, `source` what it is called there: a model id, a repository, a path.  Empty `tasks` and
    `capabilities` mean: whatever the provider can do with it.  `credential` is a reference, never a secret.  `options`
    are the provider's own settings.  `max_concurrency` is how many calls of it may be under way in one process.
    `fingerprint` tells one state of a local model's files from another; outputs of the old state are not taken for
    those of the new.
    """

    name: str
    provider: str
    source: str = ""
    title: str = ""
    description: str = ""
    tasks: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    context_length: int | None = None
    max_output_tokens: int | None = None
    dimensions: int | None = None
    pooling: str | None = None
    normalize: bool = True
    query_prefix: str = ""
    document_prefix: str = ""
    prices: Prices | None = None
    device: str = ""
    dtype: str = ""
    quantization: str = ""
    revision: str = ""
    base_url: str = ""
    credential: str = ""
    license: str = ""
    memory_bytes: int | None = None
    max_concurrency: int | None = None
    queue: str = ""
    continues: bool = False
    files: tuple[SourceFile, ...] = ()
    fingerprint: str = ""
    options: dict[str, Any] = {}
    metadata: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidModelError(
                f"Invalid model record: the name {self.name!r:.80} does not look like 'provider:name', "
                "'openai:gpt-5-mini' say."
            )
        if not self.provider:
            raise InvalidModelError(f"Invalid model record: {self.name!r} names no provider.")
        for counted in _COUNTS:
            number = getattr(self, counted)
            if number is not None and number < 1:
                raise InvalidModelError(f"Invalid model record: {self.name!r} has a {counted} of {number}.")

    @property
    def prefix(self) -> str:
        """What the name begins with, up to the colon."""
        return self.name.partition(":")[0]

    def identity(self) -> dict[str, Any]:
        """Return what tells it from any model that might answer otherwise: neither its name nor its price.

        Two records of one identity share the outputs that were kept.
        """
        told = {name: getattr(self, name) for name in _IDENTITY} | {"source": self.source or self.name}
        files = [file.sha256 or file.url or file.path for file in self.files]
        return {name: value for name, value in {**told, "files": files}.items() if value}

    def to_json(self) -> dict[str, Any]:
        """Return what `as_record` reads, as plain JSON; InvalidModelError when it holds what JSON has no word for."""
        try:
            return msgspec.json.decode(msgspec.json.encode(self))
        except (TypeError, ValueError) as error:
            raise InvalidModelError(f"Invalid model record: {self.name!r} holds what is not JSON: {error}.") from None


def as_record(given: object) -> ModelRecord:
    """Return the record that a mapping describes; raises InvalidModelError, which names the field that is wrong."""
    if isinstance(given, ModelRecord):
        return given
    try:
        return msgspec.convert(given, ModelRecord)
    except msgspec.ValidationError as error:
        raise InvalidModelError(f"Invalid model record: {error}.") from None
