"""Outputs and named graphs that are kept for as long as the process lives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workglow.clock import SystemClock
from workglow.storage.outputs import CacheEntry, StoredOutput, TaskOutputRepository
from workglow.storage.records import GraphRecord, GraphVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from workglow.clock import Clock
    from workglow.storage.policies import CachePolicy

__all__ = ["MemoryGraphs", "MemoryTaskOutputRepository"]


class MemoryTaskOutputRepository(TaskOutputRepository):
    """Keeps outputs in memory, as the text and bytes a file would hold: what is found is always a new object."""

    def __init__(self, *, policies: Sequence[CachePolicy] = (), clock: Clock | None = None) -> None:
        super().__init__(policies=policies, clock=clock)
        self._outputs: dict[bytes, StoredOutput] = {}

    def read(self, key: bytes) -> StoredOutput | None:
        return self._outputs.get(key)

    def write(self, stored: StoredOutput) -> None:
        self._outputs.pop(stored.entry.key, None)  # so that the newest stands last
        self._outputs[stored.entry.key] = stored

    def entries(self) -> list[CacheEntry]:
        return [stored.entry for stored in tuple(self._outputs.values())]

    def remove(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self._outputs.pop(key, None)


class MemoryGraphs:
    """Named graphs in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._graphs: dict[str, list[tuple[GraphVersion, GraphRecord]]] = {}

    def save(self, name: str, graph: GraphRecord, note: str) -> GraphVersion:
        versions = self._graphs.setdefault(name, [])
        version = GraphVersion(name, len(versions) + 1, graph.hash, note, self._clock.now())
        versions.append((version, graph))
        return version

    def load(self, name: str, number: int | None = None) -> GraphRecord | None:
        versions = self._graphs.get(name, [])
        for version, graph in reversed(versions):
            if number is None or version.number == number:
                return graph
        return None

    def history(self, name: str) -> list[GraphVersion]:
        return [version for version, _ in self._graphs.get(name, ())]

    def names(self) -> list[str]:
        return sorted(self._graphs)

    def remove(self, name: str) -> bool:
        return self._graphs.pop(name, None) is not None

    def rename(self, name: str, to: str) -> bool:
        if name not in self._graphs or to in self._graphs:
            return False
        self._graphs[to] = [(replace(version, name=to), graph) for version, graph in self._graphs.pop(name)]
        return True
