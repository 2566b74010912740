"""Models, and whoever runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.errors.jobs import PermanentJobError, RetryableJobError
from workglow.errors.root import WorkglowError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "AuthenticationError",
    "ContextTooLongError",
    "IncompleteStreamError",
    "InvalidModelError",
    "ModelCallError",
    "ModelError",
    "ModelOutputError",
    "ModelUnavailableError",
    "StructuredOutputError",
    "TruncatedOutputError",
    "UnknownModelError",
    "UnsupportedCapabilityError",
]


class ModelUnavailableError(RetryableJobError):
    """Whoever runs a model failed in a way that passes: overloaded, unreachable, too slow."""


class IncompleteStreamError(ModelUnavailableError):
    """A model's answer broke off before its end; what came of it is not the whole."""


class ModelCallError(PermanentJobError):
    """A model was asked for what it, or whoever runs it, will never give; the text says what and why."""


class AuthenticationError(ModelCallError):
    """Whoever runs the model does not accept the credential, or there is none."""


class ContextTooLongError(ModelCallError):
    """The text is longer than the model can read."""


class ModelError(WorkglowError):
    """Something about a model, or about who runs it."""


class UnknownModelError(ModelError):
    """Neither the catalogue nor a provider knows the model's name."""


class InvalidModelError(ModelError):
    """A model's record is wrong; the text names the field."""


class UnsupportedCapabilityError(ModelError):
    """The model, or whoever runs it, cannot do that; the text says what it can."""


class ModelOutputError(ModelError):
    """What a model gave is of no use; asking again might help, or another model."""


class TruncatedOutputError(ModelOutputError):
    """A model had no more room for its answer; give it more tokens."""


class StructuredOutputError(ModelOutputError):
    """What a model wrote does not fit the JSON Schema; `attempts` holds each try: `attempt`, `errors`, `object`."""

    def __init__(self, message: str, *, attempts: Sequence[Mapping[str, object]] = ()) -> None:
        super().__init__(message)
        self.attempts = list(attempts)
