"""How long to wait for a lock of another process before trying again.

Policy.  Whoever waits longest has no better chance than the others, nor a worse one: the pauses are short and uneven,
and do not grow as SQLite's own do, which leave the lock to those who have just had it.  Only when somebody holds the
lock for long are they stretched, to spare the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["pauses", "uneven"]

_SHORTEST: Final = 0.0005  # seconds
_LONGEST: Final = 0.002
_STRETCH: Final = 0.02  # of the time that was waited already
_MOST: Final = 0.025


def pauses(total: float) -> Iterator[float]:
    """Yield seconds to sleep before each further try, until they add up to `total`."""
    from random import uniform  # costs 3 ms, and most programs never wait

    waited = 0.0
    while waited < total:
        pause = min(uniform(_SHORTEST, max(_LONGEST, min(_MOST, _STRETCH * waited))), total - waited)
        waited += pause
        yield pause


def uneven(seconds: float) -> float:
    """About so many seconds, so that those who begin together do not go on together."""
    from random import uniform

    return uniform(0.75 * seconds, 1.25 * seconds)
