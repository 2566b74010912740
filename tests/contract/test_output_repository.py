"""What counts as keeping outputs: one suite for every place that keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import workglow as wg
from workglow.errors import TaskConfigurationError, UnstorableValueError
from workglow.file import File
from workglow.storage.outputs import CacheEntry, OutputEvent, StoredOutput, TaskOutputRepository, stored_size
from workglow.storage.sqlite import sqlite_repositories
from workglow.testing import FakeClock
from workglow.values import encode

LARGE = {"text": "so it goes " * 500, "vector": np.arange(1000, dtype="<f4"), "list": [b"x" * 300, {"n": 1}], "n": 1.5}


class OwnRepository(TaskOutputRepository):
    """What a user writes: a place in four methods."""

    def __init__(self, *, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.kept: dict[bytes, StoredOutput] = {}

    def read(self, key: bytes) -> StoredOutput | None:
        return self.kept.get(key)

    def write(self, stored: StoredOutput) -> None:
        self.kept[stored.entry.key] = stored

    def entries(self) -> Iterable[CacheEntry]:
        return [stored.entry for stored in self.kept.values()]

    def remove(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.kept.pop(key, None)


@pytest.fixture(params=["memory", "folder", "own", ":memory:", "file"])
def outputs(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[TaskOutputRepository]:
    if request.param == "memory":
        yield wg.MemoryTaskOutputRepository(clock=clock)
    elif request.param == "folder":
        yield wg.FolderTaskOutputRepository(tmp_path / "cache", clock=clock)
    elif request.param == "own":
        yield OwnRepository(clock=clock)
    else:
        with File.open(":memory:" if request.param == ":memory:" else tmp_path / "a.wg", clock=clock) as file:
            yield sqlite_repositories(file).outputs


def key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def names(entries: Iterable[CacheEntry], *known: str) -> list[str]:
    by_key = {key(name): name for name in known or "abcdefgh"}
    return sorted(by_key[entry.key] for entry in entries)


@pytest.fixture
def filled(outputs: TaskOutputRepository, clock: FakeClock) -> TaskOutputRepository:
    """Four outputs, a second apart: a and b of one task, c and d of another, with models."""
    for name, type, model in (("a", "embed", "m1"), ("b", "embed", "m2"), ("c", "chat", "m1"), ("d", "chat", "")):
        outputs.save(key(name), type, {"text": name * 100}, model=model)
        clock.advance(1)
    return outputs


def test_what_is_saved_is_found_equal_and_of_the_same_types(outputs: TaskOutputRepository) -> None:
    assert outputs.find(key("a")) is None
    assert outputs.save(key("a"), "embed", LARGE, model="m")
    found = outputs.find(key("a"))
    assert found is not None
    assert list(found.outputs) == list(LARGE)
    np.testing.assert_array_equal(found.outputs.pop("vector"), LARGE["vector"])  # type: ignore[arg-type]
    assert found.outputs == {name: value for name, value in LARGE.items() if name != "vector"}
    assert found.text == encode(LARGE).text
    assert outputs.find(key("b")) is None


def test_what_one_repository_reads_another_can_write(
    outputs: TaskOutputRepository, tmp_path: Path, clock: FakeClock
) -> None:
    outputs.save(key("a"), "embed", LARGE, model="m")
    outputs.save(key("b"), "chat", {"n": 1})
    assert outputs.read(key("c")) is None
    with wg.open(tmp_path / "other.wg", clock=clock) as project:
        for other in (wg.FolderTaskOutputRepository(tmp_path / "other"), project.outputs):
            for entry in outputs.entries():
                stored = outputs.read(entry.key)
                assert stored is not None
                other.write(stored)
            assert set(other.entries()) == set(outputs.entries())
            found, copied = outputs.find(key("a")), other.find(key("a"))
            assert found is not None
            assert copied is not None
            assert found.text == copied.text
            assert repr(found.outputs) == repr(copied.outputs)


def test_what_is_found_is_nobody_elses(outputs: TaskOutputRepository) -> None:
    mine = {"list": [1]}
    outputs.save(key("a"), "t", mine)
    mine["list"].append(2)
    first = outputs.find(key("a"))
    assert first is not None
    first.outputs["list"].append(3)  # type: ignore[attr-defined]
    again = outputs.find(key("a"))
    assert again is not None
    assert again.outputs == {"list": [1]}


def test_saving_again_replaces(outputs: TaskOutputRepository, clock: FakeClock) -> None:
    outputs.save(key("a"), "one", LARGE, model="m")
    clock.advance(1)
    outputs.save(key("a"), "two", {"n": 2})
    found = outputs.find(key("a"))
    assert found is not None
    assert found.outputs == {"n": 2}
    assert outputs.size() == 1
    assert list(outputs.entries()) == [CacheEntry(key("a"), "two", "", 7, clock.now())]


def test_entries_say_what_is_known_without_reading(outputs: TaskOutputRepository, clock: FakeClock) -> None:
    outputs.save(key("a"), "embed", LARGE, model="m")
    outputs.save(key("b"), "chat", {"text": "é"}, created_at=5)
    size = stored_size(*encode(LARGE))
    assert size > 4000
    assert sorted(outputs.entries(), key=lambda entry: entry.type) == [
        CacheEntry(key("b"), "chat", "", len('{"text":"é"}') + 1, 5),
        CacheEntry(key("a"), "embed", "m", size, clock.now()),
    ]


def test_what_cannot_be_stored_is_refused_and_nothing_is_kept(outputs: TaskOutputRepository) -> None:
    with pytest.raises(UnstorableValueError, match="task type 'embed'"):
        outputs.save(key("a"), "embed", {"thing": object()})
    assert outputs.size() == 0


def test_removing_and_clearing(filled: TaskOutputRepository) -> None:
    filled.remove([key("a"), key("nothing")])
    assert names(filled.entries()) == ["b", "c", "d"]
    assert filled.find(key("a")) is None
    filled.clear()
    assert filled.size() == 0
    assert list(filled.entries()) == []


def test_what_is_older_is_removed(filled: TaskOutputRepository) -> None:
    assert filled.clear_older_than(3000) == 1
    assert filled.clear_older_than(3000) == 0
    assert names(filled.entries()) == ["b", "c", "d"]


class Small:
    def keep(self, entries: Sequence[CacheEntry], now: int) -> list[CacheEntry]:
        return [entry for entry in entries if entry.size < 50]


class Forgetful:
    def keep(self, entries: Sequence[CacheEntry], now: int) -> None:
        sorted(entries, key=lambda entry: entry.size)


@pytest.mark.parametrize(
    ("policies", "staying"),
    [
        ([], "abcd"),
        ([wg.KeepLast(2)], "cd"),
        ([wg.KeepLast(0)], ""),
        ([wg.MaxAge(3)], "bcd"),
        ([wg.MaxSize(2 * len('{"text":""}') + 250)], "cd"),
        ([wg.MaxSize(10)], ""),
        ([wg.OnlyTasks("embed", "other")], "ab"),
        ([wg.OnlyModels("m1")], "ac"),
        ([wg.OnlyTasks("embed"), wg.KeepLast(1)], "b"),
        ([wg.KeepLast(1), wg.OnlyTasks("embed")], ""),
        ([wg.AnyOf(wg.OnlyTasks("embed"), wg.KeepLast(1))], "abd"),
        ([Small()], ""),
    ],
    ids=repr,
)
def test_policies_say_what_has_to_go(
    filled: TaskOutputRepository, policies: list[wg.CachePolicy], staying: str
) -> None:
    filled.policies = policies
    gone = filled.prune()
    assert names(filled.entries()) == list(staying)
    assert names(gone) == sorted(set("abcd") - set(staying))
    assert [filled.find(key(name)) is not None for name in "abcd"] == [name in staying for name in "abcd"]
    assert filled.prune() == []


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        (wg.KeepLast(1), True),
        (wg.KeepLast(0), False),
        (wg.OnlyTasks("chat"), False),
        (wg.OnlyModels("m1"), True),
        (wg.OnlyModels("m2"), False),
        (wg.MaxSize(10), False),
        (wg.MaxSize(1000), True),
        (wg.MaxAge(0), True),
        (Small(), False),
    ],
    ids=repr,
)
def test_policies_are_asked_before_anything_is_saved(
    outputs: TaskOutputRepository, policy: wg.CachePolicy, kept: bool
) -> None:
    told: list[OutputEvent] = []
    outputs.subscribe(told.append)
    outputs.policies = [policy]
    assert outputs.save(key("a"), "embed", {"text": "a" * 100}, model="m1") is kept
    assert (outputs.find(key("a")) is not None) is kept
    assert [event.kind for event in told] == ["saved", "found"][: 2 * kept]


def test_what_is_no_policy_is_refused(outputs: TaskOutputRepository) -> None:
    for wrong in (5, wg.KeepLast, object()):
        with pytest.raises(TaskConfigurationError, match=r"keep\(entries, now\)"):
            outputs.policies = [wrong]  # type: ignore[list-item]
    outputs.policies = [Forgetful()]  # type: ignore[list-item]
    with pytest.raises(TaskConfigurationError, match="has to return the entries that stay"):
        outputs.save(key("a"), "t", {})
    makers: list[Callable[[], object]] = [
        lambda: wg.KeepLast(-1), lambda: wg.MaxAge(-1), lambda: wg.MaxAge(float("nan")), lambda: wg.MaxSize(-1),
        lambda: wg.OnlyTasks(Small),  # type: ignore[arg-type]
    ]  # fmt: skip
    for make in makers:
        with pytest.raises(TaskConfigurationError):
            make()


def test_events_tell_what_was_saved_found_and_pruned(outputs: TaskOutputRepository, clock: FakeClock) -> None:
    told: list[OutputEvent] = []
    end = outputs.subscribe(told.append)
    outputs.save(key("a"), "embed", {"n": 1}, model="m")
    entry = CacheEntry(key("a"), "embed", "m", 7, clock.now())
    clock.advance(1)
    outputs.find(key("a"))
    outputs.find(key("b"))
    outputs.policies = [wg.KeepLast(0)]
    outputs.prune()
    assert told == [
        OutputEvent("saved", entry, clock.now() - 1000),
        OutputEvent("found", entry, clock.now()),
        OutputEvent("pruned", entry, clock.now()),
    ]
    outputs.policies = []
    outputs.save(key("a"), "embed", {"n": 1})
    outputs.clear()
    outputs.save(key("a"), "embed", {"n": 1})
    clock.advance(1)
    outputs.clear_older_than(1)
    assert [event.kind for event in told[3:]] == ["saved", "pruned", "saved", "pruned"]
    end()
    end()
    outputs.save(key("a"), "embed", {"n": 1})
    assert len(told) == 7
