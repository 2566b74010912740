"""Killing the process that runs the flow, going on with a copy of its file, and asking that file what ran how often."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workglow.errors import RunStateError
from workglow.file import copy
from workglow.project import open as open_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from workglow.knowledge import SearchResult
    from workglow.project import Project

__all__ = ["QUERY", "Crash", "Found", "Outcome", "Proof", "ask", "own_documents", "prove", "resume", "run_and_kill"]

QUERY = Path(__file__).with_name("proof.sql").read_text(encoding="utf-8")
"""What proves it, for any SQLite shell: tasks by when they finished and how often they were started."""

_TELLING = 80
"""Characters from which on a passage is more than a heading."""

_SHOWN = 2000
"""Characters of a dead child's last words."""


@dataclass(slots=True)
class Crash:
    """A run that was killed: what its file said right afterwards, by the paths of its tasks."""

    run: str
    sources: list[str] = field(default_factory=list[str])
    documents: int = 0
    finished: dict[str, tuple[int, int | None]] = field(default_factory=dict[str, "tuple[int, int | None]"])
    in_flight: list[str] = field(default_factory=list[str])
    stored: int = 0


class Proof(NamedTuple):
    """What the file says after the resume: the rows of QUERY, what ran again, and which finished tasks did (none).

    `unread` says why documents could not be read.
    """

    status: str
    rows: list[tuple[str, int, int]]
    again: list[str]
    violations: list[str]
    unread: list[str]

    @property
    def holds(self) -> bool:
        """Whether nothing that was finished ran again, and what was in flight did."""
        return not self.violations


class Found(NamedTuple):
    """A question, and the passage that answers it best."""

    question: str
    result: SearchResult


class Outcome(NamedTuple):
    """All of a demonstration: the file that was left half way, the finished one, and how many seconds it took."""

    crash: Crash
    proof: Proof
    answers: list[Found]
    killed_file: str
    file: str
    seconds: float


def own_documents() -> list[str]:
    """Return workglow's own documentation: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside, beside = package / "docs", package.parent
    if inside.is_dir():
        return [str(inside)]
    return [str(path) for path in (beside / "docs", beside / "README.md") if path.exists()]


def run_and_kill(file: str, sources: Sequence[str], *, most: int, on_step: Callable[[dict[str, Any]], object]) -> Crash:
    """Start the flow in a process of its own, and kill it with SIGKILL when half of the documents are stored.

    `on_step` is told what the process announces.  Raises RunStateError when it ended before it could be killed.
    """
    crash = Crash("", list(sources))
    with _Child("run", file, str(most), *sources) as child:
        for step in child.steps():
            crash.run = step.get("run", crash.run)
            crash.documents = step.get("documents", crash.documents)
            on_step(step)
            if "half_way" in step:
                child.kill()
                return crash
        raise RunStateError(child.last_words() or "The process ended before it could be killed.")


def resume(crash: Crash, file: str, elsewhere: str, *, on_step: Callable[[dict[str, Any]], object]) -> None:
    """Copy the file as the kill left it, note in `crash` what it says, and go on with the copy in a fresh process."""
    os.makedirs(os.path.dirname(os.path.abspath(elsewhere)), exist_ok=True)
    copy(file, elsewhere)
    with open_project(elsewhere, read_only=True) as project:
        for path, task in project.get(crash.run).tasks.items():
            if task.finished_at is not None:
                crash.finished[path] = (task.attempt, task.finished_at)
                crash.stored += path.endswith("/store") and task.status == "completed"
            elif task.status == "running" and path != "each":
                crash.in_flight.append(path)
    on_step({"documents": crash.documents, "stored": crash.stored})
    with _Child("resume", elsewhere, crash.run, *crash.sources) as child:
        for step in child.steps():
            on_step(step)
        if child.wait():
            raise RunStateError(child.last_words() or "The run could not be resumed.")


def prove(crash: Crash, project: Project) -> Proof:
    """Ask the resumed file what ran how often, and compare it with what it said before."""
    run = project.get(crash.run)
    reader: Any = project.file.reader
    rows = [(str(when), int(attempts), int(tasks)) for when, attempts, tasks in reader.execute(QUERY)]
    now = {path: (task.attempt, task.finished_at) for path, task in run.tasks.items()}
    violations = [path for path, before in crash.finished.items() if now.get(path) != before]
    violations += [path for path in crash.in_flight if now.get(path, (0, None))[0] != 2]
    again = [path for path, (attempt, _) in now.items() if attempt > 1]
    unread = [task.error or path for path, task in run.tasks.items() if task.status == "failed" and "/" in path]
    return Proof(run.status, rows, again, violations, unread)


def ask(project: Project, questions: Sequence[str]) -> list[Found]:
    """Search for each question; without any, for the headings of some documents."""
    base = project.knowledge()
    asked = list(questions) or [one.record.title for one in base.documents()[:3]]
    found = [(question, base.search(question, limit=5)) for question in asked]
    return [Found(question, _telling(results)) for question, results in found if results]


def _telling(results: Sequence[SearchResult]) -> SearchResult:
    """The best passage that says more than its heading."""
    return next((result for result in results if len(result.text) >= _TELLING), results[0])


class _Child:
    """A process of the demonstration; leaving the block ends it."""

    def __init__(self, *words: str) -> None:
        here = str(Path(__file__).parents[2])
        known = os.environ.get("PYTHONPATH")
        self._words: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workglow.demo", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{known}{os.pathsep}{here}" if known else here},
        )

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def steps(self) -> Iterator[dict[str, Any]]:
        """Yield what the process announces, until it ends."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            step = json.loads(line) if line.startswith("{") else {"error": line.strip()}
            if "error" in step:
                self._words.append(step["error"])
            else:
                yield step

    def kill(self) -> None:
        """End the process as a power cut would: at once, whatever it is doing."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def wait(self) -> int:
        """Return the exit code."""
        return self._process.wait()

    def last_words(self) -> str:
        """What the process said that went wrong, or else wrote."""
        return "\n".join(self._words).strip()[-_SHOWN:]
