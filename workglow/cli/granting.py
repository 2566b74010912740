"""What a run may do, as it is said on a command line, or asked for on a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from workglow.cli.screen import visible
from workglow.errors import TaskConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.cli.screen import Screen
    from workglow.graph.rights.permission import Answer, EntitlementRequest
    from workglow.tasks import Entitlement

__all__ = ["ask", "can_ask", "read_entitlements", "rights"]


def rights(allow: Sequence[str] | None, deny: Sequence[str] | None) -> dict[str, Any]:
    """Return the keywords of a run for `--allow` and `--deny`; what is no entitlement is a usage error."""
    given: dict[str, Any] = {}
    if allow:
        given["entitlements"] = read_entitlements(allow, "'--allow'")
    if deny:
        given["deny"] = read_entitlements(deny, "'--deny'")
    return given


def read_entitlements(texts: Sequence[str], parameter: str) -> list[Entitlement]:
    """Read entitlements; what is none is a usage error."""
    from workglow.tasks import Entitlement

    try:
        return [Entitlement.parse(text) for text in texts]
    except TaskConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint=parameter) from error


def can_ask(screen: Screen) -> bool:
    """Whether there is a person who sees the screen and types."""
    return screen.terminal and sys.stdin is not None and sys.stdin.isatty()


def ask(screen: Screen, request: EntitlementRequest, *, keeps: bool) -> Answer:
    """Ask whether a task may do something.  `keeps`: there is a project that can remember an 'always'.

    The beginning of an answer is enough.
    """
    from rich.prompt import Prompt

    class Choice(Prompt):
        def process_response(self, value: str) -> str:
            begun = value.strip().lower()
            whole = [choice for choice in self.choices or () if begun and choice.startswith(begun)]
            return super().process_response(whole[0] if whole else value)

    needed = request.entitlement
    screen.line((request.task, "bold"), f" ({request.type}) wants ", (str(needed), "bold yellow"))
    for line in (needed.reason, "" if needed.resources else "It does not say of what, so yes means any."):
        if line:
            screen.line(line, indent=2)
    choices = ["once", "always", "no"] if keeps else ["once", "no"]
    said = "Allow it once, always in this project, or not?" if keeps else "Allow it?"
    try:
        answer: Any = Choice.ask(visible(said), console=screen.console, choices=choices, default="no")
    except EOFError:
        return "no"
    return answer
