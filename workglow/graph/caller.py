"""Who drives a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from workglow.graph.rights.permission import Permission

if TYPE_CHECKING:
    from collections.abc import Callable

    from workglow.graph.events import Event
    from workglow.graph.waiting.wait import Question
    from workglow.telemetry import Tracer

__all__ = ["Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who hears of a run's events, who answers its questions, who traces it, and what they allow it.

    `alone` says that nothing else uses the event loop, so that waiting for the disk on the spot holds nobody up.
    """

    listeners: tuple[Callable[[Event], object], ...] = ()
    on_question: Callable[[Question], object] | None = None
    permission: Permission = field(default_factory=Permission)
    alone: bool = False
    tracer: Tracer | None = None
