"""The tasks of MediaPipe that are in memory: made once for each model and its options, used by one thread at a time.

Policy.  A task stays until it is unloaded, or until so many others have been used since that it has to make room.
Whoever closes one waits for who uses it; whoever waited for one that was closed meanwhile makes a new one.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

__all__ = ["LoadedTasks", "TaskKey"]

_MOST: Final = 16


class TaskKey(NamedTuple):
    """What tells one task from another: the state of a file, what is done with it, and how."""

    path: str
    state: tuple[int, int]
    kind: str
    options: Hashable


class _Slot:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.task: Any = None
        self.is_closed = False

    def close(self) -> None:
        with self.lock:
            self.is_closed = True
            task, self.task = self.task, None
            if task is not None:
                task.close()


class LoadedTasks:
    """At most `most` tasks.  Any thread may use them, and close them."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._slots: OrderedDict[TaskKey, _Slot] = OrderedDict()
        weakref.finalize(
            self, _close_all, self._slots
        ).atexit = False  # when the process ends, nothing has to be closed

    @contextmanager
    def using(self, key: TaskKey, make: Callable[[], Any]) -> Generator[Any]:
        """Have a task for oneself; it is made when there is none."""
        while True:
            slot = self._slot(key)
            with slot.lock:
                if slot.is_closed:
                    continue
                if slot.task is None:
                    slot.task = make()
                yield slot.task
                return

    def _slot(self, key: TaskKey) -> _Slot:
        with self._lock:
            slot = self._slots.get(key)
            if slot is None:
                slot = self._slots[key] = _Slot()
            self._slots.move_to_end(key)
            old = [self._slots.popitem(last=False)[1] for _ in range(len(self._slots) - self._most)]
        for one in old:
            one.close()
        return slot

    def holds(self, path: str) -> bool:
        """Whether a task of that file is in memory."""
        with self._lock:
            return any(key.path == path and slot.task is not None for key, slot in self._slots.items())

    def close(self, path: str | None = None) -> None:
        """Close the tasks of a file, or all."""
        with self._lock:
            slots = [self._slots.pop(key) for key in list(self._slots) if path in (None, key.path)]
        for slot in slots:
            slot.close()


def _close_all(slots: OrderedDict[TaskKey, _Slot]) -> None:
    for slot in slots.values():
        slot.close()
