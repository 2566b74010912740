"""Runs MediaPipe's models: 'mediapipe:/path/to/model.task', or 'mediapipe:face_landmarker' from a package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from workglow.ai.provider import CredentialReader, Provider
from workglow.ai.record import ModelRecord, SourceFile
from workglow.errors import InvalidModelError, ModelCallError
from workglow.providers.mediapipe import answers
from workglow.providers.mediapipe.library import FAILURES, make, picture
from workglow.providers.mediapipe.loaded import LoadedTasks, TaskKey
from workglow.providers.mediapipe.modelfile import file_if_there, model_file, pipeline_of, published_as, unknown
from workglow.providers.mediapipe.pipeline import PUBLISHED, Published

if TYPE_CHECKING:
    from workglow.ai.provider import Purpose, Vectors
    from workglow.ai.results import Label, LanguageGuess
    from workglow.ai.results_of_images import (
        DetectedFace,
        DetectedObject,
        FaceLandmarks,
        Gesture,
        HandLandmarks,
        PoseLandmarks,
        Segment,
    )

__all__ = ["MediaPipeProvider"]

_TASKS: Final = {
    "embed": "text.TextEmbedder",
    "classify": "text.TextClassifier",
    "detect_language": "text.LanguageDetector",
    "classify_image": "vision.ImageClassifier",
    "embed_image": "vision.ImageEmbedder",
    "detect_objects": "vision.ObjectDetector",
    "segment_image": "vision.ImageSegmenter",
    "remove_background": "vision.ImageSegmenter",
    "detect_faces": "vision.FaceDetector",
    "find_face_landmarks": "vision.FaceLandmarker",
    "find_hand_landmarks": "vision.HandLandmarker",
    "find_pose_landmarks": "vision.PoseLandmarker",
    "recognise_gestures": "vision.GestureRecognizer",
}
_DEVICES: Final = ("", "cpu", "gpu")


class MediaPipeProvider(Provider):
    """Runs models of MediaPipe Tasks.  A record's options may say what a file is for: `{"pipeline": "text-embedder"}`.

    Tasks are kept in memory for each model and each set of options, and may be used by any thread.
    """

    name = "mediapipe"
    title = "MediaPipe"
    extra = "mediapipe"

    def __init__(self, credentials: CredentialReader | None = None) -> None:
        super().__init__(credentials)
        self._tasks = LoadedTasks()

    # ------------------------------------------------------------------ which models there are

    def record(self, name: str) -> ModelRecord:
        """Return the record of a file, or of a published model, which need not be here yet."""
        bare = super().record(name)
        known, file = published_as(bare), file_if_there(bare)
        if file is None:
            if known is None or known.name != bare.source:
                raise unknown(name)
            return _record(name, known)
        pipeline = pipeline_of(bare, file)
        return ModelRecord(
            name=name,
            provider=self.name,
            source=bare.source,
            title=file.path.stem,
            dimensions=file.dimensions,
            files=(SourceFile(path=str(file.path), url=known.url if known else "", size=file.state[1]),),
            fingerprint="-".join(map(str, file.state)),
            options={"pipeline": pipeline.name} if pipeline is not None else {},
        )

    def capabilities_of(self, model: ModelRecord) -> frozenset[str]:
        """What a model can do, by what its file says of itself."""
        if model.capabilities:
            return frozenset(model.capabilities)
        pipeline = pipeline_of(model, file_if_there(model))
        if pipeline is None:
            return self.capabilities()
        return frozenset((*pipeline.capabilities, "info", "search", "unload"))

    def info(self, model: ModelRecord) -> dict[str, Any]:
        """Say where the file is, how large, what it is for, and whether it is in memory."""
        file = file_if_there(model)
        pipeline = pipeline_of(model, file)
        return {
            "pipeline": pipeline.name if pipeline is not None else None,
            "is_cached": file is not None,
            "is_loaded": file is not None and self._tasks.holds(str(file.path)),
            "file_sizes": {} if file is None else {str(file.path): file.state[1]},
            "native_dimensions": model.dimensions if file is None else file.dimensions,
        }

    def search(self, query: str, *, limit: int) -> list[ModelRecord]:
        """Find models that Google publishes."""
        words = query.lower().split()
        found = [
            one
            for one in PUBLISHED.values()
            if all(word in f"{one.name} {one.pipeline} {one.description}".lower() for word in words)
        ]
        return [_record(f"{self.name}:{one.name}", one) for one in found[:limit]]

    def unload(self, model: ModelRecord) -> None:
        """Close the model's tasks, as soon as nobody uses them."""
        file = file_if_there(model)
        if file is not None:
            self._tasks.close(str(file.path))

    def close(self) -> None:
        """Close all tasks."""
        self._tasks.close()

    # ------------------------------------------------------------------ texts

    def embed(self, model: ModelRecord, texts: Sequence[str], *, purpose: Purpose) -> Vectors:
        """Embed texts one by one; questions are embedded as documents are."""
        if not texts:
            return np.zeros((0, model.dimensions or model_file(model).dimensions or 0), np.float32)
        found = self._each(model, "embed", [_text(text) for text in texts], lambda task, text: task.embed(text))
        return np.stack([answers.vector(one) for one in found])

    def classify(self, model: ModelRecord, text: str) -> list[Label]:
        """Classify a text."""
        found = self._asked(model, "classify", lambda task: task.classify(_text(text)))
        return answers.labels(found.classifications[0].categories)

    def detect_language(self, model: ModelRecord, text: str) -> list[LanguageGuess]:
        """Tell the language of a text."""
        found = self._asked(model, "detect_language", lambda task: task.detect(_text(text)))
        guesses: list[LanguageGuess] = [
            {"language": one.language_code, "score": float(one.probability)} for one in found.detections
        ]
        return sorted(guesses, key=lambda guess: -guess["score"])

    # ------------------------------------------------------------------ images

    def classify_image(self, model: ModelRecord, image: Any) -> list[Label]:
        """Classify an image."""
        found = self._asked(model, "classify_image", lambda task: task.classify(picture(image)))
        return answers.labels(found.classifications[0].categories)

    def embed_image(self, model: ModelRecord, images: Sequence[Any]) -> Vectors:
        """Embed images one by one."""
        found = self._each(model, "embed_image", images, lambda task, image: task.embed(picture(image)))
        return np.stack([answers.vector(one) for one in found])

    def detect_objects(
        self, model: ModelRecord, image: Any, *, labels: Sequence[str], threshold: float
    ) -> list[DetectedObject]:
        """Detect objects; a model knows its own labels only, of which those are left that are wanted."""
        found = self._asked(
            model, "detect_objects", lambda task: task.detect(picture(image)), score_threshold=threshold
        )
        return [one for one in answers.objects(found) if not labels or one["label"] in labels]

    def segment_image(
        self, model: ModelRecord, image: Any, *, threshold: float, mask_threshold: float
    ) -> list[Segment]:
        """Tell parts of an image apart."""
        found, names = self._segmented(model, "segment_image", image)
        return answers.segments(found, names, threshold, mask_threshold)

    def remove_background(self, model: ModelRecord, image: Any) -> Any:
        """Make what is no part of a person or a thing transparent."""
        found, names = self._segmented(model, "remove_background", image)
        return answers.cut_out(image, found, names)

    def detect_faces(
        self, model: ModelRecord, image: Any, *, min_detection_confidence: float, min_suppression_threshold: float
    ) -> list[DetectedFace]:
        """Detect faces."""
        options = {
            "min_detection_confidence": min_detection_confidence,
            "min_suppression_threshold": min_suppression_threshold,
        }
        return answers.faces(self._asked(model, "detect_faces", lambda task: task.detect(picture(image)), **options))

    def find_face_landmarks(self, model: ModelRecord, image: Any, **options: Any) -> list[FaceLandmarks]:
        """Find the points of faces."""
        return answers.meshes(
            self._asked(model, "find_face_landmarks", lambda task: task.detect(picture(image)), **options)
        )

    def find_hand_landmarks(self, model: ModelRecord, image: Any, **options: Any) -> list[HandLandmarks]:
        """Find the points of hands."""
        return answers.hands(
            self._asked(model, "find_hand_landmarks", lambda task: task.detect(picture(image)), **options)
        )

    def find_pose_landmarks(self, model: ModelRecord, image: Any, **options: Any) -> list[PoseLandmarks]:
        """Find the points of bodies."""
        return answers.poses(
            self._asked(model, "find_pose_landmarks", lambda task: task.detect(picture(image)), **options)
        )

    def recognise_gestures(self, model: ModelRecord, image: Any, **options: Any) -> list[Gesture]:
        """Tell the gestures of hands."""
        return answers.gestures(
            self._asked(model, "recognise_gestures", lambda task: task.recognize(picture(image)), **options)
        )

    # ------------------------------------------------------------------ tasks in memory

    def _segmented(self, model: ModelRecord, capability: str, image: Any) -> tuple[Any, list[str]]:
        return self._asked(model, capability, lambda task: (task.segment(picture(image)), list(task.labels)))

    def _asked(self, model: ModelRecord, capability: str, call: Callable[[Any], Any], **options: Any) -> Any:
        """Return what the model's task for that answers."""
        return self._each(model, capability, (None,), lambda task, _: call(task), **options)[0]

    def _each(
        self,
        model: ModelRecord,
        capability: str,
        inputs: Sequence[Any],
        call: Callable[[Any, Any], Any],
        **options: Any,
    ) -> list[Any]:
        kind, device = _TASKS[capability], model.device.lower()
        if device not in _DEVICES:
            raise InvalidModelError(f"The model {model.name!r} is for the device {device!r}; there are: cpu, gpu.")
        file = model_file(model)
        pipeline = pipeline_of(model, file)
        part = dict(pipeline.parts).get(capability) if pipeline is not None else None

        def loaded() -> Any:
            try:
                return make(kind, str(file.path) if part is None else file.part(part), device, **options)
            except FAILURES as error:
                raise ModelCallError(
                    f"{file.path} is no model for {kind.partition('.')[2]}: {_said(error)}.  If it is for something "
                    "else, say so in its record: options={'pipeline': …}."
                ) from None

        key = TaskKey(str(file.path), file.state, kind, (device, part, *sorted(options.items())))
        with self._tasks.using(key, loaded) as task:
            try:
                return [call(task, one) for one in inputs]
            except FAILURES as error:
                raise ModelCallError(f"The model {model.name!r} failed: {_said(error)}.") from error


def _record(name: str, known: Published) -> ModelRecord:
    return ModelRecord(
        name=name,
        provider=MediaPipeProvider.name,
        source=known.name,
        title=known.name,
        description=f"{known.description}.",
        files=(SourceFile(url=known.url),),
        options={"pipeline": known.pipeline},
    )


def _text(text: str) -> str:
    """A zero character would end the text, for it goes through C."""
    return text.replace("\0", " ")


def _said(error: Exception) -> str:
    """What it says, without the places in MediaPipe's source, which help nobody here."""
    return " ".join(str(error).partition("===")[0].split())[:600].rstrip(".;")
