"""A picture of queues, workers and runs, laid out for a terminal of any size.

Policy.  Every row is one line.  When there is not enough room, the longest section loses rows first and says how many;
columns that say something in free text give way before those with names and figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from workglow.cli.jobs import told_error, told_progress
from workglow.cli.moments import moment, took
from workglow.cli.queues import label
from workglow.cli.screen import STATUS_STYLES, Cell, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType
    from rich.text import Text

    from workglow.cli.picture import Picture
    from workglow.queue import QueueInfo, WorkerInfo
    from workglow.storage.jobs import JobRecord, JobStatus

__all__ = ["draw"]

_BAR: Final[tuple[tuple[JobStatus, str], ...]] = (
    ("completed", "█"), ("running", "▓"), ("failed", "▞"), ("aborted", "▞"), ("pending", "░"),
)  # fmt: skip
"""Status → what its part of a bar is made of; the signs differ, for terminals without colours."""

_FIGURES: Final = 50
"""Columns of all that a queue's row holds beside its name and its bar."""

_LEAST: Final = 2  # rows that each section keeps


@dataclass(slots=True)
class _Section:
    """Rows under headers; the numbers in `right` are columns of figures, `free` is the one that gives way."""

    headers: tuple[str, ...]
    rows: list[list[Cell | Text]]
    right: tuple[int, ...] = ()
    free: int = -1
    hidden: int = field(default=0)


def draw(picture: Picture, name: str, *, width: int, height: int | None = None) -> RenderableType:
    """Lay a picture out; `height` is how many lines there are, None for as many as it takes."""
    from rich.console import Group
    from rich.text import Text

    sections = [
        section for section in (_queues(picture, width), _workers(picture), _runs(picture), _failures(picture))
        if section.rows
    ]  # fmt: skip
    if height is not None:
        _shorten(sections, height - 1)
    parts: list[RenderableType] = [_head(picture, name, width)]
    for section in sections:
        parts += [Text(""), _table(section, width)]
        if section.hidden:
            parts.append(as_text((f"… and {section.hidden} more", "dim")))
    if not sections:
        parts += [Text(""), as_text(("No queue, no worker and no unfinished run yet.", "dim"))]
    return Group(*parts)


def _shorten(sections: list[_Section], room: int) -> None:
    while sum(len(one.rows) + 2 + bool(one.hidden) for one in sections) > room:
        longest = max(sections, key=lambda one: len(one.rows), default=None)
        if longest is None or len(longest.rows) <= _LEAST:
            return
        longest.rows.pop()
        longest.hidden += 1


def _head(picture: Picture, name: str, width: int) -> RenderableType:
    from rich.table import Table

    alive = sum(worker.alive for worker in picture.workers)
    pending = sum(queue.counts.get("pending", 0) for queue in picture.queues)
    told = f"{_count(alive, 'worker')}, {_count(len(picture.running), 'job')} running, {pending:,} pending"
    grid = Table.grid(padding=(0, 2))
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    grid.add_column(justify="right", no_wrap=True)
    grid.expand, grid.width = True, width
    grid.add_row(as_text((name, "bold")), as_text(f"{told}  {moment(picture.at)[11:]}"))
    return grid


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _table(section: _Section, width: int) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0), width=width)
    for number, header in enumerate(section.headers):
        free = number == section.free
        table.add_column(
            header,
            justify="right" if number in section.right else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if free else None,
        )
    for row in section.rows:
        table.add_row(*map(_one_line, row))
    return table


def _one_line(cell: Cell | Text) -> Text:
    text = as_text(cell) if isinstance(cell, str | tuple) else cell
    return text if "\n" not in text.plain else text.split()[0]


# ---------------------------------------------------------------------- the sections


def _queues(picture: Picture, width: int) -> _Section:
    names = max((len(_queue_name(queue)) for queue in picture.queues), default=0)
    size = max(10, min(60, width - names - _FIGURES))
    rows: list[list[Cell | Text]] = []
    for queue in picture.queues:
        counts = queue.counts
        failed = counts.get("failed", 0)
        oldest = "" if queue.oldest is None else took(max(0, picture.at - queue.oldest) / 1000)
        rows.append(
            [
                (_queue_name(queue), "" if queue.paused_at is None else "yellow"),
                _bar(counts, size),
                f"{counts.get('pending', 0):,}",
                f"{counts.get('running', 0):,}",
                f"{counts.get('completed', 0):,}",
                (f"{failed:,}", STATUS_STYLES["failed"] if failed else ""),
                oldest,
                f"{queue.last_minute:,}",
            ]
        )
    headers = ("QUEUE", "", "PENDING", "RUNNING", "DONE", "FAILED", "OLDEST", "/ MIN")
    return _Section(headers, rows, right=(2, 3, 4, 5, 6, 7), free=0)


def _queue_name(queue: QueueInfo) -> str:
    return label(queue.name, queue.scope) + ("" if queue.paused_at is None else ", paused")


def _bar(counts: Mapping[JobStatus, int], size: int) -> Text:
    """How a queue's jobs are shared out: a status that any job has gets one sign at least."""
    from rich.text import Text

    whole = sum(counts.values())
    shares = {status: max(1, counts[status] * size // whole) for status, _ in _BAR if counts.get(status)}
    if shares:
        largest = max(shares, key=lambda status: shares[status])
        shares[largest] += size - sum(shares.values())
    bar = Text()
    for status, sign in _BAR:
        bar.append(sign * shares.get(status, 0), style=STATUS_STYLES[status])
    return bar


def _workers(picture: Picture) -> _Section:
    rows: list[list[Cell | Text]] = []
    running = {job.id: job for job in picture.running}
    for worker in picture.workers:
        rows.append(_worker(worker, picture.at))
        rows += [_job(running[number], picture.at) for number in worker.jobs if number in running]
    return _Section(("WORKER", "JOBS", "TIME", "WHAT"), rows, right=(1, 2), free=3)


def _worker(worker: WorkerInfo, now: int) -> list[Cell | Text]:
    takes = ", ".join(worker.queues) or "all queues"
    return [
        (f"{worker.pid} on {worker.host}", "" if worker.alive else "yellow"),
        f"{len(worker.jobs)}/{worker.concurrency}",
        took(max(0, now - worker.started_at) / 1000),
        takes if worker.alive else ("its process is gone", "yellow"),
    ]


def _job(job: JobRecord, now: int) -> list[Cell | Text]:
    stops = ("is to stop", "yellow")
    said = told_progress(job) if job.abort_reason is None else stops
    since = took(max(0, now - job.started_at) / 1000) if job.started_at is not None else ""
    return [(f"  {job.handler}", "cyan"), f"{job.id}", since, said]


def _runs(picture: Picture) -> _Section:
    rows: list[list[Cell | Text]] = []
    for one in picture.runs:
        done, whole = one.counts.get("completed", 0), sum(one.counts.values())
        rows.append(
            [
                one.run.id,
                (one.status, "yellow" if one.interrupted else STATUS_STYLES.get(one.status, "")),
                f"{done}/{whole}",
                took(max(0, picture.at - one.run.created_at) / 1000),
                "",
            ]
        )
    rows.reverse()
    return _Section(("RUN", "STATUS", "TASKS", "TIME", ""), rows, right=(2, 3), free=4)


def _failures(picture: Picture) -> _Section:
    rows: list[list[Cell | Text]] = [
        [str(job.id), job.queue, job.handler, moment(job.finished_at)[11:], (told_error(job.error), "red")]
        for job in picture.failed
    ]
    return _Section(("FAILED", "QUEUE", "HANDLER", "AT", "ERROR"), rows, right=(0,), free=4)
