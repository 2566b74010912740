"""Images as they go into a vision task: Pillow's images, bytes, data addresses, or paths of files.

The policy.  Whatever came in, a model is given an RGB image that stands upright: turned as its camera noted, without
transparency (which is laid on white), with eight bits a channel.  Only formats of pixels are read, so that no image
can make Pillow start another program.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeGuard, cast

from pydantic import Field

from workglow.errors import MissingExtraError, ResourceLimitError, SourceError, TaskInputError
from workglow.tasks.reading import LARGEST, read_bytes
from workglow.tasks.roots import within

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageOutput", "ImagePort", "as_image", "is_several", "paths_in"]

_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
_ONE: Final[list[dict[str, Any]]] = [{"type": "string"}, {"type": "object", "format": "image"}]
_MANY: Final[dict[str, Any]] = {"type": "array", "items": {"anyOf": _ONE}}
_DESCRIPTION: Final = "A PIL image, bytes, a data: address, or the path of a file"

ImagePort: TypeAlias = Annotated[
    Any,
    Field(
        title="Image", description=f"{_DESCRIPTION}; or a list of them.", json_schema_extra={"anyOf": [*_ONE, _MANY]}
    ),
]
"""One image or many."""

ImageOutput: TypeAlias = Annotated[Any, Field(json_schema_extra={"format": "image"})]
"""A PIL image; the project file keeps it as PNG."""


def is_several(given: object) -> TypeGuard[Sequence[object]]:
    """Whether it is many images rather than one."""
    return isinstance(given, list | tuple)


def paths_in(given: object) -> list[str]:
    """Return those of the given images that are paths."""
    return [one for one in (given if is_several(given) else (given,)) if isinstance(one, str) and not _is_data(one)]


def as_image(given: object, roots: Sequence[str] = ()) -> Image:
    """Return an RGB image; a path has to lead under one of the roots, the current folder when there are none.

    TaskInputError says what is no image; SourceError and OutsideRootsError what is wrong with a path.
    """
    try:
        from PIL import Image as module
    except ImportError:
        raise MissingExtraError("Images need Pillow: pip install 'workglow[images]'.") from None
    if isinstance(given, module.Image):
        return _plain(given)
    if isinstance(given, bytes | bytearray | memoryview):
        return _read(bytes(cast("bytes", given)), "The image")
    if not isinstance(given, str):
        raise TaskInputError(f"{given!r:.60} is no image.  Give {_DESCRIPTION[0].lower()}{_DESCRIPTION[1:]}.")
    if _is_data(given):
        return _read(_decoded(given), "The image in the data: address")
    path = within(given, roots)
    return _read(read_bytes(path), str(path))


def _is_data(text: str) -> bool:
    return text[:5].lower() == "data:"


def _decoded(address: str) -> bytes:
    head, comma, body = address.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise TaskInputError(f"{address!r:.60} is no image: a data: address of one has its bytes in base64.")
    if len(body) > LARGEST * 4 // 3:
        raise ResourceLimitError(f"The image in the data: address has more than {LARGEST:,} bytes.  Make it smaller.")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise TaskInputError(f"{address!r:.60} is no image: what follows the comma is no base64.") from None


def _read(data: bytes, what: str) -> Image:
    from PIL import Image as module

    try:
        with module.open(io.BytesIO(data), formats=_FORMATS) as file:
            most = module.MAX_IMAGE_PIXELS
            if most is not None and file.width * file.height > most:  # Pillow itself only warns up to twice as many
                raise module.DecompressionBombError
            file.load()
            return _plain(file)
    except (module.DecompressionBombError, module.DecompressionBombWarning):
        raise ResourceLimitError(
            f"{what} has more than {module.MAX_IMAGE_PIXELS:,} pixels.  Make it smaller."
        ) from None
    except Exception as error:  # a damaged image makes Pillow raise about anything
        raise SourceError(f"{what} cannot be read as {', '.join(_FORMATS)}: {error}.") from None


def _plain(image: Image) -> Image:
    """Return an upright RGB image without transparency; the given one stays as it is."""
    from PIL import Image as module
    from PIL import ImageOps

    if not image.width or not image.height:
        raise TaskInputError("The image has no pixels.")
    upright = ImageOps.exif_transpose(image)  # a copy, even if there is nothing to turn
    if upright.mode.startswith("I"):  # sixteen bits a pixel, which `convert` would cut off rather than scale
        return upright.point(lambda value: value / 257).convert("L").convert("RGB")
    if upright.has_transparency_data:
        pixels = upright.convert("RGBA")
        white = module.new("RGBA", pixels.size, "white")
        return module.alpha_composite(white, pixels).convert("RGB")
    return upright if upright.mode == "RGB" else upright.convert("RGB")
