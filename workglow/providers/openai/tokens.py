"""Counting the tokens of OpenAI's models, by the tiktoken package where it is installed.

tiktoken fetches a model's table from the network when it is first used, and keeps it (TIKTOKEN_CACHE_DIR).  Where that
fails, or for models that it does not know, the count is an estimate, rather too high.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

__all__ = ["count_tokens"]

_ESTIMATE: Final = 3  # bytes a token


def count_tokens(model: str, text: str) -> int:
    """Return how many tokens the model sees."""
    encoding = _encoding(model) if model else None
    if encoding is None:
        return -(-len(text.encode("utf-8", "surrogatepass")) // _ESTIMATE)
    return len(encoding.encode(text, disallowed_special=()))


@lru_cache(maxsize=16)
def _encoding(model: str) -> Any:
    try:
        import tiktoken
    except ModuleNotFoundError:
        return None
    try:
        return tiktoken.encoding_for_model(model)
    except Exception:  # an unknown model, or no way to the table: its errors are those of several libraries
        return None
