"""What providers of encoder models do alike, whatever runs the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from workglow.ai.provider import Provider
from workglow.providers import heads

if TYPE_CHECKING:
    from workglow.ai.provider import Purpose, Vectors
    from workglow.ai.record import ModelRecord
    from workglow.ai.results import Entity, Filling, FoundAnswer, Label
    from workglow.providers.encoder import TextEncoder

__all__ = ["EncoderProvider"]


class EncoderProvider(Provider):
    """Subclasses load the models: `encoder` returns one that is fit for a capability."""

    def encoder(self, model: ModelRecord, capability: str) -> TextEncoder:
        """Return the model, loaded once."""
        raise NotImplementedError

    def pooling(self, model: ModelRecord) -> str:
        """How the vectors of tokens become the vector of a text: 'mean', 'cls' or 'last_token'."""
        return model.pooling or "mean"

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        """Embed texts; of one that is too long its beginning counts."""
        return self.encoder(model, "embed").embed(texts, self.pooling(model))

    def answer(self, model: ModelRecord, question: str, *, context: str) -> FoundAnswer | None:
        """Find the part of a context, however long, that answers the question."""
        return heads.answer(self.encoder(model, "answer"), question, context)

    def classify(self, model: ModelRecord, text: str) -> list[Label]:
        """Sort a text into the model's classes."""
        return heads.classify(self.encoder(model, "classify"), text)

    def classify_freely(self, model: ModelRecord, text: str, *, labels: Sequence[str]) -> list[Label]:
        """Sort a text into any classes, by what it entails; `options["hypothesis"]` is the sentence that it may."""
        template = str(model.options.get("hypothesis", "This example is {}."))
        return heads.classify_freely(self.encoder(model, "classify_freely"), text, labels, template)

    def fill_mask(self, model: ModelRecord, text: str, *, limit: int) -> list[Filling]:
        """Find words for a gap."""
        return heads.fill_mask(self.encoder(model, "fill_mask"), text, limit)

    def recognise_entities(self, model: ModelRecord, text: str) -> list[Entity]:
        """Find names in a text, however long."""
        return heads.recognise_entities(self.encoder(model, "recognise_entities"), text)

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Count the tokens of a text, with those that the model wants around it."""
        return self.encoder(model, "count_tokens").count_tokens(text)
