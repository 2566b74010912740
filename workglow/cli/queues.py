"""Finding the queues and jobs that a command is about, and `workglow queues`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workglow.cli.moments import took
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.projects import look_into
from workglow.cli.screen import STATUS_STYLES, Cell, Screen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from workglow.project import Project
    from workglow.queue import JobQueue, QueueInfo, WorkerInfo

__all__ = ["Scope", "app", "label", "pick_queues", "queue_facts", "read_scope", "worker_facts"]

app = typer.Typer(rich_markup_mode=None)

Scope = Annotated[
    list[str] | None,
    typer.Option(
        "--scope", metavar="NAME=VALUE", help="Whose queue: user=u1, say. May be repeated.", show_default=False
    ),
]

_STATUSES = ("pending", "running", "completed", "failed", "aborted")


def read_scope(pairs: Iterable[str] | None) -> dict[str, object] | None:
    """Return the scope that was given; None when none was."""
    from workglow.cli.inputs import read_inputs

    return read_inputs(pairs, None, option="--scope") if pairs else None


def pick_queues(project: Project, name: str | None, scope: Iterable[str] | None = None) -> list[JobQueue]:
    """Return the queues of that name, of every scope unless one is given; a usage error when there is none."""
    wanted = read_scope(scope)
    queues = project.queues.all()
    found = [queue for queue in queues if name in (None, queue.name) and (wanted is None or queue.scope == wanted)]
    if found or (name is None and wanted is None):
        return found
    from workglow.graph.naming import did_you_mean

    names = list(dict.fromkeys(queue.name for queue in queues))
    if name in names:
        raise typer.BadParameter(
            f"{project.path} has no queue {name} of that scope; `workglow queues` lists them.", param_hint="'--scope'"
        )
    known = f"it has {', '.join(names)}" if names else "it has none yet"
    raise typer.BadParameter(
        f"{project.path} has no queue {name or 'of that scope'}; {known}." + did_you_mean(name or "", names),
        param_hint="'QUEUE'",
    )


def label(name: str, scope: dict[str, Any]) -> str:
    """Write a queue's name, with whose it is."""
    return f"{name} ({', '.join(f'{key}={value}' for key, value in scope.items())})" if scope else name


def queue_facts(queue: QueueInfo) -> dict[str, object]:
    """Return a queue's figures for other programs; every status is there."""
    return {
        "queue": queue.name,
        "scope": queue.scope,
        "paused_at": queue.paused_at,
        "counts": {status: queue.counts.get(status, 0) for status in _STATUSES},
        "deferred": queue.deferred,
        "needing": queue.needing,
        "oldest": queue.oldest,
        "last_minute": queue.last_minute,
        "last_hour": queue.last_hour,
        "workers": queue.workers,
    }


def worker_facts(worker: WorkerInfo) -> dict[str, object]:
    """Return what is known of a worker for other programs."""
    return {
        "worker": worker.id,
        "pid": worker.pid,
        "host": worker.host,
        "alive": worker.alive,
        "queues": list(worker.queues) or None,
        "handlers": sorted(worker.handlers),
        "concurrency": worker.concurrency,
        "started_at": worker.started_at,
        "jobs": list(worker.jobs),
    }


@app.command()
def queues(file: ProjectFile, json: AsJson = False) -> None:
    """List the job queues: how many jobs they have, how old they are, how fast they go.

    OLDEST is how long the oldest job has waited that nothing but a worker keeps from starting.  LAST MIN and LAST H
    count completed jobs.
    """
    screen = Screen()
    with look_into(file) as project:
        found, workers, now = project.queues.info(), project.queues.workers(), project.file.clock.now()
    if json:
        screen.json({"queues": list(map(queue_facts, found)), "workers": list(map(worker_facts, workers))})
        return
    if not found:
        screen.line(f"{file} has no job queue yet.  Put a job in: workglow enqueue {file} QUEUE HANDLER")
        return
    headers = ("QUEUE", "PENDING", "RUNNING", "DONE", "FAILED", "OLDEST", "LAST MIN", "LAST H", "WORKERS")
    screen.table(headers, (_row(each, now) for each in found), right=range(1, 9), whole=range(1, 9))
    idle = [each.name for each in found if each.counts.get("pending") and not each.workers and each.paused_at is None]
    if idle:
        screen.line("")
        screen.line((f"Nobody takes jobs of {', '.join(dict.fromkeys(idle))}.  A worker does:", "dim"))
        screen.command(f"workglow worker {file}")


def _row(queue: QueueInfo, now: int) -> list[Cell]:
    counts = queue.counts
    name = label(queue.name, queue.scope)
    failed = counts.get("failed", 0)
    return [
        (f"{name}, paused", "yellow") if queue.paused_at is not None else name,
        f"{counts.get('pending', 0):,}",
        (f"{counts.get('running', 0):,}", STATUS_STYLES["running"] if counts.get("running") else ""),
        f"{counts.get('completed', 0):,}",
        (f"{failed:,}", STATUS_STYLES["failed"] if failed else ""),
        "" if queue.oldest is None else took(max(0, now - queue.oldest) / 1000),
        f"{queue.last_minute:,}",
        f"{queue.last_hour:,}",
        str(queue.workers),
    ]
