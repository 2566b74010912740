"""Encoder models as ONNX files, run by onnxruntime: quick on a processor, without torch.

A model is a folder with config.json, tokenizer.json and a `.onnx` file, of this machine or in the cache of the Hugging
Face hub; or 'minilm', which packages bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from glob import escape
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from workglow.errors import InvalidModelError, MissingExtraError, ModelError, UnknownModelError
from workglow.providers.encoders.encoder import Batch, TextEncoder
from workglow.providers.encoders.folder import ModelFolder, read_folder
from workglow.providers.encoders.minilm import PACKAGED, packaged_minilm
from workglow.providers.encoders.provider import EncoderProvider

try:
    _runtime: Any = import_module("onnxruntime")
    from tokenizers import Tokenizer
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"ONNX models need {error.name}, which is not installed: pip install 'workglow[onnx]'."
    ) from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workglow.ai.record import ModelRecord

__all__ = ["OnnxProvider"]

_PLACES: Final = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx", "onnx/model_int8.onnx")


class OnnxEncoder(TextEncoder):
    """An ONNX file with its tokenizer."""

    def __init__(self, session: Any, name: str, tokenizer: Any, **about: Any) -> None:
        super().__init__(name, tokenizer, **about)
        self._session: Any = session
        self._inputs = {one.name for one in session.get_inputs()}
        self._outputs = [one.name for one in session.get_outputs()]

    def run(self, batch: Batch, *outputs: str) -> list[NDArray[np.float32]]:
        """Run the file's graph."""
        given = {"input_ids": batch.ids, "attention_mask": batch.mask, "token_type_ids": batch.types}
        wanted = self._outputs[:1] if len(outputs) == 1 and outputs[0] not in self._outputs else list(outputs)
        missing = [name for name in wanted if name not in self._outputs]
        if missing:
            raise ModelError(
                f"The model {self.name!r} has no output {' and no '.join(missing)}; it has {', '.join(self._outputs)}."
            )
        found = self._session.run(wanted, {name: given[name] for name in given.keys() & self._inputs})
        return [np.asarray(one, np.float32) for one in found]

    def close(self) -> None:
        """Give the memory back."""
        self._session = None


class OnnxProvider(EncoderProvider):
    """Runs 'onnx:minilm', 'onnx:/path/to/a/folder' and 'onnx:organisation/repository'."""

    name = "onnx"
    title = "ONNX Runtime"
    extra = "onnx"
    settings = frozenset(("pipeline", "file", "threads", "hypothesis"))
    hub_tag = "onnx"

    def encoder(self, model: ModelRecord, capability: str) -> AbstractContextManager[OnnxEncoder]:
        """Have the model for a call; it is loaded when it is not in memory."""
        folder = self.folder(model)
        file = self._file(model, folder)
        # Beside a file of more than 2 GB lie others that hold its weights, and begin with its name.
        files = sorted(file.parent.glob(f"{escape(file.name)}*"))
        what = (model.context_length, model.options.get("threads"))
        return self.kept(model, files, what, lambda: self._load(model, folder, file))

    def count_tokens(self, model: ModelRecord, text: str) -> int:
        """Count the tokens of a text, with those that the model wants around it; the weights are not loaded."""
        file = _tokens_of(self.folder(model))
        changed = file.stat().st_mtime_ns if file.is_file() else 0
        return len(_counting(model.name, file, changed).encode(text).ids)

    def found(self, model: ModelRecord) -> ModelFolder | None:
        """Return where a model's tokenizer is; None when it is of the hub, and not in its cache."""
        return read_folder(packaged_minilm()[1]) if model.source == PACKAGED else super().found(model)

    def is_here(self, model: ModelRecord) -> bool:
        """Whether the model is not one that could be fetched."""
        return model.source == PACKAGED or super().is_here(model)

    def weights(self, model: ModelRecord) -> Sequence[Sequence[str]]:
        """Return the file that the record names, or those that are looked for."""
        named = model.options.get("file")
        return [[str(named)]] if named else [[place] for place in _PLACES]

    def info(self, model: ModelRecord) -> dict[str, Any]:
        """Say what is known of the model without loading it."""
        known = super().info(model)
        if known["is_cached"]:
            file = self._file(model, self.folder(model))
            known["file_sizes"] = {file.name: file.stat().st_size}
        return known

    def _file(self, model: ModelRecord, folder: ModelFolder) -> Path:
        if model.source == PACKAGED:
            return packaged_minilm()[0]
        places = [name for sort in self.weights(model) for name in sort]
        found = next((folder.path / name for name in places if (folder.path / name).is_file()), None)
        if found is None:
            remedy = "" if self.is_here(model) else f"; fetch it: workglow models download FILE {model.name}"
            raise UnknownModelError(f"{folder.path} has no {' and no '.join(places)} for {model.name!r}{remedy}.")
        return found

    def _load(self, model: ModelRecord, folder: ModelFolder, file: Path) -> OnnxEncoder:
        limits = [limit for limit in (model.context_length, folder.max_tokens) if limit]
        return OnnxEncoder(
            _session(model, file),
            model.name,
            _tokenizer(model.name, _tokens_of(folder)),
            max_tokens=min(limits, default=None),
            padding=int(folder.config.get("pad_token_id") or 0),
            labels=folder.labels,
            several_labels=folder.config.get("problem_type") == "multi_label_classification",
            mask_token=_content(folder.tokenizer_config.get("mask_token", "[MASK]")),
        )


def _session(model: ModelRecord, weights: Path) -> Any:
    options = _runtime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = int(model.options.get("threads", 0))  # 0: one for each core
    wanted = {"": "", "cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}.get(model.device)
    if wanted is None:
        raise InvalidModelError(f"Invalid model record: device is {model.device!r}; ONNX models run on cpu or cuda.")
    there = _runtime.get_available_providers()
    if wanted and wanted not in there:
        raise ModelError(f"onnxruntime cannot use {model.device}: pip install onnxruntime-gpu.")
    try:
        return _runtime.InferenceSession(str(weights), options, providers=[wanted] if wanted else there)
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"The model {model.name!r} in {weights} cannot be read: {error}") from error


def _tokens_of(folder: ModelFolder) -> Path:
    return folder.path / "tokenizer.json"


def _tokenizer(name: str, file: Path) -> Any:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"The tokenizer of {name!r} in {file} cannot be read: {error}") from error


# Not state but memory of a pure function: its result depends on nothing but the file.
@lru_cache(maxsize=4)
def _counting(name: str, file: Path, _changed: int) -> Any:
    tokenizer = _tokenizer(name, file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _content(token: Any) -> str:
    return str(cast("dict[str, Any]", token)["content"] if isinstance(token, dict) else token)
