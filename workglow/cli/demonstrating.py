"""`workglow demo`: a run is killed half way and finished elsewhere, before your eyes."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.parameters import AsJson
from workglow.clock import SystemClock
from workglow.errors import DocumentError, FileError, RunError

if TYPE_CHECKING:
    from workglow.cli.stage import Stage

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_MOST = 200
"""Documents that are taken from a large folder: the demonstration is to be over within a minute."""

_QUESTIONS = (
    "What happens to a run after kill -9?",
    "How do I search my documents?",
    "Where do large arrays go in the project file?",
)
"""Asked of workglow's own documentation."""


@app.command()
def demo(
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="A folder with text, Markdown, HTML or PDF files.",
            show_default="workglow's own docs",
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the finished project file goes.", show_default="a temporary folder"),
    ] = None,
    json: AsJson = False,
) -> None:
    """See a run killed half way and finished elsewhere, on real documents.

    A process reads, cuts, embeds and stores documents; kill -9 ends it half way.  Its file is copied to another place,
    where a new process goes on.  The file then shows that nothing that was finished ran again, and answers questions.
    """
    from workglow.cli.stage import Stage
    from workglow.demo import own_documents

    if folder is not None and not os.path.isdir(folder):
        raise typer.BadParameter(f"{folder} is no folder.", param_hint="'[FOLDER]'")
    sources = own_documents() if folder is None else [os.path.abspath(folder)]
    if not sources:
        raise DocumentError("This installation has no documentation of its own.  Give a folder: workglow demo FOLDER")
    if project is not None and os.path.exists(project):
        raise FileError(f"{project} exists already.  Choose another name: the demonstration makes a file of its own.")
    place = tempfile.mkdtemp(prefix="workglow-demo-")
    os.mkdir(os.path.join(place, "here"))
    here = os.path.join(place, "here", "notes.wg")
    elsewhere = project or os.path.join(place, "elsewhere", "notes.wg")
    questions = _QUESTIONS if folder is None else ()
    _play(Stage(as_json=json), sources, here, elsewhere, questions)


def _play(stage: Stage, sources: list[str], here: str, elsewhere: str, questions: tuple[str, ...]) -> None:
    from workglow.demo import Outcome, ask, prove, resume, run_and_kill
    from workglow.project import open as open_project

    clock = SystemClock()
    began = clock.monotonic()
    stage.say("1  A process works on the documents: load → split → embed → store, two at a time.")
    with stage.bar("working") as advance:
        crash = run_and_kill(here, sources, most=_MOST, on_step=advance)
    stage.say("2  kill -9.  Its file is copied as it was left:")
    stage.say(f"{here} → {elsewhere}", indent=3)
    stage.say("3  A new process goes on with the copy.")
    with stage.bar("going on") as advance:
        resume(crash, here, elsewhere, on_step=advance)
    with open_project(elsewhere, read_only=True) as project:
        proof = prove(crash, project)
        answers = ask(project, questions)
    stage.tell(Outcome(crash, proof, answers, here, elsewhere, clock.monotonic() - began))
    if not proof.holds:
        again = ", ".join(proof.violations)
        raise RunError(f"The file contradicts the promise: {again}.  Please report this, with {elsewhere}.")
