"""`workglow watch`: queues, workers and runs while they go on."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workglow.cli.moments import moment
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.picture import Photographer, changes
from workglow.cli.plain import to_json
from workglow.cli.projects import look_into
from workglow.cli.screen import Screen

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from workglow.cli.picture import Picture
    from workglow.project import Project

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_PAUSE: Final = 0.2  # seconds between two pictures, however much happens
_TICK: Final = 1.0  # seconds after which it looks without a commit: a process may have died, and times go on


@app.command()
def watch(
    file: ProjectFile,
    once: Annotated[bool, typer.Option("--once", help="Show what there is, and end.")] = False,
    json: AsJson = False,
) -> None:
    """Watch queues, workers and runs while they go on.

    On a terminal this is one picture that moves; Ctrl-C leaves it.  Elsewhere each change is a line, and with --json a
    JSON document in a line of its own.  Whatever process makes a change, it is seen within a fraction of a second.
    """
    screen = Screen()
    with look_into(file) as project:
        if once:
            _once(screen, project, as_json=json)
            return
        view = _Documents() if json else _Moving(screen, project) if screen.terminal else _Lines(screen, project)
        with suppress(KeyboardInterrupt), view.shown():
            asyncio.run(_watch(project, view))


def _once(screen: Screen, project: Project, *, as_json: bool) -> None:
    from workglow.cli.dashboard import draw

    picture = Photographer(project).take()
    if as_json:
        screen.json(picture.facts())
        return
    console = screen.console
    width = console.width if screen.terminal else _PAGE
    with console.capture() as captured:
        console.print(draw(picture, os.path.basename(project.path), width=width))
    for line in captured.get().splitlines():
        console.print(line.rstrip(), soft_wrap=True)


_PAGE: Final = 120
"""Columns of a picture that goes to another program."""


async def _watch(project: Project, view: _Documents | _Moving | _Lines) -> None:
    photographer = Photographer(project)
    while True:
        version = project.file.version()
        view.show(photographer.take())
        await asyncio.sleep(_PAUSE)
        await project.file.wait_for_change(_TICK - _PAUSE, since=version)


class _Documents:
    """Writes a picture as JSON whenever something has happened."""

    def __init__(self) -> None:
        self._state: dict[str, object] | None = None

    def shown(self) -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, picture: Picture) -> None:
        state = picture.state()
        if state != self._state:
            self._state = state
            sys.stdout.write(to_json(picture.facts(), indent=0) + "\n")
            sys.stdout.flush()


class _Lines:
    """Writes a line for each change."""

    def __init__(self, screen: Screen, project: Project) -> None:
        self._screen = screen
        self._project = project
        self._before: Picture | None = None

    def shown(self) -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, picture: Picture) -> None:
        for line in changes(self._before, picture, self._project):
            self._screen.line(f"{moment(picture.at)[11:]}  {' '.join(line.splitlines())}")
        self._before = picture
        sys.stdout.flush()


class _Moving:
    """Draws on the whole terminal, which is as it was when the view ends."""

    def __init__(self, screen: Screen, project: Project) -> None:
        from rich.live import Live

        self._console = screen.console
        self._name = os.path.basename(project.path)
        self._live = Live(console=self._console, screen=True, auto_refresh=False)

    def shown(self) -> AbstractContextManager[object]:
        return self._live

    def show(self, picture: Picture) -> None:
        from workglow.cli.dashboard import draw

        size = self._console.size
        self._live.update(draw(picture, self._name, width=size.width, height=size.height), refresh=True)
