"""What a workflow tells of its building, and what it does not."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workglow import Condition, Event, TaskGraph, Workflow
from workglow.errors import AutoConnectError, GraphError, WorkglowError
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, **options)


@task(output="text", inline=True)
def clean(text: str) -> str:
    return " ".join(text.split())


@task(output="text", inline=True)
def shout(text: str) -> str:
    return text.upper()


@task(output="value", inline=True)
def double(value: int) -> int:
    return value * 2


LONG = Condition(field="text", operator="contains", value="long")


def heard(workflow: Workflow) -> list[tuple[str, str]]:
    """Listen, and return what will be heard."""
    events: list[tuple[str, str]] = []
    workflow.events.subscribe(lambda event: events.append((event.kind, event.path)))
    return events


def test_each_call_is_told_once_with_the_task_that_it_added() -> None:
    workflow = Workflow()
    events = heard(workflow)
    workflow.then(clean).pipe(shout, clean).on_error(double, id="rescue", value=0)
    workflow.map(shout).undo().redo().pop()
    workflow.rename("text", "text")  # which waits for the next task
    workflow.then(shout, id="last")
    changed = "graph_changed"
    assert events == [
        (changed, "clean"),
        (changed, "clean_2"),
        (changed, "rescue"),
        (changed, "map"),
        (changed, ""),
        (changed, ""),
        (changed, ""),
        (changed, "last"),
    ]


def test_a_graph_in_the_place_of_another_is_told_as_a_reset() -> None:
    workflow = Workflow().then(clean)
    events = heard(workflow)
    workflow.reset()
    assert events == [("graph_changed", ""), ("graph_reset", "")]
    workflow.graph = TaskGraph()
    assert events[2:] == [("graph_changed", ""), ("graph_reset", "")]


def test_a_call_that_is_refused_is_not_told() -> None:
    workflow = Workflow().then(clean)
    events = heard(workflow)
    with pytest.raises(AutoConnectError):
        workflow.then(double)
    with pytest.raises(GraphError):
        workflow.pipe(shout, double)
    assert events == []


def test_arms_are_told_as_they_are_built_and_bodies_when_they_are_closed() -> None:
    workflow = Workflow().then(clean)
    events = heard(workflow)
    workflow.if_(LONG).then(shout).else_().then(shout, id="other").end_if()
    assert [path for _, path in events] == ["if", "shout", "other"]
    events.clear()
    with workflow.map() as body:
        body.then(shout, id="inside")
        assert events == []
    assert events == [("graph_changed", "map")]
    events.clear()
    workflow.if_(LONG).then(shout, id="gone")
    workflow.undo()
    assert [path for _, path in events] == ["if_2", "gone", ""]


def test_an_event_of_the_building_belongs_to_no_run() -> None:
    events: list[Event] = []
    workflow = Workflow()
    workflow.events.on("graph_changed", events.append)
    workflow.then(double).run_sync({"value": 1})
    (event,) = events
    assert (event.run, event.data) == ("", None)
    assert event.at > 0


def test_the_next_change_can_be_awaited() -> None:
    async def wait() -> Event:
        workflow = Workflow()
        waiting = asyncio.ensure_future(workflow.events.wait_on("graph_changed"))
        await asyncio.sleep(0)
        workflow.then(clean).then(shout)
        return await waiting

    assert asyncio.run(wait()).path == "clean"


def test_a_listener_that_raises_does_not_undo_the_call() -> None:
    workflow = Workflow()
    workflow.events.once("graph_changed", lambda event: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        workflow.then(clean)
    assert list(workflow.then(shout).graph.tasks) == ["clean", "shout"]
    assert list(workflow.undo().undo().graph.tasks) == []


CALLS = st.lists(st.sampled_from(["then", "pipe", "if_", "else_", "map", "end", "pop", "undo", "redo", "reset"]))


@given(CALLS)
def test_whoever_listens_knows_every_graph_that_was(calls: list[str]) -> None:
    """The graph is never another one than at the last event: an editor that draws it at each event is current."""
    root = here = Workflow()
    shown = [root.graph.to_json()]
    root.events.on("graph_changed", lambda _: shown.append(root.graph.to_json()))
    arguments: dict[str, tuple[Any, ...]] = {"then": (clean,), "pipe": (double,), "if_": (LONG,)}
    for call in calls:
        try:
            changed = getattr(here, call)(*arguments.get(call, ()))
            here = changed
        except WorkglowError:
            continue
        finally:
            assert shown[-1] == root.graph.to_json()
