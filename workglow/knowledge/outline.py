"""From headings in a row to sections with heading paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workglow.knowledge.document import Section

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Outline"]

_SEPARATOR = " > "


class Outline:
    """Collects headings in their order.  A heading is under the nearest one before it of a higher level."""

    def __init__(self) -> None:
        self._path: list[tuple[int, str]] = []
        self._opened: list[tuple[str, int]] = []
        self._highest = 7
        self.title = ""

    def open(self, level: int, heading: str, at: int) -> None:
        """Begin a section at `at`, in any unit that grows; level 1 is the highest.  A heading must have words."""
        if not heading:
            return
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        self._path.append((level, heading))
        self._opened.append((_SEPARATOR.join(words for _, words in self._path), at))
        if level < self._highest:
            self._highest, self.title = level, heading

    def sections(self, offset: Callable[[int], int], end: int) -> tuple[Section, ...]:
        """Return the sections, the first from 0, the last to `end`; `offset` makes characters of `open`'s units."""
        places = [("", 0), *((place, offset(at)) for place, at in self._opened)]
        ends = [start for _, start in places[1:]] + [end]
        return tuple(
            Section(place, start, stop) for (place, start), stop in zip(places, ends, strict=True) if start < stop
        )
