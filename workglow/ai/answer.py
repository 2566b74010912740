"""What a model writes while it is held: nobody who waits for the model waits for the reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Self

from workglow.ai.events import ModelEvent

__all__ = ["ModelAnswer"]


class ModelAnswer(Iterator[ModelEvent]):
    """The events of one answer, read to their end as soon as the model has them, whether or not their reader is slow.

    `events` makes them; it is given this, and looks at `is_cancelled` when its turn with the model comes.
    """

    ahead: Final = 1 << 30

    def __init__(self, events: Callable[[Self], Iterator[ModelEvent]]) -> None:
        self.is_cancelled = False
        self._events = events(self)

    def __next__(self) -> ModelEvent:
        return next(self._events)

    def cancel(self) -> None:
        """Write no more; any thread may call it."""
        self.is_cancelled = True

    def close(self) -> None:
        """Give the model back."""
        close = getattr(self._events, "close", None)
        if close is not None:
            close()
