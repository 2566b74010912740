"""What MediaPipe's models are for, and which of them Google publishes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["PIPELINES", "PUBLISHED", "Pipeline", "Published"]

_PLACE: Final = "https://storage.googleapis.com/mediapipe-models"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What models of one kind can do; `parts` names the file in a bundle that does something, if not the whole does."""

    name: str
    capabilities: tuple[str, ...]
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A model that Google publishes, under the name of its file."""

    name: str
    pipeline: str
    url: str
    description: str

    @property
    def file_name(self) -> str:
        """What the file is called."""
        return self.url.rpartition("/")[2]


_PIPELINES: Final = (
    Pipeline("text-embedder", ("embed",)),
    Pipeline("text-classifier", ("classify",)),
    Pipeline("text-language-detector", ("detect_language",)),
    Pipeline("vision-face-detector", ("detect_faces",)),
    Pipeline(
        "vision-face-landmarker", ("find_face_landmarks", "detect_faces"), (("detect_faces", "face_detector.tflite"),)
    ),
    Pipeline(
        "vision-gesture-recognizer",
        ("recognise_gestures", "find_hand_landmarks"),
        (("find_hand_landmarks", "hand_landmarker.task"),),
    ),
    Pipeline("vision-hand-landmarker", ("find_hand_landmarks",)),
    Pipeline("vision-image-classifier", ("classify_image",)),
    Pipeline("vision-image-embedder", ("embed_image",)),
    Pipeline("vision-image-segmenter", ("segment_image", "remove_background")),
    Pipeline("vision-object-detector", ("detect_objects",)),
    Pipeline("vision-pose-landmarker", ("find_pose_landmarks",)),
)
PIPELINES: Final = {pipeline.name: pipeline for pipeline in _PIPELINES}
"""By name."""

_FILES: Final = (
    ("text_embedder/universal_sentence_encoder/float32/1/universal_sentence_encoder.tflite", "Sentences, 100 numbers"),
    ("text_embedder/bert_embedder/float32/1/bert_embedder.tflite", "MobileBERT, 512 numbers"),
    ("text_classifier/bert_classifier/float32/1/bert_classifier.tflite", "Sentiment of English texts, MobileBERT"),
    ("text_classifier/average_word_classifier/float32/1/average_word_classifier.tflite", "Sentiment, from its words"),
    ("language_detector/language_detector/float32/1/language_detector.tflite", "110 languages"),
    ("face_detector/blaze_face_short_range/float16/1/blaze_face_short_range.tflite", "Faces within two metres"),
    ("face_landmarker/face_landmarker/float16/1/face_landmarker.task", "478 points and 52 expressions of a face"),
    ("gesture_recognizer/gesture_recognizer/float16/1/gesture_recognizer.task", "7 gestures and 21 points of a hand"),
    ("hand_landmarker/hand_landmarker/float16/1/hand_landmarker.task", "21 points of a hand"),
    ("image_classifier/efficientnet_lite0/float32/1/efficientnet_lite0.tflite", "The 1,000 classes of ImageNet"),
    ("image_classifier/efficientnet_lite2/float32/1/efficientnet_lite2.tflite", "The same, more exactly"),
    ("image_embedder/mobilenet_v3_small/float32/1/mobilenet_v3_small.tflite", "Images, 1,024 numbers"),
    ("image_embedder/mobilenet_v3_large/float32/1/mobilenet_v3_large.tflite", "Images, 1,280 numbers"),
    ("image_segmenter/selfie_segmenter/float16/1/selfie_segmenter.tflite", "A person, and what is behind"),
    (
        "image_segmenter/selfie_multiclass_256x256/float32/1/selfie_multiclass_256x256.tflite",
        "Background, hair, skin, face, clothes",
    ),
    ("image_segmenter/hair_segmenter/float32/1/hair_segmenter.tflite", "Hair"),
    ("image_segmenter/deeplab_v3/float32/1/deeplab_v3.tflite", "20 kinds of things, and the background"),
    ("object_detector/efficientdet_lite0/float16/1/efficientdet_lite0.tflite", "80 kinds of things"),
    ("object_detector/efficientdet_lite2/float16/1/efficientdet_lite2.tflite", "The same, more exactly"),
    ("object_detector/ssd_mobilenet_v2/float32/1/ssd_mobilenet_v2.tflite", "80 kinds of things, faster"),
    ("pose_landmarker/pose_landmarker_lite/float16/1/pose_landmarker_lite.task", "33 points of a body, fast"),
    ("pose_landmarker/pose_landmarker_full/float16/1/pose_landmarker_full.task", "33 points of a body"),
    ("pose_landmarker/pose_landmarker_heavy/float16/1/pose_landmarker_heavy.task", "33 points of a body, exactly"),
)


def _published(path: str, description: str) -> Published:
    kind, name, *_ = path.split("/")
    pipeline = next(one for one in PIPELINES if one.endswith(kind.replace("_", "-")))
    return Published(name, pipeline, f"{_PLACE}/{path}", description)


PUBLISHED: Final = {one.name: one for one in (_published(*file) for file in _FILES)}
"""By name."""
