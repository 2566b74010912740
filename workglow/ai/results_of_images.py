"""What models find in images, in the shape in which it goes through graphs and is stored: plain JSON, and masks.

Boxes are in pixels of the image.  Points are parts of its width and height, from 0 to 1, with the origin at the top
left; world points are in metres, from the middle of the body or the hand.
"""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from workglow.ai.results import Label

__all__ = [
    "Box",
    "DetectedFace",
    "DetectedObject",
    "FaceLandmarks",
    "Gesture",
    "HandLandmarks",
    "Keypoint",
    "Landmark",
    "PoseLandmarks",
    "Segment",
]


class Box(TypedDict):
    """Where something is, in pixels."""

    x: float
    y: float
    width: float
    height: float


class Keypoint(TypedDict):
    """A point, and what it is when that is known."""

    x: float
    y: float
    label: NotRequired[str]


class Landmark(TypedDict):
    """A point in space; `visibility` and `presence`, from 0 to 1: how sure the model is that it is seen, and there."""

    x: float
    y: float
    z: float
    visibility: NotRequired[float]
    presence: NotRequired[float]


class DetectedObject(TypedDict):
    """Something that was found."""

    label: str
    score: float
    box: Box


class Segment(TypedDict):
    """A part of an image; `mask` is an image of the same size, white where the part is."""

    label: str
    score: float
    mask: Any


class DetectedFace(TypedDict):
    """A face, and the points of it that the model tells apart."""

    box: Box
    keypoints: list[Keypoint]
    score: float


class FaceLandmarks(TypedDict):
    """The points of a face, what it expresses, and how the face of a model stands in space: 16 numbers, row by row."""

    landmarks: list[Landmark]
    blendshapes: NotRequired[list[Label]]
    transformationMatrix: NotRequired[list[float]]


class HandLandmarks(TypedDict):
    """The points of a hand, and which hand it is."""

    handedness: list[Label]
    landmarks: list[Landmark]
    worldLandmarks: list[Landmark]


class Gesture(HandLandmarks):
    """A hand, and what it says, the likeliest first."""

    gestures: list[Label]


class PoseLandmarks(TypedDict):
    """The points of a body; `segmentationMask` is an image of the same size, the whiter the surer."""

    landmarks: list[Landmark]
    worldLandmarks: list[Landmark]
    segmentationMask: NotRequired[Any]
