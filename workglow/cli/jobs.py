"""`workglow jobs` and `job`: what became of jobs, and why those that wait do."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workglow.cli.moments import moment, took
from workglow.cli.parameters import AsJson, ProjectFile
from workglow.cli.plain import describe
from workglow.cli.projects import look_into
from workglow.cli.queues import Scope, label, pick_queues
from workglow.cli.report import show_outputs
from workglow.cli.screen import STATUS_STYLES, Cell, Screen

if TYPE_CHECKING:
    from workglow.project import Project
    from workglow.queue import Job, JobQueue, Queues
    from workglow.queue.reasons import Reasons
    from workglow.storage.jobs import AttemptRecord, JobRecord, JobStatus

__all__ = ["app", "job_facts", "told_error", "told_progress"]

app = typer.Typer(rich_markup_mode=None)


class Status(StrEnum):
    """A job's status, as a choice on the command line."""

    pending = "pending"
    running = "running"
    completed = "completed"
    failed = "failed"
    aborted = "aborted"


@app.command()
def jobs(
    file: ProjectFile,
    *,
    queue: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only jobs of this queue.", show_default=False)
    ] = None,
    scope: Scope = None,
    status: Annotated[
        list[Status] | None,
        typer.Option(
            metavar="pending|running|completed|failed|aborted",
            help="Only jobs with this status. May be repeated.",
            show_default=False,
        ),
    ] = None,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="Only this group.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The newest N.")] = 50,
    json: AsJson = False,
) -> None:
    """List jobs, newest first, and why each that waits does."""
    from workglow.queue.reasons import Reasons

    screen = Screen()
    with look_into(file) as project:
        chosen = None if queue is None and not scope else pick_queues(project, queue, scope)
        found, more = _find(project.queues, chosen, [each.value for each in status or ()], group, limit)
        reasons = Reasons(project.queues)
        if json:
            screen.json([{**job_facts(job.record), "why": reasons.waiting(job.record) or None} for job in found])
        elif not found:
            screen.line(_none(file, project))
        else:
            now = project.file.clock.now()
            headers = ("JOB", "QUEUE", "HANDLER", "STATUS", "TRIES", "TIME", "NOTE")
            rows = (_row(job.record, reasons, now) for job in found)
            screen.table(headers, rows, right=(0, 4, 5), whole=(0, 3, 4, 5))
            if more:
                screen.line("")
                screen.line((f"There are more: these are the newest {limit}.  --limit N lists more.", "dim"))


def _none(file: str, project: Project) -> str:
    if project.queues.jobs(limit=1):
        return f"{file} has no such job."
    return f"{file} holds no job yet.  Put one in: workglow enqueue {file} QUEUE HANDLER"


def _find(
    queues: Queues, chosen: list[JobQueue] | None, statuses: list[JobStatus], group: str | None, limit: int
) -> tuple[list[Job], bool]:
    """The newest jobs, of all queues unless some were chosen, and whether there are more."""
    places = [queues] if chosen is None else chosen
    found = [job for each in places for job in each.jobs(*statuses, group=group, limit=limit + 1)]
    found.sort(key=lambda job: -job.id)
    return found[:limit], len(found) > limit


def _row(job: JobRecord, reasons: Reasons, now: int) -> list[Cell]:
    tries = f"{job.attempt}/{job.max_attempts}"
    return [
        str(job.id),
        job.queue,
        job.handler,
        (job.status, STATUS_STYLES[job.status]),
        (tries, "yellow") if job.attempt > 1 else tries,
        _time(job, now),
        _note(job, reasons),
    ]


def _time(job: JobRecord, now: int) -> str:
    """How long it ran; while it waits, how long it has waited."""
    if job.status == "pending":
        return took(max(0, now - job.created_at) / 1000)
    if job.started_at is None:
        return ""
    return took(max(0, (job.finished_at or now) - job.started_at) / 1000)


def _note(job: JobRecord, reasons: Reasons) -> str:
    """Say in a line what matters of a job now: why it waits, how far it is, or what went wrong."""
    if job.status == "pending":
        waits = reasons.waiting(job)
        return f"{waits}; {told_error(job.error)}" if job.error else waits
    if job.status == "running":
        stops = f"is to stop: {job.abort_reason}" if job.abort_reason is not None else ""
        return "; ".join(told for told in (stops, told_progress(job)) if told)
    return "" if job.status == "completed" else told_error(job.error)


def told_progress(job: JobRecord) -> str:
    """The newest progress in a few words; '' when there was none."""
    progress = _decoded(job.progress)
    return f"{progress['percent']:.0f} % {progress.get('message') or ''}".rstrip() if progress else ""


def told_error(text: str | None) -> str:
    """The first line of a stored error."""
    error = _decoded(text) or {}
    message = str(error.get("message") or "").partition("\n")[0]
    return ": ".join(part for part in (str(error.get("type") or ""), message) if part)


def _decoded(text: str | None) -> dict[str, Any] | None:
    from msgspec.json import decode

    return None if text is None else decode(text)


def job_facts(record: JobRecord) -> dict[str, object]:
    """Return a job for other programs, without its input and result; times are milliseconds since 1970."""
    return {
        "job": record.id,
        "queue": record.queue,
        "scope": _decoded(record.scope),
        "handler": record.handler,
        "status": record.status,
        "priority": record.priority,
        "attempt": record.attempt,
        "max_attempts": record.max_attempts,
        "created_at": record.created_at,
        "run_after": record.run_after,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "deadline_at": record.deadline_at,
        "key": record.key,
        "group": record.group,
        "cost": record.cost,
        "progress": _decoded(record.progress),
        "abort_reason": record.abort_reason,
        "error": _decoded(record.error),
    }


# ---------------------------------------------------------------------- one job


@app.command()
def job(
    file: ProjectFile,
    number: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job's number.", show_default=False)],
    json: AsJson = False,
) -> None:
    """Show everything of one job: inputs, result or error, earlier attempts, and why it waits."""
    screen = Screen()
    with look_into(file) as project:
        found = project.job(number)
        if json:
            screen.json(_whole_facts(project, found))
        else:
            _show(screen, project, file, found)


def _whole_facts(project: Project, job: Job) -> dict[str, object]:
    record = job.record
    return {
        **job_facts(record),
        "inputs": job.inputs,
        "result": job.result_sync(0) if record.status == "completed" else None,
        "options": _decoded(record.options),
        "needs": project.queues.repository.needs(job.id),
        "attempts": [
            {
                "attempt": each.attempt,
                "outcome": each.outcome,
                "started_at": each.started_at,
                "ended_at": each.ended_at,
                "error": _decoded(each.error),
            }
            for each in job.attempts
        ],
        "why": job.why(),
    }


def _show(screen: Screen, project: Project, file: str, job: Job) -> None:
    record = job.record
    status: Cell = (record.status, STATUS_STYLES[record.status])
    screen.line(("job ", "dim"), (str(job.id), "bold"), "  ", status, f"  {record.handler} in queue ", _queue(record))
    screen.line(job.why())
    if record.status == "running" and (progress := told_progress(record)):
        screen.line(progress)
    if record.error is not None and record.status != "completed":
        screen.line((told_error(record.error), "red"))
        _show_trace(screen, _decoded(record.error) or {})
    screen.line("")
    screen.table(("", ""), _particulars(project, record), show_header=False)
    show_outputs(screen, job.inputs, "inputs")
    if record.status == "completed":
        screen.line("")
        screen.line(("result", "bold"))
        screen.line(describe(job.result_sync(0)), indent=2)
    attempts = job.attempts
    if attempts:
        screen.line("")
        screen.line(("attempts that did not complete it", "bold"))
        screen.table(("  TRY", "OUTCOME", "BEGAN", "TIME", "ERROR"), map(_attempt, attempts), whole=(0, 1, 2, 3))
    if record.status in ("failed", "aborted"):
        screen.line("")
        screen.line(("Try it again with:", "dim"))
        screen.command(f"workglow retry {file} {job.id}")


def _queue(record: JobRecord) -> str:
    return label(record.queue, _decoded(record.scope) or {})


def _show_trace(screen: Screen, error: dict[str, Any]) -> None:
    for line in error.get("trace") or ():
        screen.line((str(line), "dim"), indent=2)


def _particulars(project: Project, record: JobRecord) -> list[list[Cell]]:
    """What there is to tell of a job beside what it does, each with its name."""
    options = _decoded(record.options) or {}
    needs = ", ".join(map(str, project.queues.repository.needs(record.id)))
    times = {
        "enqueued": moment(record.created_at),
        "not before": moment(record.run_after),
        "began": moment(record.started_at),
        "ended": moment(record.finished_at),
        "deadline": moment(record.deadline_at),
    }
    took_time = (
        took((record.finished_at - record.started_at) / 1000) if record.finished_at and record.started_at else ""
    )
    if took_time:
        times["ended"] += f", after {took_time}"
    told = {
        **times,
        "attempts": f"{record.attempt} of {record.max_attempts}",
        "priority": str(record.priority) if record.priority else "",
        "timeout": took(options["timeout"]) if options.get("timeout") else "",
        "cost": str(record.cost) if record.cost != 1 else "",
        "key": record.key or "",
        "group": record.group or "",
        "needs": f"jobs {needs}" if needs else "",
    }
    return [[(f"  {name}", "dim"), text] for name, text in told.items() if text]


def _attempt(attempt: AttemptRecord) -> list[Cell]:
    style = "yellow" if attempt.outcome in ("returned", "limited", "aborted") else "red"
    time = took((attempt.ended_at - attempt.started_at) / 1000)
    return [
        f"  {attempt.attempt}", (attempt.outcome, style), moment(attempt.started_at), time, told_error(attempt.error),
    ]  # fmt: skip
