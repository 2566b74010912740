"""`workglow schedules`, `schedule` and `unschedule`: what is done again and again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workglow.cli.inputs import named_graph, read_graph, read_inputs
from workglow.cli.moments import moment
from workglow.cli.parameters import AsJson, Inputs, InputsFile, ProjectFile, TaskFiles
from workglow.cli.projects import look_into, work_on
from workglow.cli.screen import Cell, Screen
from workglow.cli.taskfiles import import_tasks

if TYPE_CHECKING:
    from workglow.project import Project
    from workglow.queue.schedules import Schedule
    from workglow.storage.schedules import ScheduleRecord

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.", show_default=False)]


@app.command()
def schedules(file: ProjectFile, json: AsJson = False) -> None:
    """List what is done again and again, and when next."""
    with look_into(file) as project:
        _show(Screen(), file, project.schedules(), as_json=json)


@app.command()
def schedule(
    file: ProjectFile,
    name: Name,
    handler: Annotated[
        str | None,
        typer.Argument(metavar="[HANDLER]", help="The name of a function under @job.", show_default=False),
    ] = None,
    *,
    graph: Annotated[
        str | None,
        typer.Option(metavar="GRAPH", help="Or a graph: a JSON file, or a name of the project.", show_default=False),
    ] = None,
    cron: Annotated[
        str | None, typer.Option(metavar="'0 3 * * *'", help="Due at these times.", show_default=False)
    ] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Where the clock hangs: Europe/Berlin.")] = "UTC",
    every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Or due every so many seconds.", show_default=False)
    ] = None,
    catch_up: Annotated[
        Literal["skip", "one", "all"],
        typer.Option(help="What becomes of the times at which no worker was there."),
    ] = "one",
    queue: Annotated[str, typer.Option(metavar="NAME", help="The queue that its jobs go to.")] = "default",
    inputs: Inputs = None,
    input_file: InputsFile = None,
    pause: Annotated[bool, typer.Option("--pause", help="Make nothing of it for now.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with it.")] = False,
    tasks: TaskFiles = None,
    json: AsJson = False,
) -> None:
    """Do something again and again; or pause what is, or resume it.

    The jobs are made by the workers of the file: while none runs, nothing is, and `--catch-up` says what becomes of it
    afterwards.
    """
    if (handler is not None) + (graph is not None) + pause + resume != 1:
        raise typer.BadParameter("Give one of HANDLER, --graph, --pause and --resume.", param_hint="'[HANDLER]'")
    import_tasks(tasks)
    with work_on(file, create=not (pause or resume)) as project:
        if pause or resume:
            found = _find(project, name)
            if pause:
                found.pause()
            else:
                found.resume()
        else:
            what = _graph(project, graph) if graph is not None else handler
            given = read_inputs(inputs, input_file)
            found = project.schedule(
                name, what, given, cron=cron, timezone=timezone, every=every, catch_up=catch_up, queue=queue
            )
        _show(Screen(), file, [found], as_json=json)


def _find(project: Project, name: str) -> Schedule:
    known = {each.name: each for each in project.schedules()}
    if name not in known:
        names = f"it has {', '.join(known)}" if known else "it has none"
        raise typer.BadParameter(f"{project.path} has no schedule {name!r}; {names}.", param_hint="'NAME'")
    return known[name]


def _graph(project: Project, name: str) -> object:
    return read_graph(name) if Path(name).is_file() else named_graph(project, name)


@app.command()
def unschedule(file: ProjectFile, name: Name, json: AsJson = False) -> None:
    """Forget a schedule.

    The jobs that it has made are done.
    """
    with work_on(file) as project:
        project.unschedule(name)
    if json:
        Screen().json({"schedule": name, "forgotten": True})
    else:
        Screen().line(f"{name} is not done again.")


def _show(screen: Screen, file: str, found: list[Schedule], *, as_json: bool) -> None:
    records = [each.record for each in found]
    if as_json:
        screen.json([_facts(each, record) for each, record in zip(found, records, strict=True)])
    elif not found:
        screen.line(f"{file} has no schedule.")
    else:
        headers = ("SCHEDULE", "DOES", "WHEN", "NEXT", "LAST", "MADE")
        screen.table(headers, [_row(record) for record in records], right=(5,))
        for record in records:
            if record.error is not None:
                screen.line((record.name, "bold"), ": ", (record.error, "red"))


def _row(record: ScheduleRecord) -> list[Cell]:
    does = record.handler if record.graph is None else f"graph {record.graph[:12]}"
    when = f"{record.cron} {record.timezone}" if record.every is None else f"every {record.every / 1000:g} s"
    state = "paused" if record.paused_at is not None else "error" if record.error is not None else "never"
    following: Cell = (state, "yellow") if record.next_at is None else moment(record.next_at)
    return [record.name, does, when, following, moment(record.due_at), str(record.fired)]


def _facts(found: Schedule, record: ScheduleRecord) -> dict[str, object]:
    names = (
        "name", "cron", "timezone", "catch_up", "queue", "handler", "graph", "next_at", "paused_at", "due_at", "job_id",
        "fired", "error", "created_at",
    )  # fmt: skip
    facts: dict[str, object] = {name: getattr(record, name) for name in names}
    return {**facts, "every": None if record.every is None else record.every / 1000, "inputs": found.inputs}
