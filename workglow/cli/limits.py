"""`workglow limits`: the limiters of a project file, as they are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from workglow.cli.moments import took
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.projects import look_into
from workglow.cli.queues import label
from workglow.cli.screen import Cell, Screen

if TYPE_CHECKING:
    from workglow.queue import Queues
    from workglow.storage.limits import LimiterRecord

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command()
def limits(file: ProjectFile, json: AsJson = False) -> None:
    """List the limiters: their rules, how many slots are taken, and what holds them back.

    They bind every process.  NOW says whether a start is allowed; a hold comes from a provider that said "too many
    requests", and its time survives a restart.
    """
    screen = Screen()
    with look_into(file) as project:
        queues = project.queues
        found = queues.limits.all()
        if json:
            screen.json([_facts(queues, each) for each in found])
        elif not found:
            screen.line(f'{file} has no limiter yet.  Give a queue some: project.queue("embed", limits=[…]).')
        else:
            rows = (_row(queues, each) for each in found)
            screen.table(("LIMITER", "RULES", "TAKEN", "NOW"), rows, right=(2,), whole=(2,))


def _rules(queues: Queues, limiter: LimiterRecord) -> list[str]:
    from workglow.errors import UnknownLimiterError

    try:
        return [str(rule) for rule in queues.limits.registry.load(limiter.rules)]
    except UnknownLimiterError:
        return [limiter.rules]  # of a kind that only the process knows which made it


def _state(queues: Queues, limiter: LimiterRecord) -> tuple[str, int | None]:
    """What a start has to wait for, and until when; '' when it is allowed."""
    from workglow.errors import UnknownLimiterError

    try:
        wait = queues.limits.repository.look(limiter.row_id)
    except UnknownLimiterError:
        return "its rule is not known here", None
    if wait is None:
        return "", None
    if wait.rule is None:
        return f"on hold{f': {limiter.hold_reason}' if limiter.hold_reason else ''}", wait.until
    return str(wait.rule), wait.until


def _facts(queues: Queues, limiter: LimiterRecord) -> dict[str, object]:
    waits, until = _state(queues, limiter)
    return {
        "limiter": limiter.name if limiter.queue is None else None,
        "queue": limiter.queue,
        "scope": _decoded(limiter.scope),
        "rules": _decoded(limiter.rules),
        "taken": limiter.held,
        "hold_until": limiter.hold_until,
        "hold_reason": limiter.hold_reason,
        "strikes": limiter.strikes,
        "waits_for": waits or None,
        "until": until,
    }


def _row(queues: Queues, limiter: LimiterRecord) -> list[Cell]:
    waits, until = _state(queues, limiter)
    left = "" if until is None else f", for {took(max(0, until - queues.clock.now()) / 1000)}"
    name = limiter.name if limiter.queue is None else f"queue {limiter.queue}"
    return [
        label(name, _decoded(limiter.scope)),
        ", ".join(_rules(queues, limiter)),
        str(limiter.held),
        (f"{waits}{left}", "yellow") if waits else ("free", "green"),
    ]


def _decoded(text: str) -> Any:
    from msgspec.json import decode

    return decode(text)
