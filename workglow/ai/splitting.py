"""Texts cut into pieces that a model can read: at paragraphs if that will do, else at sentences, else at words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from workglow.errors import MissingExtraError

try:
    from semantic_text_splitter import MarkdownSplitter, TextSplitter
except ModuleNotFoundError as error:
    raise MissingExtraError(
        "Cutting texts needs semantic-text-splitter, which is not installed: pip install 'workglow[local]'."
    ) from error

__all__ = ["TextCutter"]

_WINDOW: Final = 20_000  # characters split at once: where there are no bounds, the splitter's time grows quadratically


class TextCutter:
    """Cuts texts into pieces of at most `size` tokens, of which up to `overlap` repeat the piece before.

    `count_tokens` is the model's; without it, `size` and `overlap` are characters.
    """

    def __init__(
        self,
        size: int,
        *,
        overlap: int = 0,
        count_tokens: Callable[[str], int] | None = None,
        is_markdown: bool = False,
    ) -> None:
        kind = MarkdownSplitter if is_markdown else TextSplitter
        self._splitter = (
            kind(size, overlap) if count_tokens is None else kind.from_callback(count_tokens, size, overlap)
        )

    def cut(self, text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, str]]:
        """Yield the place and the text of each piece from `start` to `end`, without the white space around it."""
        end = len(text) if end is None else end
        while start < end:
            bound = _window_end(text, start, end)
            for offset, piece in self._splitter.chunk_indices(text[start:bound]):
                yield start + offset, piece
            start = bound


def _window_end(text: str, start: int, end: int) -> int:
    if end - start <= _WINDOW:
        return end
    for bound in ("\n\n", "\n", ". ", " "):
        found = text.rfind(bound, start + _WINDOW // 2, start + _WINDOW)
        if found >= 0:
            return found + len(bound)
    return start + _WINDOW
