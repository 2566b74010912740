"""`workglow worker`: run the jobs of a project file until told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO

import typer

from workglow.cli.parameters import AsJson, ProjectFile, TaskFiles
from workglow.cli.projects import work_on
from workglow.cli.screen import Screen
from workglow.cli.taskfiles import import_tasks

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from workglow.cli.worklog import JsonLog, PlainLog
    from workglow.project import Project
    from workglow.queue import Worker

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_LAST_WORDS: Final = 1.0  # seconds for what was cancelled, after everything was handed back


@app.command()
def worker(
    file: ProjectFile,
    *,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Take jobs of this queue, which may come later. May be repeated.",
            show_default="every queue",
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Jobs at a time, in each process.")] = 1,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Work in so many processes and start one that crashed again.",
            show_default="in this one",
        ),
    ] = None,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="End when no job is left that could be started.")
    ] = False,
    grace: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            metavar="SECONDS",
            help="When told to stop, hand back what still runs then.",
            show_default="as long as it takes",
        ),
    ] = None,
    tasks: TaskFiles = None,
    json: AsJson = False,
) -> None:
    """Run the jobs of a project file, until told to stop.

    --tasks names the Python file, or module, that defines handlers and tasks; jobs of others are left for other
    workers.  Ctrl-C or SIGTERM finishes what runs and then ends with 0; a second one hands it back, so that another
    worker starts it, and ends with 130.  With --json each line is a JSON document.
    """
    if queue:
        _look_for_queues(file, queue, until_idle=until_idle)
    if processes is not None:
        from workglow.cli.supervising import Supervisor

        words = _words(file, queue or (), concurrency, tasks or (), until_idle=until_idle, grace=grace, json=json)
        code = asyncio.run(Supervisor(words, processes, Screen(stderr=True)).run())
    else:
        _end_with_supervisor()
        import_tasks(tasks)
        with work_on(file) as project:
            chosen = project.queues.worker(*(queue or ()), concurrency=concurrency, alone=True)
            out = sys.stdout if json else None
            with redirect_stdout(sys.stderr) if json else nullcontext():  # what handlers print is no JSON
                code = _run(_work(project, chosen, until_idle=until_idle, grace=grace, json_to=out))
    if code:
        raise typer.Exit(code)


def _look_for_queues(file: str, names: Sequence[str], *, until_idle: bool) -> None:
    """Say which queues the file does not have yet: who waits for jobs waits for them too, but who ends when there is
    nothing to do would end as if all was done."""
    from workglow.cli.supervising import SUPERVISOR
    from workglow.graph.naming import did_you_mean

    if SUPERVISOR in os.environ:  # which has looked
        return
    with work_on(file) as project:
        known = list(dict.fromkeys(queue.name for queue in project.queues.all()))
    for name in dict.fromkeys(names):
        if name in known:
            continue
        missing = f"{file} has no queue {name}"
        near = did_you_mean(name, known)
        if until_idle:
            has = f"it has {', '.join(known)}" if known else "it has none yet"
            raise typer.BadParameter(f"{missing}; {has}.{near}", param_hint="'--queue'")
        Screen(stderr=True).line((f"{missing} yet; its jobs are taken when there is one.{near}", "yellow"))


def _words(
    file: str,
    queues: Sequence[str],
    concurrency: int,
    tasks: Sequence[str],
    *,
    until_idle: bool,
    grace: float | None,
    json: bool,
) -> list[str]:
    words = ["worker", file, "--concurrency", str(concurrency)]
    for option, values in (("--queue", queues), ("--tasks", tasks)):
        words += [word for value in values for word in (option, value)]
    if grace is not None:
        words += ["--grace", str(grace)]
    return words + ["--until-idle"] * until_idle + ["--json"] * json


def _end_with_supervisor() -> None:
    """See to it that a worker process whose supervisor was killed drains and ends."""
    from workglow.cli.supervising import SUPERVISOR
    from workglow.queue.parenthood import end_with

    parent = os.environ.get(SUPERVISOR, "")
    if parent.isdecimal():
        end_with(int(parent), signal.SIGTERM)


def _run(work: Coroutine[Any, Any, int]) -> int:
    """What `asyncio.run` does, which would wait for ever for a handler that goes on although it was cancelled."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.set_exception_handler(lambda _, __: None)  # that some of them never ended is no news
        asyncio.set_event_loop(None)
        loop.close()


async def _work(
    project: Project, worker: Worker, *, until_idle: bool, grace: float | None, json_to: TextIO | None
) -> int:
    from workglow.cli.service import keep_alive, notify
    from workglow.cli.stopping import on_signals
    from workglow.cli.supervising import SUPERVISOR

    screen = Screen(stderr=True)
    log = _log(screen, worker, json_to)
    told = 0

    def stop() -> None:
        nonlocal told
        told += 1
        notify("STOPPING=1")
        if told == 1 and json_to is None and SUPERVISOR not in os.environ:  # which has said it for all
            screen.line("Finishing what runs; once more hands it back.")
        worker.stop(grace if told == 1 else 0.0)

    unsubscribe = project.queues.events.subscribe(log)
    watchdog = asyncio.create_task(keep_alive())
    try:
        with on_signals(stop), log:
            notify("READY=1")
            done = await worker.run(until_idle=until_idle)
    finally:
        watchdog.cancel()
        unsubscribe()
    log.ended(done)
    return 130 if told > 1 else 0


def _log(screen: Screen, worker: Worker, json_to: TextIO | None) -> JsonLog | PlainLog:
    from workglow.cli.supervising import SUPERVISOR
    from workglow.cli.worklog import JsonLog, LiveLog, PlainLog

    if json_to is not None:
        return JsonLog(json_to)
    live = screen.terminal and SUPERVISOR not in os.environ
    return LiveLog(screen, worker) if live else PlainLog(screen)
