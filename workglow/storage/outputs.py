"""Outputs of tasks, found again by what went in: what every place that keeps them has in common.

A place says how an output is read, written, listed and removed: four methods.  What may be kept (policies), what is
told (events) and what damage leads to (a miss) is the same everywhere, and is here.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import msgspec

from workglow.clock import SystemClock
from workglow.errors import CorruptValueError, TaskConfigurationError, WorkglowError
from workglow.storage.policies import kept
from workglow.values import Blob, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from workglow.clock import Clock
    from workglow.storage.policies import CachePolicy

__all__ = ["CacheEntry", "FoundOutput", "OutputEvent", "StoredOutput", "TaskOutputRepository", "stored_size"]

_logger = logging.getLogger("workglow")


class CacheEntry(msgspec.Struct, frozen=True):
    """What is known of a cached output without reading it.

    key: SHA-256 of task type, version, configuration and inputs (32 bytes).
    model: the task's input or setting of that name, '' when it has none.
    size: bytes of its JSON and of the large values beside it, before any compression.
    created_at: milliseconds since 1970.
    """

    key: bytes
    type: str = ""
    model: str = ""
    size: int = 0
    created_at: int = 0


class StoredOutput(msgspec.Struct, frozen=True):
    """A cached output as a place keeps it: what is known of it, its JSON text, and the large values this refers to."""

    entry: CacheEntry
    text: str
    blobs: tuple[Blob, ...] = ()


class FoundOutput(msgspec.Struct, frozen=True, gc=False):
    """A cached output: its values, the text they are stored as, and the task run it came from (0: none)."""

    outputs: dict[str, object]
    text: str = ""
    source_id: int = 0


class OutputEvent(msgspec.Struct, frozen=True):
    """What happened to a cached output, and when (milliseconds).

    saved: it is kept now.  found: a task was spared.  pruned: it was removed.  damaged: it was looked up and cannot be
    read, so its task runs again; `detail` says what is wrong and where.
    """

    kind: Literal["saved", "found", "pruned", "damaged"]
    entry: CacheEntry
    at: int
    detail: str = ""


class TaskOutputRepository(ABC):
    """Keeps outputs of tasks.  For a place of your own, write `read`, `write`, `entries` and `remove`.

    `policies` say what is kept; an output stays while each of them keeps it.  They are asked before an output is saved
    and, about all of them, when a run ends and by `prune`.
    """

    def __init__(self, *, policies: Sequence[CachePolicy] = (), clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._listeners: dict[object, Callable[[OutputEvent], object]] = {}
        self.policies = policies

    # ------------------------------------------------------------------ what a place says

    @abstractmethod
    def read(self, key: bytes) -> StoredOutput | None:
        """Return what was written under the key; what is damaged is a CorruptValueError."""

    @abstractmethod
    def write(self, stored: StoredOutput) -> None:
        """Keep an output under `stored.entry.key`, in place of what was there; nobody is asked or told."""

    @abstractmethod
    def entries(self) -> Iterable[CacheEntry]:
        """Return what is known of each output."""

    @abstractmethod
    def remove(self, keys: Iterable[bytes]) -> None:
        """Forget these outputs; a key that is not there is no error."""

    # ------------------------------------------------------------------ what follows from it

    @property
    def policies(self) -> tuple[CachePolicy, ...]:
        """What says which outputs are kept; each is asked about what those before it keep."""
        return self._policies

    @policies.setter
    def policies(self, policies: Iterable[CachePolicy]) -> None:
        chosen = tuple(policies)
        for policy in chosen:
            if isinstance(policy, type) or not callable(getattr(policy, "keep", None)):
                raise TaskConfigurationError(
                    f"{policy!r} is no cache policy.  Give an object with a method keep(entries, now)."
                )
        self._policies: tuple[CachePolicy, ...] = chosen

    @property
    def is_plain(self) -> bool:
        """Whether nobody listens and everything is kept, so that nobody has to be asked."""
        return not self._policies and not self._listeners

    def subscribe(self, listener: Callable[[OutputEvent], object]) -> Callable[[], None]:
        """Call `listener` at each event; the function that comes back ends it.  What it raises ends the run."""
        subscription = object()
        self._listeners[subscription] = listener

        def end() -> None:
            self._listeners.pop(subscription, None)

        return end

    def find(self, key: bytes) -> FoundOutput | None:
        """Return the output that was saved under the key; one that is damaged is told, and not found."""
        try:
            stored = self.read(key)
            if stored is None:
                return None
            values = {blob.hash: (blob.kind, blob.encoding, blob.data) for blob in stored.blobs}
            found = FoundOutput(decode(stored.text, values.__getitem__), stored.text)
        except CorruptValueError as error:
            self._tell_damage(key, error)
            return None
        self._tell("found", (stored.entry,))
        return found

    def save(
        self, key: bytes, type: str, outputs: Mapping[str, object], *, model: str = "", created_at: int | None = None
    ) -> bool:
        """Keep the outputs of a task, and return True, unless a policy is against it.

        Raises UnstorableValueError.
        """
        text, blobs = encode(outputs, where=f"task type '{type}'")
        size = stored_size(text, blobs)
        entry = CacheEntry(key, type, model, size, self._clock.now() if created_at is None else created_at)
        if not self.admits(entry):
            return False
        self.write(StoredOutput(entry, text, blobs))
        self._tell("saved", (entry,))
        return True

    def admits(self, entry: CacheEntry) -> bool:
        """Say whether the policies allow an output to be kept, all else aside."""
        return not self._policies or bool(kept(self._policies, (entry,), self._clock.now()))

    def expect(self, entry: CacheEntry) -> bool:
        """Say whether a run's journal may keep this output, which it is about to write itself."""
        return self.admits(entry)

    def size(self) -> int:
        """Return how many outputs are kept."""
        return sum(1 for _ in self.entries())

    def prune(self) -> list[CacheEntry]:
        """Remove what the policies do not keep, and return it."""
        if not self._policies:
            return []
        entries = sorted(self.entries(), key=_age)[::-1]
        staying = {entry.key for entry in kept(self._policies, entries, self._clock.now())}
        return self._forget([entry for entry in entries if entry.key not in staying])

    def after_run(self) -> None:
        """Prune, because a run has ended.  The run stands whatever comes of it, so trouble is logged."""
        try:
            self.prune()
        except (WorkglowError, OSError) as error:
            _logger.warning("The output cache could not be pruned: %s", error)

    def clear(self) -> None:
        """Remove everything."""
        self._forget(list(self.entries()))

    def clear_older_than(self, milliseconds: int) -> int:
        """Remove what is older; return how many outputs went."""
        before = self._clock.now() - milliseconds
        return len(self._forget([entry for entry in self.entries() if entry.created_at < before]))

    def _forget(self, gone: list[CacheEntry]) -> list[CacheEntry]:
        if gone:
            self.remove([entry.key for entry in gone])
            self._tell("pruned", gone)
        return gone

    def _tell(self, kind: Literal["saved", "found", "pruned"], entries: Iterable[CacheEntry]) -> None:
        if self._listeners:
            now = self._clock.now()
            for entry in entries:
                self._emit(OutputEvent(kind, entry, now))

    def _tell_damage(self, key: bytes, error: CorruptValueError) -> None:
        _logger.warning("A cached output is damaged, so its task runs again: %s", error)
        self._emit(OutputEvent("damaged", CacheEntry(key), self._clock.now(), str(error)))

    def _emit(self, event: OutputEvent) -> None:
        for listener in tuple(self._listeners.values()):
            listener(event)


def stored_size(text: str, blobs: Iterable[Blob]) -> int:
    """Return the bytes that an output takes: its JSON, and the large values beside it."""
    return (len(text) if text.isascii() else len(text.encode())) + sum(blob.size for blob in blobs)


def _age(entry: CacheEntry) -> int:
    return entry.created_at
