"""Named graphs in a folder.

    ingest.json                   the graph as it is now; `workglow run` takes the file
    ingest.history/0002.json      each version: its note, its time, and the graph

`ingest.json` is what counts.  When somebody edits it by hand, or brings another one with git, that is the newest
version; the next save writes it into the history first.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import msgspec

from workglow.clock import SystemClock
from workglow.errors import CorruptValueError
from workglow.storage.folder.place import Folder
from workglow.storage.graph_json import record_from_json, record_to_json
from workglow.storage.records import GraphRecord, GraphVersion
from workglow.values import canonical

if TYPE_CHECKING:
    import os

    from workglow.clock import Clock

__all__ = ["FolderGraphs"]

_UNSAFE = re.compile(r'^\.|[%/\\:*?"<>|]|\.$')
_NUMBER = re.compile(r"\d{4,9}")
_BY_HAND = "changed outside workglow"


class _Version(msgspec.Struct, rename="camel"):
    """A version's file."""

    note: str
    saved_at: int
    graph: dict[str, Any]


_read_version = msgspec.json.Decoder(_Version).decode
_read_graph = msgspec.json.Decoder(dict[str, Any]).decode


class FolderGraphs:
    """The named graphs of one folder, which is made when something is saved."""

    def __init__(self, path: str | os.PathLike[str], clock: Clock | None = None) -> None:
        self._folder = Folder(path)
        self._clock = clock or SystemClock()

    def save(self, name: str, graph: GraphRecord, note: str) -> GraphVersion:
        with self._folder.alone():
            history = self.history(name) or self._written(name)
            if history and history[-1].note == _BY_HAND and not self._version_place(name, history[-1].number).exists():
                self._write_version(history[-1], self._current(name))
            number = history[-1].number + 1 if history else 1
            version = GraphVersion(name, number, graph.hash, note, self._clock.now())
            data = record_to_json(graph)
            # The other way round, a process that ends in between would leave a version that was never the newest.
            self._folder.write(self._place(name), _pretty(data))
            self._write_version(version, data)
        return version

    def _write_version(self, version: GraphVersion, graph: dict[str, Any]) -> None:
        place = self._version_place(version.name, version.number)
        self._folder.write(place, _pretty(_Version(version.note, version.saved_at, graph)))

    def load(self, name: str, number: int | None = None) -> GraphRecord | None:
        if not self._place(name).is_file():
            return None
        if number is None or number == self._by_hand(name):
            return _record(self._current(name), self._place(name))
        place = self._version_place(name, number)
        version = self._read_version(place)
        return None if version is None else _record(version.graph, place)

    def history(self, name: str) -> list[GraphVersion]:
        place = self._place(name)
        if not place.is_file():
            return []
        found = self._written(name)
        by_hand = self._by_hand(name, found)
        if by_hand is not None:
            hash = _hash(self._current(name))
            found.append(GraphVersion(name, by_hand, hash, _BY_HAND, int(place.stat().st_mtime * 1000)))
        return found

    def _by_hand(self, name: str, written: list[GraphVersion] | None = None) -> int | None:
        """Return the number of the version that is in no history yet, if there is one."""
        written = self._written(name) if written is None else written
        try:
            hash = _hash(self._current(name))
        except CorruptValueError:
            return None
        return None if written and written[-1].hash == hash else (written[-1].number if written else 0) + 1

    def _written(self, name: str) -> list[GraphVersion]:
        found: list[GraphVersion] = []
        for place in self._folder.files(self._history_place(name).name):
            if _NUMBER.fullmatch(place.stem):
                try:
                    version = self._read_version(place) or _Version("", 0, {})
                    told = (_hash(version.graph), version.note, version.saved_at)
                except CorruptValueError as error:
                    told = ("", str(error), 0)
                found.append(GraphVersion(name, int(place.stem), *told))
        return sorted(found, key=lambda version: version.number)

    def names(self) -> list[str]:
        return sorted(unquote(place.stem) for place in self._folder.path.glob("[!.]*.json") if place.is_file())

    def remove(self, name: str) -> bool:
        with self._folder.alone():
            there = self._place(name).is_file()
            self._folder.delete(self._place(name))
            self._remove_history(name)
        return there

    def _remove_history(self, name: str) -> None:
        place = self._history_place(name)
        for version in self._folder.files(place.name):
            self._folder.delete(version)
        if place.is_dir():
            place.rmdir()

    def rename(self, name: str, to: str) -> bool:
        with self._folder.alone():
            if not self._place(name).is_file() or self._place(to).is_file():
                return False
            if self._history_place(name).is_dir():
                self._remove_history(to)  # of a graph that was deleted by hand
                self._folder.move(self._history_place(name), self._history_place(to))
            self._folder.move(self._place(name), self._place(to))
        return True

    # ------------------------------------------------------------------ files

    def _place(self, name: str) -> Path:
        return self._folder.path / f"{_file_name(name)}.json"

    def _history_place(self, name: str) -> Path:
        return self._folder.path / f"{_file_name(name)}.history"

    def _version_place(self, name: str, number: int) -> Path:
        return self._history_place(name) / f"{number:04}.json"

    def _current(self, name: str) -> dict[str, Any]:
        place = self._place(name)
        try:
            return _read_graph(self._folder.read(place) or b"")
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _damaged(place, error) from error

    def _read_version(self, place: Path) -> _Version | None:
        data = self._folder.read(place)
        try:
            return None if data is None else _read_version(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise _damaged(place, error) from error


def _file_name(name: str) -> str:
    return _UNSAFE.sub(lambda found: "%2E" if found[0] == "." else quote(found[0], safe=""), name)


def _pretty(data: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"


def _hash(graph: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(graph)).hexdigest()


def _record(data: dict[str, Any], place: Path) -> GraphRecord:
    try:
        return record_from_json(data, _hash(data))
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(place, f"it is not a graph ({error})") from error


def _damaged(place: Path, reason: object) -> CorruptValueError:
    return CorruptValueError(
        f"{place} cannot be read: {' '.join(str(reason).split()):.200}.  "
        "Mend it, restore an earlier version, or take it back from git."
    )
