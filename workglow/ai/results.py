"""What models find in texts, in the shape in which it goes through graphs and is stored: plain JSON."""

from __future__ import annotations

from typing_extensions import TypedDict

__all__ = ["Entity", "Filling", "FoundAnswer", "Label", "LanguageGuess"]


class Label(TypedDict):
    """A class, and how sure the model is of it, from 0 to 1."""

    label: str
    score: float


class LanguageGuess(TypedDict):
    """A language by its ISO 639 code, and how sure the model is of it, from 0 to 1."""

    language: str
    score: float


class Entity(TypedDict):
    """Something that has a name: the characters from `start` to `end` of the text."""

    entity: str
    word: str
    score: float
    start: int
    end: int


class Filling(TypedDict):
    """A word for the gap, and the text with it."""

    entity: str
    score: float
    sequence: str


class FoundAnswer(TypedDict):
    """The part of a context that answers a question: its characters from `start` to `end`."""

    text: str
    score: float
    start: int
    end: int
