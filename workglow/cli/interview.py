"""Asking on the terminal what a run asks a person."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

from workglow.cli.asking import show_question
from workglow.cli.screen import visible
from workglow.errors import AnswerError, RunStateError
from workglow.graph.waiting.wait import as_answer

if TYPE_CHECKING:
    from workglow.cli.screen import Screen
    from workglow.graph.waiting.wait import Question
    from workglow.project import Project

__all__ = ["ask_now", "can_ask", "interview"]

_LATER = object()


def can_ask(screen: Screen) -> bool:
    """Whether a person is there to answer."""
    return screen.terminal and sys.stdin.isatty()


def interview(screen: Screen, project: Project, run: str) -> bool:
    """Ask every open question of a run; True when at least one was answered.  An empty answer leaves one open."""
    answered = False
    for question in project.questions(run):
        screen.line("")
        show_question(screen, question)
        answered = _ask(screen, project, question) or answered
    return answered


def ask_now(screen: Screen, question: Question) -> dict[str, Any] | None:
    """Ask a question of a run in memory, until an answer fits it; None when it is left open.

    Ctrl-C at the prompt is a KeyboardInterrupt at once, whatever the event loop would make of it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        screen.line("")
        show_question(screen, question)
        while (content := _content(screen, question)) is not None:
            try:
                return as_answer(question, content).content
            except AnswerError as error:
                screen.line((str(error), "red"))
        return None
    finally:
        signal.signal(signal.SIGINT, before)


def _ask(screen: Screen, project: Project, question: Question) -> bool:
    while True:
        content = _content(screen, question)
        if content is None:
            return False
        try:
            project.answer(question.run, question.task, content, turn=question.turn)
        except AnswerError as error:
            screen.line((str(error), "red"))
        except RunStateError as error:
            screen.line((str(error), "yellow"))
            return False
        else:
            return True


def _content(screen: Screen, question: Question) -> dict[str, Any] | None:
    content: dict[str, Any] = {}
    required = question.schema.get("required", ())
    for name, schema in question.schema.get("properties", {}).items():
        value = _field(screen, name, schema, required=name in required)
        if value is not _LATER:
            content[name] = value
        elif name in required:
            screen.line(("left open", "dim"))
            return None
    return content


def _field(screen: Screen, name: str, schema: dict[str, Any], *, required: bool) -> object:
    kind = schema.get("type")
    choices = schema.get("enum") or (["yes", "no"] if kind == "boolean" else None)
    hint = f" ({'/'.join(map(str, choices))})" if choices else "" if kind == "string" else " (JSON)"
    later = "" if required else ", Enter for none"
    prompt = visible(f"  {schema.get('title') or name}{hint}{later}: ")
    while True:
        said = screen.console.input(prompt, markup=False).strip()
        if not said:
            return _LATER
        if kind == "boolean" and said.lower() in ("y", "yes", "true", "n", "no", "false"):
            return said.lower() in ("y", "yes", "true")
        if kind == "string":
            return said
        try:
            return json.loads(said)
        except ValueError:
            screen.line(("That cannot be read; an empty answer leaves the question open.", "red"))
