"""Models in memory: each is loaded once, called in the order of asking, and unloaded when another needs its room.

The policy.  Who asks stands in the line of its model; `at_once` callers may use it at a time.  The first in the line of
a model that is not there loads it, while the others wait.  For room, those that were not used for longest go, but never
one in use; a model that is larger than the whole budget is there alone.  While somebody waits for room, nobody who came
later gets anything, so no model is kept out by the calls of another.  A thread that uses one model must not ask for a
second one meanwhile.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar, cast

__all__ = ["Residents", "SupportsClose", "default_budget"]


class SupportsClose(Protocol):
    """What is kept: it gives its memory back when it is closed."""

    def close(self) -> None: ...


Resident = TypeVar("Resident", bound=SupportsClose)

_ABSENT: Final = object()


def default_budget() -> int:
    """Three quarters of the machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 * 3


class _Place:
    """Where one model is, or will be."""

    __slots__ = ("at_once", "doomed", "line", "loading", "size", "used_at", "users", "value")

    def __init__(self) -> None:
        self.value: Any = _ABSENT
        self.size = 0
        self.at_once = 1
        self.users = 0
        self.loading = False
        self.doomed = False
        self.used_at = 0
        self.line: deque[int] = deque()

    @property
    def takes_room(self) -> bool:
        return self.loading or self.value is not _ABSENT


class Residents:
    """Keeps models within `budget` bytes; None means as many as come.  Threads may share it."""

    def __init__(self, budget: int | None = None) -> None:
        self.budget = budget
        self._places: dict[Hashable, _Place] = {}
        self._changed = threading.Condition()
        self._tickets = 0
        self._uses = 0
        self._without_room: set[int] = set()

    @contextmanager
    def use(
        self, key: Hashable, load: Callable[[], Resident], *, size: int = 0, at_once: int = 1
    ) -> Generator[Resident]:
        """Give the model of this key when it is the caller's turn; `load` brings it when it is not there.

        `size` is what it takes, in bytes.  What `load` raises goes to the caller, and the next one tries again.
        """
        place, value = self._enter(key, load, size, at_once)
        try:
            yield value
        finally:
            self._leave(key, place)

    def unload(self, key: Hashable) -> bool:
        """Close a model, as soon as nobody uses it; False when it is not there."""
        with self._changed:
            place = self._places.get(key)
            if place is None or not place.takes_room:
                return False
            place.doomed = True
            self._close_if_doomed(key, place)
            return True

    def close(self) -> None:
        """Close all models, each as soon as nobody uses it."""
        for key in self.loaded():
            self.unload(key)

    def loaded(self) -> dict[Hashable, int]:
        """The keys of what is in memory, or about to be, with their sizes."""
        with self._changed:
            return {key: place.size for key, place in self._places.items() if place.takes_room}

    # ------------------------------------------------------------------ with self._changed held, unless it says so

    def _enter(self, key: Hashable, load: Callable[[], Resident], size: int, at_once: int) -> tuple[_Place, Resident]:
        with self._changed:
            place = self._places.setdefault(key, _Place())
            place.at_once = at_once
            ticket = self._tickets = self._tickets + 1
            place.line.append(ticket)
            try:
                while not self._has_turn(place, ticket, size):
                    self._changed.wait()
            except BaseException:
                self._give_up(key, place, ticket)
                raise
            if place.value is not _ABSENT:
                return place, self._taken(place)
            place.loading, place.size = True, size
        try:
            value = load()
        except BaseException:
            with self._changed:
                place.loading = place.doomed = False
                self._give_up(key, place, ticket)
            raise
        with self._changed:
            place.loading, place.value = False, value
            return place, self._taken(place)

    def _has_turn(self, place: _Place, ticket: int, size: int) -> bool:
        self._without_room.discard(ticket)
        if place.line[0] != ticket or place.users >= place.at_once or place.doomed:
            return False
        if any(earlier < ticket for earlier in self._without_room):
            return False
        if place.value is not _ABSENT or self._make_room(size):
            return True
        self._without_room.add(ticket)
        return False

    def _make_room(self, size: int) -> bool:
        while self.budget is not None:
            others = [(key, place) for key, place in self._places.items() if place.takes_room]
            if not others or sum(place.size for _, place in others) + size <= self.budget:
                break
            idle = [(place.used_at, key) for key, place in others if not (place.users or place.loading)]
            if not idle:
                return False
            key = min(idle, key=lambda one: one[0])[1]
            self._dismiss(key, self._places[key])
        return True

    def _taken(self, place: _Place) -> Any:
        place.line.popleft()
        place.users += 1
        self._touch(place)
        self._changed.notify_all()
        return place.value

    def _leave(self, key: Hashable, place: _Place) -> None:
        with self._changed:
            place.users -= 1
            self._touch(place)
            self._close_if_doomed(key, place)
            self._changed.notify_all()

    def _give_up(self, key: Hashable, place: _Place, ticket: int) -> None:
        place.line.remove(ticket)
        self._without_room.discard(ticket)
        self._forget_if_unused(key, place)
        self._changed.notify_all()

    def _touch(self, place: _Place) -> None:
        self._uses += 1
        place.used_at = self._uses

    def _close_if_doomed(self, key: Hashable, place: _Place) -> None:
        if place.doomed and not place.users and not place.loading:
            self._dismiss(key, place)

    def _dismiss(self, key: Hashable, place: _Place) -> None:
        value, place.value, place.doomed = place.value, _ABSENT, False
        self._forget_if_unused(key, place)
        self._changed.notify_all()
        cast("SupportsClose", value).close()

    def _forget_if_unused(self, key: Hashable, place: _Place) -> None:
        if not (place.line or place.users or place.takes_room):
            self._places.pop(key, None)
