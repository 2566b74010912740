"""The arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["Allow", "AsJson", "Budgeted", "Deny", "Inputs", "InputsFile", "ProjectFile", "RunName", "TaskFiles"]

ProjectFile = Annotated[str, typer.Argument(metavar="FILE", help="The project file.", show_default=False)]

RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or 'last'.", show_default=False)
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

TaskFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--tasks",
        metavar="FILE.py|MODULE",
        help="Import your Python file or module first, so that its tasks are known. May be repeated.",
        show_default=False,
    ),
]

Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="NAME[=WHAT]",
        help="Let tasks do this: network, files:read=docs. May be repeated.",
        show_default=False,
    ),
]

Budgeted = Annotated[
    float | None,
    typer.Option(
        "--budget",
        min=0.0,
        metavar="COST",
        help="What its models may cost; then it waits for `workglow budget`.",
        show_default="no limit",
    ),
]

Deny = Annotated[
    list[str] | None,
    typer.Option(
        "--deny",
        metavar="NAME[=WHAT]",
        help="Never let tasks do this, whatever is allowed. May be repeated.",
        show_default=False,
    ),
]

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="NAME=VALUE",
        help="An input: JSON if it reads as JSON, else text. May be repeated.",
        show_default=False,
    ),
]

InputsFile = Annotated[
    str | None,
    typer.Option(
        "--input-file", metavar="FILE.json", help="Inputs as a JSON object; --input wins over it.", show_default=False
    ),
]
