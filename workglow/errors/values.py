"""Values that do not fit where they were given."""

from __future__ import annotations

from workglow.errors.root import WorkglowError

__all__ = [
    "AnswerError",
    "CorruptValueError",
    "InvalidValueError",
    "JobInputError",
    "PortError",
    "TaskInputError",
    "TaskOutputError",
    "UnstorableValueError",
]


class InvalidValueError(WorkglowError):
    """A value does not fit the place it was given for."""


class PortError(InvalidValueError):
    """One port refused a value: `port` is its name, `reason` says why."""

    def __init__(self, port: str, reason: str) -> None:
        super().__init__(f"{port!r} {reason}")
        self.port = port
        self.reason = reason


class TaskInputError(InvalidValueError):
    """An input is missing, unknown, or of the wrong type; the text names task, port and reason."""


class TaskOutputError(InvalidValueError):
    """A task returned something that its own output ports do not allow."""


class JobInputError(InvalidValueError):
    """The input of a job does not fit its handler."""


class AnswerError(InvalidValueError):
    """An answer that does not fit the question's schema; it was not kept."""


class UnstorableValueError(InvalidValueError):
    """A value that the file cannot hold; the text names the port and the remedy."""


class CorruptValueError(InvalidValueError):
    """A stored value fails its content hash, or cannot be decoded."""
