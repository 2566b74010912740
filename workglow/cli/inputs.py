"""A graph and its inputs, as they are given on a command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import typer

from workglow.errors import GraphFormatError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workglow.graph.graph import TaskGraph
    from workglow.project import Project

__all__ = ["named_graph", "read_graph", "read_inputs"]


def read_inputs(named: Iterable[str] | None, path: str | None, *, option: str = "--input") -> dict[str, object]:
    """Return the inputs: those of the JSON file, then each NAME=VALUE over them; `option` names them in errors."""
    inputs: dict[str, object] = {} if path is None else _read_object(path)
    for pair in named or ():
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint=f"'{option}'")
        inputs[name] = _value(text)
    return inputs


def _value(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_number)
    except ValueError:
        return text


def _no_number(word: str) -> object:
    raise ValueError(word)  # NaN and Infinity are words here, not JSON


def _read_object(path: str) -> dict[str, object]:
    try:
        data: Any = json.loads(_read(path, "'--input-file'"), parse_constant=_no_number)
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}.", param_hint="'--input-file'") from error
    if not isinstance(data, dict):
        raise typer.BadParameter(
            f'{path} holds no JSON object; write {{"name": value, …}}.', param_hint="'--input-file'"
        )
    return cast("dict[str, object]", data)


def read_graph(path: str) -> TaskGraph:
    """Read a graph's JSON; GraphFormatError names the file and the place in it."""
    from workglow.graph.graph import TaskGraph

    text = _read(path, "'GRAPH'")
    try:
        return TaskGraph.from_json(text)
    except GraphFormatError as error:
        raise GraphFormatError(f"{path}: {error}") from error


def named_graph(project: Project, name: str) -> TaskGraph:
    """Return the graph of that name, which is no file; a usage error names the nearest name when there is none."""
    if name in project.graphs:
        return project.graphs.get(name)
    from workglow.graph.naming import did_you_mean

    names = project.graphs.list()
    known = f"it has {', '.join(names)}" if names else "it has none yet"
    files = [path.name for path in Path().glob("*.json")]
    raise typer.BadParameter(
        f"There is no file {name}, and {project.path} has no graph of that name; {known}."
        + did_you_mean(name, [*names, *files]),
        param_hint="'GRAPH'",
    )


def _read(path: str, parameter: str) -> str:
    from workglow.file.guard import is_open_database

    if is_open_database(path):
        raise typer.BadParameter(f"{path} is a project file that is open.", param_hint=parameter)
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise typer.BadParameter(f"{path} cannot be read: {reason}.", param_hint=parameter) from error
