"""C18: streaming.  A: streaming is told by events, not by a status; the end of a stream is its task's completion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
from fixture_runs import graph_of, kinds, outcome, run_task, run_until
from fixture_tasks import HighRate, Nothing, Prompt, StreamAppend, Text, Uncached
from pydantic import BaseModel, Field

from workglow.errors import TaskAbortedError, TaskFailedError
from workglow.graph.dataflow import Dataflow
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.streams.chunks import StreamChunk
from workglow.graph.streams.readers import carries_stream
from workglow.tasks import Stream
from workglow.tasks.stream import stream_mode


class Replaced(BaseModel):
    text: str = Field(json_schema_extra={"x-stream": "replace"})


class StreamReplace(Uncached):
    type = "StreamReplaceTask"
    Input = Prompt
    Output = Replaced

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[str]:
        for text in ("Bon", "Bonjour", "Bonjour le monde"):
            yield text


class StreamError(Uncached):
    type = "StreamErrorTask"
    Input = Prompt
    Output = Text

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[str]:
        yield "Hello"
        yield " "
        raise TaskFailedError("Stream error after 2 chunks")


class StreamAbortable(Uncached):
    type = "StreamAbortableTask"
    Input = Nothing
    Output = Text
    closed: ClassVar[list[bool]] = []

    async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
        try:
            yield "Hello"
            await asyncio.Event().wait()
        finally:
            self.closed.append(True)


class StreamCode(Uncached):
    type = "StreamCodeTask"
    Input = Prompt

    class Output(BaseModel):
        code: str = Field(json_schema_extra={"x-stream": "append"})

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[str]:
        for piece in ("fn main() {", ' println!("hi")', " }"):
            yield piece


PARTIAL = {"id": "tc1", "name": "get_weather", "arguments": '{"loc'}
WEATHER = {"id": "tc1", "name": "get_weather", "arguments": '{"location":"NYC"}'}
CLOCK = {"id": "tc2", "name": "get_time", "arguments": "{}"}


class StreamTools(Uncached):
    type = "StreamToolsTask"
    Input = Prompt

    class Output(BaseModel):
        toolCalls: list[dict[str, str]] = Field(json_schema_extra={"x-stream": "object"})

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[list[dict[str, str]]]:
        for calls in ([PARTIAL], [WEATHER], [CLOCK]):
            yield calls


class StreamStruct(Uncached):
    type = "StreamStructTask"
    Input = Prompt

    class Output(BaseModel):
        result: dict[str, Any] = Field(json_schema_extra={"x-stream": "object"})

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[dict[str, Any]]:
        yield {"name": "Al"}
        yield {"name": "Alice", "age": 30}


class Sink(Uncached):
    """Takes the whole text."""

    type = "SinkTask"

    class Config(BaseModel):
        prefix: str = ""

    class Input(BaseModel):
        text: str = ""

    class Output(BaseModel):
        text: str

    def execute(self, inputs: Input) -> dict[str, str]:
        return {"text": self.config["prefix"] + inputs.text}


class Reader(Uncached):
    """Takes the text piece by piece."""

    type = "ReaderTask"
    heard: ClassVar[list[tuple[str, str]]] = []

    class Input(BaseModel):
        text: Stream[str]

    Output = Text

    async def execute_stream(self, inputs: Input, context: Any) -> AsyncIterator[str]:
        async for piece in inputs.text:
            self.heard.append((context.path, piece))
            yield piece


class AppendTo(Uncached):
    class Input(BaseModel):
        text: Stream[str]

    async def execute(self, inputs: Input) -> dict[str, str]:
        return {"text": await inputs.text.whole()}


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    Reader.heard.clear()
    StreamAbortable.closed.clear()


def chunks_of(task: Any) -> tuple[list[StreamChunk], Any]:
    events: list[Event] = []
    run = run_in_memory_sync(graph_of(task), {"prompt": "p"}, on_event=events.append)
    return [event.data for event in events if event.kind == "task_chunk"], run.outputs


def joined(source: Any, *targets: Any, port: str = "text") -> TaskGraph:
    graph = graph_of(source, *targets)
    for target in targets:
        graph.add_dataflow(source.id, port, target.id, "text")
    return graph


def test_c18_1_an_append_stream() -> None:
    events: list[Event] = []
    run = run_in_memory_sync(graph_of(StreamAppend(id="t")), {"prompt": "p"}, on_event=events.append)
    assert kinds(events, "t") == ["started", "chunk", "chunk", "chunk", "completed"]
    assert run.outputs == {"text": "Hello world"}


def test_c18_2_a_replace_stream() -> None:
    chunks, outputs = chunks_of(StreamReplace(id="t"))
    assert chunks == [StreamChunk("text", text, "replace") for text in ("Bon", "Bonjour", "Bonjour le monde")]
    assert outputs == {"text": "Bonjour le monde"}


def test_c18_3_an_error_in_a_stream() -> None:
    events: list[Event] = []
    result = run_task(StreamError(id="t", defaults={"prompt": "p"}), on_event=events.append)
    assert (result.status, result.error) == ("failed", "TaskFailedError: Stream error after 2 chunks")
    assert kinds(events, "t") == ["started", "chunk", "chunk", "failed"]


def test_c18_3_an_aborted_stream_is_closed() -> None:
    runner, error, events = run_until(graph_of(StreamAbortable(id="t")), "task_chunk", "t")
    assert isinstance(error, TaskAbortedError)
    assert runner.status == "aborted"
    assert kinds(events, "t") == ["started", "chunk", "aborted"]
    assert StreamAbortable.closed == [True]


def test_c18_4_the_port_has_another_name() -> None:
    chunks, outputs = chunks_of(StreamCode(id="t"))
    assert outputs == {"code": 'fn main() { println!("hi") }'}
    assert len(chunks) == 3


def test_c18_5_objects_in_a_list_are_merged_by_id() -> None:
    chunks, outputs = chunks_of(StreamTools(id="t"))
    assert outputs == {"toolCalls": [WEATHER, CLOCK]}
    assert [chunk.kind for chunk in chunks] == ["object"] * 3


def test_c18_6_an_object_takes_the_place_of_the_one_before() -> None:
    assert chunks_of(StreamStruct(id="t"))[1] == {"result": {"name": "Alice", "age": 30}}


class StreamWithLanguage(Uncached):
    type = "StreamWithLanguageTask"
    Input = Prompt

    class Output(BaseModel):
        text: str
        lang: str

    async def execute_stream(self, inputs: Prompt) -> AsyncIterator[dict[str, str]]:
        yield {"text": "Hola"}
        yield {"text": " mundo"}
        yield {"lang": "es"}


def test_c18_7_several_ports_come_together() -> None:
    # A: there is no accumulation to turn off: a task's outputs are always whole
    assert chunks_of(StreamWithLanguage(id="t"))[1] == {"text": "Hola mundo", "lang": "es"}


def test_c18_8_what_an_edge_carries() -> None:
    def carries(source: Any, port: str, target: Any, *transforms: str) -> bool:
        return carries_stream(source, Dataflow("a", port, "b", "text", tuple(transforms)), target)  # type: ignore[arg-type]

    assert stream_mode({}) is None
    assert stream_mode(StreamReplace().outputs["text"].schema) == "replace"
    assert stream_mode(Reader().inputs["text"].schema) == "append"
    assert carries(StreamAppend(), "text", Reader())
    assert not carries(StreamAppend(), "text", Sink())  # takes the whole
    assert not carries(Sink(), "text", Reader())  # gives the whole
    assert not carries(StreamReplace(), "text", Reader())  # another mode
    assert not carries(StreamAppend(), "text", Reader(), "uppercase")
    assert not carries(StreamAppend(), "*", Reader())
    assert not carries(StreamAppend(), "[error]", Reader())
    assert not carries(StreamAppend(), "missing", Reader())


def test_c18_9_who_takes_the_whole_text_starts_after_the_end() -> None:
    graph = joined(StreamAppend(id="s"), Sink(id="one", prefix="sink:"), Sink(id="two", prefix="sink:"))
    events: list[Event] = []
    run = run_in_memory_sync(graph, {"prompt": "p"}, on_event=events.append)
    assert run.outputs["text"] == ["sink:Hello world", "sink:Hello world"]
    order = [(event.kind, event.path) for event in events]
    assert order.index(("task_completed", "s")) < order.index(("task_started", "one"))


def test_c18_9_a_replace_stream_delivers_its_last_value() -> None:
    run = run_in_memory_sync(joined(StreamReplace(id="s"), Sink(id="t", prefix="final: ")), {"prompt": "p"})
    assert run.outputs == {"text": "final: Bonjour le monde"}


def test_c18_10_an_edge_that_spreads_everything_waits_for_all_of_it() -> None:
    graph = graph_of(StreamAppend(id="s"), Reader(id="t"))
    graph.add_dataflow("s", "*", "t", "*")
    assert run_in_memory_sync(graph, {"prompt": "p"}).outputs == {"text": "Hello world"}
    assert Reader.heard == [("t", "Hello world")]


def test_c18_10_a_stream_without_a_piece_is_an_empty_text() -> None:
    # A: upstream gives no value at all
    run = run_in_memory_sync(joined(HighRate(id="s", chunks=0), Reader(id="r")))
    assert run.outputs == {"text": ""}
    assert run.tasks["s"].outputs == {"text": ""}


def test_c18_11_ten_thousand_pieces_in_order() -> None:
    whole = "".join(f"{number}|" for number in range(10_000))
    run = run_in_memory_sync(joined(HighRate(id="s", chunks=10_000), Reader(id="r")))
    assert run.outputs == {"text": whole}
    assert "".join(piece for _, piece in Reader.heard) == whole


def test_c18_11_an_abort_stops_a_writer_that_never_waits() -> None:
    runner, error, events = run_until(joined(HighRate(id="s", chunks=100_000), Reader(id="r")), "task_chunk", "s")
    assert isinstance(error, TaskAbortedError)
    assert 1 <= kinds(events, "s").count("chunk") < 1_000
    assert {run.id: run.status for run in runner.task_runs} == {"s": "aborted", "r": "aborted"}


def test_c18_11_three_readers_hear_the_same() -> None:
    readers = [Reader(id=f"r{number}") for number in range(3)]
    run = run_in_memory_sync(joined(HighRate(id="s", chunks=1_000), *readers))
    assert len({task.outputs["text"] for task in run.tasks.values()}) == 1
    for reader in readers:
        heard = "".join(piece for path, piece in Reader.heard if path == reader.id)
        assert heard == run.tasks["s"].outputs["text"]


class FailsLate(Uncached):
    type = "FailsLateTask"
    Input = Nothing
    Output = Text

    async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
        for number in range(500):
            yield f"{number}|"
        raise TaskFailedError("after 500")


def test_c18_11_an_error_after_500_pieces() -> None:
    run = outcome(joined(FailsLate(id="s"), Reader(id="r")))
    assert run.status == "failed"
    assert {path: task.status for path, task in run.tasks.items()} == {"s": "failed", "r": "aborted"}


def test_c18_12_only_streaming_tasks_have_chunks() -> None:
    events: list[Event] = []
    graph = joined(StreamAppend(id="s"), Sink(id="t"))
    graph.events.on("task_chunk", events.append)
    run_in_memory_sync(graph, {"prompt": "p"})
    assert [event.path for event in events] == ["s"] * 3
    graph.events.off("task_chunk", events.append)
    run_in_memory_sync(graph, {"prompt": "p"})
    assert len(events) == 3


def test_c18_13_the_reader_has_the_first_piece_before_the_writer_is_done() -> None:
    """The writer waits until its reader has answered: it could not end otherwise."""
    answered = asyncio.Event()

    class Waits(Uncached):
        Input = Nothing
        Output = Text

        async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
            yield "question"
            await answered.wait()
            yield "!"

    class Answers(Reader):
        async def execute_stream(self, inputs: Reader.Input, context: Any) -> AsyncIterator[str]:
            async for piece in inputs.text:
                answered.set()
                yield piece

    assert run_in_memory_sync(joined(Waits(id="s"), Answers(id="r"))).outputs == {"text": "question!"}


def test_b1_a_writer_that_fails_leaves_nobody_hanging() -> None:
    run = outcome(joined(StreamError(id="s", defaults={"prompt": "p"}), Reader(id="r")))
    assert (run.status, run.tasks["s"].status) == ("failed", "failed")


def test_b1_nor_does_one_that_is_aborted() -> None:
    runner, error, _ = run_until(joined(StreamAbortable(id="s"), Reader(id="r")), "task_chunk", "r")
    assert isinstance(error, TaskAbortedError)
    assert {run.id: run.status for run in runner.task_runs} == {"s": "aborted", "r": "aborted"}
    assert StreamAbortable.closed == [True]


def test_a_stream_can_be_read_whole() -> None:
    assert run_in_memory_sync(joined(StreamAppend(id="s"), AppendTo(id="t")), {"prompt": "p"}).outputs == {
        "text": "Hello world"
    }
