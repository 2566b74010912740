"""What people see: lines and tables on a terminal of any width, plain text in a pipe, JSON when they ask for it.

Whatever is shown may come from a stranger's file, so nothing is read as markup, and control characters, with which text
could take over the terminal, are shown as `�`.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.text import Text

__all__ = ["STATUS_STYLES", "Cell", "Screen", "as_text", "visible"]

Cell: TypeAlias = str | tuple[str, str]
"""Text, or text with a style."""

STATUS_STYLES = {
    "completed": "green",
    "failed": "bold red",
    "aborted": "yellow",
    "running": "cyan",
    "waiting": "cyan",
    "disabled": "dim",
    "pending": "dim",
}

_PIPE_WIDTH = 1_000_000
"""Characters of a line that goes to another program: wide enough that nothing is cut."""

_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return the text without characters that move the cursor, change colours or turn the writing direction."""
    return _UNSEEN.sub("�", text.replace("\r\n", "\n"))


def as_text(cell: Cell) -> Text:
    """Make a cell something that rich can lay out."""
    from rich.text import Text

    text, style = (cell, "") if isinstance(cell, str) else cell
    return Text(visible(text), style=style)


class Screen:
    """One of the two output streams.  `terminal` says whether a person is looking."""

    def __init__(self, *, stderr: bool = False) -> None:
        self._stderr = stderr
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """rich's console, which knows NO_COLOR, the width, and whether this is a terminal."""
        if self._console is None:
            from rich.console import Console

            console = Console(stderr=self._stderr, markup=False, emoji=False, highlight=False)
            if not console.is_terminal:
                console.width = _PIPE_WIDTH
            self._console = console
        return self._console

    @property
    def terminal(self) -> bool:
        """Whether a person is looking at this stream."""
        return self.console.is_terminal

    def line(self, *cells: Cell, indent: int = 0) -> None:
        """Write one paragraph; it is wrapped at words on a terminal and nowhere in a pipe."""
        from rich.padding import Padding
        from rich.text import Text

        whole = Text()
        for cell in cells:
            whole.append_text(as_text(cell))
        if self.terminal:
            self.console.print(Padding(whole, (0, 0, 0, indent), expand=False) if indent else whole)
        else:
            for line in whole.split(allow_blank=True) or [whole]:
                self.console.print(" " * indent + line.plain, soft_wrap=True)

    def command(self, text: str, *, indent: int = 2) -> None:
        """Write a command for copying: only the terminal itself breaks the line."""
        self.console.print(as_text((" " * indent + text, "cyan")), soft_wrap=True)

    def table(
        self,
        headers: Sequence[str],
        rows: Iterable[Sequence[Cell]],
        *,
        right: Iterable[int] = (),
        whole: Iterable[int] = (),
        show_header: bool = True,
    ) -> None:
        """Write rows under headers.

        The columns with the numbers in `right` are set flush right.  Those in `whole` hold what one copies, so a narrow
        terminal breaks the lines of the others first.
        """
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), show_header=show_header)
        numbers, unbroken = frozenset(right), frozenset(whole)
        for number, header in enumerate(headers):
            justify = "right" if number in numbers else "left"
            table.add_column(header, justify=justify, overflow="fold", no_wrap=number in unbroken)
        for row in rows:
            table.add_row(*map(as_text, row))
        if self.terminal:
            self.console.print(table)
            return
        with self.console.capture() as captured:
            self.console.print(table)
        for line in captured.get().splitlines():
            self.console.print(line.rstrip(), soft_wrap=True)

    def json(self, value: object) -> None:
        """Write one JSON document."""
        from workglow.cli.plain import to_json

        stream = sys.stderr if self._stderr else sys.stdout
        stream.write(to_json(value) + "\n")
