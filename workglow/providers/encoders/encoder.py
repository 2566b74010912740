"""Models that read a whole text at once: from texts to batches of tokens.

What runs the numbers, torch or onnxruntime, is a subclass's matter.  Texts of like length go together, so that little
of a batch is padding; tokens are cut by hand rather than by the tokenizer's settings, so that threads may share it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from workglow.ai import report_usage
from workglow.errors import ContextTooLongError, InvalidModelError

if TYPE_CHECKING:
    from workglow.ai.provider import Vectors

__all__ = ["Batch", "TextEncoder", "pooled"]

_TOKENS_AT_ONCE: Final = 4096
_TEXTS_AT_ONCE: Final = 64
_TEXTS_IN_MEMORY: Final = 4096
_LONGEST: Final = 512  # of a model that does not say


class Batch:
    """Texts of a batch as int64 of shape (texts, tokens): `ids`, `mask` (1 for a token, 0 for padding) and `types`."""

    def __init__(self, encoded: Sequence[Any], padding: int) -> None:
        shape = (len(encoded), max(len(one.ids) for one in encoded))
        self.ids: NDArray[np.int64] = np.full(shape, padding, np.int64)
        self.mask: NDArray[np.int64] = np.zeros(shape, np.int64)
        self.types: NDArray[np.int64] = np.zeros(shape, np.int64)
        for row, one in enumerate(encoded):
            size = len(one.ids)
            self.ids[row, :size] = one.ids
            self.mask[row, :size] = 1
            if any(one.type_ids):
                self.types[row, :size] = one.type_ids


class TextEncoder:
    """A model of that kind, loaded.  `tokenizer` is one of the tokenizers library, `labels` are names of classes."""

    def __init__(
        self,
        name: str,
        tokenizer: Any,
        *,
        max_tokens: int | None = None,
        padding: int = 0,
        labels: Sequence[str] = (),
        several_labels: bool = False,
        mask_token: str = "[MASK]",
    ) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.name = name
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens or _LONGEST
        self.labels = tuple(labels)
        self.several_labels = several_labels
        self.mask_token = mask_token
        self._padding = padding

    def run(self, batch: Batch, *outputs: str) -> list[NDArray[np.float32]]:
        """Return what the model says of a batch, by the names of its outputs; of one output whatever it is called."""
        raise NotImplementedError

    def vectors(self, batch: Batch, pooling: str) -> NDArray[np.float32]:
        """Return a vector for each text of a batch."""
        return pooled(self.run(batch, "last_hidden_state")[0], batch.mask, pooling)

    def embed(self, texts: Sequence[str], pooling: str) -> Vectors:
        """Return float32 of shape (number of texts, dimensions); a blank text has a row of zeros.

        Of a text that is too long its beginning counts.
        """
        if not texts:
            return np.zeros((0, self.embed([" "], pooling).shape[1]), np.float32)
        parts = [
            self._embedded(texts[at : at + _TEXTS_IN_MEMORY], pooling) for at in range(0, len(texts), _TEXTS_IN_MEMORY)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _embedded(self, texts: Sequence[str], pooling: str) -> NDArray[np.float32]:
        encoded = [
            one if len(one.ids) <= self.max_tokens else self.encode(text)
            for text, one in zip(texts, self.tokenizer.encode_batch_fast(list(texts)), strict=True)
        ]
        vectors: NDArray[np.float32] | None = None
        for rows, batch in self.batches(encoded):
            found = self.vectors(batch, pooling)
            if vectors is None:
                vectors = np.zeros((len(texts), found.shape[1]), np.float32)
            vectors[rows] = found
        assert vectors is not None  # there is at least one text
        vectors[[row for row, text in enumerate(texts) if not text or text.isspace()]] = 0
        return vectors

    def encode(self, text: str, second: str | None = None) -> Any:
        """Return the tokens of a text, cut at its end to what the model reads; of two texts the first is cut."""
        behind = None if second is None else self.tokenizer.encode(second, add_special_tokens=False)
        return self._windows(None, text, behind, overlap=0)[0]

    def windows(self, text: str, *, before: str | None = None, overlap: int = 128) -> list[Any]:
        """Return the tokens of a long text in pieces that overlap, each behind the other text if one is given."""
        ahead = None if before is None else self.tokenizer.encode(before, add_special_tokens=False)
        return self._windows(ahead, text, None, overlap=overlap)

    def _windows(self, ahead: Any, text: str, behind: Any, *, overlap: int) -> list[Any]:
        other = ahead or behind
        tokens = self.tokenizer.encode(text, add_special_tokens=False)
        taken = self.tokenizer.num_special_tokens_to_add(other is not None) + (len(other.ids) if other else 0)
        room = self.max_tokens - taken
        if room < 1:
            raise ContextTooLongError(f"{self.name!r} reads {self.max_tokens} tokens; nothing of the text has room.")
        tokens.truncate(room, stride=min(overlap, room // 2))
        pairs = ((ahead, one) if ahead else (one, behind) for one in [tokens, *tokens.overflowing])
        return [self.tokenizer.post_process(first, second) for first, second in pairs]

    def batches(self, encoded: Sequence[Any]) -> Iterator[tuple[list[int], Batch]]:
        """Yield batches of texts of like length, with their places in the sequence; the tokens are counted."""
        lengths = [len(one.ids) for one in encoded]
        report_usage(sum(lengths))
        rows: list[int] = []
        for at in sorted(range(len(lengths)), key=lengths.__getitem__):
            if rows and ((len(rows) + 1) * lengths[at] > _TOKENS_AT_ONCE or len(rows) == _TEXTS_AT_ONCE):
                yield rows, Batch([encoded[row] for row in rows], self._padding)
                rows = []
            rows.append(at)
        if rows:
            yield rows, Batch([encoded[row] for row in rows], self._padding)

    def run_all(self, encoded: Sequence[Any], *outputs: str) -> list[list[NDArray[np.float32]]]:
        """Return for each text what the model says of it, without padding, by the names of the outputs."""
        found: list[list[NDArray[np.float32]]] = [[] for _ in encoded]
        for rows, batch in self.batches(encoded):
            said = self.run(batch, *outputs)
            for number, row in enumerate(rows):
                found[row] = [one[number] for one in said]
        return found

    def close(self) -> None:
        """Give the memory back; it cannot be used any more."""
        raise NotImplementedError


def pooled(hidden: Any, mask: Any, pooling: str) -> Any:
    """Make one vector of those of a text's tokens; for arrays of numpy as for tensors of torch."""
    if pooling == "mean":
        weights = mask[:, :, None]
        return (hidden * weights).sum(1) / weights.sum(1)
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last_token":
        return hidden[range(len(hidden)), mask.sum(1) - 1]
    raise InvalidModelError(f"Invalid model record: pooling is {pooling!r}; it is mean, cls or last_token.")
