"""`workglow enqueue`, `pause`, `resume-queue`, `retry` and `abort`: what people do with jobs, queues and runs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workglow.cli.inputs import read_inputs
from workglow.cli.jobs import job_facts
from workglow.cli.parameters import AsJson, Inputs, InputsFile, ProjectFile, TaskFiles
from workglow.cli.projects import pick, work_on
from workglow.cli.queues import Scope, label, pick_queues, read_scope
from workglow.cli.screen import Screen
from workglow.cli.taskfiles import import_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workglow.project import Project
    from workglow.queue import Job

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_QueueName = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.", show_default=False)]
_Group = Annotated[
    str | None, typer.Option("--group", metavar="NAME", help="The jobs of this group.", show_default=False)
]


@app.command()
def enqueue(
    file: ProjectFile,
    queue: _QueueName,
    handler: Annotated[
        str, typer.Argument(metavar="HANDLER", help="The name of the function that does it.", show_default=False)
    ],
    *,
    input: Inputs = None,
    input_file: InputsFile = None,
    scope: Scope = None,
    priority: Annotated[int, typer.Option(metavar="N", help="Larger first.")] = 0,
    delay: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="Not before then.", show_default=False)
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="SECONDS", help="Failed when it is not over by then.", show_default=False),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="SECONDS", help="For an attempt.", show_default="as the handler or queue says"),
    ] = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="How often it is tried.", show_default="as the handler or queue says"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            "--idempotency-key",
            metavar="TEXT",
            help="Of jobs with the same key one is unfinished: this gives that one.",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str | None, typer.Option(metavar="NAME", help="A name to find and abort it by.", show_default=False)
    ] = None,
    needs: Annotated[
        list[int] | None,
        typer.Option(metavar="JOB", help="Not before this job is completed. May be repeated.", show_default=False),
    ] = None,
    tasks: TaskFiles = None,
    json: AsJson = False,
) -> None:
    """Put a job into a queue, which is made if needed.

    The handler may be unknown here: a worker knows it.  With --tasks the inputs are checked against it at once.
    """
    from workglow.queue.reasons import Reasons

    import_tasks(tasks)
    inputs = read_inputs(input, input_file)
    given = {
        "priority": priority,
        "delay": delay,
        "deadline": deadline,
        "timeout": timeout,
        "max_attempts": max_attempts,
        "idempotency_key": key,
        "group": group,
    }
    terms: Any = {name: value for name, value in given.items() if value is not None}
    screen = Screen()
    with work_on(file) as project:
        if needs:
            terms["needs"] = [project.job(needed) for needed in needs]
        newest = project.queues.jobs(limit=1)
        job = project.queue(queue, scope=read_scope(scope)).enqueue(handler, inputs, **terms)
        known = bool(newest) and job.id <= newest[0].id
        record = project.queues.repository.get(job.id)  # a worker may have done it, and the queue may keep nothing
        if json:
            facts = {"job": job.id, "queue": queue} if record is None else job_facts(record)
            screen.json({**facts, "new": not known})
            return
        name = label(queue, read_scope(scope) or {})
        told = f"of queue {name} has this key and is unfinished" if known else f"is in queue {name}"
        screen.line(f"Job {job.id} {told}.")
        waits = "" if record is None else Reasons(project.queues).waiting(record)
        if waits:
            screen.line((f"It waits: {waits}.", "dim"))


@app.command()
def pause(file: ProjectFile, queue: _QueueName, scope: Scope = None, json: AsJson = False) -> None:
    """Start no more jobs of a queue, in any process; what runs goes on.

    Without --scope this is for all queues of that name.
    """
    _set_paused(file, queue, scope, as_json=json, paused=True)


@app.command("resume-queue")
def resume_queue(file: ProjectFile, queue: _QueueName, scope: Scope = None, json: AsJson = False) -> None:
    """Start the jobs of a paused queue again.

    Without --scope this is for all queues of that name.
    """
    _set_paused(file, queue, scope, as_json=json, paused=False)


def _set_paused(file: str, name: str, scope: list[str] | None, *, as_json: bool, paused: bool) -> None:
    screen = Screen()
    with work_on(file) as project:
        chosen = pick_queues(project, name, scope)
        was = [queue.paused for queue in chosen]
        for queue in chosen:
            if paused:
                queue.pause()
            else:
                queue.resume()
    if as_json:
        screen.json([{"queue": queue.name, "scope": queue.scope, "paused": paused} for queue in chosen])
        return
    for queue, before in zip(chosen, was, strict=True):
        new, old = ("is paused", "was paused already") if paused else ("goes on", "was not paused")
        screen.line(f"Queue {label(queue.name, queue.scope)} {old if before == paused else new}.")
    if paused:
        screen.line(("It goes on with:", "dim"))
        scopes = [word for pair in scope or () for word in ("--scope", pair)]
        screen.command(shlex.join(["workglow", "resume-queue", file, name, *scopes]))


@app.command()
def retry(
    file: ProjectFile,
    job: Annotated[
        list[int] | None, typer.Argument(metavar="[JOB]...", min=1, help="Numbers of jobs.", show_default=False)
    ] = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="Every failed job.")] = False,
    queue: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --failed: of this queue only.", show_default=False)
    ] = None,
    scope: Scope = None,
    group: _Group = None,
    json: AsJson = False,
) -> None:
    """Try failed and aborted jobs again, with all their attempts.

    Exit code 1 when none of them is pending again.
    """
    if bool(job) == failed:
        raise typer.BadParameter("Give the numbers of jobs, or --failed.", param_hint="'JOB'")
    if job and (queue or scope or group):
        raise typer.BadParameter("A job is found by its number alone; this is for --failed.", param_hint="'--queue'")
    with work_on(file) as project:
        if job:
            named = _named(project, job)
            reached = project.queues.repository.retry([each.id for each in named])
        else:
            named = []
            reached = [each.id for one in pick_queues(project, queue, scope) for each in one.retry_failed(group)]
        left = {each.id: each.why_not_retried() for each in named if each.id not in reached}
    _tell(reached, left, "retried", "pending again", as_json=json)


@app.command()
def abort(
    file: ProjectFile,
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN|JOB]...",
            help="A run's id, the beginning of one, or 'last'; or numbers of jobs.",
            show_default=False,
        ),
    ] = None,
    *,
    queue: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --group: in this queue only.", show_default=False)
    ] = None,
    scope: Scope = None,
    group: _Group = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What is kept with jobs.")] = "It was aborted by hand.",
    json: AsJson = False,
) -> None:
    """End a run for good that waits, or whose process is gone; or end jobs.

    What a run asks can be answered no more.  What is finished stays, and `workglow rerun` goes on from there.
    A pending job ends at once, one that runs as soon as its worker hears of it; `workglow retry` tries it again.
    """
    if bool(what) == (group is not None):
        raise typer.BadParameter(
            "Give a RUN, the numbers of jobs, or --group NAME.", param_hint="'RUN|JOB'" if not what else "'--group'"
        )
    if group is None and (queue or scope):
        raise typer.BadParameter("This goes with --group NAME.", param_hint="'--queue'")
    with work_on(file) as project:
        if group is not None:
            reached = [each.id for one in pick_queues(project, queue, scope) for each in one.abort_group(group, reason)]
            _tell(reached, {}, "aborted", "aborted", as_json=json)
        elif what and all(_is_number(each) for each in what):
            _abort_jobs(project, [int(each) for each in what], reason, as_json=json)
        elif what and len(what) == 1:
            _abort_run(project, what[0], as_json=json)
        else:
            raise typer.BadParameter("Give one RUN, or numbers of jobs.", param_hint="'RUN|JOB'")


def _is_number(text: str) -> bool:
    """Whether this is a job's number; ids of runs begin with 0."""
    return text.isdecimal() and text.isascii() and not text.startswith("0")


def _abort_run(project: Project, name: str, *, as_json: bool) -> None:
    ended = project.abort(pick(project, name).id)
    if as_json:
        Screen().json({"run": ended.id, "status": ended.status})
    else:
        Screen().line(f"Run {ended.id} is aborted.")


def _abort_jobs(project: Project, numbers: Sequence[int], reason: str, *, as_json: bool) -> None:
    named = _named(project, numbers)
    reached = project.queues.repository.abort([each.id for each in named], reason)
    left = {each.id: f"it has {each.status} already" for each in named if each.id not in reached}
    _tell(reached, left, "aborted", "aborted", as_json=as_json)


def _named(project: Project, numbers: Sequence[int]) -> list[Job]:
    """Find all of the jobs before anything is done to one of them."""
    return [project.job(number) for number in dict.fromkeys(numbers)]


def _tell(reached: list[int], left: dict[int, str], key: str, state: str, *, as_json: bool) -> None:
    """Say what was done and what was not; exit with 1 when it was nothing."""
    screen = Screen()
    if as_json:
        screen.json({key: reached, "left": [{"job": number, "why": why} for number, why in left.items()]})
    else:
        if reached:
            numbers = ", ".join(map(str, sorted(reached))) if len(reached) <= 20 else f"{len(reached):,} jobs"
            jobs = "" if len(reached) > 20 else "Job " if len(reached) == 1 else "Jobs "
            screen.line(f"{jobs}{numbers} {'is' if len(reached) == 1 else 'are'} {state}.")
        for number, why in left.items():
            screen.line(f"Job {number} stays as it was: {why}.")
        if not reached and not left:
            screen.line("There is no such job.")
    if not reached:
        raise typer.Exit(1)
