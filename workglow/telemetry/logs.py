"""Spans as lines of the standard library's log."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING

from workglow.clock import SystemClock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from workglow.clock import Clock
    from workglow.telemetry.tracer import Attributes, Span

__all__ = ["LoggingTracer"]


class LoggingTracer:
    """Writes a line at the end of each span: its name, how long it took, what is known of it; inner spans come first.

    Lines go to the logger "workglow.trace" at level INFO unless others are given; a failed span is a WARNING.
    """

    def __init__(
        self, logger: logging.Logger | None = None, *, level: int = logging.INFO, clock: Clock | None = None
    ) -> None:
        self.logger = logger or logging.getLogger("workglow.trace")
        self.level = level
        self.clock = clock or SystemClock()

    def start(self, name: str, attributes: Attributes, parent: Span | None, /) -> Span:
        return _LoggedSpan(self, name, attributes, parent.depth + 1 if isinstance(parent, _LoggedSpan) else 0)


class _LoggedSpan:
    def __init__(self, tracer: LoggingTracer, name: str, attributes: Attributes, depth: int) -> None:
        self.depth = depth
        self._tracer = tracer
        self._name = name
        self._attributes = dict(attributes)
        self._began = tracer.clock.monotonic()

    def set(self, attributes: Attributes, /) -> None:
        self._attributes.update(attributes)

    def current(self) -> AbstractContextManager[object]:
        return nullcontext()

    def end(self, error: str | None = None, /) -> None:
        tracer = self._tracer
        took = 1000 * (tracer.clock.monotonic() - self._began)
        known = " ".join(f"{name.removeprefix('workglow.')}={value}" for name, value in self._attributes.items())
        level = tracer.level if error is None else max(tracer.level, logging.WARNING)
        failed = "" if error is None else f" failed: {error}"
        tracer.logger.log(level, "%s%s %.1f ms %s%s", "  " * self.depth, self._name, took, known, failed)
