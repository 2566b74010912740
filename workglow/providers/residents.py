"""Models in memory: each is loaded once in a process, also when several threads ask for it at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

__all__ = ["Residents"]


class _Place:
    def __init__(self) -> None:
        self.loading = threading.Lock()
        self.model: Any = None
        self.holders: set[int] = set()


class Residents:
    """Keeps loaded models for those who hold them; one that nobody holds any more is let go.

    A call that is under way keeps its model until it is done, whatever is let go meanwhile.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[Hashable, _Place] = {}

    def get(self, key: Hashable, load: Callable[[], Any], holder: object) -> Any:
        """Return the model of that key, loading it when it is not here; a failed load is tried again by the next."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            place.holders.add(id(holder))
        with place.loading:
            if place.model is None:
                try:
                    place.model = load()
                except BaseException:
                    with self._lock:
                        place.holders.discard(id(holder))
                    raise
            return place.model

    def has(self, concerns: Callable[[Any], bool]) -> bool:
        """Whether a model whose key answers yes is loaded."""
        with self._lock:
            return any(place.model is not None and concerns(key) for key, place in self._places.items())

    def drop(self, concerns: Callable[[Any], bool]) -> None:
        """Let go of all models whose key answers yes, whoever holds them."""
        with self._lock:
            for key in [key for key in self._places if concerns(key)]:
                del self._places[key]

    def release(self, holder: object) -> None:
        """Let go of what only this holder still wants."""
        with self._lock:
            for key, place in list(self._places.items()):
                place.holders.discard(id(holder))
                if not place.holders:
                    del self._places[key]
