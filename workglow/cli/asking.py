"""`workglow questions`, `answer` and `send`: bringing what runs wait for."""

from __future__ import annotations

import json as jsons
import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workglow.cli.moments import moment
from workglow.cli.parameters import AsJson, ProjectFile, RunName
from workglow.cli.plain import describe
from workglow.cli.projects import look_into, pick, work_on
from workglow.cli.screen import Screen

if TYPE_CHECKING:
    from workglow.graph.waiting.wait import Action, Question
    from workglow.project import Project

__all__ = ["app", "question_as_json", "show_questions"]

app = typer.Typer(rich_markup_mode=None)


@app.command()
def questions(file: ProjectFile, json: AsJson = False) -> None:
    """List what runs ask persons, and how to answer."""
    screen = Screen()
    with look_into(file) as project:
        found = project.questions()
        if json:
            screen.json([question_as_json(question) for question in found])
        elif not found:
            screen.line(f"{file} has no open question.")
        else:
            show_questions(screen, file, found)


def question_as_json(question: Question) -> dict[str, object]:
    """Return a question for other programs; times are milliseconds since 1970."""
    names = ("run", "task", "turn", "message", "target", "schema", "data", "metadata", "asked_at", "deadline")
    return {name: getattr(question, name) for name in names}


def show_questions(screen: Screen, file: str, found: list[Question]) -> None:
    """Write each question, what is shown with it, and the command that answers it."""
    for number, question in enumerate(found):
        if number:
            screen.line("")
        show_question(screen, question)
        screen.command(_command(file, question))


def show_question(screen: Screen, question: Question) -> None:
    """Write a question and what is shown with it."""
    until = "" if question.deadline is None else f", until {moment(question.deadline)}"
    to = "" if question.target == "default" else f" asks {question.target}"
    where = f" in run {question.run}" if question.run else ""
    turn = f", turn {question.turn}" if question.turn > 1 else ""
    screen.line((question.task, "bold"), to, where, turn, (until, "yellow"))
    screen.line(question.message, indent=2)
    for name, value in question.data.items():
        screen.line((name, "cyan"), "  ", describe(value, whole=False), indent=4)


def _command(file: str, question: Question) -> str:
    fields = question.schema.get("properties", {})
    required = question.schema.get("required") or list(fields)
    if len(required) == 1:
        kind = fields.get(required[0], {}).get("type")
        option = ["--text", "…"] if kind == "string" else ["--value", "true" if kind == "boolean" else "…"]
    else:
        option = ["--value", jsons.dumps(dict.fromkeys(required, "…"), ensure_ascii=False)]
    turn = ["--turn", str(question.turn)] if question.turn > 1 else []
    return shlex.join(["workglow", "answer", file, question.run, question.task, *turn, *option])


@app.command()
def answer(
    file: ProjectFile,
    run: RunName,
    task: Annotated[str, typer.Argument(metavar="TASK", help="The path of the task that asks.", show_default=False)],
    *,
    value: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="An object that fits the question, or the value of its one field."),
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="TEXT", help="The same, as text.")] = None,
    decline: Annotated[bool, typer.Option("--decline", help="Decline to answer.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; for an approval.")] = None,
    turn: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Only if this is what the task asks now.", show_default="whatever it asks now"
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Answer the question of a task.

    The first answer stands.  A process that drives the run goes on at once; otherwise `workglow resume` does.
    """
    if (value is not None) + (text is not None) + decline != 1:
        raise typer.BadParameter("Give one of --value, --text and --decline.", param_hint="'--value'")
    given: Any = text if value is None else _read(value, "'--value'")
    if reason is not None:
        given = {"reason": reason} if decline else {"approved": given, "reason": reason}
    action: Action = "decline" if decline else "accept"
    with work_on(file) as project:
        found = pick(project, run).id
        project.answer(found, task, given, action=action, turn=turn)
        _show_sent(project, file, [found], f"The answer to {task} is kept.", as_json=json)


@app.command()
def send(
    file: ProjectFile,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The event's name.", show_default=False)],
    *,
    payload: Annotated[str, typer.Option(metavar="JSON", help="What is sent with it.")] = "null",
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Only to this run.", show_default="every unfinished run")
    ] = None,
    json: AsJson = False,
) -> None:
    """Send an event to the runs that wait for it.

    A run that does not wait for it yet keeps it for the first task that will.
    """
    data = _read(payload, "'--payload'")
    with work_on(file) as project:
        reached = project.send_event(event, data, run=None if run is None else pick(project, run).id)
        many = f"{len(reached)} run{'s' if len(reached) != 1 else ''}"
        _show_sent(project, file, reached, f"The event {event} was sent to {many}.", as_json=json)


def _read(text: str, parameter: str) -> Any:
    try:
        return jsons.loads(text)
    except ValueError as error:
        hint = "  A text is given with --text." if parameter == "'--value'" else ""
        raise typer.BadParameter(f"{text!r} is not JSON: {error}.{hint}", param_hint=parameter) from error


def _show_sent(project: Project, file: str, runs: list[str], said: str, *, as_json: bool) -> None:
    screen = Screen()
    due = [run for run in runs if run in set(project.due())]
    if as_json:
        screen.json({"runs": runs, "to_resume": due})
        return
    screen.line(said)
    for run in due:
        screen.line(("Nobody drives the run.  Go on with:", "dim"))
        screen.command(f"workglow resume {file} {run}")
