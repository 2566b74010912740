"""What a tracer must be able to do.  Nothing is traced unless the caller gives one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

__all__ = ["Attributes", "Span", "Tracer"]

Attributes: TypeAlias = Mapping[str, str | int | float | bool]


class Span(Protocol):
    """A stretch of work that has begun.  All of it is called on the thread of the run, except spans that tasks open."""

    def set(self, attributes: Attributes, /) -> None:
        """Say more about the work."""
        ...

    def current(self) -> AbstractContextManager[object]:
        """Make this the current span of the calling context (as in `contextvars`) for as long as it is entered.

        It may be entered from several contexts, and left after `end`.  A tracer without such a notion returns
        `contextlib.nullcontext()`.
        """
        ...

    def end(self, error: str | None = None, /) -> None:
        """The work has ended; `error` says in one line what it failed with."""
        ...


class Tracer(Protocol):
    """Takes spans.  It tells the time itself, and what it raises is logged and never reaches the run."""

    def start(self, name: str, attributes: Attributes, parent: Span | None, /) -> Span:
        """Begin a span inside `parent`, which this tracer made; without one, inside whatever is current."""
        ...
