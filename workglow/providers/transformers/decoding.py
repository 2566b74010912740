"""From tokens to text while they come, up to a text that ends it all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["StopTexts", "TokenText"]


class TokenText:
    """Turns tokens into text: each piece comes as soon as no later token can change it."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._before = 0  # tokens from here on are decoded again, as spaces depend on what was before
        self._given = 0

    def add(self, token: int) -> str:
        """Take one more token, and return the text that is certain now."""
        self._tokens.append(token)
        known = self._decode(self._tokens[self._before : self._given])
        text = self._decode(self._tokens[self._before :])
        if len(text) <= len(known) or text.endswith("\N{REPLACEMENT CHARACTER}"):
            return ""
        self._before, self._given = self._given, len(self._tokens)
        return text[len(known) :]

    def rest(self) -> str:
        """Return what is left, of a character that was never finished too."""
        known = self._decode(self._tokens[self._before : self._given])
        return self._decode(self._tokens[self._before :])[len(known) :]


class StopTexts:
    """Holds text back as long as it may be the beginning of one that ends it all."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.met = False

    def add(self, text: str) -> str:
        """Take more text, and return what is certain to be before the end."""
        self._held += text
        ends = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if ends:
            self.met = True
            given, self._held = self._held[: min(ends)], ""
            return given
        keep = max((self._overlap(stop) for stop in self._stops), default=0)
        cut = len(self._held) - keep
        given, self._held = self._held[:cut], self._held[cut:]
        return given

    def rest(self) -> str:
        """Return what was held back, when nothing more comes."""
        given, self._held = self._held, ""
        return given

    def _overlap(self, stop: str) -> int:
        """How much of the end of the text is the beginning of that one."""
        longest = min(len(stop) - 1, len(self._held))
        return next((size for size in range(longest, 0, -1) if self._held.endswith(stop[:size])), 0)
