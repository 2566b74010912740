"""A text that must never reach the file, a log or a screen."""

from __future__ import annotations

from hmac import compare_digest
from typing import NoReturn, SupportsIndex

from workglow.errors import InvalidValueError, UnstorableValueError

__all__ = ["Secret"]

_MASK = "***"


class Secret:
    """Carry a text, such as an API key, that shows as `***` everywhere; only `reveal()` gives it.

    Two secrets of the same text are equal.  A secret cannot be encoded into the file (`UnstorableValueError`),
    fingerprinted or pickled.  Anything but text is an `InvalidValueError`.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without a type checker
            raise InvalidValueError(f"Secret takes text, not {type(text).__name__}: give it a str.")
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __str__(self) -> str:
        return _MASK

    def __repr__(self) -> str:
        return f"Secret('{_MASK}')"

    def __format__(self, specification: str) -> str:
        return format(_MASK, specification)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # The time taken must not tell how much of a guess was right.
        return compare_digest(self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise UnstorableValueError("A Secret cannot be pickled: send its name, and read it again on the other side.")
