"""`workglow run`, `resume`, `fork` and `rerun`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workglow.cli.granting import rights
from workglow.cli.inputs import named_graph, read_graph, read_inputs
from workglow.cli.parameters import Allow, AsJson, Budgeted, Deny, Inputs, InputsFile, ProjectFile, RunName, TaskFiles
from workglow.cli.projects import pick, work_on
from workglow.cli.taskfiles import import_tasks
from workglow.errors import WorkglowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.graph import TaskGraph
    from workglow.project import Project

__all__ = ["app", "graph_file"]

app = typer.Typer(rich_markup_mode=None)


_INTERRUPTED = 130
"""The exit code after Ctrl-C."""

_OnChange = Literal["error", "keep", "rerun"]
_Interrupted = Literal["retry", "fail"]

_Concurrency = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Tasks in flight at a time.", show_default="no limit")
]
_Stay = Annotated[
    bool, typer.Option("--stay", help="Wait for persons and events too; an answer from elsewhere wakes this process.")
]
_NoAsk = Annotated[bool, typer.Option("--no-ask", help="Leave what the run asks a person open, also on a terminal.")]
_Timeout = Annotated[
    float | None, typer.Option(min=0.0, metavar="SECONDS", help="For the whole run.", show_default="no limit")
]


@app.command()
def run(
    graph: Annotated[
        str,
        typer.Argument(metavar="GRAPH", help="The graph's JSON file, or its name in the project.", show_default=False),
    ],
    *,
    project: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Keep the run in this project file, which is made if needed.", show_default="in memory"
        ),
    ] = None,
    input: Inputs = None,
    input_file: InputsFile = None,
    tasks: TaskFiles = None,
    concurrency: _Concurrency = None,
    timeout: _Timeout = None,
    continue_on_error: Annotated[
        bool, typer.Option("--continue-on-error", help="Let a failure stop only what depends on it.")
    ] = False,
    budget: Budgeted = None,
    cache: Annotated[
        Literal["use", "refresh", "off"],
        typer.Option(
            metavar="use|refresh|off", help="Take outputs of equal tasks of earlier runs, only store them, or neither."
        ),
    ] = "use",
    allow: Allow = None,
    deny: Deny = None,
    stay: _Stay = False,
    no_ask: _NoAsk = False,
    json: AsJson = False,
) -> None:
    """Run a graph; with --project every step is kept.

    Ctrl-C, kill -9 and power cuts lose nothing that was finished: `workglow resume FILE` goes on.
    """
    import_tasks(tasks)
    whole = graph_file(graph, project)
    inputs = read_inputs(input, input_file)
    options: Any = {
        "concurrency": concurrency,
        "timeout": timeout or None,
        "continue_on_error": continue_on_error,
        "cache": cache,
        "budget": budget,
    }
    from workglow.cli.following import Follower

    follower = Follower(project, as_json=json, task_files=tasks, asks=not no_ask)
    options |= {**rights(allow, deny), **follower.asks}
    if project is None:
        assert whole is not None
        follower.follow(whole, lambda listen: whole.run_sync(inputs, on_event=listen, **options))
        return
    with work_on(project, create=whole is not None) as opened:
        wanted = whole or named_graph(opened, graph)
        follower.follow(
            wanted,
            lambda listen: opened.run_sync(wanted, inputs, on_event=listen, wait=stay or None, **options),
            project=opened,
        )


def graph_file(graph: str, project: str | None) -> TaskGraph | None:
    """Read the graph's file; None when there is no such file and the project may know the name."""
    if Path(graph).exists():
        return read_graph(graph)
    if project is None:
        raise typer.BadParameter(
            f"There is no file {graph}.  A graph is run by its name with --project FILE.", param_hint="'GRAPH'"
        )
    if not Path(project).exists():
        raise typer.BadParameter(
            f"There is no file {graph}, and no project {project} that could have a graph of that name.",
            param_hint="'GRAPH'",
        )
    return None


@app.command()
def resume(
    file: ProjectFile,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run's id, the beginning of one, or 'last'.",
            show_default="the newest unfinished one",
        ),
    ] = None,
    *,
    all: Annotated[bool, typer.Option("--all", help="Every unfinished run, oldest first.")] = False,
    on_change: Annotated[
        _OnChange,
        typer.Option(
            metavar="error|keep|rerun",
            help="When the code of a task has changed since: refuse; keep what is finished; or run the task and what "
            "is behind it again.",
        ),
    ] = "error",
    interrupted: Annotated[
        _Interrupted | None,
        typer.Option(
            metavar="retry|fail",
            help="A side effect that was cut off: do it again, or let it fail.",
            show_default="as the task says",
        ),
    ] = None,
    tasks: TaskFiles = None,
    allow: Allow = None,
    deny: Deny = None,
    stay: _Stay = False,
    no_ask: _NoAsk = False,
    json: AsJson = False,
) -> None:
    """Go on with a run where it stopped.

    So does a run that waited, once what it waits for has come.
    What is finished never runs again; what was in flight starts again, with the same idempotency key.
    """
    if all and run is not None:
        raise typer.BadParameter("Give a RUN or --all, not both.", param_hint="'--all'")
    from workglow.cli.following import Follower

    import_tasks(tasks)
    follower = Follower(file, as_json=json, task_files=tasks, asks=not no_ask)
    given = {**rights(allow, deny), **follower.asks}
    with work_on(file) as project:

        def go_on(name: str) -> None:
            follower.follow(
                project.graph_of(name),
                lambda listen: project.resume_sync(
                    name, on_change=on_change, interrupted=interrupted, wait=stay or None, on_event=listen, **given
                ),
                project=project,
                resumed=name,
            )

        found = _unfinished(project, file, run, everyone=all, stay=stay)
        if all:
            with follower.listing():
                _resume_each(found, go_on)
        elif found:
            go_on(found[0])
        else:
            follower.show_none()


def _resume_each(names: list[str], go_on: Callable[[str], None]) -> None:
    """Go on with each run, whatever becomes of those before it; exits with 1 if any failed, else 3 if any waits."""
    from workglow.cli.failures import show_failure

    codes: set[int] = set()
    for name in names:
        try:
            go_on(name)
        except typer.Exit as left:
            if left.exit_code == _INTERRUPTED:
                raise
            codes.add(left.exit_code)
        except WorkglowError as error:
            show_failure(error)
            codes.add(1)
    if codes:
        raise typer.Exit(min(codes))


def _unfinished(project: Project, file: str, run: str | None, *, everyone: bool, stay: bool) -> list[str]:
    if run is not None:
        return [pick(project, run).id]
    unfinished = [one for one in project.runs() if one.finished_at is None]
    due = set(project.due())
    found = [one.id for one in unfinished if stay or one.status != "waiting" or one.id in due]
    if unfinished and not found:
        typer.echo(
            f"{file}: all unfinished runs wait.  For what: workglow questions {file}, workglow runs {file}", err=True
        )
    elif not found:
        typer.echo(f"{file} has no unfinished run: there is nothing to resume.", err=True)
    return found if everyone else found[-1:]


@app.command()
def fork(
    file: ProjectFile,
    run: RunName,
    *,
    from_task: Annotated[
        str | None,
        typer.Option("--from", metavar="TASK", help="The task to run again, with all behind it.", show_default=False),
    ] = None,
    input: Inputs = None,
    input_file: InputsFile = None,
    tasks: TaskFiles = None,
    allow: Allow = None,
    deny: Deny = None,
    json: AsJson = False,
) -> None:
    """Run again from a task, or with other inputs, and reuse the rest.

    The run that is forked stays as it is.  TASK is a path as `workglow show` lists it.
    """
    from workglow.cli.following import Follower

    import_tasks(tasks)
    inputs = read_inputs(input, input_file)
    if from_task is None and not inputs:
        raise typer.BadParameter(
            "A fork needs a change: give --from TASK, or --input NAME=VALUE.", param_hint="'--from'"
        )
    follower = Follower(file, as_json=json, task_files=tasks)
    given = {**rights(allow, deny), **follower.asks}
    with work_on(file) as project:
        origin = pick(project, run).id
        follower.follow(
            project.graph_of(origin),
            lambda listen: project.fork_sync(origin, from_task, inputs, on_event=listen, **given),
            project=project,
        )


@app.command()
def rerun(
    file: ProjectFile,
    run: RunName,
    *,
    failed: Annotated[
        bool, typer.Option("--failed", help="Run again what did not complete, inside loops too; it is the default.")
    ] = True,
    tasks: TaskFiles = None,
    allow: Allow = None,
    deny: Deny = None,
    json: AsJson = False,
) -> None:
    """Run what failed again, and reuse what completed.

    This is a new run; the one that failed stays as it is.
    """
    from workglow.cli.following import Follower

    import_tasks(tasks)
    follower = Follower(file, as_json=json, task_files=tasks)
    given = {**rights(allow, deny), **follower.asks}
    with work_on(file) as project:
        origin = pick(project, run).id
        follower.follow(
            project.graph_of(origin),
            lambda listen: project.rerun_failed_sync(origin, on_event=listen, **given),
            project=project,
        )
