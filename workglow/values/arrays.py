"""numpy arrays and scalars as plain data.  numpy itself loads when the first one is met."""

from __future__ import annotations

import math
import re
import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from workglow.values.refusal import Refusal, checked_text
from workglow.values.tags import from_base64, items, text, to_base64

if TYPE_CHECKING:
    import numpy

__all__ = [
    "array_kind",
    "is_array",
    "is_scalar",
    "read_array",
    "read_array_kind",
    "read_scalar",
    "take_array",
    "take_scalar",
]

_DTYPE = re.compile(
    r"\|b1|[|<][iu]1|<[iu][248]|<f[248]|<c(?:8|16)|\|S\d{1,9}|<U\d{1,9}"
    r"|<[Mm]8(?:\[(?:[1-9]\d{0,8})?(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?"
)
_HIGHEST_CHARACTER = 0x10FFFF


def is_array(value: object) -> TypeGuard[numpy.ndarray[Any, Any]]:
    if "numpy" not in sys.modules:
        return False
    import numpy

    return isinstance(value, numpy.ndarray)


def is_scalar(value: object) -> TypeGuard[numpy.generic]:
    if "numpy" not in sys.modules:
        return False
    import numpy

    return isinstance(value, numpy.generic)


def _storable(dtype: numpy.dtype[Any]) -> numpy.dtype[Any]:
    """Return the dtype in little-endian order; one whose bytes mean nothing elsewhere is refused."""
    if dtype.hasobject or dtype.kind == "O":
        raise Refusal("is an array of Python objects", "store a list, or give it a numeric dtype")
    if dtype.names is not None:
        raise Refusal("is an array of records (a structured dtype)", "store one array for each field, in a dict")
    little = dtype.newbyteorder("<")
    if not _DTYPE.fullmatch(little.str):
        raise Refusal(f"has the dtype {dtype}, which means nothing elsewhere", "convert it, e.g. .astype('float64')")
    return little


def take_array(value: numpy.ndarray[Any, Any]) -> tuple[str, list[int], bytes]:
    """Return dtype, shape and the items' bytes: little-endian, in C order."""
    import numpy

    if type(value) is not numpy.ndarray:
        name = type(value).__qualname__
        raise Refusal(f"is a {name}, which would come back as a plain array", "convert it: numpy.asarray(…)")
    dtype = _storable(value.dtype)
    return dtype.str, list(value.shape), value.astype(dtype, copy=False).tobytes()


def array_kind(dtype: str, shape: list[int]) -> str:
    """Return the kind of an array's row, such as `array <f4 3,256`; without dimensions, `array <f4`."""
    return f"array {dtype} {','.join(map(str, shape))}".rstrip()


def read_array_kind(kind: str, data: bytes) -> numpy.ndarray[Any, Any]:
    """Return the array of a row of that kind; a read-only view of `data`."""
    _, dtype, *sizes = kind.split(" ")
    if len(sizes) > 1:
        raise ValueError(f"{kind!r} is not a kind of array")
    return read_array(dtype, [int(size) for size in sizes[0].split(",")] if sizes else [], data)


def read_array(dtype_text: object, shape: object, data: bytes) -> numpy.ndarray[Any, Any]:
    """Return the array, a read-only view of `data`; what does not fit together is a ValueError."""
    if not _DTYPE.fullmatch(text(dtype_text)):
        raise ValueError(f"{dtype_text!r} is no dtype that is ever stored")
    sizes = items(shape)
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("its shape is no list of whole numbers")
    import numpy

    dtype = numpy.dtype(text(dtype_text))
    if math.prod(sizes) * dtype.itemsize != len(data):
        raise ValueError(f"{len(data)} bytes are not an array of {dtype.str} with shape {sizes}")
    if dtype.kind == "U" and data and numpy.frombuffer(data, "<u4").max() > _HIGHEST_CHARACTER:
        raise ValueError("it holds numbers that are no characters")
    return numpy.ndarray(tuple(sizes), dtype, data)


def take_scalar(value: numpy.generic) -> tuple[str, object]:
    """Return dtype and what the tag holds: a number where JSON has one, text, or base64."""
    import numpy

    if isinstance(value, numpy.str_):
        held = str.__str__(value)  # numpy's own drops zeros at the end
        checked_text(held)
        return "<U", held
    if isinstance(value, numpy.bytes_):
        return "|S", to_base64(bytes(value))
    dtype = _storable(value.dtype)
    if dtype.kind in "biuf":
        return dtype.str, value.item()
    return dtype.str, to_base64(value.astype(dtype).tobytes())


def read_scalar(payload: object) -> numpy.generic:
    """Return the scalar whose tag holds `payload`; bad data raises anything."""
    import numpy

    dtype_text, held = items(payload, 2)
    if dtype_text == "<U":
        return numpy.str_(text(held))
    if dtype_text == "|S":
        return numpy.bytes_(from_base64(held))
    if not _DTYPE.fullmatch(text(dtype_text)):
        raise ValueError(f"{dtype_text!r} is no dtype that is ever stored")
    dtype = numpy.dtype(text(dtype_text))
    if dtype.kind not in "biuf":
        scalar: numpy.generic = read_array(dtype_text, [], from_base64(held)).flat[0]
        return scalar
    if type(held) is not {"b": bool, "f": float}.get(dtype.kind, int):
        raise ValueError(f"a number of dtype {dtype.str} was expected")
    return dtype.type(held)
