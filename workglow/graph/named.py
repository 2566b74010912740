"""Graphs by name, each with its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.errors import GraphError, GraphFormatError, UnknownGraphError
from workglow.graph.built_in_transforms import built_in_transforms
from workglow.graph.conversion import as_graph
from workglow.graph.graph import TaskGraph
from workglow.graph.naming import did_you_mean
from workglow.graph.stored import graph_record
from workglow.storage.graph_json import record_to_json
from workglow.storage.memory import MemoryGraphs
from workglow.tasks import task_registry
from workglow.values.refusal import is_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from workglow.clock import Clock
    from workglow.graph.transforms import TransformRegistry
    from workglow.storage.protocols import GraphStore
    from workglow.storage.records import GraphRecord, GraphVersion
    from workglow.tasks import TaskRegistry

__all__ = ["FolderTaskGraphRepository", "MemoryTaskGraphRepository", "TaskGraphRepository"]

_LONGEST_NAME = 80  # bytes of UTF-8: a folder may write each as three, and a file's name ends at 255


class TaskGraphRepository:
    """Keeps graphs by name.  Saving under a name that is there adds a version; every earlier one can be had again.

    `store` is the place they are in: for one of your own, write the methods of GraphStore.
    """

    def __init__(
        self,
        store: GraphStore,
        *,
        registry: TaskRegistry = task_registry,
        transforms: TransformRegistry = built_in_transforms,
    ) -> None:
        self._store = store
        self._registry = registry
        self._transforms = transforms

    def save(self, name: str, graph: Any, *, note: str = "") -> GraphVersion:
        """Keep a graph, a workflow or a task as the newest version of `name`, and return what is known of it.

        `note` says why, for whoever reads the history.  A graph that is the newest version already is not saved again,
        unless the note is another one.  Raises TaskSerializationError for a task that holds code or objects.
        """
        _check_name(name)
        return self._save(name, graph_record(as_graph(graph)), note)

    def _save(self, name: str, record: GraphRecord, note: str) -> GraphVersion:
        history = self._store.history(name)
        if history and history[-1].hash == record.hash and note in ("", history[-1].note):
            return history[-1]
        return self._store.save(name, record, note)

    def get(self, name: str, version: int | None = None) -> TaskGraph:
        """Return the graph of that name, the newest or a version of it by number.

        Raises UnknownGraphError, which names the nearest name or the versions there are, UnknownTaskTypeError, and
        CorruptValueError for a graph that is damaged.
        """
        data = record_to_json(self._record(name, version))
        try:
            return TaskGraph.from_json(data, self._registry, transforms=self._transforms)
        except GraphFormatError as error:
            raise GraphFormatError(f"The graph {name!r}: {error}") from error

    def _record(self, name: str, version: int | None) -> GraphRecord:
        record = self._store.load(name, version) if is_text(name) else None
        if record is None:
            raise self._unknown(name, version)
        return record

    def history(self, name: str) -> list[GraphVersion]:
        """Return the versions of that name, oldest first; UnknownGraphError when there is none."""
        found = self._store.history(name) if is_text(name) else []
        if not found:
            raise self._unknown(name)
        return found

    def list(self) -> list[str]:
        """Return the names, sorted."""
        return self._store.names()

    def __contains__(self, name: object) -> bool:
        return name in self._store.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._store.names())

    def __len__(self) -> int:
        return len(self._store.names())

    def restore(self, name: str, version: int, *, note: str = "") -> GraphVersion:
        """Make an earlier version the newest one; nothing of the history is lost."""
        record = self._record(name, version)
        return self._save(name, record, note or f"version {version} again")

    def rename(self, name: str, to: str) -> None:
        """Give a graph and its history another name, which has to be free."""
        _check_name(to)
        if name == to or (is_text(name) and self._store.rename(name, to)):
            return
        if to in self and name in self:
            raise GraphError(f"There is a graph called {to!r} already.  Remove or rename it first.")
        raise self._unknown(name)

    def remove(self, name: str) -> None:
        """Forget a name with its history; runs keep the graphs they began with."""
        if not is_text(name) or not self._store.remove(name):
            raise self._unknown(name)

    def _unknown(self, name: object, version: int | None = None) -> UnknownGraphError:
        numbers = [one.number for one in self._store.history(name)] if version is not None and is_text(name) else []
        if numbers:
            return UnknownGraphError(
                f"The graph {name!r} has no version {version!r}; it has {', '.join(map(str, numbers))}."
            )
        names = self.list()
        known = ", ".join(names) or "none"
        hint = did_you_mean(str(name), names)
        return UnknownGraphError(f"There is no graph called {name!r}; there are: {known}.{hint}")


class MemoryTaskGraphRepository(TaskGraphRepository):
    """Keeps graphs by name for as long as the process lives."""

    def __init__(self, *, registry: TaskRegistry = task_registry, clock: Clock | None = None) -> None:
        super().__init__(MemoryGraphs(clock), registry=registry)


class FolderTaskGraphRepository(TaskGraphRepository):
    """Keeps graphs by name in a folder: `name.json`, which `workglow run` takes, and `name.history`.

    The folder is made when something is saved.  The files are written so that git shows what changed.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, registry: TaskRegistry = task_registry, clock: Clock | None = None
    ) -> None:
        from workglow.storage.folder import FolderGraphs

        super().__init__(FolderGraphs(path, clock), registry=registry)


def _check_name(name: str) -> None:
    wrong = ""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        wrong = "it is no text"
    elif not name or name != name.strip():
        wrong = "it is empty, or has blanks around it"
    elif not name.isprintable():
        wrong = "it has characters that cannot be seen"
    elif len(name.encode()) > _LONGEST_NAME:
        wrong = f"it is longer than {_LONGEST_NAME} bytes"
    if wrong:
        raise GraphError(f"{name!r:.200} cannot name a graph: {wrong}.  Choose a short name, such as 'ingest'.")
