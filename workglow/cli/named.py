"""`workglow graphs`: the graphs that a project file holds by name, and what they were before."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.inputs import read_graph
from workglow.cli.moments import moment
from workglow.cli.parameters import AsJson, ProjectFile, TaskFiles
from workglow.cli.projects import look_into, work_on
from workglow.cli.screen import Cell, Screen
from workglow.cli.taskfiles import import_tasks

if TYPE_CHECKING:
    from workglow.project import Project
    from workglow.storage.records import GraphVersion

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command()
def graphs(
    file: ProjectFile,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One graph, with its history.", show_default="all graphs")
    ] = None,
    *,
    save: Annotated[
        str | None,
        typer.Option(metavar="GRAPH.json", help="Make this graph its newest version.", show_default=False),
    ] = None,
    note: Annotated[
        str, typer.Option(metavar="TEXT", help="With --save or --restore: why, for the history.", show_default=False)
    ] = "",
    restore: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Make an earlier version the newest again.", show_default=False),
    ] = None,
    rename: Annotated[
        str | None, typer.Option(metavar="NAME", help="Give it another name.", show_default=False)
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Forget it with its history; runs keep theirs.")] = False,
    tasks: TaskFiles = None,
    json: AsJson = False,
) -> None:
    """List the graphs that a project file holds by name, and their history.

    `workglow run NAME --project FILE` runs one, `workglow graph FILE NAME` shows it.
    """
    asked = [save is not None, restore is not None, rename is not None, remove]
    if sum(asked) > 1:
        raise typer.BadParameter("Give one of --save, --restore, --rename and --remove.", param_hint="'--save'")
    if any(asked):
        if name is None:
            raise typer.BadParameter("Which graph?  Give its name.", param_hint="'[NAME]'")
        import_tasks(tasks)
        with work_on(file, create=save is not None) as project:
            name = _change(project, name, save=save, note=note, restore=restore, rename=rename)
    screen = Screen()
    with look_into(file) as project:
        if name is None:
            _list(screen, project, json=json)
        else:
            _show(screen, project.graphs.history(name), json=json)


def _change(
    project: Project, name: str, *, save: str | None, note: str, restore: int | None, rename: str | None
) -> str | None:
    """Do what was asked, and return the name that is of interest then."""
    if save is not None:
        project.graphs.save(name, read_graph(save), note=note)
    elif restore is not None:
        project.graphs.restore(name, restore, note=note)
    elif rename is not None:
        project.graphs.rename(name, rename)
        return rename
    else:
        project.graphs.remove(name)
        return None
    return name


def _list(screen: Screen, project: Project, *, json: bool) -> None:
    newest = [project.graphs.history(name)[-1] for name in project.graphs]
    if json:
        screen.json([asdict(version) for version in newest])
    elif not newest:
        screen.line(f"{project.path} holds no named graph yet.  Save one:")
        screen.command(f"workglow graphs {project.path} NAME --save GRAPH.json")
    else:
        rows: list[list[Cell]] = [
            [version.name, str(version.number), moment(version.saved_at), version.note] for version in newest
        ]
        screen.table(("GRAPH", "VERSION", "SAVED", "NOTE"), rows, right=(1,))


def _show(screen: Screen, history: list[GraphVersion], *, json: bool) -> None:
    if json:
        screen.json([asdict(version) for version in history])
        return
    rows: list[list[Cell]] = [
        [str(version.number), moment(version.saved_at), version.hash[:12], version.note] for version in history
    ]
    screen.table(("VERSION", "SAVED", "CONTENT", "NOTE"), rows, right=(0,))
