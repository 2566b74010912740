"""`workglow search`: passages of the documents in a project file."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.projects import look_into
from workglow.cli.screen import Screen
from workglow.errors import KnowledgeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workglow.knowledge import SearchResult

__all__ = ["app", "show_result", "show_results"]

app = typer.Typer(rich_markup_mode=None)

_LONGEST = 300
"""Characters of a passage that are shown."""


@app.command()
def search(
    file: ProjectFile,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A question, or words.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Passages at most.")] = 5,
    knowledge: Annotated[str, typer.Option(metavar="NAME", help="The knowledge base.")] = "default",
    json: AsJson = False,
) -> None:
    """Find passages in the documents of a project file, by meaning and by words."""
    screen = Screen()
    with look_into(file) as project:
        results = project.search(text, limit=limit, knowledge=knowledge)
        if not results and not project.knowledge(knowledge).documents():
            raise KnowledgeError(
                f"{file} holds no documents under the name '{knowledge}'.  Add some: "
                f"project.knowledge('{knowledge}').add_folder(FOLDER)"
            )
    if json:
        screen.json([asdict(result) for result in results])
    else:
        show_results(screen, results)


def show_results(screen: Screen, results: Iterable[SearchResult]) -> None:
    """Write the passages, best first."""
    for number, result in enumerate(results, 1):
        if number > 1:
            screen.line("")
        show_result(screen, result, f"{number}  ")


def show_result(screen: Screen, result: SearchResult, mark: str) -> None:
    """Write a passage below the document and the place in it where it stands; `mark` is set before both."""
    place = f"  {result.place}" if result.place else ""
    screen.line((mark, "dim"), (result.document, "bold"), (place, "cyan"), (f"  {result.score:.3f}", "dim"))
    text = " ".join(result.text.split())
    screen.line(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…", indent=len(mark))
