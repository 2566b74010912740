"""Encoder models as ONNX files, run by onnxruntime: quick on a processor, without torch.

A model is a folder with config.json, tokenizer.json and a `.onnx` file, of this machine or in the cache of the Hugging
Face hub; or 'minilm', which packages bring.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from workglow.ai.record import ModelRecord
from workglow.errors import InvalidModelError, MissingExtraError, ModelError, UnknownModelError
from workglow.providers import hub
from workglow.providers.encoder import Batch, TextEncoder
from workglow.providers.encoder_provider import EncoderProvider
from workglow.providers.folder import ModelFolder, looks_like_a_path, read_folder
from workglow.providers.kinds import capabilities_of_folder, capabilities_of_pipeline
from workglow.providers.minilm import PACKAGED, packaged_minilm
from workglow.providers.residents import Residents

try:
    import onnxruntime
    from tokenizers import Tokenizer
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"ONNX models need {error.name}, which is not installed: pip install 'workglow[onnx]'."
    ) from error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workglow.ai.provider import Progress

__all__ = ["OnnxProvider"]

_CAN: Final = frozenset(
    ("embed", "answer", "classify", "classify_freely", "fill_mask", "recognise_entities", "count_tokens")
)
_PLACES: Final = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx", "onnx/model_int8.onnx")
_SETTINGS: Final = frozenset(("pipeline", "file", "threads", "hypothesis"))
_runtime: Any = onnxruntime  # its types are not complete

# Not state but memory of what files hold, as the system keeps pages of a file that many processes read.
_residents: Final = Residents()


class OnnxEncoder(TextEncoder):
    """An ONNX file with its tokenizer."""

    def __init__(self, session: Any, name: str, tokenizer: Any, **about: Any) -> None:
        super().__init__(name, tokenizer, **about)
        self._session = session
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


class OnnxProvider(EncoderProvider):
    """Runs 'onnx:minilm', 'onnx:/path/to/a/folder' and 'onnx:organisation/repository'."""

    name = "onnx"
    title = "ONNX Runtime"
    extra = "onnx"

    def record(self, name: str) -> ModelRecord:
        """Return the record of a model by its full name; one of the hub need not be here yet."""
        source = super().record(name).source
        folder = self._found(source, "")
        if folder is None:
            return ModelRecord(name=name, provider=self.name, source=source)
        can = capabilities_of_folder(folder) & _CAN
        return ModelRecord(
            name=name,
            provider=self.name,
            source=source,
            title=source,
            context_length=folder.max_tokens,
            dimensions=folder.dimensions if "embed" in can else None,
            pooling=folder.pooling,
            query_prefix=folder.prompt("query"),
            document_prefix=folder.prompt("document", "passage"),
        )

    def capabilities_of(self, model: ModelRecord) -> frozenset[str]:
        """What the model's config.json says; everything, of a model that is not here yet."""
        if model.capabilities:
            return frozenset(model.capabilities)
        if model.options.get("pipeline"):
            return capabilities_of_pipeline(model.options["pipeline"]) & _CAN
        folder = self._found(model.source, model.revision)
        return _CAN if folder is None else capabilities_of_folder(folder) & _CAN

    def pooling(self, model: ModelRecord) -> str:
        """What the record says, else what the model's files say, else the mean."""
        return model.pooling or self._folder(model).pooling or "mean"

    def encoder(self, model: ModelRecord, capability: str) -> OnnxEncoder:
        """Return the model, loaded once in this process."""
        return _residents.get(_key(model), lambda: self._load(model), self)

    def download(self, model: ModelRecord, progress: Progress) -> ModelRecord:
        """Bring a repository's ONNX file and tokenizer into the hub's cache."""
        import msgspec

        if model.source == PACKAGED or looks_like_a_path(model.source):
            self._folder(model)
            return model
        token = self.secret(model)
        wanted = [[str(model.options["file"])]] if model.options.get("file") else [[place] for place in _PLACES]
        got = hub.download(
            model.source, model.revision, lambda names: hub.chosen_files(names, wanted), progress,
            endpoint=model.base_url, token=token.reveal() if token is not None else None,
        )  # fmt: skip
        return msgspec.structs.replace(model, revision=got.commit, fingerprint=got.commit, files=got.files)

    def info(self, model: ModelRecord) -> dict[str, Any]:
        """Say what is known of the model without loading it."""
        folder = self._found(model.source, model.revision)
        known: dict[str, Any] = {"is_cached": folder is not None, "is_loaded": _residents.has(_concerns(model))}
        if folder is not None:
            weights = self._weights(model, folder)
            known |= {
                "folder": str(folder.path),
                "architecture": folder.architecture,
                "dimensions": folder.dimensions,
                "context_length": model.context_length or folder.max_tokens,
                "file_sizes": {weights.name: weights.stat().st_size},
            }
        return known

    def unload(self, model: ModelRecord) -> None:
        """Take the model out of memory."""
        _residents.drop(_concerns(model))

    def close(self) -> None:
        """Let go of the models that only this provider holds."""
        _residents.release(self)

    def _found(self, source: str, revision: str) -> ModelFolder | None:
        if source == PACKAGED:
            return read_folder(packaged_minilm()[1])
        if looks_like_a_path(source):
            return read_folder(Path(source).expanduser())
        folder = hub.cached_folder(source, revision)
        return None if folder is None else read_folder(folder)

    def _folder(self, model: ModelRecord) -> ModelFolder:
        folder = self._found(model.source, model.revision)
        if folder is None:
            raise UnknownModelError(
                f"The model {model.name!r} is not on this machine; fetch it: workglow models download {model.name}."
            )
        return folder

    def _weights(self, model: ModelRecord, folder: ModelFolder) -> Path:
        if model.source == PACKAGED:
            return packaged_minilm()[0]
        named = model.options.get("file")
        places = [folder.path / place for place in ((str(named),) if named else _PLACES)]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise UnknownModelError(
                f"The model {model.name!r} has no {str(named) if named else 'ONNX file'} in {folder.path}; "
                f"fetch it: workglow models download {model.name}."
            )
        return found

    def _load(self, model: ModelRecord) -> OnnxEncoder:
        unknown = model.options.keys() - _SETTINGS
        if unknown:
            raise InvalidModelError(
                f"Invalid model record: {model.name!r} has the option {sorted(unknown)[0]!r}; known are "
                f"{', '.join(sorted(_SETTINGS))}."
            )
        folder = self._folder(model)
        limits = [limit for limit in (model.context_length, folder.max_tokens) if limit]
        return OnnxEncoder(
            _session(model, self._weights(model, folder)),
            model.name,
            _tokenizer(model, folder),
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


def _tokenizer(model: ModelRecord, folder: ModelFolder) -> Any:
    file = folder.path / "tokenizer.json"
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ModelError(f"The tokenizer of {model.name!r} in {file} cannot be read: {error}") from error


def _content(token: Any) -> str:
    return str(token["content"] if isinstance(token, dict) else token)


def _key(model: ModelRecord) -> tuple[Any, ...]:
    limits = (model.context_length, model.options.get("threads"))
    return model.source, model.revision, model.device, str(model.options.get("file", "")), limits


def _concerns(model: ModelRecord) -> Any:
    return lambda key: key[:3] == (model.source, model.revision, model.device)
