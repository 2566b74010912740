"""Names: ids for tasks that were given none, and the nearest known name for one that is not known."""

from __future__ import annotations

import difflib
import keyword
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import islice

__all__ = ["did_you_mean", "method_name", "snake_name"]

_NOT_IN_IDS = re.compile(r"[^\w.-]+")
_BEFORE_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MOST_COMPARED = 2000


@lru_cache(maxsize=512)
def snake_name(type_name: str) -> str:
    """Turn a task type into the name that people write: `TextEmbeddingTask` → `text_embedding`, `clean` → `clean`."""
    stem = type_name.removesuffix("Task") or type_name
    plain = _NOT_IN_IDS.sub("_", stem).strip("_") or "task"
    return _BEFORE_CAPITALS.sub("_", plain).lower()


def method_name(type_name: str) -> str:
    """Return what the method of a workflow is called that adds a task of this type: its snake name, or `lambda_`."""
    name = snake_name(type_name)
    return f"{name}_" if keyword.iskeyword(name) else name


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, islice(known, _MOST_COMPARED), 1)
    return f" Did you mean {near[0]!r}?" if near else ""
