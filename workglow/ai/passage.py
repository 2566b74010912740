"""The limiters that a call of a model passes: that of who runs it, and its own.

Policy.  A limiter of the project that is called as a provider is ("openai") or as a model ("openai:gpt-5-mini") binds
every call of it, in every process.  A call that would exceed it waits in front of it, and has cost nothing so far.  The
cost of a call is its tokens: estimated when it starts, put right when it is over.  "Too many requests" holds the
provider's limiter up, which is made for that when there is none, so that all processes keep still until it is over.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
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
    async def through(self, record: ModelRecord, estimate: int) -> AsyncGenerator[list[Slot]]:
        """Wait until a call may start, and hold its places until it is over; `estimate` is how many tokens it takes."""
        slots: list[Slot] = []
        try:
            async with AsyncExitStack() as stack:
                for limiter in self._limiters(record):
                    slots.append(await stack.enter_async_context(limiter.slot(estimate)))
                yield slots
        except RateLimitedError as error:
            if not slots:
                self._hold(record, error)
            raise

    def _limiters(self, record: ModelRecord) -> list[Limiter]:
        found = (self._find(name) for name in dict.fromkeys((record.provider, record.name)))
        return [limiter for limiter in found if limiter is not None]

    def _find(self, name: str) -> Limiter | None:
        try:
            return self._limits().limiter(name)
        except UnknownLimiterError:
            return None

    def _hold(self, record: ModelRecord, error: RateLimitedError) -> None:
        from workglow.limits import CompositeLimiter
        from workglow.limits.headers import hold_for

        self._limits().limiter(record.provider, CompositeLimiter()).hold(hold_for(error), str(error))
