"""Events on their way to a slow reader: none is lost, and many pieces take no more room than their text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import given, settings
from hypothesis import strategies as st

import workglow as wg
from workglow import Event, StreamChunk, TaskGraph
from workglow.graph.streams.feed import EventFeed
from workglow.tasks import task


def chunk(path: str, text: str, kind: str = "append") -> Event:
    return Event("task_chunk", "run", path, 0, StreamChunk("text", text, kind))  # type: ignore[arg-type]


async def drained(feed: EventFeed) -> list[Event]:
    feed.close()
    return [event async for event in feed]


def test_a_reader_who_keeps_up_hears_each_piece() -> None:
    feed = EventFeed()
    for number in range(100):
        feed.put(chunk("a", str(number)))
    assert [event.data.data for event in asyncio.run(drained(feed))] == [str(number) for number in range(100)]


def test_for_one_who_does_not_they_are_put_together() -> None:
    feed = EventFeed()
    for number in range(100_000):
        feed.put(chunk("ab"[number % 2], "x"))
    events = asyncio.run(drained(feed))
    assert len(events) <= 256
    assert {path: sum(len(event.data.data) for event in events if event.path == path) for path in "ab"} == {
        "a": 50_000,
        "b": 50_000,
    }


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["append", "replace", "other"])), max_size=600))
@settings(max_examples=50, deadline=None)
def test_what_is_heard_adds_up_to_the_same(said: list[tuple[str, str]]) -> None:
    feed = EventFeed()
    events = [
        Event("task_retried", "run", path, number) if kind == "other" else chunk(path, f"{number} ", kind)
        for number, (path, kind) in enumerate(said)
    ]
    for _ in range(300):  # the reader is behind already
        feed.put(Event("task_progress", "run", "z", 0))
    for event in events:
        feed.put(event)
    heard = asyncio.run(drained(feed))[300:]

    def story(events: list[Event], path: str) -> list[str]:
        texts = [""]
        for event in events:
            if event.path != path:
                continue
            if event.kind == "task_retried":
                texts.append("")
            else:
                texts[-1] = event.data.data if event.data.kind == "replace" else texts[-1] + event.data.data
        return texts

    assert all(story(heard, path) == story(events, path) for path in "abc")


def test_a_reader_who_leaves_stops_the_run() -> None:
    closed: list[bool] = []

    @task(name="feed_endless", output="text", cache=False)
    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def main(project: wg.Project) -> None:
        graph = TaskGraph()
        graph.add_task(endless)
        events = project.stream(graph)
        async for event in events:
            if event.kind == "task_chunk":
                break
        await events.aclose()  # type: ignore[attr-defined]

    with wg.open(":memory:") as project:
        asyncio.run(main(project))
        assert closed == [True]
        assert [run.status for run in project.runs()] == ["running"]  # it may be resumed
