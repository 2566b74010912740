"""Showing files while they come: a bar for each on a terminal, a line for each elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from workglow.cli.plain import size

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.progress import TaskID

    from workglow.ai.provider import Progress
    from workglow.cli.screen import Screen

__all__ = ["shown_downloads"]


@contextmanager
def shown_downloads(screen: Screen) -> Generator[Progress]:
    """Give what is to be told of a download: the name of a file, its bytes that are here, and how many it has."""
    if not screen.terminal:
        yield _Lines(screen)
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description}", markup=False),
        *(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
        console=screen.console,
        transient=True,
    )
    known: dict[str, TaskID] = {}

    def tell(name: str, done: int, total: int | None) -> None:
        if name not in known:
            known[name] = bars.add_task(name, total=total)
        bars.update(known[name], completed=done, total=total)

    with bars:
        yield tell


class _Lines:
    """A line when a file begins, and one when it is here."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._begun: set[str] = set()

    def __call__(self, name: str, done: int, total: int | None) -> None:
        if name not in self._begun:
            self._begun.add(name)
            self._screen.line(f"{name} is coming{'' if total is None else f', {size(total)}'}")
        if done == total:
            self._screen.line(f"{name} is here")
