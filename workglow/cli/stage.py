"""Where the demonstration is shown: what happens, then the proof, then the answers."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workglow.cli.moments import took
from workglow.cli.screen import Cell, Screen
from workglow.cli.searching import show_result
from workglow.demo import QUERY

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from workglow.demo import Crash, Outcome, Proof

__all__ = ["Stage"]


class Stage:
    """Shows the demonstration on a terminal, in a pipe, or at its end as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._screen = Screen()

    def say(self, text: str, *, indent: int = 0) -> None:
        """Write a line, unless JSON is wanted."""
        if not self._as_json:
            self._screen.line(text, indent=indent)

    @contextmanager
    def bar(self, name: str) -> Generator[Callable[[dict[str, Any]], None]]:
        """Show how many documents are stored, while the block runs."""
        if self._as_json or not self._screen.terminal:
            yield lambda step: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("   {task.description:<8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._screen.console) as progress:
            bar = progress.add_task(name, total=None)

            def advance(step: dict[str, Any]) -> None:
                if "documents" in step:
                    progress.update(bar, total=step["documents"], completed=step.get("stored", 0))
                elif str(step.get("finished")).endswith("/store"):
                    progress.advance(bar)

            yield advance

    def tell(self, outcome: Outcome) -> None:
        """Write what came out."""
        if self._as_json:
            self._screen.json(_facts(outcome))
            return
        self._prove(outcome.crash, outcome.proof)
        self.say("5  And the file answers:")
        for found in outcome.answers:
            self.say("")
            self._screen.line((found.question, "bold magenta"), indent=3)
            show_result(self._screen, found.result, "   ")
        self.say("")
        self._screen.line((f"Done in {took(outcome.seconds)}.", "bold"), "  Try next:")
        elsewhere = outcome.file
        for command in (
            f'workglow search {elsewhere} "your question"',
            f"workglow show {elsewhere}",
            f'sqlite3 {elsewhere} "SELECT path, attempt, status FROM task_run"',
            f"workglow resume {outcome.killed_file} --tasks workglow.demo.flow",
        ):
            self._screen.command(command, indent=3)

    def _prove(self, crash: Crash, proof: Proof) -> None:
        self.say("4  The file itself says what ran how often:")
        self.say("")
        self._screen.line((QUERY.rstrip(), "dim"), indent=3)
        self.say("")
        rows: list[list[Cell]] = [["   " + when, str(attempts), str(tasks)] for when, attempts, tasks in proof.rows]
        self._screen.table(("   FINISHED", "ATTEMPTS", "TASKS"), rows, right=(1, 2))
        self.say("")
        self._screen.line(
            (f"{len(crash.finished)} tasks were finished at the kill, ", ""),
            (f"{crash.stored} of {crash.documents} documents stored; ", ""),
            ("none of them ran again.", "bold green") if proof.holds else ("SOME RAN AGAIN.", "bold red"),
            indent=3,
        )
        if crash.in_flight:
            self._screen.line("In flight, and so started twice: ", ", ".join(crash.in_flight), indent=3)
        for reason in proof.unread:
            self._screen.line(("Left out: ", "yellow"), reason, indent=3)
        self.say("")


def _facts(outcome: Outcome) -> dict[str, object]:
    crash, proof = outcome.crash, outcome.proof
    return {
        "ok": proof.holds,
        "run": crash.run,
        "status": proof.status,
        "killed_file": outcome.killed_file,
        "file": outcome.file,
        "documents": crash.documents,
        "stored_before_the_kill": crash.stored,
        "finished_before_the_kill": sorted(crash.finished),
        "in_flight_at_the_kill": sorted(crash.in_flight),
        "ran_again": sorted(proof.again),
        "violations": proof.violations,
        "unread": proof.unread,
        "sql": QUERY,
        "rows": [{"finished": when, "attempts": attempts, "tasks": tasks} for when, attempts, tasks in proof.rows],
        "answers": [{"question": found.question, **asdict(found.result)} for found in outcome.answers],
        "seconds": round(outcome.seconds, 3),
    }
