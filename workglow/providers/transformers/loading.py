"""From a folder of files to a model in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from workglow.errors import ModelError
from workglow.providers.transformers.runtime import device_of, dtype_of, memory_checked, quiet, torch, transformers

if TYPE_CHECKING:
    from pathlib import Path

    from workglow.ai.record import ModelRecord
    from workglow.providers.encoders.folder import ModelFolder

__all__ = ["LoadedModel", "class_for", "counting_tokenizer", "growth", "load_model", "load_processor", "load_tokenizer"]

_CLASSES: Final = {
    "embed": "AutoModel",
    "answer": "AutoModelForQuestionAnswering",
    "classify": "AutoModelForSequenceClassification",
    "classify_freely": "AutoModelForSequenceClassification",
    "detect_language": "AutoModelForSequenceClassification",
    "fill_mask": "AutoModelForMaskedLM",
    "recognise_entities": "AutoModelForTokenClassification",
    "generate": "AutoModelForCausalLM",
    "chat": "AutoModelForCausalLM",
    "rewrite": "AutoModelForSeq2SeqLM",
    "summarise": "AutoModelForSeq2SeqLM",
    "translate": "AutoModelForSeq2SeqLM",
    "describe_image": "AutoModelForImageTextToText",
    "classify_image": "AutoModelForImageClassification",
    "classify_image_freely": "AutoModelForZeroShotImageClassification",
    "embed_image": "AutoModel",
    "detect_objects": "AutoModelForObjectDetection",
    "segment_image": "AutoModelForSemanticSegmentation",
}
"""Which class of transformers does what."""


# transformers changes its own classes while it loads: what loads beside it would be broken, and all that follows.
_one_by_one: Final = threading.Lock()


@dataclass
class LoadedModel:
    """A model in memory with what prepares its input: a tokenizer, or a processor of images and texts."""

    name: str
    model: Any
    prepare: Any
    folder: ModelFolder
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def device(self) -> Any:
        """Where it is."""
        return self.model.device

    def close(self) -> None:
        """Give the memory back."""
        self.model = self.prepare = None


def class_for(folder: ModelFolder, capability: str) -> str:
    """Return the name of the class that does that with this model."""
    if capability == "generate" and folder.config.get("is_encoder_decoder"):
        return "AutoModelForSeq2SeqLM"
    if capability == "segment_image" and not folder.architecture.endswith("ForSemanticSegmentation"):
        return "AutoModelForUniversalSegmentation"
    return _CLASSES[capability]


def growth(record: ModelRecord, folder: ModelFolder) -> float:
    """Return how much larger a model is in memory than its files, which may hold smaller numbers."""
    wanted = dtype_of(record.dtype, device_of(record.device))
    saved = getattr(torch, str(folder.config.get("dtype") or folder.config.get("torch_dtype")), torch.float32)
    if wanted == "auto" or "quantization_config" in folder.config:
        return 1.0
    return wanted.itemsize / saved.itemsize


def load_model(record: ModelRecord, folder: ModelFolder, class_name: str) -> Any:
    """Read the weights, and put them where they shall be.  No code of the folder runs.

    ModelError when they cannot be read, or when there are none for what the model is wanted for.
    """
    device = device_of(record.device)
    dtype = dtype_of(record.dtype, device)
    kind = getattr(transformers, class_name)
    with _one_by_one, quiet(), memory_checked(record.name):
        model, report = _read(
            record.name,
            lambda: kind.from_pretrained(
                str(folder.path),
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            ),
        )
        missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)
        if missing:
            raise ModelError(
                f"The model {record.name!r} was not trained for this: {folder.path} has no weights for "
                f"{', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}."
            )
        model.eval()
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        return model.to(device)


def load_tokenizer(record: ModelRecord, folder: ModelFolder) -> Any:
    """Read the tokenizer."""
    return _prepare(record.name, folder.path, "AutoTokenizer")


def counting_tokenizer(record: ModelRecord, folder: ModelFolder) -> Any:
    """Return the tokenizer without a model; it is kept until the folder's files change."""
    changed = max((file.stat().st_mtime_ns for file in folder.path.iterdir() if file.is_file()), default=0)
    return _counting(record.name, folder.path, changed)


# Not state but memory of a pure function: its result depends on nothing but the files.
@lru_cache(maxsize=4)
def _counting(name: str, path: Path, _changed: int) -> Any:
    return _prepare(name, path, "AutoTokenizer")


def load_processor(record: ModelRecord, folder: ModelFolder) -> Any:
    """Read what prepares images, and texts where the model reads or writes them too."""
    if folder.model_type == "vision-encoder-decoder":
        return ImagesAndTexts(_prepare(record.name, folder.path, "AutoImageProcessor"), load_tokenizer(record, folder))
    both = "vision_config" in folder.config or (folder.path / "processor_config.json").is_file()
    return _prepare(record.name, folder.path, "AutoProcessor" if both else "AutoImageProcessor")


class ImagesAndTexts:
    """Prepares images for a model that was put together from one that sees and one that writes."""

    def __init__(self, images: Any, tokenizer: Any) -> None:
        self._images = images
        self.tokenizer = tokenizer

    def __call__(self, *, images: Any, return_tensors: str, text: str = "") -> Any:
        return self._images(images=images, return_tensors=return_tensors)


def _prepare(name: str, path: Path, class_name: str) -> Any:
    kind = getattr(transformers, class_name)
    with _one_by_one, quiet():
        return _read(name, lambda: kind.from_pretrained(str(path), local_files_only=True, trust_remote_code=False))


def _read(name: str, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the library raises OSError, ValueError, KeyError, ImportError and its own
        raise ModelError(f"The model {name!r} cannot be read: {error}") from error
