"""The root of the error tree."""

from __future__ import annotations

__all__ = [
    "WorkglowError",
]


class WorkglowError(Exception):
    """The root: `except WorkglowError` catches everything that workglow raises on purpose.

    `run` is the run that ended with this error, when there is one.
    """

    run: object | None = None
