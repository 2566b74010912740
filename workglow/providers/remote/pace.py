"""How long a service may keep us waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from workglow.errors import InvalidModelError, ModelUnavailableError

if TYPE_CHECKING:
    from workglow.ai.record import ModelRecord

__all__ = ["Pace", "paced"]

Item = TypeVar("Item")

_CONNECT: Final = 10.0
_READ: Final = 600.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: to connect, until the next byte, and, if wanted, until the next event, whatever signs of life come."""

    connect: float
    read: float
    stall: float | None

    @classmethod
    def of(cls, model: ModelRecord) -> Pace:
        """Read the options `connect_timeout`, `timeout` and `stall_timeout`; InvalidModelError for what is no time."""
        stall = _seconds(model, "stall_timeout", _READ) if "stall_timeout" in model.options else None
        return cls(_seconds(model, "connect_timeout", _CONNECT), _seconds(model, "timeout", _READ), stall)


def _seconds(model: ModelRecord, option: str, default: float) -> float:
    given: Any = model.options.get(option, default)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < float("inf"):
        raise InvalidModelError(
            f"Invalid model record: the option {option} of {model.name!r} is {given!r}; give seconds above 0."
        )
    return float(given)


def paced(events: AsyncIterable[Item], stall: float | None, who: str) -> AsyncIterable[Item]:
    """Return the events; ModelUnavailableError when the next one does not come in time."""
    return events if stall is None else _timed(events, stall, who)


async def _timed(events: AsyncIterable[Item], stall: float, who: str) -> AsyncIterator[Item]:
    iterator = aiter(events)
    while True:
        try:
            async with asyncio.timeout(stall):
                event = await anext(iterator)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise ModelUnavailableError(f"{who} sent nothing more for {stall:g} seconds.") from None
        yield event
