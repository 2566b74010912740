"""Errors as people read them: what happened in red, what to do in plain, and where in their code it was."""

from __future__ import annotations

import traceback

from workglow.cli.screen import Screen
from workglow.errors import CodeChangedError, FileError, InterruptedTaskError, UnknownTaskTypeError, WorkglowError

__all__ = ["show_failure"]


def show_failure(error: WorkglowError) -> None:
    """Write an error on stderr, without a traceback."""
    screen = Screen(stderr=True)
    happened, _, remedy = _sentences(str(error))
    screen.line(("error: ", "bold red"), (happened, "red"))
    place = _place(error)
    if place:
        screen.line(place, indent=2)
    for line in (remedy, _hint(error), *getattr(error, "__notes__", ())):
        if line:
            screen.line(line, indent=2)


def _sentences(text: str) -> tuple[str, str, str]:
    happened, separator, remedy = text.strip().partition(".  ")
    return (happened + separator.strip(), separator, remedy)


def _place(error: BaseException) -> str:
    """Say where a task's own code raised."""
    cause = error.__cause__
    if cause is None or isinstance(cause, WorkglowError) or isinstance(error, FileError):
        return ""
    frames = traceback.extract_tb(cause.__traceback__)
    if not frames:
        return ""
    last = frames[-1]
    code = f": {last.line}" if last.line else ""
    return f"in {last.filename}, line {last.lineno}, {last.name}{code}"


def _hint(error: BaseException) -> str:
    reasons = [error]
    while reasons[-1].__cause__ is not None:
        reasons.append(reasons[-1].__cause__)
    hints = {
        UnknownTaskTypeError: "--tasks FILE.py names the Python file, or module, that defines it.",
        CodeChangedError: "--on-change keep, or --on-change rerun.",
        InterruptedTaskError: "--interrupted retry, or --interrupted fail.",
    }
    found = [hint for kind, hint in hints.items() if any(isinstance(reason, kind) for reason in reasons)]
    return f"On the command line: {found[0]}" if found else ""
