"""The limiters that a call of a model passes: that of who runs it, and its own.

Policy.  A limiter of the project that is called as a provider is ("openai") or as a model ("openai:gpt-5-mini") binds
every call of it, in every process.  A call that would exceed it waits in front of it, and has cost nothing so far.  The
cost of a call is its tokens: estimated when it starts, put right when it is over.  "Too many requests" holds the
provider's limiter up, which is made for that when there is none, so that all processes keep still until it is over.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from workglow.errors import RateLimitedError, UnknownLimiterError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from workglow.ai.record import ModelRecord
    from workglow.limits import Limiter, Limits, Slot

__all__ = ["Passage"]


class Passage:
    """The limiters of one project, as calls of models pass them."""

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits = limits

    @asynccontextmanager
    async def through(self, record: ModelRecord, estimate: int) -> AsyncGenerator[Slot | None]:
        """Wait until a call may start, and hold its places until it is over; `estimate` is how many tokens it takes.

        It starts in all its limiters at once, so that none counts a start that another still keeps waiting, and a call
        that waits for one is held up by the others.
        """
        limiters = self._limiters(record)
        if limiters:
            async with self._limits().slot(limiters, estimate) as slot:
                yield slot
            return
        try:
            yield None
        except RateLimitedError as error:
            from workglow.limits.headers import hold_for

            self._limits().holder(record.provider).hold(hold_for(error), str(error))
            raise

    def _limiters(self, record: ModelRecord) -> list[Limiter]:
        provider, model = self._find(record.provider), self._find(record.name)
        if model is None:
            return [] if provider is None else [provider]
        # What waits for the model's limiter must see it when another model of the provider is refused meanwhile.
        return [provider or self._limits().holder(record.provider), model]

    def _find(self, name: str) -> Limiter | None:
        try:
            return self._limits().limiter(name)
        except UnknownLimiterError:
            return None
