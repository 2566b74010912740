"""`workglow copy`, `info`, `doctor`, `recover` and `gc`: looking after a project file."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.moments import moment
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.plain import size
from workglow.cli.projects import look_into, work_on
from workglow.cli.screen import Cell, Screen
from workglow.errors import FileError

if TYPE_CHECKING:
    from workglow.file import Info
    from workglow.storage.sqlite.retention import RetentionPlan

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_DAY = 24 * 60 * 60 * 1000


@app.command()
def copy(
    file: ProjectFile,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new file.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace TARGET when it exists.")] = False,
    json: AsJson = False,
) -> None:
    """Copy a project file, also while runs are going on.

    The copy is complete, one file, and can be resumed anywhere.
    """
    from workglow.file import copy as copy_file

    if os.path.exists(target) and not overwrite:
        raise FileError(f"{target} exists already.  Choose another name, or add --overwrite.")
    copy_file(file, target, overwrite=overwrite)
    written = os.stat(target).st_size
    screen = Screen()
    if json:
        screen.json({"source": os.path.abspath(file), "target": os.path.abspath(target), "bytes": written})
    else:
        screen.line(f"{target} is a complete copy of {file}, {size(written)}.")


@app.command()
def info(file: ProjectFile, json: AsJson = False) -> None:
    """Say what a project file holds and how large it is."""
    from workglow.file import info as file_info

    facts = file_info(file)
    screen = Screen()
    if json:
        screen.json(asdict(facts))
    else:
        _show_info(screen, facts)


def _show_info(screen: Screen, facts: Info) -> None:
    log = f", and {size(facts.log_size)} not yet moved into it" if facts.log_size else ""
    free = f", of which {size(facts.free_pages * facts.page_size)} free" if facts.free_pages else ""
    screen.line((facts.path, "bold"))
    screen.line(f"  {size(facts.size)}{free}{log}; format {facts.format}, {facts.state}")
    screen.line(f"  made {moment(facts.created_at)} by {facts.created_by}; id {facts.uid}")
    for session in facts.sessions:
        state = f"no longer there: {session.dead}" if session.dead else "has it open"
        screen.line(f"  process {session.pid} on {session.host} {state}, since {moment(session.started_at)}")
    if facts.jobs:
        counts = ", ".join(f"{count:,} {status}" for status, count in facts.jobs.items())
        screen.line(f"  jobs: {counts}; `workglow queues` says more")
    screen.line("")
    rows: list[list[Cell]] = [
        [table, f"{count:,}", size(facts.bytes[table]) if table in facts.bytes else ""]
        for table, count in facts.rows.items()
        if count
    ]
    screen.table(("TABLE", "ROWS", "SIZE"), rows, right=(1, 2))
    if facts.biggest:
        screen.line("")
        screen.table(
            ("LARGEST VALUES", "KIND", "SIZE", "STORED"),
            ([value.hash[:16], value.kind, size(value.size), size(value.stored)] for value in facts.biggest),
            right=(2, 3),
        )


@app.command()
def doctor(
    file: ProjectFile,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what takes long on a large file.")] = False,
    json: AsJson = False,
) -> None:
    """Check a project file, and say what to do.

    Exit code 1 when something is wrong.  Nothing is written.
    """
    from workglow.file import doctor as examine

    report = examine(file, quick=quick)
    screen = Screen()
    if json:
        screen.json({"path": report.path, "ok": report.ok, "checks": [asdict(check) for check in report.checks]})
    else:
        for check in report.checks:
            mark: Cell = ("ok      ", "green") if check.ok else ("WRONG   ", "bold red")
            name_style, detail_style = ("", "dim") if check.ok else ("bold", "")
            screen.line(mark, (f"{check.name}  ", name_style), (check.detail, detail_style))
            if check.remedy:
                screen.line(check.remedy, indent=8)
        well = len(report.checks) - len(report.failures)
        screen.line("")
        screen.line(
            (f"{report.path} is well: {well} checks.", "green")
            if report.ok
            else (f"{report.path}: {len(report.failures)} of {len(report.checks)} checks failed.", "red")
        )
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def recover(
    file: ProjectFile,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The new file.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Make a new project file of what can still be read of a damaged one.

    Only what verifies is kept; a run that lost something ends as failed and can be run again.  FILE is not changed.
    """
    from workglow.storage.sqlite.recovery import recover as make

    recovery = make(file, target)
    screen = Screen()
    if json:
        screen.json({**asdict(recovery), "complete": recovery.complete})
        return
    lost = {name: kept for name, kept in recovery.tables.items() if kept.left_out or kept.gaps}
    rows: list[list[Cell]] = [
        [name, f"{kept.rows:,}", f"{kept.left_out:,}", f"{kept.gaps:,}"] for name, kept in lost.items()
    ]
    if rows:
        screen.table(("DAMAGED TABLE", "ROWS KEPT", "LEFT OUT", "STRETCHES UNREADABLE"), rows, right=(1, 2, 3))
        screen.line("")
    for note in recovery.notes:
        screen.line(("note    ", "yellow"), note)
    for uid in recovery.closed:
        screen.line(("lost    ", "yellow"), f"run {uid} lost parts; `workglow rerun {target} {uid}` reuses the rest")
    told = "everything that was in" if recovery.complete else "what could be read and verified of"
    screen.line((f"{target} holds {told} {file}.", "green" if recovery.complete else "bold"))


@app.command()
def gc(
    file: ProjectFile,
    *,
    keep_runs: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Remove finished runs but the newest N.", show_default=False),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="DAYS", help="Remove runs that finished longer ago.", show_default=False),
    ] = None,
    jobs_older_than: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="DAYS", help="Remove jobs that ended longer ago.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this nothing is changed.")] = False,
    json: AsJson = False,
) -> None:
    """Make a project file smaller: remove old runs and jobs, and unused values.

    Without --keep-runs, --older-than and --jobs-older-than only values go that nothing refers to.  Unfinished runs and
    jobs never go, nor does a job that an unfinished one needs.
    """
    from workglow.storage.sqlite.retention import collect, plan

    age, jobs_age = (None if days is None else round(days * _DAY) for days in (older_than, jobs_older_than))
    screen = Screen()
    with work_on(file) if yes else look_into(file) as project:
        chosen = plan(project.file, keep_runs=keep_runs, older_than_ms=age, jobs_older_than_ms=jobs_age)
        freed = collect(project.file, chosen) if yes else None
    if json:
        facts = {"runs": list(chosen.runs), "jobs": chosen.jobs, "values": chosen.values, "bytes": chosen.bytes}
        screen.json({**facts, "done": yes, "freed": freed})
        return
    _show_plan(screen, chosen, done=yes)
    if freed is not None:
        screen.line(f"{file} is {size(max(freed, 0))} smaller.")
    elif chosen.runs or chosen.jobs or chosen.values:
        screen.line(("Nothing was changed.  Add --yes to do it.", "bold"))


def _show_plan(screen: Screen, chosen: RetentionPlan, *, done: bool) -> None:
    if not chosen.runs and not chosen.jobs and not chosen.values:
        screen.line("There is nothing to remove.")
        return
    verb = "Removed" if done else "Would remove"
    for run in chosen.runs:
        screen.line(f"{verb} run {run}")
    jobs = f", {chosen.jobs:,} jobs" if chosen.jobs else ""
    screen.line(f"{verb} {len(chosen.runs)} runs{jobs} and {chosen.values} values, about {size(chosen.bytes)}.")
