"""llama.cpp itself: the one place that imports it, and what it says while it works."""

from __future__ import annotations

import ctypes
import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from workglow.errors import MissingExtraError

try:
    import llama_cpp
    from llama_cpp import llama_grammar
except ModuleNotFoundError as error:
    raise MissingExtraError(
        f"GGUF models need {error.name}, which is not installed: pip install 'workglow[llamacpp]'."
    ) from error

__all__ = ["complaints", "grammar_of", "llama"]

llama: Final[Any] = llama_cpp
"""The functions of llama.h, under their own names."""

_log: Final = logging.getLogger("workglow.llamacpp")
_WARNING: Final = 3  # of ggml's levels: 1 debug, 2 info, 3 warning, 4 error, 5 more of the line before
_complaints: Final[deque[str]] = deque(maxlen=4)


def _say(level: int, text: bytes, _data: object) -> None:
    line = text.decode(errors="replace").rstrip()
    if line and level != 5 and level >= _WARNING:
        _complaints.append(line)
    _log.debug("%s", line)


_callback: Final = llama.llama_log_callback(_say)  # kept, for llama.cpp only knows its address
llama.llama_log_set(_callback, ctypes.c_void_p(0))
llama.llama_backend_init()


def complaints() -> str:
    """Return what llama.cpp last complained about, and forget it."""
    said = "; ".join(_complaints)
    _complaints.clear()
    return said


def grammar_of(schema: Mapping[str, Any]) -> str:
    """Return the grammar of the texts that fit a JSON Schema; ValueError for one that no grammar can say.

    Objects have their properties in the order in which the schema first names them.
    """
    order = list(dict.fromkeys(_property_names(schema)))
    try:
        return llama_grammar.json_schema_to_gbnf(json.dumps(schema), order)
    except (AssertionError, AttributeError, KeyError, NotImplementedError, RecursionError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _property_names(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        inner = cast("Mapping[str, Any]", schema)
        if isinstance(properties := inner.get("properties"), Mapping):
            yield from cast("Mapping[str, Any]", properties)
        for value in inner.values():
            yield from _property_names(value)
    elif isinstance(schema, list):
        for value in cast("list[Any]", schema):
            yield from _property_names(value)
