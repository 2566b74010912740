"""Appendix B 9, 15, 16, 18, 19 and 22: what a run is told reaches the tasks inside, and how those stream and end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from random import Random
from typing import Any, ClassVar

import pytest
from fixture_runs import graph_of, outcome
from fixture_tasks import Open, Square, StreamAppend, Text, Uncached
from pydantic import BaseModel

from workglow.errors import TaskEntitlementError, TaskFailedError, TaskInputError
from workglow.file import File
from workglow.graph.building.workflow import Workflow
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditions import Condition
from workglow.graph.control.fallback import FallbackTask
from workglow.graph.control.map import MapTask
from workglow.graph.control.reduce import ReduceTask
from workglow.graph.control.while_task import WhileTask
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.options import RunOptions
from workglow.project import Project
from workglow.storage.sqlite.outputs import SqliteOutputs
from workglow.tasks import TaskContext, TaskRegistry, task


class Reaches(Uncached):
    """Would use the network."""

    entitlements = ("network",)
    ran: ClassVar[list[str]] = []

    def execute(self, inputs: Any, context: TaskContext) -> dict[str, Any]:
        self.ran.append(context.path)
        return {}


@pytest.mark.parametrize("inside", [False, True])
def test_b9_what_is_not_granted_stops_the_run_before_anything_ran(inside: bool) -> None:
    Reaches.ran.clear()
    graph = graph_of(Reaches(id="r"))
    whole = graph_of(GraphAsTask(graph, id="group")) if inside else graph
    with pytest.raises(TaskEntitlementError, match=r"^Denied entitlements: network"):
        run_in_memory_sync(whole, entitlements=[])
    assert Reaches.ran == []
    run_in_memory_sync(whole, entitlements=["network"])
    assert Reaches.ran == ["group/r" if inside else "r"]


def test_b9_without_the_cache_is_without_it() -> None:
    cache = SqliteOutputs(File.open(":memory:"))
    graph = graph_of(GraphAsTask(graph_of(Square(id="s", cache=True)), id="group"))
    for expected, options in ((0, RunOptions()), (1, RunOptions()), (0, RunOptions(cache="off"))):
        events: list[Event] = []
        run_in_memory_sync(graph, {"input": 3}, options=options, output_cache=cache, on_event=events.append)
        assert [event.kind for event in events].count("task_cached") == expected


@task(name="b9_greet", output="text", cache=False, inline=True)
def greet(name: str, mark: str = ".") -> str:
    return name + mark


@task(name="b9_shout", output="text", cache=False, inline=True)
def shout(text: str, mark: str = "!", times: int = 1) -> str:
    return text.upper() + mark * times


def test_b9_empty_inputs_are_matched_if_that_is_asked_for(project: Project) -> None:
    workflow = Workflow().then(greet, mark=",").then(shout, times=2)
    plain = workflow.to_graph()
    assert run_in_memory_sync(plain, {"name": "ada"}).outputs == {"text": "ADA,!!"}
    with pytest.raises(TaskInputError, match="has no input 'times'"):
        run_in_memory_sync(plain, {"name": "ada", "times": 3})
    matched = workflow.to_graph().match_empty_inputs()
    assert matched.inputs == {"mark": [("b9_shout", "mark")]}  # neither what has an edge nor what has a literal
    assert everywhere(matched, {"name": "ada"}, project) == [{"text": "ADA,!!"}] * 2
    assert everywhere(matched, {"name": "ada", "mark": "?"}, project) == [{"text": "ADA???"}] * 2
    read = TaskGraph.from_json(matched.to_json())
    assert everywhere(read, {"name": "ada", "mark": "?"}, project) == [{"text": "ADA???"}] * 2
    named = workflow.to_graph()
    named.name_input("sign", "b9_shout", "mark")
    assert named.match_empty_inputs().inputs == {"sign": [("b9_shout", "mark")]}


# ---------------------------------------------------------------------- B15


class StreamBroken(Uncached):
    class Input(BaseModel):
        prompt: str = ""

    Output = Text

    async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
        yield "lost "
        await asyncio.sleep(0)
        raise TaskFailedError("broken on the way")


@task(name="b15_longer", output="accumulator", cache=False)
async def longer(accumulator: str, value: str) -> AsyncIterator[str]:
    for piece in (accumulator, value):
        await asyncio.sleep(0)
        yield piece


@task(name="b15_twice", output="text", cache=False)
async def twice(text: str) -> AsyncIterator[str]:
    for _ in range(2):
        await asyncio.sleep(0)
        yield text


def everywhere(graph: TaskGraph, inputs: dict[str, object], project: Project) -> list[object]:
    return [run_in_memory_sync(graph, inputs).outputs, project.run_sync(graph, inputs).outputs]


def test_b15_the_alternative_that_streamed_to_its_end_is_the_result(project: Project) -> None:
    tries = graph_of(StreamBroken(id="a"), StreamAppend(id="b"))
    graph = graph_of(FallbackTask(tries, id="try"))
    assert everywhere(graph, {"prompt": "p"}, project) == [{"text": "Hello world"}] * 2


def test_b15_an_accumulator_may_be_streamed(project: Project) -> None:
    body = graph_of(longer.task_type(id="sum"))
    graph = graph_of(ReduceTask(body, id="all", initial_value="", max_iterations="unbounded"))
    assert everywhere(graph, {"value": ["a", "b", "c"]}, project) == [{"accumulator": "abc"}] * 2


def test_b15_turns_and_items_may_stream(project: Project) -> None:
    body = graph_of(twice.task_type(id="twice"))
    again = {"condition_field": "text", "condition_operator": "not_equals", "condition_value": "aaaa"}
    loop = WhileTask(body, id="loop", max_iterations=9, **again)
    each = MapTask(body, id="each", max_iterations="unbounded")
    assert everywhere(graph_of(loop), {"text": "a"}, project) == [{"text": "aaaa"}] * 2
    assert everywhere(graph_of(each), {"text": ["a", "b"]}, project) == [{"text": ["aa", "bb"]}] * 2


# ---------------------------------------------------------------------- B16


class Looks(Uncached):
    Input = Open

    class Output(BaseModel):
        registry: int
        accumulator: int = 0

    def execute(self, inputs: Any, context: TaskContext) -> dict[str, Any]:
        context.progress(0.5, "halfway")
        return {"registry": id(context.registry)}


def never(outputs: Mapping[str, object], index: int) -> bool:
    return False


def _kinds() -> list[Any]:
    body = graph_of(Looks(id="looks"))
    return [
        GraphAsTask(body, id="it"),
        FallbackTask(body, id="it"),
        MapTask(body, id="it", max_iterations=5),
        ReduceTask(body, id="it", initial_value=0, max_iterations=5),
        WhileTask(body, id="it", condition=never, max_iterations=5),
    ]


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.type)
def test_b16_registry_and_listeners_are_those_of_the_caller(kind: Any) -> None:
    registry, events = TaskRegistry(), list[Event]()
    run = run_in_memory_sync(graph_of(kind), {"value": [1]}, registry=registry, on_event=events.append)
    (path,) = [path for path in run.tasks if path.endswith("/looks")]
    assert run.tasks[path].outputs["registry"] == id(registry)
    assert ("task_progress", path) in [(event.kind, event.path) for event in events]


@pytest.mark.parametrize("kind", ["fallback", "while"])
def test_b16_the_cache_is_that_of_the_caller(kind: str) -> None:
    cache = SqliteOutputs(File.open(":memory:"))
    body = graph_of(Square(id="s", cache=True))
    inside: Any = FallbackTask(body, id="it")
    if kind == "while":
        inside = WhileTask(body, id="it", condition=never, max_iterations=5)
    events: list[Event] = []
    for _ in range(2):
        run_in_memory_sync(graph_of(inside), {"input": 3}, output_cache=cache, on_event=events.append)
    assert [event.kind for event in events].count("task_cached") == 1


# ---------------------------------------------------------------------- B18, B19


@task(name="b18_size", output="size", cache=False, inline=True)
def size(text: str) -> int:
    return len(text)


@task(name="b18_long", output="said", cache=False, inline=True)
def say_long(size: int) -> str:
    return f"long: {size}"


@task(name="b18_short", output="said", cache=False, inline=True)
def say_short(size: int) -> str:
    return f"short: {size}"


@task(name="b18_loud", output="loud", cache=False, inline=True)
def loud(said: str) -> str:
    return said.upper()


def test_b18_a_condition_looks_at_the_previous_task_and_what_follows_joins_both_arms() -> None:
    condition = Condition(field="size", operator="greater_than", value=3)
    workflow = Workflow().then(size).if_(condition).then(say_long).else_(say_short).end_if().then(loud)
    assert {edge.id for edge in workflow.graph.dataflows()} == {
        "b18_size[size] ==> if[size]",
        "if[then] ==> b18_long[*]",
        "if[else] ==> b18_short[*]",
        "b18_long[said] ==> b18_loud[said]",
        "b18_short[said] ==> b18_loud[said]",
    }
    assert workflow.run_sync({"text": "four"}).outputs == {"loud": "LONG: 4"}
    assert workflow.run_sync({"text": "one"}).outputs == {"loud": "SHORT: 3"}


class Late(Uncached):
    class Config(BaseModel):
        x: int

    turns: ClassVar[dict[int, int]] = {}

    class Output(BaseModel):
        x: int

    async def execute(self, inputs: Any) -> dict[str, Any]:
        for _ in range(self.turns[self.config["x"]]):
            await asyncio.sleep(0)
        return {"x": self.config["x"]}


def test_b19_a_hundred_orders_of_ending_give_one_order_of_outputs() -> None:
    random, ends = Random(19), set[tuple[str, ...]]()
    graph = graph_of(*(Late(id=f"t{x}", x=x) for x in range(5)))
    for _ in range(100):
        Late.turns = {x: random.randrange(12) for x in range(5)}
        events: list[Event] = []
        assert outcome(graph, on_event=events.append).outputs == {"x": [0, 1, 2, 3, 4]}
        ends.add(tuple(event.path for event in events if event.kind == "task_completed"))
    assert len(ends) > 20
