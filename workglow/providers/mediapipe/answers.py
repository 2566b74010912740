"""What MediaPipe's tasks answer, as workglow's results: plain numbers and texts, and masks as images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from workglow.errors import ModelCallError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from workglow.ai.provider import Vectors
    from workglow.ai.results import Label
    from workglow.ai.results_of_images import (
        Box,
        DetectedFace,
        DetectedObject,
        FaceLandmarks,
        Gesture,
        HandLandmarks,
        Keypoint,
        Landmark,
        PoseLandmarks,
        Segment,
    )

__all__ = ["cut_out", "faces", "gestures", "hands", "labels", "meshes", "objects", "poses", "segments", "vector"]

_OF_A_FACE: Final = ("right eye", "left eye", "nose", "mouth", "right ear", "left ear")
"""What the points of a detected face are, in the order in which the models give them."""


def labels(categories: Iterable[Any]) -> list[Label]:
    """Return classes, the likeliest first."""
    found: list[Label] = [{"label": _name(one), "score": float(one.score)} for one in categories]
    return sorted(found, key=lambda label: -label["score"])


def vector(result: Any) -> Vectors:
    """Return the vector of a text or an image."""
    return np.asarray(result.embeddings[0].embedding, np.float32).reshape(-1)


def objects(result: Any) -> list[DetectedObject]:
    """Return what was detected, the surest first."""
    found: list[DetectedObject] = [
        {**labels(one.categories)[0], "box": _box(one.bounding_box)} for one in result.detections
    ]
    return sorted(found, key=lambda one: -one["score"])


def faces(result: Any) -> list[DetectedFace]:
    """Return the faces that were detected, the surest first."""
    found: list[DetectedFace] = [
        {
            "box": _box(one.bounding_box),
            "keypoints": _keypoints(one.keypoints or ()),
            "score": float(one.categories[0].score),
        }
        for one in result.detections
    ]
    return sorted(found, key=lambda one: -one["score"])


def meshes(result: Any) -> list[FaceLandmarks]:
    """Return the points of faces."""
    found: list[FaceLandmarks] = [{"landmarks": _landmarks(points)} for points in result.face_landmarks]
    for face, expressions in zip(found, result.face_blendshapes or (), strict=False):
        face["blendshapes"] = labels(expressions)
    for face, matrix in zip(found, result.facial_transformation_matrixes or (), strict=False):
        face["transformationMatrix"] = np.asarray(matrix, np.float64).ravel().tolist()
    return found


def hands(result: Any) -> list[HandLandmarks]:
    """Return the points of hands."""
    return [
        {"handedness": labels(sides), "landmarks": _landmarks(points), "worldLandmarks": _landmarks(world)}
        for sides, points, world in zip(
            result.handedness, result.hand_landmarks, result.hand_world_landmarks, strict=True
        )
    ]


def gestures(result: Any) -> list[Gesture]:
    """Return the gestures of hands."""
    return [{**hand, "gestures": labels(signs)} for hand, signs in zip(hands(result), result.gestures, strict=True)]


def poses(result: Any) -> list[PoseLandmarks]:
    """Return the points of bodies."""
    found: list[PoseLandmarks] = [
        {"landmarks": _landmarks(points), "worldLandmarks": _landmarks(world)}
        for points, world in zip(result.pose_landmarks, result.pose_world_landmarks, strict=True)
    ]
    for pose, mask in zip(found, result.segmentation_masks or (), strict=False):
        pose["segmentationMask"] = _grey(_confidence(mask))
    return found


def segments(result: Any, names: Sequence[str], threshold: float, mask_threshold: float) -> list[Segment]:
    """Return the parts of an image; the score of a part is how sure the model is of its pixels, on the average."""
    found: list[Segment] = []
    for at, mask in enumerate(result.confidence_masks or ()):
        sure = _confidence(mask)
        inside = sure >= mask_threshold
        score = float(sure[inside].mean()) if inside.any() else 0.0
        if inside.any() and score >= threshold:
            label = names[at] if at < len(names) else str(at)
            found.append({"label": label, "score": score, "mask": _grey(inside)})
    return sorted(found, key=lambda one: -one["score"])


def cut_out(image: Image, result: Any, names: Sequence[str]) -> Image:
    """Return the image, as transparent as the model is sure that it is background."""
    masks = [_confidence(mask) for mask in result.confidence_masks or ()]
    if not masks:
        raise ModelCallError("The model gives no masks, so it cannot tell the background.")
    known = "background" in names
    opacity = 1.0 - masks[list(names).index("background")] if known else np.maximum.reduce(masks)
    cut = image.convert("RGBA")
    cut.putalpha(_grey(opacity))
    return cut


def _name(category: Any) -> str:
    return category.category_name or category.display_name or str(category.index)


def _box(box: Any) -> Box:
    return {
        "x": float(box.origin_x),
        "y": float(box.origin_y),
        "width": float(box.width),
        "height": float(box.height),
    }


def _keypoints(points: Sequence[Any]) -> list[Keypoint]:
    names = _OF_A_FACE if len(points) == len(_OF_A_FACE) else ()
    found: list[Keypoint] = []
    for at, point in enumerate(points):
        found.append({"x": float(point.x), "y": float(point.y)})
        label = point.label or (names[at] if names else "")
        if label:
            found[at]["label"] = label
    return found


def _landmarks(points: Iterable[Any]) -> list[Landmark]:
    found: list[Landmark] = []
    for point in points:
        one: Landmark = {"x": float(point.x), "y": float(point.y), "z": float(point.z)}
        if point.visibility is not None:
            one["visibility"] = float(point.visibility)
        if point.presence is not None:
            one["presence"] = float(point.presence)
        found.append(one)
    return found


def _confidence(mask: Any) -> NDArray[np.float32]:
    """Return a mask as float32 of shape (height, width), a copy: MediaPipe's memory goes with its result."""
    return np.array(mask.numpy_view(), np.float32).reshape(mask.height, mask.width)


def _grey(part: NDArray[Any]) -> Image:
    from PIL import Image

    levels = np.asarray(np.round(np.clip(part, 0, 1) * 255), np.uint8)
    return Image.fromarray(levels)
