"""The commands by name.  A module is imported when its command is used, so `workglow --help` answers at once."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from workglow.errors import WorkglowError

if TYPE_CHECKING:
    from click import Command

__all__ = ["COMMANDS", "app"]

COMMANDS = {
    "demo": ("demonstrating", "See a run killed half way and finished elsewhere, on real documents."),
    "run": ("running", "Run a graph; with --project every step is kept."),
    "submit": ("submitting", "Have the workers of a queue run a graph."),
    "resume": ("running", "Go on with a run where it stopped."),
    "fork": ("running", "Run again from a task, or with other inputs, and reuse the rest."),
    "abort": ("steering", "End a run for good that waits, or whose process is gone; or end jobs."),
    "rerun": ("running", "Run what failed again, and reuse what completed."),
    "allow": ("allowing", "Say what every run of a project file may do, or list it."),
    "worker": ("working", "Run the jobs of a project file, until told to stop."),
    "questions": ("asking", "List what runs ask persons, and how to answer."),
    "answer": ("asking", "Answer the question of a task."),
    "send": ("asking", "Send an event to the runs that wait for it."),
    "runs": ("looking", "List the runs in a project file."),
    "show": ("looking", "Show a run and its tasks."),
    "follow": ("streams", "Show what a run streams, as it is said."),
    "why": ("looking", "Say why a task ran, was reused, waits or never started."),
    "usage": ("usage", "Say what runs took of models: tokens, seconds, cost."),
    "budget": ("usage", "Say anew what a run may take of models; what waits for more goes on."),
    "enqueue": ("steering", "Put a job into a queue, which is made if needed."),
    "jobs": ("jobs", "List jobs, newest first, and why each that waits does."),
    "job": ("jobs", "Show everything of one job: inputs, result or error, earlier attempts, and why it waits."),
    "queues": ("queues", "List the job queues: how many jobs they have, how old they are, how fast they go."),
    "pause": ("steering", "Start no more jobs of a queue, in any process; what runs goes on."),
    "resume-queue": ("steering", "Start the jobs of a paused queue again."),
    "retry": ("steering", "Try failed and aborted jobs again, with all their attempts."),
    "limits": ("limits", "List the limiters: their rules, how many slots are taken, and what holds them back."),
    "watch": ("watching", "Watch queues, workers and runs while they go on."),
    "credentials": ("credentials", "Keep secrets, such as API keys: list, add, remove, rotate, remember."),
    "graph": ("graphs", "Show a graph: of a file, of a run, or a named one."),
    "graphs": ("named", "List the graphs that a project file holds by name, and their history."),
    "tasks": ("graphs", "List the task types that a graph may name."),
    "search": ("searching", "Find passages in the documents of a project file, by meaning and by words."),
    "schedules": ("scheduling", "List what is done again and again, and when next."),
    "schedule": ("scheduling", "Do something again and again; or pause what is, or resume it."),
    "unschedule": ("scheduling", "Forget a schedule."),
    "copy": ("files", "Copy a project file, also while runs are going on."),
    "info": ("files", "Say what a project file holds and how large it is."),
    "doctor": ("files", "Check a project file, and say what to do."),
    "recover": ("files", "Make a new project file of what can still be read of a damaged one."),
    "gc": ("files", "Make a project file smaller: remove old runs and jobs, and unused values."),
}
"""Name → module in this package, and what `workglow --help` says.  The order is the order in the help."""


class _Commands(MutableMapping[str, "Command"]):
    """The commands, each made when it is first looked up."""

    def __init__(self) -> None:
        self._made: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._made:
            module = import_module(f"workglow.cli.{COMMANDS[name][0]}")
            self._made.update(get_group(module.app).commands)  # pyright: ignore
        return self._made[name]

    def __setitem__(self, name: str, command: Command) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        settings.pop("commands", None)
        super().__init__(**settings)
        self.commands = _Commands()

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except WorkglowError as error:
            from workglow.cli.failures import show_failure

            show_failure(error)
            raise typer.Exit(1) from error


def _print_version(wanted: bool) -> None:
    if wanted:
        from workglow import __version__

        typer.echo(f"workglow {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Group,
    name="workglow",
    rich_markup_mode=None,  # rich takes longer to import than everything else that --help needs
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the work failed, 2 the command was not understood, 3 waiting, 130 interrupted.",
)


@app.callback()
def workglow(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Task graphs whose runs survive: one SQLite file holds the graph, every step, every output and the documents."""
