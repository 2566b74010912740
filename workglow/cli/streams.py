"""`workglow follow`: what a run streams, as it is said."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from workglow.cli.parameters import AsJson, ProjectFile, RunName
from workglow.cli.plain import describe, to_json
from workglow.cli.projects import look_into, pick, stored_runs
from workglow.cli.screen import Screen, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.streams.follow import StreamRecord
    from workglow.project import Project

__all__ = ["app"]

app = typer.Typer(rich_markup_mode=None)


@app.command()
def follow(
    file: ProjectFile,
    run: RunName = "last",
    *,
    task: Annotated[
        str | None, typer.Option(metavar="PATH", help="Only this task.  Default: every task.", show_default=False)
    ] = None,
    from_seq: Annotated[int, typer.Option("--from", min=0, metavar="N", help="Leave out what was said before.")] = 0,
    json: AsJson = False,
) -> None:
    """Show what a run streams, as it is said.

    First comes what it has said so far, then what it says, until it ends.  The run may be going on in any process.
    With --json each line is a JSON document.
    """
    with look_into(file) as project:
        found = pick(project, run)
        notes = Screen(stderr=True)
        if any(one.interrupted for one in stored_runs(project) if one.run.id == found.id):
            notes.line("Nobody works on the run now.  Go on with:")
            notes.command(f"workglow resume {file} {found.id}")
        elif found.status == "waiting":
            notes.line("The run waits, and nobody works on it now.  Ctrl-C stops following.  What it waits for:")
            notes.command(f"workglow show {file} {found.id}")
        show = _write_json if json else _Teller()
        try:
            told = asyncio.run(_follow(project, found.id, task, from_seq, show))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        if not told and not from_seq:
            notes.line("Nothing was streamed.  What came out:")
            notes.command(f"workglow show {file} {found.id}")


async def _follow(
    project: Project, run: str, task: str | None, from_seq: int, show: Callable[[StreamRecord], None]
) -> int:
    """Show what comes, and return how many records that were."""
    told = 0
    async for record in project.follow(run, task, from_seq=from_seq):
        show(record)
        told += 1
    return told


def _write_json(record: StreamRecord) -> None:
    import msgspec

    sys.stdout.write(to_json(msgspec.structs.asdict(record), indent=0) + "\n")
    sys.stdout.flush()


class _Teller:
    """Writes text as it is said, under the path of the task that says it."""

    def __init__(self) -> None:
        self._path = ""
        self._said: dict[tuple[str, str], list[str]] = {}  # task and port → what of it is on the screen
        self._notes = Screen(stderr=True)

    def __call__(self, record: StreamRecord) -> None:
        key = (record.path, record.port)
        if record.kind == "append" and isinstance(record.data, str):
            self._turn_to(record.path)
            self._said.setdefault(key, []).append(record.data)
            self._write(record.data)
        elif record.kind in ("append", "replace", "object"):
            self._anew(record.path, record.port, describe(record.data))
        elif record.kind == "value":
            for port, value in record.data.items():
                self._rest(record.path, port, describe(value))
            self._end_line()
        else:
            self._end_line()
            self._said = {known: text for known, text in self._said.items() if known[0] != record.path}
            if record.kind == "restarted":
                self._notes.line((f"{record.path} begins again, attempt {record.attempt}", "yellow"))
            else:
                self._notes.line((f"{record.path} failed: {record.data}", "red"))

    def _rest(self, path: str, port: str, text: str) -> None:
        """Write what is not on the screen yet of a value that is whole now."""
        said = "".join(self._said.pop((path, port), ()))
        if not text.startswith(said):
            self._anew(path, port, text)
        elif text != said or not text:
            self._turn_to(path)
            self._write(text[len(said) :])

    def _anew(self, path: str, port: str, text: str) -> None:
        if self._said.get((path, port)) == [text]:
            return
        if self._path == path:
            self._end_line()
        self._turn_to(path)
        self._said[path, port] = [text]
        self._write(text)

    def _turn_to(self, path: str) -> None:
        if path != self._path:
            self._end_line()
            self._write(f"{path}: ")
            self._path = path

    def _end_line(self) -> None:
        if self._path:
            self._write("\n")
            self._path = ""

    def _write(self, text: str) -> None:
        sys.stdout.write(visible(text))
        sys.stdout.flush()
