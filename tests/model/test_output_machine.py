"""The output repositories against a dictionary: saved, found, pruned, cleared, reopened, in any order.

The dictionary's policies are written a second time, as plain as can be.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import workglow as wg
from workglow.file import File, doctor
from workglow.storage.outputs import CacheEntry, OutputEvent, TaskOutputRepository, stored_size
from workglow.storage.records import GraphRecord, GraphTaskRecord, TaskRow
from workglow.storage.repositories import Repositories
from workglow.storage.sqlite import sqlite_repositories
from workglow.testing import FakeClock
from workglow.values import encode

KEYS = st.sampled_from([hashlib.sha256(bytes([number])).digest() for number in range(6)])
TYPES = st.sampled_from(["embed", "chat"])
MODELS = st.sampled_from(["", "m1", "m2"])
VALUES = st.sampled_from([{"n": 1}, {"text": "é" * 3000}, {"b": b"\0" * 700}, {"text": "é" * 3000, "n": [b"x" * 300]}])
POLICIES = st.one_of(
    st.builds(wg.KeepLast, st.integers(0, 4)),
    st.builds(wg.MaxAge, st.integers(0, 8)),
    st.builds(wg.MaxSize, st.sampled_from([0, 10, 700, 4000])),
    st.builds(wg.OnlyTasks, TYPES),
    st.builds(wg.OnlyModels, MODELS),
)
GRAPH = GraphRecord("a" * 64, [GraphTaskRecord(type, f'{{"type":"{type}"}}') for type in ("embed", "chat")], [], "{}")


@dataclass(frozen=True)
class Kept:
    """What the model knows of an output."""

    key: bytes
    type: str
    model: str
    outputs: dict[str, Any]
    at: int

    @property
    def size(self) -> int:
        return stored_size(*encode(self.outputs))


def stays(policy: Any, kept: Kept, newer: list[Kept], now: int) -> bool:
    """Whether a policy keeps one of the outputs, of which these are newer."""
    match policy:
        case wg.KeepLast(count):
            return len(newer) < count
        case wg.MaxAge(seconds):
            return kept.at >= now - seconds * 1000
        case wg.MaxSize(limit):
            return kept.size + sum(one.size for one in newer if one.size <= limit) <= limit
        case wg.OnlyTasks():
            return f"'{kept.type}'" in repr(policy)
        case _:
            return f"'{kept.model}'" in repr(policy)


def surviving(policies: Iterable[Any], outputs: Iterable[Kept], now: int) -> list[Kept]:
    left = sorted(outputs, key=lambda kept: kept.at, reverse=True)
    for policy in policies:
        left = [kept for place, kept in enumerate(left) if stays(policy, kept, left[:place], now)]
    return left


class OutputMachine(RuleBasedStateMachine):
    reopens: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.model: dict[bytes, Kept] = {}
        self.policies: list[Any] = []
        self.told: list[OutputEvent] = []
        self.open()

    def made(self) -> TaskOutputRepository:
        return wg.MemoryTaskOutputRepository(clock=self.clock)

    def open(self) -> None:
        self.outputs = self.made()
        self.outputs.policies = self.policies
        self.outputs.subscribe(self.told.append)

    def close(self) -> None: ...

    def teardown(self) -> None:
        self.close()
        shutil.rmtree(self.folder)

    def events(self) -> list[tuple[str, bytes]]:
        told = sorted((event.kind, event.entry.key) for event in self.told)
        self.told.clear()
        return told

    @rule(key=KEYS, type=TYPES, model=MODELS, outputs=VALUES)
    def save(self, key: bytes, type: str, model: str, outputs: dict[str, Any]) -> None:
        self.clock.advance(1)
        kept = Kept(key, type, model, outputs, self.clock.now())
        admitted = bool(surviving(self.policies, [kept], self.clock.now()))
        assert self.outputs.save(key, type, outputs, model=model) is admitted
        if admitted:
            self.model[key] = kept
        assert self.events() == [("saved", key)] * admitted

    @rule(key=KEYS)
    def find(self, key: bytes) -> None:
        found = self.outputs.find(key)
        assert (None if found is None else found.outputs) == (self.model[key].outputs if key in self.model else None)
        assert self.events() == [("found", key)] * (key in self.model)

    @rule(policies=st.lists(POLICIES, max_size=2))
    def choose(self, policies: list[Any]) -> None:
        self.policies = policies
        self.outputs.policies = policies

    @rule()
    def prune(self) -> None:
        staying = {kept.key for kept in surviving(self.policies, self.model.values(), self.clock.now())}
        gone = sorted(self.model.keys() - staying)
        assert sorted(entry.key for entry in self.outputs.prune()) == gone
        assert self.events() == [("pruned", key) for key in gone]
        for key in gone:
            del self.model[key]

    @rule(seconds=st.integers(0, 6))
    def clear_older_than(self, seconds: int) -> None:
        gone = sorted(kept.key for kept in self.model.values() if kept.at < self.clock.now() - seconds * 1000)
        assert self.outputs.clear_older_than(seconds * 1000) == len(gone)
        assert self.events() == [("pruned", key) for key in gone]
        for key in gone:
            del self.model[key]

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        self.outputs.remove([key])
        self.model.pop(key, None)

    @rule()
    def clear(self) -> None:
        self.outputs.clear()
        assert self.events() == [("pruned", key) for key in sorted(self.model)]
        self.model.clear()

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.reopens)
    @rule()
    def reopen(self) -> None:
        self.close()
        self.open()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        expected = {CacheEntry(kept.key, kept.type, kept.model, kept.size, kept.at) for kept in self.model.values()}
        assert set(self.outputs.entries()) == expected
        assert self.outputs.size() == len(expected)


class FolderMachine(OutputMachine):
    reopens = True

    def made(self) -> TaskOutputRepository:
        return wg.FolderTaskOutputRepository(self.folder / "cache", clock=self.clock)

    @invariant()
    def nothing_is_left_over(self) -> None:
        assert not list(self.folder.glob("cache/.unfinished/*"))
        assert self.outputs.check() == []  # type: ignore[attr-defined]

    @rule()
    def only_what_is_referred_to_is_left_after_a_removal(self) -> None:
        self.outputs.remove([])
        values = {blob.hash.hex() for kept in self.model.values() for blob in encode(kept.outputs).blobs}
        assert {path.parent.name + path.stem for path in self.folder.glob("cache/values/*/*")} == values


class FileMachine(OutputMachine):
    """In a project file runs leave outputs too, and keep them whatever the cache forgets."""

    reopens = True

    def made(self) -> TaskOutputRepository:
        self.file = File.open(self.folder / "a.wg", clock=self.clock, durability="process")
        self.kept: Repositories = sqlite_repositories(self.file)
        self.ran = getattr(self, "ran", 0)
        return self.kept.outputs

    def close(self) -> None:
        assert self.file.reader.execute("SELECT count(*) FROM task_run WHERE output IS NOT NULL").get == self.ran
        self.file.close()
        assert doctor(self.folder / "a.wg").ok

    @rule(key=KEYS, type=TYPES, model=MODELS, outputs=VALUES)
    def run(self, key: bytes, type: str, model: str, outputs: dict[str, Any]) -> None:
        self.clock.advance(1)
        now = self.clock.now()
        text, blobs = encode(outputs)
        row = TaskRow(type)
        row.__dict__.update(status="completed", attempt=1, started_at=now, finished_at=now, output=text, blobs=blobs)
        admitted = self.kept.outputs.expect(CacheEntry(key, type, model, stored_size(text, blobs), now))
        kept = Kept(key, type, model, outputs, now)
        assert admitted is bool(surviving(self.policies, [kept], now))
        if admitted:
            self.kept.outputs.remove([key])  # as a run does that refreshes
            row.cache_key, row.model = key, model or None
            self.model[key] = kept
        journal = self.kept.runs.begin(GRAPH, encode({}), options={}, versions={}, rows=[])
        assert journal.commit([row], block=True, status="completed", output=encode({})) is None
        self.ran += 1
        assert self.events() == [("saved", key)] * admitted


chosen = settings(max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
TestMemory, TestFolder, TestFile = OutputMachine.TestCase, FolderMachine.TestCase, FileMachine.TestCase
TestMemory.settings = TestFolder.settings = TestFile.settings = chosen
