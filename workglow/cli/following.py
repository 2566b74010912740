"""Following a run to its end: progress while it goes on, the result afterwards, and how to go on when it stopped."""

from __future__ import annotations

import shlex
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import typer

from workglow.cli.granting import ask, can_ask
from workglow.cli.progress import LiveProgress, PlainProgress
from workglow.cli.projects import is_durable
from workglow.cli.report import run_as_json, show_outputs, show_tasks
from workglow.cli.screen import STATUS_STYLES, Screen
from workglow.cli.watch import Watch
from workglow.clock import SystemClock
from workglow.errors import UnknownRunError, WorkglowError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.graph.rights.permission import Answer, EntitlementRequest
    from workglow.graph.run import Run
    from workglow.graph.waiting.wait import Question
    from workglow.project import Project

__all__ = ["Follower"]


class Follower:
    """Runs something and shows it.  `task_files` are repeated in the commands that it proposes.

    `asks` lets it ask a person at the terminal what the run asks.
    """

    def __init__(self, path: str | None, *, as_json: bool, task_files: Iterable[str] | None, asks: bool = True) -> None:
        self._path = path
        self._asks = asks and not as_json
        self._as_json = as_json
        self._task_files = tuple(task_files or ())
        self._out = Screen()
        self._err = Screen(stderr=True)
        self._progress: LiveProgress | PlainProgress | None = None
        self._listed: list[dict[str, Any]] | None = None

    @property
    def asks(self) -> dict[str, Any]:
        """The keywords of a run that let a person decide what is neither granted nor denied, and answer questions.

        None of them when nobody is there.  What a run asks that is kept can be answered later, so it is asked when
        nothing else is left to do; in memory it is asked at once.
        """
        found: dict[str, Any] = {}
        if can_ask(self._err) and not self._as_json:
            found["on_entitlement"] = self._ask
        if self._path is None and self._asks:
            from workglow.cli.interview import can_ask as can_answer

            if can_answer(self._out):
                found["on_question"] = self._answer
        return found

    async def _answer(self, question: Question) -> dict[str, Any] | None:
        # On the event loop, which stands still meanwhile: a thread that waits for a line could not be ended by Ctrl-C.
        from workglow.cli.interview import ask_now

        if not question.expects_answer:
            return None  # it was told with the progress
        with nullcontext() if self._progress is None else self._progress.paused():
            return ask_now(self._out, question)

    def _ask(self, request: EntitlementRequest) -> Answer:
        with nullcontext() if self._progress is None else self._progress.paused():
            return ask(self._err, request, keeps=is_durable(self._path))

    @contextmanager
    def listing(self) -> Generator[None]:
        """With --json, show all runs that are followed here as one list at the end, instead of each by itself."""
        self._listed = []
        try:
            yield
        finally:
            if self._as_json:
                self._out.json(self._listed)
            self._listed = None

    def show_none(self) -> None:
        """There was no run to follow: with --json, that is a document too."""
        if self._as_json:
            self._out.json(None)

    def follow(
        self,
        graph: TaskGraph,
        begin: Callable[[Callable[[Event], object]], Run],
        *,
        project: Project | None = None,
        resumed: str | None = None,
    ) -> None:
        """Call `begin` with a listener, show what happens and what comes out; exit 1 on failure, 130 on Ctrl-C.

        `resumed` is the id of a run that had begun before.
        """
        clock = SystemClock()
        watch = Watch(graph, clock, lambda run, path: None if project is None else count_items(project, run, path))
        if resumed is not None and project is not None:
            watch.run = resumed
            watch.recall(finished_paths(project, resumed))
        live = self._out.terminal and self._err.terminal and not self._as_json
        progress = self._progress = (LiveProgress if live else PlainProgress)(self._err, watch, clock)

        def listen(event: Event) -> None:
            watch(event)
            progress(event)

        try:
            with progress:
                run = begin(listen)
        except KeyboardInterrupt:
            self._interrupted(watch.run)
            raise typer.Exit(130) from None
        except WorkglowError as error:
            failed: Any = error.run
            if failed is not None:
                self._show(failed)
                error.add_note(self._after_failure(failed))
            raise
        if run.status == "waiting" and project is not None:
            self._waiting(graph, project, run)
            return
        self._show(run)
        if run.status != "completed":
            self._err.line((f"The run is {run.status}", STATUS_STYLES.get(run.status, "")), f": {run.error or ''}")
            self._err.line(self._after_failure(run))
            raise typer.Exit(1)

    def _show(self, run: Run) -> None:
        if self._as_json:
            facts = run_as_json(run, self._path)
            if self._listed is None:
                self._out.json(facts)
            else:
                self._listed.append(facts)
            return
        show_tasks(self._out, run.tasks.values(), most=0)
        show_outputs(self._out, run.outputs)
        if run.id and is_durable(self._path):
            self._out.line("")
            self._out.line(("run ", "dim"), run.id, (f" in {self._path}", "dim"))

    def _waiting(self, graph: TaskGraph, project: Project, run: Run) -> None:
        """Ask whoever is there, and go on; or say what the run waits for and how it goes on, and exit with 3."""
        from workglow.cli.interview import can_ask, interview

        if self._asks and can_ask(self._out) and interview(self._out, project, run.id):
            self.follow(
                graph, lambda listen: project.resume_sync(run.id, on_event=listen), project=project, resumed=run.id
            )
            return
        self._show(run)
        if not self._as_json:
            from workglow.cli.asking import show_questions

            self._out.line("")
            self._out.line(("The run waits, and no process is needed for that.", "cyan"))
            show_questions(self._out, str(self._path), project.questions(run.id))
            self._out.line("Then, or when its time has come, it goes on with:")
            self._out.command(self._command("resume", run.id))
        raise typer.Exit(3)

    def _interrupted(self, run: str) -> None:
        self._err.line(("Interrupted.", "bold yellow"))
        if not run or not is_durable(self._path):
            self._err.line("The run was in memory only.  With --project FILE it could be resumed.")
            return
        self._err.line("Everything that was finished is kept.  Go on with:")
        self._err.command(self._command("resume", run))

    def _after_failure(self, run: Run) -> str:
        if not run.id or not is_durable(self._path):
            return ""
        return f"Try again with: {self._command('rerun', run.id, '--failed')}"

    def _command(self, *words: str) -> str:
        command, *rest = words
        tasks = [word for name in self._task_files for word in ("--tasks", name)]
        return shlex.join(["workglow", command, str(self._path), *rest, *tasks])


def count_items(project: Project, run: str, path: str) -> int | None:
    """Return how many items a loop has, from its stored state; None when that is not committed yet."""
    from json import loads

    from workglow.storage.sqlite import sqlite_repositories

    runs = sqlite_repositories(project.file).runs
    try:
        row = runs.row(runs.get(run), path)
    except UnknownRunError:
        return None
    return None if row is None or row.state is None else loads(row.state).get("count")


_MOST_RECALLED = 50_000
"""Tasks that are read back before a resume; with more, the bars count only what is still to do."""


def finished_paths(project: Project, run: str) -> list[str]:
    """Return the tasks that were final when the run stopped, in the order in which they became ready."""
    from workglow.storage.sqlite import sqlite_repositories

    runs = sqlite_repositories(project.file).runs
    record = runs.get(run)
    if sum(runs.count(record).values()) > _MOST_RECALLED:
        return []
    return [row.path for row in runs.rows(record) if row.finished_at is not None]
