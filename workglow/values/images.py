"""Pillow's images as PNG.  Pillow loads when the first image is met."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TypeGuard

from workglow.errors import MissingExtraError
from workglow.values.refusal import Refusal

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["image_parts", "is_image", "read_image", "write_image"]

_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # what PNG carries without loss


def is_image(value: object) -> TypeGuard[Image]:
    if "PIL.Image" not in sys.modules:
        return False
    from PIL.Image import Image

    return isinstance(value, Image)


def write_image(image: Image) -> bytes:
    """Return the image as PNG; other metadata than palette, transparency and colour profile is left out."""
    from PIL import Image as module

    _refuse_unfit(image)
    most = module.MAX_IMAGE_PIXELS
    if most is not None and image.width * image.height > most:
        raise Refusal("is an image that Pillow would not read back (MAX_IMAGE_PIXELS)", "store it as a numpy array")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _refuse_unfit(image: Image) -> None:
    if image.mode not in _MODES:
        raise Refusal(f"is an image of mode {image.mode}, which PNG cannot hold", "convert it: .convert('RGB')")
    if not image.width or not image.height:
        raise Refusal("is an image without pixels", "leave it out")


def read_image(data: bytes) -> Image:
    """Return the image of a PNG; bad data raises anything, a missing Pillow a MissingExtraError."""
    try:
        from PIL import Image as module
    except ImportError as error:
        raise MissingExtraError("A stored image needs Pillow: pip install 'workglow[images]'.") from error
    with module.open(io.BytesIO(data), formats=["PNG"]) as file:
        file.load()
        return file.copy()


def image_parts(image: Image) -> dict[str, object]:
    """Return what makes two images the same, whichever program compressed them."""
    _refuse_unfit(image)
    palette = image.palette
    return {
        "mode": image.mode,
        "size": list(image.size),
        "pixels": image.tobytes(),
        "palette": None if palette is None else [palette.mode, bytes(palette.palette)],
        "transparency": image.info.get("transparency"),
        "profile": image.info.get("icc_profile"),
    }
