"""`crash_streams.py drive|follow PROJECT HEARD`: a pipeline that streams and kills itself once, and who follows it.

HEARD is the file into which the follower writes what it is told; the first attempt dies when all it said is in there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

import workglow as wg
from workglow import GraphAsTask, Stream, TaskContext, TaskGraph
from workglow.errors import RunStateError
from workglow.tasks import task

PIECES = [f"{number} " for number in range(40)]
SAID_AT_CRASH = "".join(PIECES[:25])
WHOLE = "".join(PIECES)


def name_of(line: dict[str, Any]) -> str:
    """The last part of the path that a line of the follower's is about."""
    return line["path"].rpartition("/")[2]


def heard(path: str, task_path: str) -> str:
    """What the first attempt of a task said, as far as the follower has written it down."""
    if not Path(path).exists():
        return ""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return "".join(line["data"] for line in lines if line["kind"] == "append" and name_of(line) == task_path)


@task(output="text", cache=False)
async def write(follower: str, context: TaskContext) -> AsyncIterator[str]:
    for number, piece in enumerate(PIECES):
        if context.attempt == 1 and number in (10, 25):
            for said, by in (
                ("".join(PIECES[:number]), "write"),
                ("".join(PIECES[:number]).replace(" ", "!"), "shout"),
            ):
                while heard(follower, by) != said:  # noqa: ASYNC110  # another process says so, in a file
                    await asyncio.sleep(0.002)
            if number == 25:
                os.kill(os.getpid(), signal.SIGKILL)
        yield piece


@task(output="text", cache=False)
async def shout(text: Stream[str]) -> AsyncIterator[str]:
    async for piece in text:
        yield piece.replace(" ", "!")


@task(output="first", cache=False)
async def first(text: Stream[str]) -> str:
    """Ends early: it is held when the crash comes."""
    async for piece in text:
        return piece[0]
    return ""


@task(output="count", cache=False)
async def count(text: Stream[str]) -> int:
    return (await text.whole()).count("!")


def build() -> TaskGraph:
    graph = TaskGraph()
    for step in (write, shout, count, first):
        graph.add_task(step)
    graph.add_dataflow("write", "text", "shout", "text")
    graph.add_dataflow("shout", "text", "count", "text")
    graph.add_dataflow("write", "text", "first", "text")
    return graph


def build_in_groups() -> TaskGraph:
    """The same, with the writer in one group and those who read along in others."""
    graph = TaskGraph()
    for id, step in (("before", write), ("through", shout), ("counting", count), ("after", first)):
        inner = TaskGraph()
        inner.add_task(step)
        graph.add_task(GraphAsTask(inner, id=id))
    graph.add_dataflow("before", "text", "through", "text")
    graph.add_dataflow("through", "text", "counting", "text")
    graph.add_dataflow("before", "text", "after", "text")
    return graph


def drive(path: str) -> None:
    with wg.open(path) as project:
        project.resume_sync()


async def follow(path: str, told: str) -> None:
    with wg.open(path, read_only=True) as project, Path(told).open("w") as lines:  # noqa: ASYNC230
        async for record in project.follow(project.runs()[-1].id):
            lines.write(msgspec.json.encode(record).decode() + "\n")
            lines.flush()


if __name__ == "__main__":
    what, project_path, heard_path = sys.argv[1:]
    if what == "follow":
        asyncio.run(follow(project_path, heard_path))
    else:
        try:
            drive(project_path)
        except RunStateError as error:
            sys.exit(str(error))
