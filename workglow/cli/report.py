"""What a run came to: its tasks in a table, then its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.cli.moments import moment, took
from workglow.cli.outline import outline
from workglow.cli.plain import describe
from workglow.cli.screen import STATUS_STYLES, Cell, Screen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workglow.cli.outline import Line
    from workglow.graph.run import Run, TaskResult
    from workglow.tasks.usage import Usage

__all__ = ["describe_moment", "run_as_json", "show_outputs", "show_tasks", "show_usage", "task_as_json"]


def show_tasks(screen: Screen, tasks: Iterable[TaskResult], *, most: int | None = 20) -> None:
    """Write the tasks as a table; a loop with more than `most` items is one line."""
    margins: list[str] = []
    rows: list[list[Cell]] = []
    for line in outline(tasks, most=most):
        del margins[line.depth :]
        twig = ("└─ " if line.last else "├─ ") if line.depth else ""
        rows.append(_row("".join(margins[1:]) + twig + line.name, line))
        margins.append(("   " if line.last else "│  ") if line.depth else "")
    screen.table(("TASK", "STATUS", "TRIES", "TIME", "NOTE"), rows, right=(2, 3))


def _row(name: str, line: Line) -> list[Cell]:
    task: Any = line.task
    status: Cell = (line.status, STATUS_STYLES.get(line.status, ""))
    if task is None:
        return [name, status, "", "", line.note]
    reused = task.cached or (task.status == "completed" and not task.attempt)
    waits = "" if task.waits_for is None else f"waits {_first_line(task.waits_for)}"
    notes = [note for note in (line.note, "reused" if reused else "", waits, _first_line(task.error)) if note]
    tries: Cell = (str(task.attempt), "yellow") if task.attempt > 1 else str(task.attempt)
    return [name, status, tries, "" if task.cached else took(task.seconds), "; ".join(notes)]


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


def show_outputs(screen: Screen, outputs: Mapping[str, object], title: str = "outputs") -> None:
    """Write each output under its name: text as it is, the rest in a few words."""
    if not outputs:
        return
    screen.line("")
    screen.line((title, "bold"))
    for name, value in outputs.items():
        told = describe(value)
        if "\n" in told:
            screen.line((name, "cyan"), indent=2)
            screen.line(told, indent=4)
        else:
            screen.line((name, "cyan"), "  ", told, indent=2)


def show_usage(screen: Screen, usage: Usage) -> None:
    """Write in a line what was taken of models, if anything was."""
    if usage:
        said = [f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out"]
        if usage.model_seconds:
            said.append(f"models worked {took(usage.model_seconds)}")
        if usage.cost:
            said.append(f"cost {usage.cost:,.4f}")
        screen.line(("used ", "dim"), ", ".join(said))


def task_as_json(task: TaskResult, *, outputs: bool = False) -> dict[str, object]:
    """Return a task of a run for other programs; times are milliseconds since 1970."""
    facts: dict[str, object] = {
        "path": task.path,
        "status": task.status,
        "attempt": task.attempt,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "seconds": task.seconds,
        "reused": task.cached,
        "usage": task.usage.to_json(),
        "error": task.error,
        "waits_for": task.waits_for,
        "wake_at": task.wake_at,
    }
    return {**facts, "outputs": dict(task.outputs)} if outputs else facts


def run_as_json(run: Run, project: str | None, *, status: str | None = None) -> dict[str, object]:
    """Return a run with its outputs and tasks for other programs."""
    return {
        "run": run.id or None,
        "project": project,
        "status": status or run.status,
        "error": run.error,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "forked_from": run.forked_from,
        "usage": run.usage,
        "outputs": dict(run.outputs),
        "tasks": [task_as_json(task) for task in run.tasks.values()],
        "events": [
            {"at": event.at, "path": event.path, "kind": event.kind, "data": event.data} for event in run.events
        ],
    }


def describe_moment(run: Run) -> str:
    """Say when a run began and how long it took."""
    began = f"began {moment(run.created_at)}"
    if run.finished_at is None:
        return began
    return f"{began}, took {took((run.finished_at - run.created_at) / 1000)}"
