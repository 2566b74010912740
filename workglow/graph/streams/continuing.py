"""Going on with a stream that a crash cut off.

The policy.  Only what the interrupted attempt itself had said counts, or what it had taken over in its turn; what a
failed attempt said is gone, as with any other failure.  The row says from before its first piece, in `state`, since
which attempt the stream may go on, so nobody is told of a restart that does not come.  A task that does not ask for the
earlier text begins anew; its first piece tells so.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from workglow.graph.streams.chunks import StreamChunk
from workglow.tasks.stream import Growing
from workglow.values import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.runner import TaskGraphRunner
    from workglow.graph.schedule import TaskRun
    from workglow.graph.streams.recording import ChunkRecorder

__all__ = ["Continuing"]


class Continuing:
    """The tasks of one run whose streams were cut off, and that can go on with them."""

    def __init__(self, runner: TaskGraphRunner, recorder: ChunkRecorder | None) -> None:
        self._runner = runner
        self._recorder = recorder
        self._cut: dict[TaskRun, int] = {}  # the attempt that began the stream

    def recall(self, run: TaskRun) -> None:
        """An interrupted task is about to begin again: see whether it can go on."""
        journal = self._runner.environment.journal
        assert journal is not None
        since = 0 if run.state is None else msgspec.json.decode(run.state).get("since", 0)
        chunks = journal.chunks(run.path)
        run.state = None
        if chunks and chunks[-1].attempt in (run.attempt, since):
            since = self._cut[run] = chunks[-1].attempt
            run.state = msgspec.json.encode({"since": since}).decode()

    def earlier(self, run: TaskRun) -> Callable[[str], str] | None:
        """Return what gives the task its earlier text; None when there is none."""
        return partial(self._take_up, run, run.attempt) if run in self._cut else None

    def _take_up(self, run: TaskRun, attempt: int, port: str) -> str:
        since = self._cut.get(run)
        if since is None or run.attempt != attempt or run.channel is None:
            return ""  # an attempt that was given up still asks
        text = self._text(run, since, port)
        if text:
            run.channel.take_up(port, text)
            assert self._recorder is not None
            self._recorder.goes_on(run, since)
            self._runner.reports.chunk(run, StreamChunk(port, text))
        return text

    def _text(self, run: TaskRun, since: int, port: str) -> str:
        environment, said = self._runner.environment, Growing()
        assert environment.journal is not None
        for chunk in environment.journal.chunks(run.path):
            if chunk.attempt == since and chunk.port == port:
                said.add(decode(chunk.data, environment.load_value)[port], chunk.kind)  # pyright: ignore[reportArgumentType]
        text = "" if said.is_empty else said.value()
        return text if isinstance(text, str) else ""

    def give_up(self, run: TaskRun) -> None:
        """The attempt came to nothing: the next one begins anew."""
        if self._cut.pop(run, None) is not None:
            run.state = None
