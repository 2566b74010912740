"""What a worker does, told while it does it: a line that moves on a terminal, a line an event elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TextIO

import msgspec

from workglow.cli.plain import to_json
from workglow.cli.screen import as_text

if TYPE_CHECKING:
    from types import TracebackType

    from rich.live import Live
    from rich.text import Text

    from workglow.cli.screen import Screen
    from workglow.queue import JobEvent, Worker

__all__ = ["JsonLog", "LiveLog", "PlainLog"]

_ENDINGS = {
    "job_failed": ("failed", "red"),
    "job_retried": ("failed, and is tried again", "yellow"),
    "job_aborted": ("was aborted", "yellow"),
    "job_returned": ("was handed back", "yellow"),
    "job_lost": ("is run by another worker by now", "yellow"),
}


class JsonLog:
    """Every event as one line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: JobEvent) -> None:
        told: dict[str, Any] = {"kind": event.kind, "queue": event.queue, "job": event.job, "at": event.at}
        if event.kind == "job_progress":
            told |= event.data._asdict()
        elif event.kind != "job_completed" and event.data is not None:
            told["error"] = _error(event.data)
        self.write(told)

    def ended(self, done: int) -> None:
        """Say how many jobs were settled."""
        self.write({"kind": "worker_stopped", "done": done})

    def write(self, told: dict[str, Any]) -> None:
        self._out.write(to_json(told, indent=0) + "\n")
        self._out.flush()


class PlainLog:
    """A line for each job that did not go well, and one at the end: fit for a journal."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._failed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def __call__(self, event: JobEvent) -> None:
        if event.kind not in _ENDINGS:
            return
        self._failed += event.kind == "job_failed"
        what, style = _ENDINGS[event.kind]
        error = _error(event.data) if event.data is not None else None
        why = f": {error['type']}: {error['message']}" if error is not None else ""
        self._screen.line(f"job {event.job} of {event.queue} ", (what, style), why)

    def ended(self, done: int) -> None:
        """Say how many jobs were settled."""
        failed = f", {self._failed} of them failed" if self._failed else ""
        self._screen.line(f"Stopped after {done} jobs{failed}." if done != 1 else f"Stopped after 1 job{failed}.")


class LiveLog(PlainLog):
    """Below those lines one that says what goes on now."""

    def __init__(self, screen: Screen, worker: Worker) -> None:
        super().__init__(screen)
        self._worker = worker
        self._now: dict[int, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(
            console=self._screen.console, get_renderable=self.render, refresh_per_second=4, transient=True
        )
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: JobEvent) -> None:
        super().__call__(event)
        if event.kind == "job_started":
            self._now[event.job] = f"job {event.job} of {event.queue}"
        elif event.kind == "job_progress":
            share = f"job {event.job} of {event.queue} {event.data.percent:.0f} % {event.data.message}"
            self._now[event.job] = share.rstrip()
        else:
            self._now.pop(event.job, None)

    def render(self) -> Text:
        """Lay out the line."""
        worker = self._worker
        line = as_text((f"{worker.running} of {worker.concurrency} running, {worker.done} done", "bold"))
        if self._failed:
            line.append_text(as_text((f", {self._failed} failed", "red")))
        for said in list(self._now.values())[-3:]:
            line.append_text(as_text((f"  {said}", "cyan")))
        line.truncate(self._screen.console.width, overflow="ellipsis")
        return line


def _error(data: Any) -> dict[str, Any]:
    if isinstance(data, BaseException):
        return {"type": type(data).__name__, "message": str(data)}
    return {name: value for name, value in msgspec.json.decode(data).items() if name in ("type", "message")}
