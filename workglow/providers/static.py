"""Static embeddings: each token has a fixed vector, and a text's vector is the mean of its tokens'.

That is thousands of sentences a second on one core, without torch and without a download.  Two sorts of models are
known: the one inside the wordllama package, and any Model2Vec folder (github.com/MinishLab/model2vec).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from workglow.ai.provider import Provider
from workglow.ai.record import ModelRecord
from workglow.errors import MissingExtraError, ModelError, UnknownModelError
from workglow.providers.encoders.minilm import PACKAGED, packaged_minilm

try:
    import numpy as np
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]
    from tokenizers import Tokenizer
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"Local models need {error.name}, which is not installed: pip install 'workglow[local]'."
    ) from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workglow.ai.provider import Purpose, Vectors

__all__ = ["StaticEmbeddingModel", "StaticProvider"]

_TABLES: Final = ("embeddings", "embedding.weight")
_TEXTS_AT_ONCE: Final = 1024
_TOKENS_AT_ONCE: Final = 1 << 15  # rows gathered in one go: 32 MB at 256 dimensions


class StaticEmbeddingModel:
    """A table of token vectors.  It is read only once made, so threads may share it.

    `rows` says which row of the table a token has, when several tokens share one; `weights` how much a token counts.
    """

    def __init__(
        self,
        name: str,
        tokenizer: Tokenizer,
        table: NDArray[np.float32],
        *,
        rows: NDArray[np.int64] | None = None,
        weights: NDArray[np.float32] | None = None,
    ) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.name = name
        self.dimensions = int(table.shape[1])
        self._tokenizer = tokenizer
        self._table = table
        self._rows = rows
        self._weights = weights
        self._unknown = _unknown_token(tokenizer)

    def count_tokens(self, text: str, /) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def embed(self, texts: Sequence[str], /) -> Vectors:
        """Return float32 of shape (number of texts, dimensions), each row of unit length.

        A text without a known token has a row of zeros.
        """
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            self._add_tokens(texts[start : start + _TEXTS_AT_ONCE], vectors[start : start + _TEXTS_AT_ONCE])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=vectors, where=lengths > 0)  # the mean's own divisor drops out here

    def _add_tokens(self, texts: Sequence[str], sums: NDArray[np.float32]) -> None:
        encoded = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        counts = np.fromiter((len(one.ids) for one in encoded), np.int64, len(encoded))
        tokens = np.fromiter(chain.from_iterable(one.ids for one in encoded), np.int64, int(counts.sum()))
        owners = np.repeat(np.arange(len(encoded)), counts)
        if self._unknown is not None:
            known = tokens != self._unknown
            tokens, owners = tokens[known], owners[known]
        for at in range(0, len(tokens), _TOKENS_AT_ONCE):
            some, owner = tokens[at : at + _TOKENS_AT_ONCE], owners[at : at + _TOKENS_AT_ONCE]
            vectors = self._table[some if self._rows is None else self._rows[some]]
            if self._weights is not None:
                vectors = vectors * self._weights[some, np.newaxis]
            firsts = np.flatnonzero(np.diff(owner, prepend=-1))
            sums[owner[firsts]] += np.add.reduceat(vectors, firsts)


class StaticProvider(Provider):
    """Runs 'local:wordllama' and 'local:/path/to/a/model2vec/folder'."""

    name = "local"
    title = "Static embeddings"
    extra = "local"

    def record(self, name: str) -> ModelRecord:
        """Return the record of a model, which is not loaded for it; 'local:minilm' is an ONNX model of packages."""
        if name == f"{self.name}:{PACKAGED}":
            packaged_minilm()
            return ModelRecord(
                name=name,
                provider="onnx",
                source=PACKAGED,
                title="all-MiniLM-L6-v2",
                context_length=256,
                dimensions=384,
            )
        files = _files(name)
        dimensions, fingerprint = _facts(name, *files, tuple(_identity(file) for file in files))
        return ModelRecord(
            name=name,
            provider=self.name,
            source=name.partition(":")[2],
            title=name.partition(":")[2],
            dimensions=dimensions,
            fingerprint=fingerprint,
        )

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        """Embed texts; questions are embedded as documents are."""
        return _loaded(_own(model)).embed(texts)

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Count the tokens of a text."""
        return _loaded(_own(model)).count_tokens(text)


def _own(model: ModelRecord) -> str:
    """The name under which a model is found here, whatever it is called in a catalogue."""
    return f"local:{model.source}"


def _loaded(name: str) -> StaticEmbeddingModel:
    """Return a model; it is read once and kept, until its files change."""
    files = _files(name)
    return _load(name, *files, tuple(_identity(file) for file in files))


def _files(name: str) -> tuple[Path, Path]:
    """The weights and the tokenizer of a model."""
    place = name.partition(":")[2]
    return _wordllama() if place == "wordllama" else _model2vec(name, Path(place).expanduser())


def _wordllama() -> tuple[Path, Path]:
    """Find the files without importing wordllama, whose own loader would go to the network."""
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("'local:wordllama' is not installed: pip install 'workglow[local]'.")
    folder = Path(spec.submodule_search_locations[0])
    weights = folder / "weights" / "l2_supercat_256.safetensors"
    tokenizer = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
    if not (weights.is_file() and tokenizer.is_file()):
        raise MissingExtraError(
            f"The wordllama package in {folder} does not bring its model: pip install 'wordllama==0.4.0.post1'."
        )
    return weights, tokenizer


def _model2vec(name: str, folder: Path) -> tuple[Path, Path]:
    weights, tokenizer = folder / "model.safetensors", folder / "tokenizer.json"
    missing = [file.name for file in (weights, tokenizer) if not file.is_file()]
    if missing:
        raise UnknownModelError(
            f"There is no model {name!r}: {folder} has no {' and no '.join(missing)}.  Known are 'local:wordllama' "
            "(pip install 'workglow[local]'), 'local:minilm' (pip install 'workglow[onnx]') and 'local:FOLDER' "
            "with a Model2Vec folder."
        )
    return weights, tokenizer


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


# Not state but memory of pure functions: their results depend on nothing but the files.
@lru_cache(maxsize=64)
def _facts(name: str, weights: Path, tokenizer: Path, _identities: object) -> tuple[int, str]:
    """How many numbers a vector has, and a hash of the files, which is the same wherever they are."""
    digest = hashlib.sha256()
    for file in (weights, tokenizer):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    try:
        reader: Any = safe_open(weights, framework="numpy")
        with reader as tensors:
            table = next(key for key in _TABLES if key in tensors.keys())  # noqa: SIM118 - it is no dict
            _, dimensions = tensors.get_slice(table).get_shape()
    except (SafetensorError, OSError, ValueError, StopIteration):
        dimensions = _loaded(name).dimensions  # which says what is wrong with them
    return dimensions, digest.hexdigest()[:32]


@lru_cache(maxsize=4)
def _load(name: str, weights: Path, tokenizer: Path, _identities: object) -> StaticEmbeddingModel:
    try:
        tensors: dict[str, NDArray[Any]] = load_file(weights)
        reader = Tokenizer.from_file(str(tokenizer))
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"The model {name!r} in {weights.parent} cannot be read: {error}") from error
    except Exception as error:  # the tokenizers library raises nothing narrower
        raise ModelError(f"The tokenizer of {name!r} in {tokenizer} cannot be read: {error}") from error
    return _assembled(name, reader, tensors)


def _assembled(name: str, tokenizer: Tokenizer, tensors: dict[str, NDArray[Any]]) -> StaticEmbeddingModel:
    table = next((tensors[key] for key in _TABLES if key in tensors), None)
    if table is None or table.ndim != 2 or table.dtype.kind not in "fi" or 0 in table.shape:
        raise ModelError(f"The model {name!r} has no table of token vectors named 'embeddings'.")
    rows, weights = tensors.get("mapping"), tensors.get("weights")
    tokens = tokenizer.get_vocab_size(with_added_tokens=True)
    for tensor in (table if rows is None else rows, weights):
        if tensor is not None and len(tensor) < tokens:
            raise ModelError(f"The model {name!r} has {tokens} tokens but only {len(tensor)} vectors or weights.")
    if rows is not None and not (rows.min() >= 0 and rows.max() < len(table)):
        raise ModelError(f"The model {name!r} maps tokens to vectors that it does not have.")
    return StaticEmbeddingModel(
        name,
        tokenizer,
        table.astype(np.float32),
        rows=None if rows is None else rows.astype(np.int64),
        weights=None if weights is None else weights.astype(np.float32),
    )


def _unknown_token(tokenizer: Tokenizer) -> int | None:
    """The id that stands for every unknown token: its vector says nothing, so Model2Vec leaves it out."""
    for text in _unknown_texts(json.loads(tokenizer.to_str())):
        token = tokenizer.token_to_id(text)
        if token is not None:
            return token
    return None


def _unknown_texts(description: dict[str, Any]) -> Iterator[str]:
    named = description.get("model", {}).get("unk_token")
    if isinstance(named, str):
        yield named
    yield from ("[UNK]", "<unk>")
