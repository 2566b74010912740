"""Streams that enter and leave groups while they are written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from workglow import Retry, Stream, TaskContext, TaskGraph
from workglow.errors import TaskFailedError, WorkglowError
from workglow.graph.control.compound import GraphAsTask
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
IN, OUT = "in", "out"


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
