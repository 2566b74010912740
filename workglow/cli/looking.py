"""`workglow runs`, `show` and `why`: what happened in a project file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.moments import moment, took
from workglow.cli.parameters import AsJson, ProjectFile, RunName, TaskFiles
from workglow.cli.projects import look_into, pick, stored_runs
from workglow.cli.report import describe_moment, run_as_json, show_outputs, show_tasks, show_usage, task_as_json
from workglow.cli.screen import STATUS_STYLES, Cell, Screen
from workglow.cli.taskfiles import import_tasks
from workglow.errors import UnknownTaskError
from workglow.tasks.usage import Usage

if TYPE_CHECKING:
    from workglow.cli.projects import StoredRun
    from workglow.graph.run import Run, TaskResult
    from workglow.project import Project
    from workglow.storage.records import EventRecord

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_MOST_ITEMS = 20
"""Items of a loop that are listed one by one."""

_MOST_EVENTS = 10


@app.command()
def runs(file: ProjectFile, json: AsJson = False) -> None:
    """List the runs in a project file."""
    screen = Screen()
    with look_into(file) as project:
        found = stored_runs(project)
        if json:
            screen.json([_run_facts(one) for one in found])
        elif not found:
            screen.line(f"{file} holds no run yet.  Start one: workglow run GRAPH --project {file}")
        else:
            headers = ("RUN", "STATUS", "BEGAN", "TIME", "TASKS", "NOTE")
            screen.table(headers, map(_run_row, found), right=(3, 4), whole=(0, 1, 3, 4))
            _propose_resuming(screen, file, found)
            _propose_waiting(screen, project, file)


def _run_facts(stored: StoredRun) -> dict[str, object]:
    run = stored.run
    return {
        "run": run.id,
        "status": stored.status,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "tasks": stored.counts,
        "error": run.error,
        "forked_from": run.forked_from,
    }


def _run_row(stored: StoredRun) -> list[Cell]:
    run = stored.run
    style = "yellow" if stored.interrupted else STATUS_STYLES.get(run.status, "")
    took_time = "" if run.finished_at is None else took((run.finished_at - run.created_at) / 1000)
    done, whole = stored.counts.get("completed", 0), sum(stored.counts.values())
    note = (run.error or "").partition("\n")[0]
    if run.status == "waiting":
        note = f"waits {_what_it_waits_for(run)}"
    if run.forked_from and not note:
        note = f"from {run.forked_from}"
    tasks = str(whole) if done == whole else f"{done}/{whole}"
    return [run.id, (stored.status, style), moment(run.created_at), took_time, tasks, note]


def _what_it_waits_for(run: Run) -> str:
    reasons = [task.waits_for or "" for task in run.tasks.values() if task.status == "waiting"]
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"{reasons[0].partition(chr(10))[0]}{more}" if reasons else ""


def _propose_waiting(screen: Screen, project: Project, file: str, run: str = "") -> None:
    """Say how what waits goes on: what has come needs a process, and what is asked a person."""
    due = [one for one in project.due() if one.startswith(run)]
    asked = project.questions(run or None)
    if due:
        screen.line("")
        screen.line(("What was waited for has come.  Go on with:", "dim"))
        screen.command(f"workglow resume {file}" + (f" {run}" if run else " --all" if len(due) > 1 else ""))
    if asked:
        screen.line("")
        screen.line(("What is asked is answered as this says:", "dim"))
        screen.command(f"workglow questions {file}")


def _propose_resuming(screen: Screen, file: str, found: list[StoredRun]) -> None:
    interrupted = [one.run.id for one in found if one.interrupted]
    if interrupted:
        screen.line("")
        more = " --all" if len(interrupted) > 1 else ""
        screen.line(("Interrupted runs go on with:", "dim"))
        screen.command(f"workglow resume {file}{more}")


@app.command()
def show(
    file: ProjectFile,
    run: RunName = "last",
    task: Annotated[
        str | None,
        typer.Argument(metavar="[TASK]", help="Only this task, with its outputs.", show_default=False),
    ] = None,
    *,
    tasks_all: Annotated[bool, typer.Option("--tasks-all", help="List every item of every loop.")] = False,
    tasks: TaskFiles = None,
    json: AsJson = False,
) -> None:
    """Show a run and its tasks.

    A task inside another has a path: `group/summary`, and inside a loop `map[3]/summary`.
    """
    import_tasks(tasks)
    screen = Screen()
    with look_into(file) as project:
        found = pick(project, run)
        if task is not None:
            _show_task(screen, found, _task(found, task), as_json=json)
        elif json:
            screen.json(run_as_json(found, project.path, status=_status(project, found)))
        else:
            _show_run(screen, project, file, found, most=None if tasks_all else _MOST_ITEMS)


def _status(project: Project, run: Run) -> str:
    if run.finished_at is not None:
        return run.status
    return next(one.status for one in stored_runs(project) if one.run.id == run.id)


def _task(run: Run, path: str) -> TaskResult:
    try:
        return run.tasks[path]
    except KeyError:
        raise UnknownTaskError(
            f"Run {run.id} has no task at '{path}' so far.  `workglow show FILE RUN --tasks-all` lists the paths."
        ) from None


def _show_run(screen: Screen, project: Project, file: str, run: Run, *, most: int | None) -> None:
    status = _status(project, run)
    style = "yellow" if status == "interrupted" else STATUS_STYLES.get(status, "")
    screen.line(("run ", "dim"), (run.id, "bold"), "  ", (status, style), f"  {describe_moment(run)}")
    if run.forked_from:
        screen.line((f"a fork of {run.forked_from}", "dim"))
    if run.error:
        screen.line((run.error, "red"))
    show_usage(screen, sum(run.usage_by_task.values(), Usage()))
    screen.line("")
    show_tasks(screen, run.tasks.values(), most=most)
    show_outputs(screen, run.outputs)
    events = run.events
    if events:
        screen.line("")
        screen.line(("what happened meanwhile", "bold"))
        if len(events) > _MOST_EVENTS:
            screen.line((f"  {len(events) - _MOST_EVENTS} earlier ones are in --json", "dim"))
        last = events[-_MOST_EVENTS:]
        rows = [[f"  {moment(event.at)}", event.kind, event.path or "", _said(event)] for event in last]
        screen.table(("  WHEN", "WHAT", "TASK", ""), rows)
    if status == "interrupted":
        screen.line("")
        _propose(screen, file, run)
    elif run.finished_at is None:
        _propose_waiting(screen, project, file, run.id)


def _propose(screen: Screen, file: str, run: Run) -> None:
    screen.line(("Nobody works on the run any more.  Go on with:", "dim"))
    screen.command(f"workglow resume {file} {run.id}")


def _said(event: EventRecord) -> str:
    return ", ".join(f"{name} {value}" for name, value in (event.data or {}).items())


def _show_task(screen: Screen, run: Run, task: TaskResult, *, as_json: bool) -> None:
    if as_json:
        screen.json({"run": run.id, **task_as_json(task, outputs=True)})
        return
    tries = "reused" if task.cached else f"{task.attempt} tries" if task.attempt != 1 else "1 try"
    status: Cell = (task.status, STATUS_STYLES.get(task.status, ""))
    screen.line(("task ", "dim"), (task.path, "bold"), "  ", status, f"  {tries}")
    if task.started_at is not None:
        screen.line(f"began {moment(task.started_at)}, took {took(task.seconds) or 'no end yet'}")
    show_usage(screen, task.usage)
    if task.waits_for:
        screen.line(f"waits {task.waits_for}")
    if task.error:
        screen.line((task.error, "red"))
    show_outputs(screen, task.outputs)


@app.command()
def why(
    file: ProjectFile,
    run: RunName,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task's path.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Say why a task ran, was reused, waits or never started."""
    screen = Screen()
    with look_into(file) as project:
        found = pick(project, run)
        said, status = project.why(found.id, task), _status(project, found)
        if json:
            known = found.tasks.get(task)
            facts = {"path": task, "status": None} if known is None else task_as_json(known)
            screen.json({"run": found.id, "run_status": status, **facts, "why": said.splitlines()})
            return
        screen.line(said)
        if status == "interrupted":
            _propose(screen, file, found)
        elif found.finished_at is None:
            _propose_waiting(screen, project, file, found.id)
