"""MediaPipe itself: the one module that imports it.

Its tasks close themselves when they are collected, and that fails when the interpreter ends: they call threads that are
gone, and print tracebacks.  So a task made here is closed by whoever had it made, or not at all.

Its native library reports to Google which tasks were made and how long they took.  There is no switch, but it trusts
only the certificates it is given: it is given none, so that it connects to nobody.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from workglow.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FAILURES", "make", "metadata_schema", "model_schema", "picture"]

FAILURES: Final = (ValueError, RuntimeError, OSError, IndexError)
"""What MediaPipe's tasks raise when something is wrong with a model, or with what it is given."""


try:
    _mediapipe: Any = import_module("mediapipe")
except ImportError as error:
    raise MissingExtraError(
        f"MediaPipe's models need {error.name or 'mediapipe'}: pip install 'workglow[mediapipe]'.  ({error})"
    ) from error

model_schema: Any = import_module("mediapipe.tasks.metadata.schema_py_generated")
metadata_schema: Any = import_module("mediapipe.tasks.metadata.metadata_schema_py_generated")
_NO_CERTIFICATES: Final = b"/dev/null/none"  # a file that cannot be, for /dev/null is no folder
_ROOMS: Final = {room: import_module(f"mediapipe.tasks.python.{room}") for room in ("text", "vision")}


class _BaseOptions(_mediapipe.tasks.BaseOptions):
    def to_ctypes(self) -> Any:
        base: Any = super()
        options = base.to_ctypes()
        options.ca_bundle_path = _NO_CERTIFICATES
        return options


def make(kind: str, model: str | bytes, device: str, **options: Any) -> Any:
    """Make a task, 'vision.FaceDetector' say, of a model file's path or of its bytes; raises one of FAILURES.

    Whoever had it made has to close it.
    """
    room, _, name = kind.partition(".")
    delegate = getattr(_BaseOptions.Delegate, device.upper() or "CPU")
    base = _BaseOptions(
        **{"model_asset_path" if isinstance(model, str) else "model_asset_buffer": model}, delegate=delegate
    )
    task = getattr(_ROOMS[room], name).create_from_options(
        getattr(_ROOMS[room], f"{name}Options")(base_options=base, **options)
    )
    task.__class__ = _without_del(task.__class__)
    return task


@lru_cache
def _without_del(kind: Any) -> Any:
    return type(kind.__name__, (kind,), {"__del__": _nothing})


def _nothing(_: object) -> None: ...


def picture(image: Image) -> Any:
    """Return an RGB image as MediaPipe takes it."""
    import numpy as np

    pixels = np.ascontiguousarray(np.asarray(image.convert("RGB")))
    return _mediapipe.Image(image_format=_mediapipe.ImageFormat.SRGB, data=pixels)
