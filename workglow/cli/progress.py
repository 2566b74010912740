"""Showing a run while it goes on: bars that move on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from workglow.cli.moments import took
from workglow.cli.screen import as_text
from workglow.cli.watch import FINAL

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from rich.console import RenderableType
    from rich.live import Live

    from workglow.cli.screen import Screen
    from workglow.cli.watch import Loop, Running, Watch
    from workglow.clock import Clock
    from workglow.graph.events import Event

__all__ = ["LiveProgress", "PlainProgress"]

_MOST_LINES = 8
"""Running tasks with a line of their own."""

_NAME = 28
"""Columns of a task's name."""

_BAR = 24
"""Columns of a bar."""

_STREAM_LINES = 3
"""Lines of streamed text below a task."""


class LiveProgress:
    """Bars on a terminal: one for the whole, one for each loop, a line for each task that runs."""

    def __init__(self, screen: Screen, watch: Watch, clock: Clock) -> None:
        self._console = screen.console
        self._watch = watch
        self._clock = clock
        self._began = clock.monotonic()
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        """Show what a task only tells; all else that is drawn is asked of the watch, at the display's own pace."""
        if event.kind == "task_notified":
            self._console.print(as_text(f"{event.path}: {event.data.message}"))

    def __enter__(self) -> Self:
        self._draw()
        return self

    def _draw(self) -> None:
        from rich.live import Live

        self._live = Live(console=self._console, get_renderable=self.render, refresh_per_second=10, transient=True)
        self._live.start()

    @contextmanager
    def paused(self) -> Generator[None, None, None]:
        """Draw nothing meanwhile, so that a person can be asked."""
        if self._live is not None:
            self._live.stop()
        try:
            yield
        finally:
            self._draw()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def render(self) -> RenderableType:
        """Lay out what is going on."""
        from rich.console import Group

        watch, now = self._watch, self._clock.monotonic()
        loops = tuple(watch.loops.values())
        busy = [task for task in tuple(watch.running.values()) if task.path not in watch.loops]
        room = max(1, min(_MOST_LINES, self._console.height - len(loops) - 4))
        rows: list[RenderableType] = [self._loop(loop, now) for loop in loops if loop.path in watch.running]
        for task in busy[:room]:
            rows.append(self._task(task, now))
            if task.text:
                rows.append(self._stream(task.text))
        if len(busy) > room:
            rows.append(as_text((f"  … and {len(busy) - room} more", "dim")))
        done, total = watch.done, watch.total
        for loop in loops:
            if loop.total is not None:
                done, total = done + loop.done, total + loop.total
        rows.append(self._row("all", done / total if total else None, f"{done} of {total}", took(now - self._began)))
        return Group(*rows)

    def _loop(self, loop: Loop, now: float) -> RenderableType:
        running = self._watch.running.get(loop.path)
        since = took(now - running.since) if running is not None else ""
        if loop.total is None:
            return self._row(loop.path, None, f"{loop.done} done", since)
        return self._row(loop.path, loop.done / max(loop.total, 1), f"{loop.done} of {loop.total}", since)

    def _task(self, task: Running, now: float) -> RenderableType:
        share = "" if task.fraction is None else f"{task.fraction:.0%}"
        return self._row(task.path, task.fraction, f"{share} {task.message}".strip(), took(now - task.since))

    def _row(self, name: str, fraction: float | None, said: str, since: str) -> RenderableType:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        narrow = self._console.width < 70
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=16 if narrow else _NAME, no_wrap=True, overflow="ellipsis")
        grid.add_column(width=10 if narrow else _BAR)
        grid.add_column(min_width=10 if narrow else 16, no_wrap=True, overflow="ellipsis")
        grid.add_column(width=7, no_wrap=True, justify="right", style="dim")
        moving = fraction is None
        bar = ProgressBar(total=None if moving else 1.0, completed=fraction or 0.0, pulse=moving)
        grid.add_row(as_text((name, "bold" if name == "all" else "")), bar, as_text(said), since)
        return grid

    def _stream(self, text: str) -> RenderableType:
        wide = max(20, self._console.width - 4)
        lines = [
            line[start : start + wide] for line in text.splitlines() for start in range(0, max(len(line), 1), wide)
        ]
        return as_text(("\n".join("  " + line for line in lines[-_STREAM_LINES:]), "dim"))


def what_is_awaited(data: Any) -> str:
    """Say in a word what the data of a `task_waiting` event is about."""
    if hasattr(data, "message"):
        return "a person"
    if data.queue is not None:
        return f"a worker of the queue {data.queue}"
    return "its time" if data.event is None else f"the event {data.event}"


class PlainProgress:
    """A line for each task outside of loops, and one a second at most for each loop."""

    def __init__(self, screen: Screen, watch: Watch, clock: Clock) -> None:
        self._screen = screen
        self._watch = watch
        self._clock = clock
        self._told: dict[str, tuple[int, float]] = {}
        self._began: dict[str, float] = {}
        self._said: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing open."""

    @contextmanager
    def paused(self) -> Generator[None, None, None]:
        """Nothing is drawn that would be in the way of a question."""
        yield

    def __call__(self, event: Event) -> None:
        """Say what happened, unless it is one of very many."""
        path, inside = event.path, "/" in event.path
        if event.kind == "task_chunk":
            self._stream(path, event.data)
        if event.kind == "task_failed":
            self._screen.line(f"{path} failed: {str(event.data).partition(chr(10))[0]}")
        elif event.kind == "task_retried":
            self._screen.line(f"{path} is tried again: {type(event.data).__name__}: {event.data}")
        elif event.kind == "task_notified":
            self._screen.line(f"{path}: {event.data.message}")
        elif event.kind == "task_waiting" and not inside:
            self._screen.line(f"{path} waits for {what_is_awaited(event.data)}")
        elif event.kind == "task_started" and not inside:
            self._began[path] = self._clock.monotonic()
            self._screen.line(f"{path} started")
        elif event.kind in FINAL and not inside:
            self._finished(path, event.kind)
        if inside and event.kind in FINAL:
            self._tell_loops()

    def _stream(self, path: str, chunk: Any) -> None:
        if isinstance(chunk.data, str):
            *lines, rest = (self._said.get(path, "") + chunk.data).split("\n")
            self._said[path] = rest
            for line in lines:
                self._screen.line(f"{path}: {line}")

    def _finished(self, path: str, kind: str) -> None:
        rest = self._said.pop(path, "")
        if rest:
            self._screen.line(f"{path}: {rest}")
        began = self._began.pop(path, None)
        if kind == "task_cached":
            self._screen.line(f"{path} completed: reused")
        else:
            time = "" if began is None else f" in {took(self._clock.monotonic() - began)}"
            self._screen.line(f"{path} {FINAL[kind]}{time}")

    def _tell_loops(self) -> None:
        now = self._clock.monotonic()
        for loop in self._watch.loops.values():
            told, at = self._told.setdefault(loop.path, (0, now))
            complete = loop.done == loop.total
            if loop.done > told and (now - at >= 1.0 or complete):
                self._told[loop.path] = (loop.done, now)
                self._screen.line(f"{loop.path} {loop.done} of {'many' if loop.total is None else loop.total}")
