"""Streams that enter and leave groups while they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from workglow import Retry, Stream, TaskContext, TaskGraph
from workglow.errors import TaskFailedError, WorkglowError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.control.fallback import FallbackTask
from workglow.graph.control.map import MapTask
from workglow.graph.control.while_task import WhileTask
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.options import RunOptions
from workglow.graph.run import Run
from workglow.graph.streams.channels import CAPACITY
from workglow.tasks.function import task_function


def made(function: Any, id: str = "", **options: Any) -> Any:
    """A task of a local function, known to nobody else."""
    return task_function(function, register=False, cache=False, output="text", **options).task(
        id=id or function.__name__
    )


def wired(*tasks: Any, edges: str = "") -> TaskGraph:
    """`edges` is 'a>b c>d': from a's port text to b's port text, and so on."""
    graph = TaskGraph()
    for task in tasks:
        graph.add_task(task)
    for edge in edges.split():
        source, _, target = edge.partition(">")
        graph.add_dataflow(source, "text", target, "text")
    return graph


def group(*tasks: Any, edges: str = "", id: str = "group") -> GraphAsTask:
    return GraphAsTask(wired(*tasks, edges=edges), id=id)


def ran(graph: TaskGraph, **options: Any) -> Run:
    """The run, also when it failed; it must end by itself."""
    try:
        return run_in_memory_sync(graph, options=RunOptions(**options))
    except WorkglowError as error:
        failed = error.run
    assert isinstance(failed, Run)
    return failed


class Talk:
    """A writer that goes on only when what it said was heard, so that nothing ends unless the stream is live."""

    def __init__(self, pieces: int = 5) -> None:
        self.pieces = pieces
        self.heard = asyncio.Event()
        self.order: list[str] = []

    def writer(self) -> Any:
        async def write() -> AsyncIterator[str]:
            for number in range(self.pieces):
                self.heard.clear()
                yield f"{number} "
                await self.heard.wait()
            self.order.append("written")

        return made(write)

    def hearer(self) -> Any:
        async def hear(text: Stream[str]) -> str:
            said = ""
            async for piece in text:
                said += piece
                self.heard.set()
            self.order.append("heard")
            return said

        return made(hear)


async def passed(text: Stream[str]) -> AsyncIterator[str]:
    async for piece in text:
        yield piece


def pass_on(id: str = "pass") -> Any:
    return made(passed, id)


async def whole(text: str) -> str:
    return f"<{text}>"


SAID = "0 1 2 3 4 "
IN, OUT = "in", "out"  # of the group


# ---------------------------------------------------------------------- live, in both directions


def test_a_stream_leaves_a_group_while_it_is_written() -> None:
    talk = Talk()
    run = ran(wired(group(talk.writer()), talk.hearer(), edges="group>hear"), timeout=5)
    assert run.outputs == {"text": SAID}
    assert talk.order == ["written", "heard"]
    assert run.tasks["group"].outputs == {"text": SAID}


def test_a_stream_enters_a_group_while_it_is_written() -> None:
    talk = Talk()
    assert ran(wired(talk.writer(), group(talk.hearer()), edges="write>group"), timeout=5).outputs == {"text": SAID}


def test_a_stream_crosses_borders_of_groups_in_groups() -> None:
    talk = Talk()
    before = group(group(talk.writer(), pass_on(), edges="write>pass", id="inner"), id="before")
    through = group(group(pass_on("one"), pass_on("two"), edges="one>two", id="inner"), id="through")
    after = group(group(talk.hearer(), id="inner"), id="after")
    graph = wired(before, through, after, edges="before>through through>after")
    assert ran(graph, timeout=5).outputs == {"text": SAID}


def test_a_stream_goes_out_under_the_name_that_the_graph_gives_it() -> None:
    talk = Talk()
    inner = wired(talk.writer(), pass_on(), edges="write>pass")
    inner.name_output("said", "pass", "text")
    graph = TaskGraph()
    graph.add_task(GraphAsTask(inner, id="group"))
    graph.add_task(talk.hearer())
    graph.add_dataflow("group", "said", "hear", "text")
    assert ran(graph, timeout=5).tasks["hear"].outputs == {"text": SAID}


def test_a_stream_enters_and_leaves_a_fallback() -> None:
    talk = Talk()
    graph = wired(
        talk.writer(), FallbackTask(wired(pass_on()), id="fallback"), talk.hearer(),
        edges="write>fallback fallback>hear",
    )  # fmt: skip
    assert ran(graph, timeout=5).outputs == {"text": SAID}


@pytest.mark.parametrize("number", [1, 9])
def test_a_stream_leaves_the_arm_that_is_taken(number: int) -> None:
    talk = Talk()

    async def other(number: int) -> AsyncIterator[str]:
        yield "other"

    branches = [
        {"id": "more", "condition": {"field": "number", "operator": "greater_than", "value": 5}},
        {"id": "rest"},
    ]
    graph = wired(talk.writer(), made(other), talk.hearer())
    graph.add_task(ConditionalTask(id="if", branches=branches, default_branch="rest"))
    graph.add_dataflow("if", "more", "write", "*")
    graph.add_dataflow("if", "rest", "other", "*")
    graph.add_dataflow("write", "text", "hear", "text")
    graph.add_dataflow("other", "text", "hear", "text")
    run = run_in_memory_sync(graph, {"number": number}, options=RunOptions(timeout=5))
    assert run.outputs == {"text": SAID if number > 5 else "other"}


def test_inside_of_a_group_only_those_who_want_the_whole_wait_for_it() -> None:
    talk = Talk()
    inner = wired(talk.hearer(), made(whole))
    inner.name_output("heard", "hear", "text")
    inner.name_output("whole", "whole", "text")
    graph = TaskGraph()
    graph.add_task(talk.writer())
    graph.add_task(GraphAsTask(inner, id="group"))
    graph.add_dataflow("write", "text", "group", "text")
    assert ran(graph, timeout=5).outputs == {"heard": SAID, "whole": f"<{SAID}>"}


def test_what_a_group_gives_does_not_count_before_the_group_has_completed() -> None:
    order: list[str] = []

    async def late(text: str) -> str:
        for _ in range(50):
            await asyncio.sleep(0)
        order.append("late")
        return text

    talk = Talk()
    inner = wired(talk.writer(), made(late), edges="write>late")
    inner.name_output("text", "write", "text")
    inner.name_output("late", "late", "text")
    events: list[tuple[str, str]] = []
    graph = wired(GraphAsTask(inner, id="group"), talk.hearer(), edges="group>hear")
    run = run_in_memory_sync(graph, on_event=lambda event: events.append((event.kind, event.path)))
    assert run.outputs == {"text": SAID}
    done = [path for kind, path in events if kind == "task_completed"]
    assert done == ["group/write", "group/late", "group", "hear"]


# ---------------------------------------------------------------------- pace, failures, other attempts


@pytest.mark.parametrize("where", [IN, OUT])
def test_the_pace_of_a_stream_is_that_of_its_reader_across_the_border(where: str) -> None:
    said, distances = 0, list[int]()

    async def write() -> AsyncIterator[str]:
        nonlocal said
        for number in range(500):
            said = number + 1
            yield "x"

    async def crawl(text: Stream[str]) -> str:
        heard = 0
        async for piece in text:
            heard += len(piece)
            distances.append(said - heard)
            await asyncio.sleep(0)
        return str(heard)

    if where == IN:
        graph = wired(made(write), group(made(crawl)), edges="write>group")
    else:
        graph = wired(group(made(write)), made(crawl), edges="group>crawl")
    assert ran(graph).outputs == {"text": "500"}
    assert max(distances) <= CAPACITY + 1


class Flaky:
    """A writer whose first attempt fails after some pieces, once they were heard."""

    def __init__(self, attempts: int = 2) -> None:
        self.attempts = attempts
        self.heard: list[str] = []
        self.starts = 0

    def writer(self, id: str = "write") -> Any:
        async def write(context: TaskContext) -> AsyncIterator[str]:
            for number in range(400):
                if number == 390 and context.attempt < self.attempts:
                    raise TaskFailedError("not this time")
                yield f"{context.attempt}.{number} "

        return made(write, id, retry=Retry(attempts=2))

    def reader(self, id: str = "read") -> Any:
        async def read(text: Stream[str]) -> AsyncIterator[str]:
            self.starts += 1
            async for piece in text:
                self.heard.append(piece)
                yield piece

        return made(read, id)


SECOND = "".join(f"2.{number} " for number in range(400))


@pytest.mark.parametrize("where", [IN, OUT, "both"])
def test_who_reads_across_a_border_starts_again_with_the_new_attempt(where: str) -> None:
    flaky = Flaky()
    count = 0

    async def beside() -> str:
        nonlocal count
        count += 1
        return "x"

    inner = wired(flaky.reader(), made(beside))
    inner.name_output("text", "read", "text")
    graph = {
        IN: wired(flaky.writer(), GraphAsTask(inner, id="group"), edges="write>group"),
        OUT: wired(group(flaky.writer()), flaky.reader(), edges="group>read"),
        "both": wired(group(flaky.writer(), id="before"), GraphAsTask(inner, id="after"), edges="before>after"),
    }[where]
    assert ran(graph).outputs == {"text": SECOND}
    assert flaky.starts == 2
    assert flaky.heard[0].startswith("1.0 ")
    assert count == (where != OUT)  # what does not read the stream goes on as if nothing had happened


@pytest.mark.parametrize("where", [IN, OUT])
def test_a_stream_that_fails_for_good_leaves_nothing_waiting(where: str) -> None:
    flaky = Flaky(attempts=9)
    if where == IN:
        graph = wired(flaky.writer(), group(flaky.reader()), edges="write>group")
    else:
        graph = wired(group(flaky.writer()), flaky.reader(), edges="group>read")
    run = ran(graph)
    assert run.status == "failed"
    assert run.tasks[{IN: "write", OUT: "group/write"}[where]].status == "failed"
    assert run.tasks[{IN: "group/read", OUT: "read"}[where]].status == "aborted"


def test_a_group_whose_stream_broke_is_aborted_while_other_branches_go_on() -> None:
    flaky = Flaky(attempts=9)

    async def other() -> str:
        return "other"

    graph = wired(flaky.writer(), group(flaky.reader()), made(other), edges="write>group")
    run = ran(graph, continue_on_error=True)
    assert {path: task.status for path, task in run.tasks.items()} == {
        "write": "failed",
        "group": "aborted",
        "group/read": "aborted",
        "other": "completed",
    }


def test_a_stream_whose_failure_is_handled_enters_a_group_whole() -> None:
    flaky = Flaky(attempts=9)

    async def comfort(error: str) -> str:
        return "comfort"

    graph = wired(flaky.writer(), group(flaky.reader()), made(comfort), edges="write>group")
    graph.add_dataflow("write", "[error]", "comfort", "*")
    assert ran(graph).outputs == {"text": "comfort"}
    assert flaky.starts == 0


def test_another_alternative_takes_back_what_the_first_one_streamed() -> None:
    heard: list[str] = []

    async def breaks(text: Stream[str]) -> AsyncIterator[str]:
        async for piece in text:
            yield piece.replace("x", "y")
            if heard:
                raise TaskFailedError("enough")

    async def read(text: Stream[str]) -> str:
        said = ""
        async for piece in text:
            heard.append(piece)
            said += piece
        return said

    async def write() -> AsyncIterator[str]:
        for _ in range(300):
            yield "x"

    alternatives = FallbackTask(wired(made(breaks), pass_on()), id="try")
    run = ran(wired(made(write), alternatives, made(read), edges="write>try try>read"))
    assert run.outputs == {"text": "x" * 300}
    assert heard[0].startswith("y")
    assert run.tasks["try[0]/breaks"].status == "failed"


def test_a_failure_that_is_handled_inside_gives_the_other_value_outside() -> None:
    flaky = Flaky(attempts=9)
    count = 0

    async def beside() -> str:
        nonlocal count
        count += 1
        return "x"

    async def comfort(error: str) -> AsyncIterator[str]:
        yield "com"
        yield "fort"

    before = wired(flaky.writer(), pass_on(), made(comfort), edges="write>pass")
    before.add_dataflow("write", "[error]", "comfort", "*")
    after = wired(flaky.reader(), made(beside))
    after.name_output("text", "read", "text")
    graph = wired(
        GraphAsTask(before, id="before"), pass_on("between"), GraphAsTask(after, id="after"),
        edges="before>between between>after",
    )  # fmt: skip
    started: list[str] = []
    run = run_in_memory_sync(
        graph, on_event=lambda event: started.append(event.path) if event.kind == "task_started" else None
    )
    assert run.outputs == {"text": "comfort"}
    assert (started.count("after/read"), started.count("after"), count) == (3, 1, 1)


def test_a_reader_in_a_group_that_needs_little_is_not_done_before_the_writer() -> None:
    async def first(text: Stream[str]) -> str:
        async for piece in text:
            return piece
        return ""

    events: list[str] = []

    async def write() -> AsyncIterator[str]:
        for number in range(300):
            yield f"{number} "
            await asyncio.sleep(0)

    graph = wired(made(write), group(made(first)), edges="write>group")
    run = run_in_memory_sync(
        graph, on_event=lambda event: events.append(event.path) if event.kind == "task_completed" else None
    )
    assert run.outputs == {"text": "0 "}
    assert events == ["write", "group/first", "group"]
    assert len(str(run.tasks["write"].outputs["text"]).split()) == 300


def test_a_reader_in_a_group_may_fail_and_try_again_while_the_stream_goes_on() -> None:
    async def read(text: Stream[str], context: TaskContext) -> str:
        said = ""
        async for piece in text:
            said += piece
            if context.attempt == 1 and len(said) > 10:
                raise TaskFailedError("once")
        return said

    async def write() -> AsyncIterator[str]:
        for _ in range(200):
            yield "x"

    graph = wired(made(write), group(made(read, retry=Retry(attempts=2))), edges="write>group")
    assert ran(graph).outputs == {"text": "x" * 200}


@pytest.mark.parametrize("where", [IN, OUT])
def test_an_aborted_run_leaves_no_stream_open(where: str) -> None:
    closed: list[str] = []

    async def write() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0)
        finally:
            closed.append("write")

    async def read(text: Stream[str]) -> str:
        try:
            return await text.whole()
        finally:
            closed.append("read")

    if where == IN:
        graph = wired(made(write), group(made(read)), edges="write>group")
    else:
        graph = wired(group(made(write)), made(read), edges="group>read")
    run = ran(graph, timeout=0.2)
    assert run.status == "failed"
    assert sorted(closed) == ["read", "write"]


# ---------------------------------------------------------------------- loops take and give whole values


def _never(outputs: dict[str, Any]) -> bool:
    return False


def test_a_loop_takes_and_gives_whole_values() -> None:
    pieces: list[str] = []

    async def read(text: Stream[str]) -> AsyncIterator[str]:
        async for piece in text:
            pieces.append(piece)
            yield piece + "!"

    async def write() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number} "

    async def whole(text: Stream[str]) -> str:
        parts = [piece async for piece in text]
        assert len(parts) == 1
        return parts[0]

    loop = WhileTask(wired(made(read)), id="loop", condition=_never, max_iterations=1)
    assert ran(wired(made(write), loop, made(whole), edges="write>loop loop>whole")).outputs == {"text": "0 1 2 !"}
    assert pieces == ["0 1 2 "]
    mapped = TaskGraph()
    mapped.add_task(MapTask(wired(made(read)), id="map", max_iterations=9))
    assert run_in_memory_sync(mapped, {"text": ["a", "b"]}).outputs == {"text": ["a!", "b!"]}
