"""`python -m workglow.demo run FILE MOST SOURCE…` and `resume FILE RUN SOURCE…`: the processes of the demonstration.

They write a line of JSON for each thing that happens.  `run` is killed from outside; once half of the documents are
stored it stops at the next finished task and waits for that, so that the kill always falls half way.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from workglow.demo.flow import ingestion
from workglow.errors import WorkglowError
from workglow.project import open as open_project
from workglow.tasks import Entitlement

if TYPE_CHECKING:
    from workglow.graph.events import Event

__all__ = ["main"]


def say(**facts: object) -> None:
    """Write one line for the process that started this one."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def announce(event: Event) -> None:
    """Tell of each task that is finished, and of how many documents there are."""
    data: Any = event.data
    if event.kind == "run_started":
        say(run=event.run)
    elif event.kind == "task_completed" and event.path == "documents":
        say(documents=len(data["paths"]))
    elif event.kind in ("task_completed", "task_cached", "task_failed"):
        say(finished=event.path)


class HalfWay:
    """A listener that stops the process, for its killer, when half of the documents are stored."""

    def __init__(self) -> None:
        self._documents = 0
        self._stored = 0

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        announce(event)
        data: Any = event.data
        if event.kind != "task_completed":
            return
        if event.path == "documents":
            self._documents = len(data["paths"])
        elif self._stored >= self._documents // 2:
            say(half_way=True)
            sys.stdin.read()  # returns only if the other process is gone; then this one goes on by itself
        elif event.path.endswith("/store"):
            self._stored += 1


def main(command: str, file: str, *words: str) -> int:
    """Run or resume, and return the exit code."""
    try:
        with open_project(file) as project:
            if command == "resume":
                # What the run was granted does not count in the copy of its file, so this process grants it.
                run, *sources = words
                project.resume_sync(run, on_event=announce, entitlements=[Entitlement("files:read", tuple(sources))])
                return 0
            inputs = {"most": int(words[0]), "sources": list(words[1:])}
            run = project.run_sync(ingestion(), inputs, on_event=HalfWay(), continue_on_error=True)
            say(error=run.error or "The run was complete before it could be killed.")
    except WorkglowError as error:
        say(error=str(error))
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
