"""`workglow submit`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from workglow.cli.granting import rights
from workglow.cli.inputs import named_graph, read_inputs
from workglow.cli.parameters import Allow, AsJson, Budgeted, Deny, Inputs, InputsFile, TaskFiles
from workglow.cli.projects import work_on
from workglow.cli.running import graph_file
from workglow.cli.screen import Screen
from workglow.cli.taskfiles import import_tasks

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command()
def submit(
    graph: Annotated[
        str,
        typer.Argument(metavar="GRAPH", help="The graph's JSON file, or its name in the project.", show_default=False),
    ],
    *,
    project: Annotated[
        str, typer.Option(metavar="FILE", help="Keep the run in this project file, which is made if needed.")
    ],
    queue: Annotated[str, typer.Option(metavar="NAME", help="The queue whose workers drive the run.")] = "runs",
    input: Inputs = None,
    input_file: InputsFile = None,
    tasks: TaskFiles = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Tasks in flight at a time.", show_default="no limit")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="For the whole run.", show_default="no limit")
    ] = None,
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
    json: AsJson = False,
) -> None:
    """Have the workers of a queue run a graph.

    The run is kept when this returns, and its id is printed.  What it may do is decided here and kept with it.
    """
    import_tasks(tasks)
    whole = graph_file(graph, project)
    options: Any = {
        "concurrency": concurrency,
        "timeout": timeout or None,
        "continue_on_error": continue_on_error,
        "cache": cache,
        "budget": budget,
        **rights(allow, deny),
    }
    with work_on(project, create=whole is not None) as opened:
        wanted = whole or named_graph(opened, graph)
        run = opened.submit(wanted, read_inputs(input, input_file), queue=queue, **options)
    if json:
        Screen().json({"run": run.id, "status": run.status, "queue": queue})
    else:
        typer.echo(run.id)
