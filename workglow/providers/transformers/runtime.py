"""torch and transformers, imported here and nowhere else; they take seconds, so who imports this needs a model now."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from workglow.errors import InvalidModelError, MissingExtraError, ModelUnavailableError

__all__ = ["device_of", "dtype_of", "memory_checked", "quiet", "torch", "transformers"]

os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
try:
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    _logging: Any = import_module("transformers.utils.logging")
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"Models of transformers need {error.name}, which is not installed: pip install 'workglow[transformers]'."
    ) from error


def device_of(name: str) -> Any:
    """Return torch's device of that name; without one the fastest that is here."""
    if not name:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises nothing narrower
        raise InvalidModelError(f"Invalid model record: device {name!r} is not on this machine: {error}") from None
    return device


def dtype_of(name: str, device: Any) -> Any:
    """Return what numbers are kept as; without a name what they were saved as, but whole floats on a processor."""
    if not name:
        return torch.float32 if device.type == "cpu" else "auto"
    found: Any = getattr(torch, {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}.get(name, name), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InvalidModelError(f"Invalid model record: dtype is {name!r}; it is float32, bfloat16 or float16.")
    return found


@contextmanager
def quiet() -> Generator[None]:
    """Let transformers draw no bars and print no advice meanwhile."""
    level, bars = _logging.get_verbosity(), _logging.is_progress_bar_enabled()
    _logging.set_verbosity_error()
    _logging.disable_progress_bar()
    try:
        yield
    finally:
        _logging.set_verbosity(level)
        if bars:
            _logging.enable_progress_bar()


@contextmanager
def memory_checked(name: str) -> Generator[None]:
    """Say that memory was short, where it was, as something that may pass."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelUnavailableError(f"There is not enough memory on the device for {name!r}: {error}") from error
