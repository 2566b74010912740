"""`workglow usage`: what runs took of models."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.moments import moment, took
from workglow.cli.parameters import AsJson, ProjectFile, RunName
from workglow.cli.projects import look_into, pick, work_on
from workglow.cli.screen import Screen
from workglow.tasks.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from workglow.cli.screen import Cell
    from workglow.graph.run import Run

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)

_AMOUNTS = ("TOKENS IN", "TOKENS OUT", "TIME", "COST")
_TURN = re.compile(r"\[\d+\]")


@app.command()
def usage(
    file: ProjectFile,
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id, the beginning of one, or 'last'.", show_default="all runs"),
    ] = None,
    json: AsJson = False,
) -> None:
    """Say what runs took of models: tokens, seconds, cost.

    The sums are over all attempts, also those that failed.  What a run reused from another one counts there.  Without
    RUN there is a line for each run, with it one for each task; a task inside a loop is one line.
    """
    screen = Screen()
    with look_into(file) as project:
        found = project.runs() if run is None else [pick(project, run)]
        by_model = _added(one.usage_by_model for one in found)
        if json:
            runs = [_facts(one) for one in found]
            screen.json({"runs": runs, "total": _in_all(by_model).to_json(), "models": _plain(by_model)})
        elif not by_model:
            screen.line("No task has recorded a usage; tasks do that with `context.record_usage(…)`.")
        elif run is None:
            sums = [(one, _in_all(one.usage_by_model)) for one in found]
            rows: list[list[Cell]] = [
                [one.id, one.status, moment(one.created_at), *_amounts(amounts)] for one, amounts in sums if amounts
            ]
            rows.append(["in all", "", "", *_amounts(_in_all(by_model))])
            screen.table(("RUN", "STATUS", "BEGAN", *_AMOUNTS), rows, right=(3, 4, 5, 6), whole=(0,))
            _show_models(screen, by_model)
        else:
            by_task = _added({_TURN.sub("[*]", path): one} for path, one in found[0].usage_by_task.items())
            _show(screen, "TASK", by_task)
            _show_models(screen, by_model)


@app.command()
def budget(
    file: ProjectFile,
    run: RunName,
    *,
    cost: Annotated[
        float | None, typer.Option(min=0.0, help="In the currency of the prices.", show_default="no limit")
    ] = None,
    tokens: Annotated[int | None, typer.Option(min=0, help="Read and written.", show_default="no limit")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="That models work.", show_default="no limit")] = None,
    json: AsJson = False,
) -> None:
    """Say anew what a run may take of models; what waits for more goes on.

    The amounts are for the whole run, with what it took so far.  When no process drives the run, `workglow resume` goes
    on with it.
    """
    if cost is None and tokens is None and seconds is None:
        raise typer.BadParameter("Give --cost, --tokens or --seconds.")
    screen = Screen()
    with work_on(file) as project:
        changed = project.set_budget(pick(project, run).id, cost=cost, tokens=tokens, model_seconds=seconds)
    if json:
        screen.json({"run": changed.id, "status": changed.status})
    else:
        screen.line(f"{changed.id} may take that much; it is {changed.status}.")


def _show_models(screen: Screen, by_model: Mapping[str, Usage]) -> None:
    screen.line("")
    _show(screen, "MODEL", {model or "not named": amounts for model, amounts in by_model.items()})


def _show(screen: Screen, what: str, sums: Mapping[str, Usage]) -> None:
    rows: list[list[Cell]] = [[name, *_amounts(amounts)] for name, amounts in sums.items()]
    if len(rows) > 1:
        rows.append(["in all", *_amounts(_in_all(sums))])
    screen.table((what, *_AMOUNTS), rows, right=(1, 2, 3, 4))


def _amounts(amounts: Usage) -> list[Cell]:
    tokens = (f"{amounts.input_tokens:,}", f"{amounts.output_tokens:,}")
    return [*tokens, took(amounts.model_seconds), f"{amounts.cost:,.4f}"]


def _facts(run: Run) -> dict[str, object]:
    by_model = run.usage_by_model
    return {
        "run": run.id,
        "status": run.status,
        "total": _in_all(by_model).to_json(),
        "models": _plain(by_model),
        "tasks": _plain(run.usage_by_task),
    }


def _plain(sums: Mapping[str, Usage]) -> dict[str, object]:
    return {name: amounts.to_json() for name, amounts in sums.items()}


def _in_all(sums: Mapping[str, Usage]) -> Usage:
    return sum(sums.values(), Usage())


def _added(all_sums: Iterable[Mapping[str, Usage]]) -> dict[str, Usage]:
    whole: dict[str, Usage] = {}
    for sums in all_sums:
        for name, amounts in sums.items():
            whole[name] = whole.get(name, Usage()) + amounts
    return whole
