"""C14: a graph as one task: its ports, its outputs, and what happens inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fixture_runs import graph_of, outcome
from fixture_tasks import GA, GB, GC, Dbl, DoubleToResult, HighRate, Nothing, Square, Uncached
from pydantic import BaseModel

from workglow.errors import TaskFailedError
from workglow.file import File
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.map import MapTask
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.streams.chunks import StreamChunk
from workglow.storage.sqlite.outputs import SqliteOutputs
from workglow.tasks import TaskContext, TaskRegistry


def group(graph: TaskGraph, **options: Any) -> GraphAsTask:
    return GraphAsTask(graph, id="group", **options)


def names(schema: dict[str, Any]) -> list[str]:
    return list(schema["properties"])


def two() -> TaskGraph:
    graph = graph_of(GA(id="a", defaults={"inputA1": "test", "inputA2": 10}), GB(id="b"))
    graph.add_dataflow("a", "outputA", "b", "inputB")
    return graph


def diamond() -> TaskGraph:
    graph = graph_of(GA(id="a"), GB(id="b"), GC(id="c", defaults={"inputC2": "extra"}))
    graph.add_dataflow("a", "outputA", "b", "inputB")
    graph.add_dataflow("a", "outputA", "c", "inputC1")
    return graph


def test_c14_1_ports_are_what_is_left_open() -> None:
    task = group(two())
    assert names(task.input_schema()) == ["inputA1", "inputA2"]
    assert names(task.output_schema()) == ["outputB"]

    graph = graph_of(GA(id="a"), GB(id="b"), GC(id="c"))
    graph.add_dataflow("a", "outputA", "c", "inputC1")
    assert set(names(group(graph).input_schema())) == {"inputA1", "inputA2", "inputB"}

    joined = graph_of(GA(id="a"), GB(id="b"), GC(id="c"))
    joined.add_dataflow("a", "outputA", "c", "inputC1")
    joined.add_dataflow("b", "outputB", "c", "inputC2")
    assert set(names(group(joined).input_schema())) == {"inputA1", "inputA2", "inputB"}

    empty = TaskGraph()
    assert (empty.input_schema()["properties"], empty.output_schema()["properties"]) == ({}, {})


def test_c14_2_inputs_go_in() -> None:
    run = run_in_memory_sync(graph_of(group(two())), {"inputA1": "hello", "inputA2": 99})
    assert run.outputs == {"outputB": "processed-hello-99"}
    assert run_in_memory_sync(graph_of(group(two()))).outputs == {"outputB": "processed-test-10"}


def test_c14_3_several_ends_give_lists_and_one_does_not() -> None:
    task = group(diamond())
    run = run_in_memory_sync(graph_of(task), {"inputA1": "begin", "inputA2": 5})
    assert run.outputs == {"outputB": ["processed-begin-5"], "outputC1": ["begin-5+extra"], "outputC2": [12]}
    assert {schema["type"] for schema in task.output_schema()["properties"].values()} == {"array"}
    assert group(two()).output_schema()["properties"]["outputB"]["type"] == "string"


def test_c14_4_only_the_end_of_a_chain_gives_outputs() -> None:
    graph = two()
    graph.add_task(GC(id="c"))
    graph.add_dataflow("b", "outputB", "c", "inputC1")
    assert names(group(graph).output_schema()) == ["outputC1", "outputC2"]


class Reporting(Uncached):
    inline = False
    Input = Nothing

    async def execute(self, inputs: Any, context: TaskContext) -> dict[str, Any]:
        context.progress(0.5, "half")
        await asyncio.sleep(0)
        return {}


def test_c14_5_progress_inside_is_heard_outside() -> None:
    # A: events of tasks inside have their own paths, so the outer progress does not have to stand for them
    events: list[Event] = []
    run_in_memory_sync(graph_of(group(graph_of(Reporting(id="slow")))), on_event=events.append)
    assert [(event.path, event.data) for event in events if event.kind == "task_progress"] == [
        ("group/slow", (0.5, "half"))
    ]


def test_c14_6_other_graphs_have_other_schemas() -> None:
    # A: a definition does not change, so nothing has to be told about a change
    assert group(two()).output_schema() != group(diamond()).output_schema()
    assert group(two()).input_schema() == group(two()).input_schema()


def test_c14_7_a_stream_inside_is_heard_piece_by_piece() -> None:
    # A: the pieces come with the path of the task inside; the end is its completion
    events: list[Event] = []
    run = run_in_memory_sync(graph_of(group(graph_of(HighRate(id="s", chunks=8)))), on_event=events.append)
    chunks = [event.data for event in events if event.kind == "task_chunk"]
    assert chunks == [StreamChunk("text", f"{number}|") for number in range(8)]
    assert run.outputs == {"text": "0|1|2|3|4|5|6|7|"}
    assert [event.path for event in events if event.kind == "task_completed"] == ["group/s", "group"]


class BrokenStream(Uncached):
    Input = Nothing

    class Output(BaseModel):
        text: str

    async def execute_stream(self, inputs: Any) -> AsyncIterator[str]:
        yield "Hello"
        raise TaskFailedError("broken")


def test_c14_7_an_error_inside_ends_the_group() -> None:
    graph = graph_of(group(graph_of(BrokenStream(id="s"))))
    with pytest.raises(TaskFailedError, match="broken"):
        run_in_memory_sync(graph)
    run = outcome(graph)
    assert [(run.tasks[path].status) for path in ("group/s", "group")] == ["failed", "failed"]


def test_c14_8_the_schema_says_what_comes_out_whatever_the_depth() -> None:
    graph = graph_of(DoubleToResult(id="a", defaults={"value": 1}), DoubleToResult(id="b"), Dbl(id="shallow"))
    graph.add_dataflow("a", "result", "b", "value")
    task = group(graph)
    outputs = run_in_memory_sync(graph_of(task)).outputs
    assert outputs == {"result": [4], "output": [0]}
    schema = task.output_schema()
    assert set(outputs) == set(schema["properties"])
    assert {part["type"] for part in schema["properties"].values()} == {"array"}


class Surroundings(Uncached):
    Input = Nothing

    class Output(BaseModel):
        registry: int
        path: str

    def execute(self, inputs: Any, context: TaskContext) -> dict[str, Any]:
        return {"registry": id(context.registry), "path": context.path}


def test_c14_8_what_surrounds_a_run_reaches_the_tasks_inside() -> None:
    registry = TaskRegistry()
    inner = graph_of(group(graph_of(Surroundings(id="s"))))
    run = run_in_memory_sync(graph_of(GraphAsTask(inner, id="outer")), registry=registry)
    assert run.outputs == {"registry": id(registry), "path": "outer/group/s"}


def test_c14_8_the_cache_reaches_the_tasks_inside() -> None:
    cache = SqliteOutputs(File.open(":memory:"))
    body = graph_of(Square(id="s", cache=True))
    graph = graph_of(group(graph_of(MapTask(body, id="map", max_iterations="unbounded"))))
    run_in_memory_sync(graph, {"input": [2, 3]}, output_cache=cache)
    events: list[Event] = []
    run = run_in_memory_sync(graph, {"input": [3, 2]}, output_cache=cache, on_event=events.append)
    assert run.outputs == {"output": [9, 4]}
    assert [event.path for event in events if event.kind == "task_cached"] == [f"group/map[{i}]/s" for i in (0, 1)]
