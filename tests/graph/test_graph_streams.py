"""Tasks that read along: backpressure, early ends, failures, retries, and nothing that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import workglow as wg
from workglow import Retry, Stream, StreamChunk, TaskGraph
from workglow.errors import InterruptedTaskError, TaskConfigurationError, TaskOutputError, WorkglowError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.map import MapTask
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.options import RunOptions
from workglow.graph.run import Run
from workglow.graph.streams.channels import CAPACITY
from workglow.tasks import Task, TaskRegistry
from workglow.tasks.function import task_function

NUMBERS = "".join(f"{number} " for number in range(500))


def made(function: Any, id: str = "", **options: Any) -> Any:
    """A task of a local function, known to nobody else."""
    return task_function(function, register=False, cache=False, **options).task(id=id or function.__name__)


def wired(*tasks: Any, edges: str) -> TaskGraph:
    """`edges` is 'a>b c>d.words': from a's port text to b's port text, and so on."""
    graph = TaskGraph()
    for task in tasks:
        graph.add_task(task)
    for edge in edges.split():
        source, _, target = edge.partition(">")
        id, _, port = target.partition(".")
        graph.add_dataflow(source, "text", id, port or "text")
    return graph


def ran(graph: TaskGraph, **options: Any) -> Run:
    """The run, also when it failed; it must end by itself."""
    try:
        return run_in_memory_sync(graph, options=RunOptions(**options))
    except WorkglowError as error:
        failed = error.run
    assert isinstance(failed, Run)
    return failed


def statuses(run: Run) -> dict[str, str]:
    return {path: task.status for path, task in run.tasks.items()}


async def numbers() -> AsyncIterator[str]:
    for number in range(500):
        yield f"{number} "


async def passed(text: Stream[str]) -> AsyncIterator[str]:
    async for piece in text:
        yield piece


async def whole(text: Stream[str]) -> str:
    return "".join([piece async for piece in text])


def writer(id: str = "numbers") -> Any:
    return made(numbers, id, output="text")


# ---------------------------------------------------------------------- order and pace


def test_a_writer_is_never_further_ahead_than_its_buffer() -> None:
    said, distances = 0, list[int]()

    async def write() -> AsyncIterator[str]:
        nonlocal said
        for number in range(1_000):
            said = number + 1
            yield "x"

    async def read(text: Stream[str]) -> str:
        heard = 0
        async for piece in text:
            heard += len(piece)
            distances.append(said - heard)
            await asyncio.sleep(0)
        return str(heard)

    run = ran(wired(made(write, output="text"), made(read, output="text"), edges="write>read"))
    assert run.outputs == {"text": "1000"}
    assert max(distances) <= CAPACITY + 1


@pytest.mark.parametrize("slow", [0, 1, 2])
def test_the_slowest_of_three_readers_sets_the_pace(slow: int) -> None:
    said, distances = 0, list[int]()

    async def write() -> AsyncIterator[str]:
        nonlocal said
        for number in range(500):
            said = number + 1
            yield f"{number} "

    async def crawl(text: Stream[str]) -> str:
        heard: list[str] = []
        async for piece in text:
            for _ in range(5):
                await asyncio.sleep(0)
            heard.append(piece)
            distances.append(said - "".join(heard).count(" "))
        return "".join(heard)

    readers = [made(crawl if number == slow else whole, f"r{number}", output="text") for number in range(3)]
    run = ran(wired(made(write, output="text"), *readers, edges="write>r0 write>r1 write>r2"))
    assert [run.tasks[f"r{number}"].outputs["text"] for number in range(3)] == [NUMBERS] * 3
    assert max(distances) <= CAPACITY + 1


def test_two_streams_read_one_after_the_other_do_not_block_each_other() -> None:
    """`last` reads all of `left` first; `right` fills up meanwhile, and both come from one writer."""

    async def last(left: Stream[str], right: Stream[str]) -> str:
        return await left.whole() + "/" + await right.whole()

    graph = wired(
        writer(), made(passed, "left", output="text"), made(passed, "right", output="text"), made(last, output="text"),
        edges="numbers>left numbers>right left>last.left right>last.right",
    )  # fmt: skip
    assert ran(graph).outputs == {"text": f"{NUMBERS}/{NUMBERS}"}


def test_a_task_may_read_two_ports_of_one_writer_one_after_the_other() -> None:
    async def both() -> AsyncIterator[StreamChunk]:
        for number in range(500):
            yield StreamChunk("text", f"{number} ")
            yield StreamChunk("other", "x")

    async def last(one: Stream[str], two: Stream[str]) -> str:
        return f"{len(await two.whole())} {await one.whole()}"

    class Both(Task):
        cacheable = False

        class Output(BaseModel):
            text: str
            other: str

        async def execute_stream(self, inputs: Any) -> AsyncIterator[StreamChunk]:
            async for chunk in both():
                yield chunk

    graph = wired(Both(id="both"), made(last, output="text"), edges="both>last.one")
    graph.add_dataflow("both", "other", "last", "two")
    assert ran(graph).outputs == {"text": f"500 {NUMBERS}"}


def test_a_stream_without_a_piece_is_an_empty_text() -> None:
    class OtherPort(Task):
        cacheable = False

        class Output(BaseModel):
            text: str
            other: str

        async def execute_stream(self, inputs: Any) -> AsyncIterator[dict[str, str]]:
            yield {"other": "x"}

    async def read(text: Stream[str]) -> str:
        return await text.whole() + "."

    run = ran(wired(OtherPort(id="a"), made(read, output="text"), edges="a>read"))
    assert run.outputs == {"text": "."}
    with pytest.raises(ValueError, match="without a piece"):
        asyncio.run(Stream[str]().whole())


def test_with_one_task_at_a_time_the_reader_gets_all_of_it_at_once() -> None:
    graph = wired(
        writer(), made(passed, output="text"), made(whole, output="text"), edges="numbers>passed passed>whole"
    )
    assert ran(graph, concurrency=1).outputs == {"text": NUMBERS}


def test_a_reader_that_waits_for_something_else_gets_the_beginning_in_one_piece() -> None:
    gate = asyncio.Event()
    heard: list[str] = []

    async def write() -> AsyncIterator[str]:
        for piece in "abc":
            yield piece
        gate.set()
        await started.wait()
        yield "d"

    started = asyncio.Event()

    async def text_from_elsewhere() -> str:
        await gate.wait()
        return "!"

    async def read(text: Stream[str], more: str) -> str:
        started.set()
        heard.extend([piece async for piece in text])
        return more

    graph = wired(
        made(write, output="text"), made(text_from_elsewhere, output="text"), made(read, output="text"),
        edges="write>read text_from_elsewhere>read.more",
    )  # fmt: skip
    assert ran(graph).outputs == {"text": "!"}
    assert heard == ["abc", "d"]


def test_an_edge_that_changes_the_value_delivers_the_whole() -> None:
    heard: list[str] = []

    async def read(text: Stream[str]) -> str:
        heard.extend([piece async for piece in text])
        return ""

    graph = TaskGraph()
    graph.add_task(writer())
    graph.add_task(made(read, output="text"))
    graph.add_dataflow("numbers", "text", "read", "text", transforms=("uppercase",))
    ran(graph)
    assert heard == [NUMBERS]


def test_streams_inside_a_loop_and_a_group() -> None:
    async def write(number: int) -> AsyncIterator[str]:
        for _ in range(number):
            yield "x"

    body = wired(made(write, output="text"), made(passed, output="text"), edges="write>passed")
    graph = TaskGraph()
    graph.add_task(MapTask(body, id="map", max_iterations=10))
    assert run_in_memory_sync(graph, {"number": [1, 200, 3]}).outputs == {"text": ["x", "x" * 200, "xxx"]}
    group = TaskGraph()
    group.add_task(GraphAsTask(body, id="group"))
    assert run_in_memory_sync(group, {"number": 70}).outputs == {"text": "x" * 70}


# ---------------------------------------------------------------------- the same value as without


@given(
    pieces=st.lists(st.text(max_size=5), max_size=200),
    stops=st.sets(st.integers(0, 200)),
    limit=st.sampled_from([None, 1, 2]),
)
@settings(max_examples=60, deadline=None)
def test_what_is_streamed_adds_up_to_what_would_be_returned(pieces: list[str], stops: set[int], limit: Any) -> None:
    async def write() -> AsyncIterator[str]:
        for number, piece in enumerate(pieces):
            if number in stops:
                await asyncio.sleep(0)
            yield piece

    async def returned() -> str:
        return "".join(pieces)

    results: list[list[Any]] = []
    for source in (write, returned):
        graph = wired(
            made(source, "source", output="text"), made(passed, output="text"), made(whole, output="text"),
            made(whole, "direct", output="text"), edges="source>passed passed>whole source>direct",
        )  # fmt: skip
        run = ran(graph, concurrency=limit)
        results.append([run.status, run.outputs, {path: task.outputs for path, task in run.tasks.items()}])
    assert results[0] == results[1]


@given(pieces=st.lists(st.lists(st.fixed_dictionaries({"id": st.integers(0, 3), "at": st.integers()}), max_size=3)))
@settings(max_examples=40, deadline=None)
def test_objects_add_up_to_the_same_on_both_sides(pieces: list[list[dict[str, int]]]) -> None:
    class Objects(BaseModel):
        text: list[dict[str, int]] = Field(default=[], json_schema_extra={"x-stream": "object"})

    class Write(Task):
        cacheable = False
        Output = Objects

        async def execute_stream(self, inputs: Any) -> AsyncIterator[Any]:
            for piece in pieces:
                yield piece

    class Read(Task):
        cacheable = False

        class Input(BaseModel):
            text: Stream[list[dict[str, int]]] = Field(json_schema_extra={"x-stream": "object"})

        Output = Objects

        async def execute_stream(self, inputs: Input) -> AsyncIterator[Any]:
            async for piece in inputs.text:
                yield piece

    run = ran(wired(Write(id="a"), Read(id="b"), edges="a>b"))
    if not pieces:
        return
    expected: dict[int, dict[str, int]] = {}
    for item in (item for piece in pieces for item in piece):
        expected[item["id"]] = item
    assert run.outputs == run.tasks["a"].outputs == {"text": list(expected.values())}


# ---------------------------------------------------------------------- ends


async def first_three(text: Stream[str]) -> str:
    heard: list[str] = []
    async for piece in text:
        heard.append(piece)
        if "".join(heard).count(" ") >= 3:
            break
    return " ".join("".join(heard).split()[:3])


def test_a_reader_that_stops_early_holds_nobody_up() -> None:
    graph = wired(
        writer(),
        made(first_three, output="text"),
        made(whole, output="text"),
        edges="numbers>first_three numbers>whole",
    )
    run = ran(graph)
    assert run.outputs["text"] == ["0 1 2", NUMBERS]
    assert run.tasks["numbers"].outputs == {"text": NUMBERS}


def test_a_writer_of_whom_nobody_wants_more_is_stopped() -> None:
    closed = False

    async def endless() -> AsyncIterator[str]:
        nonlocal closed
        try:
            number = 0
            while True:
                yield f"{number} "
                number += 1
                await asyncio.sleep(0)
        finally:
            closed = True

    run = ran(wired(made(endless, output="text"), made(first_three, output="text"), edges="endless>first_three"))
    assert run.outputs == {"text": "0 1 2"}
    assert closed
    assert statuses(run) == {"endless": "completed", "first_three": "completed"}
    assert str(run.tasks["endless"].outputs["text"]).startswith("0 1 2 ")


def test_a_chain_ends_with_the_last_that_wants_no_more() -> None:
    async def endless() -> AsyncIterator[str]:
        while True:
            yield "1 "
            await asyncio.sleep(0)

    graph = wired(
        made(endless, output="text"), made(passed, output="text"), made(first_three, output="text"),
        edges="endless>passed passed>first_three",
    )  # fmt: skip
    assert ran(graph).outputs == {"text": "1 1 1"}


def test_a_task_that_read_along_is_not_completed_before_the_one_it_read() -> None:
    order: list[tuple[str, str]] = []
    graph = wired(
        writer(),
        made(first_three, output="text"),
        made(whole, output="text"),
        edges="numbers>first_three numbers>whole",
    )
    run_in_memory_sync(graph, on_event=lambda event: order.append((event.kind, event.path)))
    assert order.index(("task_completed", "numbers")) < order.index(("task_completed", "first_three"))


def failing(times: int, after: int = 5) -> Callable[[], AsyncIterator[str]]:
    left = times

    async def flaky() -> AsyncIterator[str]:
        nonlocal left
        for number in range(500):
            yield f"{number} "
            if number == after and left:
                left -= 1
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                raise ValueError("once more")

    return flaky


def test_a_second_attempt_streams_to_readers_that_begin_again() -> None:
    events: list[Event] = []
    graph = wired(
        made(failing(2), "flaky", output="text", retry=Retry(attempts=3)),
        made(passed, output="text"), made(first_three, output="text"), made(whole, output="text"),
        edges="flaky>passed passed>whole passed>first_three",
    )  # fmt: skip
    run = run_in_memory_sync(graph, on_event=events.append)
    assert run.tasks["whole"].outputs == {"text": NUMBERS}
    assert run.tasks["first_three"].outputs == {"text": "0 1 2"}
    assert run.tasks["passed"].attempt == run.tasks["flaky"].attempt == 3
    completed = [event.path for event in events if event.kind == "task_completed"]
    assert sorted(completed) == ["first_three", "flaky", "passed", "whole"]


def test_a_reader_that_is_tried_again_reads_from_the_beginning() -> None:
    left = 2

    async def stumbles(text: Stream[str]) -> AsyncIterator[str]:
        nonlocal left
        async for piece in text:
            yield piece
            if left:
                left -= 1
                raise ValueError("stumbled")

    graph = wired(
        writer(), made(stumbles, output="text", retry=Retry(attempts=3)),
        made(whole, output="text"), edges="numbers>stumbles stumbles>whole",
    )  # fmt: skip
    run = ran(graph)
    assert run.outputs == {"text": NUMBERS}
    assert run.tasks["stumbles"].attempt == 3


def test_a_failure_that_is_handled_disables_who_read_along() -> None:
    def comfort(error: str) -> str:
        return error

    graph = wired(
        made(failing(1), "flaky", output="text"), made(whole, output="text"), made(comfort, output="text", inline=True),
        edges="flaky>whole",
    )  # fmt: skip
    graph.add_dataflow("flaky", "[error]", "comfort", "*")
    run = ran(graph)
    assert statuses(run) == {"flaky": "failed", "whole": "disabled", "comfort": "completed"}
    assert run.outputs == {"text": "once more"}


def test_a_failure_breaks_who_read_along_and_the_others_go_on() -> None:
    graph = wired(
        made(failing(1), "flaky", output="text"), made(passed, output="text"), made(whole, output="text"), writer(),
        edges="flaky>passed passed>whole",
    )  # fmt: skip
    run = ran(graph, continue_on_error=True)
    assert statuses(run) == {"flaky": "failed", "passed": "aborted", "whole": "aborted", "numbers": "completed"}


def test_a_reader_that_fails_ends_the_run_and_the_writer() -> None:
    async def picky(text: Stream[str]) -> str:
        async for _ in text:
            raise ValueError("not this")
        return ""

    run = ran(wired(writer(), made(picky, output="text"), edges="numbers>picky"))
    assert statuses(run) == {"numbers": "aborted", "picky": "failed"}


def test_the_writer_goes_on_when_a_reader_s_failure_is_handled() -> None:
    async def picky(text: Stream[str]) -> str:
        async for _ in text:
            raise ValueError("not this")
        return ""

    def comfort(error: str) -> str:
        return error

    graph = wired(
        writer(), made(picky, output="text"), made(comfort, output="text", inline=True), edges="numbers>picky"
    )
    graph.add_dataflow("picky", "[error]", "comfort", "*")
    run = ran(graph)
    assert statuses(run) == {"numbers": "completed", "picky": "failed", "comfort": "completed"}
    assert run.tasks["numbers"].outputs == {"text": NUMBERS}


def test_text_cannot_be_taken_back_from_a_reader() -> None:
    async def takes_back() -> AsyncIterator[StreamChunk]:
        yield StreamChunk("text", "one")
        await read.wait()
        yield StreamChunk("text", "two", "replace")

    class TakesBack(Task):
        cacheable = False

        class Output(BaseModel):
            text: str

        async def execute_stream(self, inputs: Any) -> AsyncIterator[StreamChunk]:
            async for chunk in takes_back():
                yield chunk

    read = asyncio.Event()

    async def listen(text: Stream[str]) -> str:
        async for _ in text:
            read.set()
        return ""

    with pytest.raises(TaskOutputError, match="x-stream 'replace'"):
        run_in_memory_sync(wired(TakesBack(id="a"), made(listen, output="text"), edges="a>listen"))
    read.set()
    alone = wired(TakesBack(id="a"), edges="")
    assert run_in_memory_sync(alone).outputs == {"text": "two"}


def test_what_was_read_along_is_found_again_in_the_cache() -> None:
    calls: list[str] = []

    async def cached_write() -> AsyncIterator[str]:
        calls.append("write")
        yield "a"
        yield "b"

    async def cached_read(text: Stream[str]) -> str:
        calls.append("read")
        return await text.whole()

    first, second = (
        task_function(function, register=False, output="text", version="1").task(id=function.__name__)
        for function in (cached_write, cached_read)
    )
    graph = wired(first, second, edges="cached_write>cached_read")
    with wg.open(":memory:", registry=TaskRegistry([type(first), type(second)])) as project:
        for _ in range(2):
            assert project.run_sync(graph).outputs == {"text": "ab"}
        assert calls == ["write", "read"]
        read = project.runs()[-1].tasks["cached_read"]
        assert read.cached


# ---------------------------------------------------------------------- what authors write


def test_a_plain_function_cannot_read_a_stream() -> None:
    def plain(text: Stream[str]) -> str:
        return ""

    with pytest.raises(TaskConfigurationError, match="async def"):
        _ = made(plain).mode


def test_a_value_that_is_there_comes_as_one_piece() -> None:
    graph = wired(made(whole, output="text"), edges="")
    assert run_in_memory_sync(graph, {"text": "all of it"}).outputs == {"text": "all of it"}


def test_a_stream_made_by_hand() -> None:
    async def main() -> list[str]:
        return [piece async for piece in passed(Stream(["one", "two"]))]

    assert asyncio.run(main()) == ["one", "two"]


@pytest.mark.parametrize(
    ("pieces", "mode", "value"),
    [
        (["a", "b"], "append", "ab"),
        ([[1], [2, 3]], "append", [1, 2, 3]),
        (["a", "ab"], "replace", "ab"),
        ([[{"id": 1, "a": 1}], [{"id": 1, "a": 2}, {"id": 2}]], "object", [{"id": 1, "a": 2}, {"id": 2}]),
    ],
)
def test_what_a_stream_adds_up_to(pieces: list[Any], mode: Any, value: object) -> None:
    assert asyncio.run(Stream(pieces, mode=mode).whole()) == value


def test_a_mode_that_nobody_knows_is_refused() -> None:
    class Odd(Task):
        class Output(BaseModel):
            text: str = Field(json_schema_extra={"x-stream": "apend"})

        async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
            yield ""

    with pytest.raises(TaskConfigurationError, match="'apend'"):
        _ = Odd().outputs


@pytest.mark.parametrize("policy", ["ask", "fail"])
def test_a_reader_whose_effect_is_unknown_is_asked_for_before_its_stream_begins_again(policy: str) -> None:
    gate = asyncio.Event()
    reading = asyncio.Event()

    async def unknown_write() -> AsyncIterator[str]:
        yield "a"
        await gate.wait()

    async def unknown_read(text: Stream[str]) -> str:
        async for _ in text:
            reading.set()
        return ""

    types: list[Any] = [
        type(made(unknown_write, output="text")),
        type(task_function(unknown_read, register=False, output="text", side_effects=True, on_interrupt=policy).task()),
    ]
    graph = wired(types[0](id="write"), types[1](id="read"), edges="write>read")

    async def interrupted(project: wg.Project) -> None:
        running = asyncio.ensure_future(project.run(graph))
        await reading.wait()
        running.cancel()
        await asyncio.wait((running,))

    with wg.open(":memory:", registry=TaskRegistry(types)) as project:
        asyncio.run(interrupted(project))
        (run,) = project.runs()
        assert {path: task.status for path, task in run.tasks.items()} == {"write": "running", "read": "running"}
        with pytest.raises(InterruptedTaskError):
            project.resume_sync(run.id)
