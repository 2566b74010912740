"""What models can do, and what each of it is called: the name of a provider's method."""

from __future__ import annotations

from typing import Final

__all__ = ["CAPABILITIES", "MANAGEMENT"]

CAPABILITIES: Final = {
    "embed": "turn texts into vectors",
    "generate": "go on with a text",
    "chat": "answer in a conversation",
    "call_tools": "call tools in a conversation",
    "structured": "write an object of a JSON Schema",
    "rewrite": "rewrite a text as told",
    "summarise": "summarise a text",
    "translate": "translate a text",
    "answer": "find an answer in a context",
    "classify": "sort a text into classes",
    "classify_freely": "sort a text into classes that it was not trained on",
    "detect_language": "tell the language of a text",
    "fill_mask": "fill a gap in a text",
    "recognise_entities": "find names in a text",
    "count_tokens": "count the tokens of a text",
    "describe_image": "say what an image shows",
    "classify_image": "sort an image into classes",
    "classify_image_freely": "sort an image into classes that it was not trained on",
    "embed_image": "turn images into vectors",
    "detect_objects": "find objects in an image",
    "segment_image": "tell the parts of an image apart",
    "remove_background": "cut the background out of an image",
    "detect_faces": "find faces in an image",
    "find_face_landmarks": "find the points of faces",
    "find_hand_landmarks": "find the points of hands",
    "find_pose_landmarks": "find the points of bodies",
    "recognise_gestures": "tell the gestures of hands",
}
"""Capability → what it is, for people."""

MANAGEMENT: Final = ("download", "info", "search", "unload")
"""What a provider may do beside working with models."""
