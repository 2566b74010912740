"""`workglow allow`: what every run of a project may do."""

from __future__ import annotations

from typing import Annotated

import typer

from workglow.cli.granting import read_entitlements
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.projects import look_into, work_on
from workglow.cli.screen import Screen

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command()
def allow(
    file: ProjectFile,
    entitlements: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENTITLEMENT]…",
            help="What to allow, such as network or files:read=docs.",
            show_default="list what is allowed",
        ),
    ] = None,
    *,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the entitlements back.")] = False,
    json: AsJson = False,
) -> None:
    """Say what every run of a project file may do, or list it.

    It counts for you, and in this very file: not in a copy, and not for whoever gets it.
    """
    if revoke and not entitlements:
        raise typer.BadParameter("Name what to take back.", param_hint="'[ENTITLEMENT]…'")
    named = read_entitlements(entitlements or (), "'[ENTITLEMENT]…'")
    with work_on(file) if named else look_into(file) as project:
        if revoke:
            project.revoke(*named)
        elif named:
            project.grant(*named)
        grants = project.grants
    screen = Screen()
    if json:
        screen.json(grants)
        return
    for text in grants:
        screen.line(text)
    if not grants:
        screen.line("Nothing is allowed to graphs that are read from data, unless their run is granted it.")
