"""C19: outputs that are found again by what went in."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from fixture_runs import graph_of, kinds
from fixture_tasks import Prompt, Text
from pydantic import BaseModel

from workglow.file import File
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.streams.chunks import StreamChunk
from workglow.storage.outputs import OutputEvent
from workglow.storage.sqlite.outputs import SqliteOutputs
from workglow.tasks import Task, task
from workglow.testing import FakeClock
from workglow.values import value_types

DAY = 24 * 60 * 60 * 1000


@pytest.fixture
def file(clock: FakeClock) -> File:
    return File.open(":memory:", clock=clock)


@pytest.fixture
def cache(file: File) -> SqliteOutputs:
    return SqliteOutputs(file)


def key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


# ---------------------------------------------------------------------- the repository


def test_c19_1_what_is_saved_is_found(cache: SqliteOutputs) -> None:
    cache.save(key("a"), "SomeTask", {"id": "task1"})
    found = cache.find(key("a"))
    assert found is not None
    assert found.outputs == {"id": "task1"}
    assert cache.find(key("b")) is None


@pytest.mark.parametrize(("age", "limit", "left"), [(2, 1, 1), (1, 2, 2)])
def test_c19_1_what_is_old_is_forgotten(
    cache: SqliteOutputs, clock: FakeClock, age: int, limit: int, left: int
) -> None:
    # A: how many went is returned, and there is an event for each of them instead of one for the asking
    told: list[OutputEvent] = []
    cache.subscribe(told.append)
    cache.save(key("now"), "SomeTask", {})
    cache.save(key("then"), "SomeTask", {}, created_at=clock.now() - age * DAY)
    assert cache.size() == 2
    assert cache.clear_older_than(limit * DAY) == 2 - left
    assert cache.size() == left
    assert [event.entry.key for event in told if event.kind == "pruned"] == [key("then")] * (2 - left)


# ---------------------------------------------------------------------- streams


class CachedStream(Task):
    type = "CachedStreamTask"
    calls: ClassVar[list[str]] = []
    Input = Prompt
    Output = Text

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[str]:
        self.calls.append(inputs.prompt)
        for piece in ("cached", " ", "result"):
            yield piece


class ReplacingStream(CachedStream):
    type = "ReplacingStreamTask"

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[StreamChunk]:  # type: ignore[override]
        self.calls.append(inputs.prompt)
        for text in ("complete", "complete result"):
            yield StreamChunk("text", text, "replace")


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CachedStream.calls.clear()


def heard(task: Any, prompt: str, cache: SqliteOutputs | None) -> tuple[list[str], object]:
    events: list[Event] = []
    run = run_in_memory_sync(graph_of(task), {"prompt": prompt}, output_cache=cache, on_event=events.append)
    return kinds(events, "t"), run.outputs["text"]


def test_c19_2_a_stream_is_stored_whole_and_not_streamed_again(cache: SqliteOutputs) -> None:
    # A: a cached task has one event, `task_cached`, which carries all of it
    assert heard(CachedStream(id="t"), "hello", cache) == (
        ["started", "chunk", "chunk", "chunk", "completed"],
        "cached result",
    )
    assert cache.size() == 1
    assert heard(CachedStream(id="t"), "hello", cache) == (["cached"], "cached result")
    assert CachedStream.calls == ["hello"]


def test_c19_2_a_stream_that_replaces(cache: SqliteOutputs) -> None:
    assert heard(ReplacingStream(id="t"), "hello", cache)[1] == "complete result"
    assert heard(ReplacingStream(id="t"), "hello", cache) == (["cached"], "complete result")


def test_c19_2_what_is_not_cacheable_is_not_stored(cache: SqliteOutputs) -> None:
    task = CachedStream(id="t", cache=False)
    assert heard(task, "hello", cache) == (["started", "chunk", "chunk", "chunk", "completed"], "cached result")
    assert cache.size() == 0


def test_c19_2_another_input_is_another_output(cache: SqliteOutputs) -> None:
    heard(CachedStream(id="t"), "one", cache)
    heard(CachedStream(id="t"), "two", cache)
    assert CachedStream.calls == ["one", "two"]
    assert cache.size() == 2


# ---------------------------------------------------------------------- values with a form of their own


@dataclasses.dataclass(frozen=True)
class Wire:
    live: int


class UsesWire(Task):
    type = "UsesWireTask"
    calls: ClassVar[list[Wire]] = []

    class Input(BaseModel):
        wire: Any

    class Output(BaseModel):
        thing: Any

    def execute(self, inputs: Input) -> dict[str, Any]:
        self.calls.append(inputs.wire)
        return {"thing": inputs.wire}


def test_c19_3_a_registered_type_goes_in_and_comes_out(cache: SqliteOutputs, file: File) -> None:
    # A: instead of a codec for a port's format, a type is registered by name
    value_types.register(Wire, "c19-wire")
    UsesWire.calls.clear()
    graph = graph_of(UsesWire)
    runs = [run_in_memory_sync(graph, {"wire": Wire(42)}, output_cache=cache) for _ in range(2)]
    assert UsesWire.calls == [Wire(42)]
    assert runs[0].outputs == runs[1].outputs == {"thing": Wire(42)}
    assert '"live":42' in file.reader.execute("SELECT output FROM task_output").get


# ---------------------------------------------------------------------- what belongs to the key


class Multiply(Task):
    type = "MultiplyTask"
    calls: ClassVar[list[float]] = []

    class Config(BaseModel):
        multiplier: float

    class Input(BaseModel):
        value: Any

    class Output(BaseModel):
        value: Any

    def execute(self, inputs: Input) -> dict[str, Any]:
        self.calls.append(self.config["multiplier"])
        value = inputs.value
        return {"value": value * self.config["multiplier"] if isinstance(value, int | float) else value}


def multiplied(value: object, multiplier: float, cache: SqliteOutputs | None) -> object:
    return run_in_memory_sync(graph_of(Multiply(multiplier=multiplier)), {"value": value}, output_cache=cache).outputs[
        "value"
    ]


@pytest.fixture(autouse=True)
def _no_multiplications() -> None:
    Multiply.calls.clear()


def test_c19_4_the_settings_belong_to_the_key(cache: SqliteOutputs) -> None:
    assert [multiplied(5, 2, cache), multiplied(5, 3, cache), multiplied(5, 2, cache)] == [10, 15, 10]
    assert Multiply.calls == [2, 3]
    assert cache.size() == 2


def test_c19_4_the_order_of_keys_does_not(cache: SqliteOutputs) -> None:
    multiplied({"a": {"x": 1, "y": 2}}, 1, cache)
    multiplied({"a": {"y": 2, "x": 1}}, 1, cache)
    assert Multiply.calls == [1]


def test_c19_4_another_version_is_another_task(cache: SqliteOutputs) -> None:
    def made(version: str) -> Any:
        @task(output="text", name="c19_versioned", version=version, inline=True)
        def versioned(text: str) -> str:
            return f"{text} {version}"

        return versioned

    texts = [
        run_in_memory_sync(graph_of(made(version)), {"text": "by"}, output_cache=cache).outputs["text"]
        for version in ("1", "2", "1")
    ]
    assert texts == ["by 1", "by 2", "by 1"]
    assert cache.size() == 2


def test_c19_4_side_effects_are_never_cached(cache: SqliteOutputs) -> None:
    kind = type("Effect", (Multiply,), {"side_effects": True, "type": "EffectTask"})
    for _ in range(2):
        run_in_memory_sync(graph_of(kind(multiplier=2)), {"value": 1}, output_cache=cache)
    assert Multiply.calls == [2, 2]
    assert cache.size() == 0


def test_c19_4_a_damaged_row_is_a_miss(cache: SqliteOutputs, file: File) -> None:
    text = "x" * 100_000
    multiplied(text, 1, cache)
    with file.transaction() as db:
        db.execute("UPDATE value SET data = zeroblob(length(data))")
    assert multiplied(text, 1, cache) == text
    assert Multiply.calls == [1, 1]
    assert multiplied(text, 1, cache) == text  # what was stored again took the damaged row's place
    assert Multiply.calls == [1, 1]


def test_c19_what_has_no_fingerprint_is_not_cached(cache: SqliteOutputs) -> None:
    unstorable = object()
    assert multiplied(unstorable, 1, cache) is unstorable
    assert multiplied(float("nan"), 1, cache) != multiplied(float("nan"), 1, cache)
    assert cache.size() == 0


class GivesWhatCannotBeStored(Task):
    def execute(self, inputs: Any) -> dict[str, Any]:
        return {"thing": object()}


def test_c19_what_cannot_be_stored_is_not_cached(cache: SqliteOutputs) -> None:
    assert "thing" in run_in_memory_sync(graph_of(GivesWhatCannotBeStored), output_cache=cache).outputs
    assert cache.size() == 0


def test_c19_without_the_cache_nothing_is_looked_up(cache: SqliteOutputs) -> None:
    from workglow.graph.options import RunOptions

    graph = graph_of(Multiply(multiplier=2))
    for choice, calls in (("use", 1), ("use", 1), ("off", 2), ("refresh", 3), ("use", 3)):
        run_in_memory_sync(graph, {"value": 1}, output_cache=cache, options=RunOptions(cache=choice))  # type: ignore[arg-type]
        assert len(Multiply.calls) == calls
