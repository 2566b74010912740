"""A tracer as runs and tasks use it: what it raises never reaches them, and each context knows its innermost span."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from workglow.telemetry.tracer import Attributes, Span, Tracer

__all__ = ["OpenSpan", "Tracing", "span"]

_current: ContextVar[OpenSpan | None] = ContextVar("workglow_span", default=None)


class Tracing:
    """A tracer that cannot hurt: after the first error it is asked no more, and the log says why."""

    def __init__(self, tracer: Tracer, whose: str = "this run", goes_on: str = "The run goes on.") -> None:
        """`whose` work is traced, and that it goes on, is said when the tracer raises."""
        self._tracer: Tracer | None = tracer
        self._consequence = f"so nothing more of {whose} is traced.  {goes_on}"
        self.identity = tracer

    def start(self, name: str, attributes: Attributes, parent: OpenSpan | None = None) -> OpenSpan:
        """Begin a span inside `parent`, or inside the innermost one of this context."""
        tracer = self._tracer
        if parent is None:
            around = _current.get()
            parent = around if around is not None and around.tracing.identity is self.identity else None
        inner: Span | None = None
        if tracer is not None:
            above = None if parent is None else parent.inner
            with self.guarded():
                inner = tracer.start(name, attributes, above)
        return OpenSpan(self, inner)

    @contextmanager
    def guarded(self) -> Generator[None]:
        """Keep what the tracer raises to the log."""
        try:
            yield
        except Exception:
            if self._tracer is not None:
                self._tracer = None
                logging.getLogger("workglow").exception(
                    "%s raised, %s", type(self.identity).__name__, self._consequence
                )


class OpenSpan:
    """A span of a tracer that cannot hurt."""

    __slots__ = ("error", "inner", "tracing")

    def __init__(self, tracing: Tracing, inner: Span | None) -> None:
        self.tracing = tracing
        self.inner = inner
        self.error: str | None = None

    def set(self, attributes: Attributes) -> None:
        """Say more about the work."""
        self._ask(lambda inner: inner.set(attributes))

    def end(self, error: str | None = None) -> None:
        """The work has ended, with this error or the one that was noted in `error` before."""
        failure = error or self.error
        self._ask(lambda inner: inner.end(failure))

    def _ask(self, call: Callable[[Span], None]) -> None:
        inner = self.inner
        if inner is not None:
            with self.tracing.guarded():
                call(inner)

    @contextmanager
    def entered(self) -> Generator[None]:
        """Make it the innermost span of the calling context."""
        before = _current.get()
        _current.set(self)
        stack = ExitStack()
        if self.inner is not None:
            with self.tracing.guarded():
                stack.enter_context(self.inner.current())
        try:
            yield
        finally:
            _current.set(before)  # no token: a generator may be closed from another context than it began in
            with self.tracing.guarded():
                stack.close()


@contextmanager
def span(name: str, attributes: Attributes) -> Generator[None]:
    """Trace a part of what the current task does; nothing happens when its run is not traced."""
    around = _current.get()
    if around is None:
        yield
        return
    inside = around.tracing.start(name, attributes, around)
    try:
        with inside.entered():
            yield
    except BaseException as error:
        inside.end(f"{type(error).__name__}: {error}")
        raise
    inside.end()
