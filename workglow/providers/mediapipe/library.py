"""MediaPipe itself: the one module that imports it.

Its tasks end badly when the interpreter does: their `__del__` calls threads that are gone, and prints tracebacks.  So
whoever makes tasks is told before that, by `closes_at_exit`, and MediaPipe has to be imported behind it: what was
registered first is called last, when MediaPipe knows already that it is over and calls nothing any more.
"""

from __future__ import annotations

import atexit
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from workglow.errors import MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["FAILURES", "closes_at_exit", "make", "model_schema", "metadata_schema", "picture"]

FAILURES: Final = (ValueError, RuntimeError, OSError, IndexError)
"""What MediaPipe's tasks raise when something is wrong with a model, or with what it is given."""


class _Closing(Protocol):
    def close(self) -> None: ...


_open: weakref.WeakSet[_Closing] = weakref.WeakSet()


def closes_at_exit(one: _Closing) -> None:
    """Close it when the interpreter ends, unless it is gone by then."""
    _open.add(one)


@atexit.register
def _close() -> None:
    for one in list(_open):
        one.close()


try:
    _mediapipe: Any = import_module("mediapipe")
except ImportError as error:
    raise MissingExtraError(
        f"MediaPipe's models need {error.name or 'mediapipe'}: pip install 'workglow[mediapipe]'.  ({error})"
    ) from error

model_schema: Any = import_module("mediapipe.tasks.metadata.schema_py_generated")
metadata_schema: Any = import_module("mediapipe.tasks.metadata.metadata_schema_py_generated")
_ROOMS: Final = {room: import_module(f"mediapipe.tasks.python.{room}") for room in ("text", "vision")}


def make(kind: str, model: str | bytes, device: str, **options: Any) -> Any:
    """Make a task, 'vision.FaceDetector' say, of a model file's path or of its bytes; raises one of FAILURES."""
    room, _, name = kind.partition(".")
    delegate = getattr(_mediapipe.tasks.BaseOptions.Delegate, device.upper() or "CPU")
    base = _mediapipe.tasks.BaseOptions(
        **{"model_asset_path" if isinstance(model, str) else "model_asset_buffer": model}, delegate=delegate
    )
    return getattr(_ROOMS[room], name).create_from_options(
        getattr(_ROOMS[room], f"{name}Options")(base_options=base, **options)
    )


def picture(image: Image) -> Any:
    """Return an RGB image as MediaPipe takes it."""
    import numpy as np

    pixels = np.ascontiguousarray(np.asarray(image.convert("RGB")))
    return _mediapipe.Image(image_format=_mediapipe.ImageFormat.SRGB, data=pixels)
