"""`workglow graph` and `tasks`: what can run, and how it hangs together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workglow.cli.inputs import read_graph
from workglow.cli.parameters import AsJson, TaskFiles
from workglow.cli.projects import look_into, pick
from workglow.cli.screen import Cell, Screen
from workglow.cli.taskfiles import import_tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.graph.graph import TaskGraph
    from workglow.project import Project
    from workglow.tasks import Task

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command()
def graph(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A graph's JSON file, or a project file.", show_default=False)
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|NAME]", help="In a project file: a run, or a graph's name.", show_default="the last run"
        ),
    ] = None,
    *,
    version: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="An earlier version of a named graph.", show_default="the newest"),
    ] = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="Print an SVG picture.")] = False,
    python: Annotated[bool, typer.Option("--python", help="Print the Python program that builds it.")] = False,
    tasks: TaskFiles = None,
    json: Annotated[bool, typer.Option("--json", help="Print the graph's JSON, which `run` takes.")] = False,
) -> None:
    """Show a graph: of a file, of a run, or a named one.

    Without --tasks everything but --python is shown as far as the graph's JSON alone tells it.
    """
    if mermaid + svg + python + json > 1:
        raise typer.BadParameter("Give one of --mermaid, --svg, --python and --json.", param_hint="'--mermaid'")
    import_tasks(tasks)
    from workglow.errors import UnknownTaskTypeError
    from workglow.graph.pictures.sketch import sketch

    screen, data = Screen(), None
    try:
        found = _find(file, name, version)
    except UnknownTaskTypeError:
        if python:
            raise
        data = _json_of(file, name, version)
        found = sketch(data)
    if json:
        screen.json(data or found.to_json())
    elif mermaid or svg or python:
        text = found.to_mermaid() if mermaid else found.to_svg() if svg else found.to_python()
        typer.echo(text.rstrip("\n"))
    else:
        _show(screen, found, is_sketch=data is not None)


def _find(file: str, name: str | None, version: int | None) -> TaskGraph:
    if _is_project(file):
        with look_into(file) as project:
            return _stored(project, name or "last", version)
    if name is not None and Path(file).exists():
        raise typer.BadParameter(f"{file} is no project file, so it has no runs.", param_hint="'[RUN|NAME]'")
    return read_graph(file)


def _is_project(file: str) -> bool:
    from workglow.errors import NotAProjectError
    from workglow.file.header import read_header

    if not Path(file).is_file():
        return False
    try:
        return read_header(file) is not None
    except NotAProjectError:
        return False


def _stored(project: Project, name: str, version: int | None) -> TaskGraph:
    if version is not None or name in project.graphs:
        return project.graphs.get(name, version)
    return project.graph_of(pick(project, name).id)


def _json_of(file: str, name: str | None, version: int | None) -> Mapping[str, Any]:
    """Return a graph that is there, as it is written."""
    from workglow.graph.json.shape import parse_object
    from workglow.storage.graph_json import record_to_json
    from workglow.storage.sqlite import sqlite_repositories

    if not _is_project(file):
        return parse_object(Path(file).read_bytes())
    with look_into(file) as project:
        repositories, name = sqlite_repositories(project.file), name or "last"
        graph = repositories.named.load(name, version)
        if graph is None:
            graph = repositories.graphs.load(repositories.runs.get(pick(project, name).id).graph_id)
        return record_to_json(graph)


def _show(screen: Screen, graph: TaskGraph, *, is_sketch: bool) -> None:
    rows: list[list[Cell]] = []
    _add_rows(rows, graph, "")
    screen.table(("TASK", "TYPE", "TAKES"), rows)
    screen.line("")
    if is_sketch:
        screen.line("What it takes and gives is said in the code of its tasks: name it with --tasks.")
        return
    screen.line(("takes  ", "bold"), _ports(graph.input_schema()) or "nothing")
    screen.line(("gives  ", "bold"), _ports(graph.output_schema()) or "nothing")


def _add_rows(rows: list[list[Cell]], graph: TaskGraph, indent: str) -> None:
    for task_id in graph.order():
        task = graph.tasks[task_id]
        takes = [f"{edge.target_port} ← {edge.source}[{edge.source_port}]" for edge in graph.incoming[task_id]]
        rows.append([indent + task_id, task.type, ", ".join(takes)])
        inner: Any = getattr(task, "subgraph", None)
        if inner is not None:
            _add_rows(rows, inner, indent + "  ")


@app.command()
def tasks(tasks: TaskFiles = None, json: AsJson = False) -> None:
    """List the task types that a graph may name.

    Your own join them with --tasks.
    """
    from workglow.tasks.facts import task_facts

    import_tasks(tasks)
    kinds = _types()
    screen = Screen()
    if json:
        screen.json([task_facts(kind) for kind in kinds])
        return
    for kind in kinds:
        facts = task_facts(kind)
        screen.line((kind.type, "bold"), (f"  {facts['category']}" if facts["category"] else "", "dim"))
        if facts["description"]:
            screen.line(str(facts["description"]).partition("\n")[0], indent=2)
        takes, gives = _ports(facts["inputs"]), _ports(facts["outputs"])
        screen.line(
            ("takes ", "dim"),
            takes or "what its graph or settings say",
            ("  gives ", "dim"),
            gives or "what its graph or settings say",
            indent=2,
        )


def _types() -> list[type[Task]]:
    from workglow.graph.engine import GRAPH_TYPES
    from workglow.tasks import task_registry

    always: list[type[Task]] = [*GRAPH_TYPES]
    own = [task_registry.get(name) for name in task_registry.names()]
    return sorted({kind.type: kind for kind in (*always, *own)}.values(), key=lambda kind: kind.type)


def _ports(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_type(port)}" for name, port in schema.get("properties", {}).items()
    )


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    kind: Any = schema.get("type", "anything")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"list of {_type(schema['items'])}"
    return kind if isinstance(kind, str) else " or ".join(map(str, kind))
