"""Appendix B: where ours is to differ.  The numbers are those of the list; what a case covers is tested there."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar

import pytest
from fixture_runs import graph_of, outcome
from fixture_tasks import AlwaysFail, Dbl, Double, EventTest, Open, Recovery, Slow, Uncached
from pydantic import BaseModel

from workglow.errors import (
    DuplicateDataflowError,
    GraphFormatError,
    IncompatiblePortsError,
    TaskFailedError,
    TaskOutputError,
)
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.map import ForEachTask, MapTask
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory, run_in_memory_sync
from workglow.project import Project
from workglow.storage.outputs import TaskOutputRepository
from workglow.tasks import COLLECT, TaskRegistry


class FailsSoon(Uncached):
    async def execute(self, inputs: Any) -> dict[str, Any]:
        await asyncio.sleep(0.01)
        raise TaskFailedError("first")


class Never(Uncached):
    """Ends only when it is cancelled, and does not look whether it is."""

    cancelled: ClassVar[list[bool]] = []

    async def execute(self, inputs: Any) -> dict[str, Any]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.append(True)
            raise
        return {}


def test_b2_a_failure_cancels_the_others() -> None:
    Never.cancelled.clear()
    run = outcome(graph_of(FailsSoon(id="a"), Never(id="b")))
    assert (run.tasks["a"].status, run.tasks["b"].status) == ("failed", "aborted")
    assert Never.cancelled == [True]


class Whole(Uncached):
    class Output(BaseModel):
        v: int

    def execute(self, inputs: Any) -> dict[str, Any]:
        return {"v": 1}


class Takes(Uncached):
    class Input(BaseModel):
        v: float
        text: str = ""

    class Output(BaseModel):
        v: float

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"v": inputs.v}


def test_b4_an_integer_is_a_number_and_text_is_none() -> None:
    graph = graph_of(Whole(id="a"), Takes(id="b"))
    with pytest.raises(IncompatiblePortsError, match=r"a\[v\] ==> b\[text\]"):
        graph.add_dataflow("a", "v", "b", "text")
    graph.add_dataflow("a", "v", "b", "v")
    assert run_in_memory_sync(graph).outputs == {"v": 1}


class Lists(Uncached):
    class Input(BaseModel):
        items: list[int] = [1]
        several: Annotated[list[int], COLLECT] = []

    class Output(BaseModel):
        items: list[int]
        several: list[int]

    def execute(self, inputs: Input) -> dict[str, Any]:
        return {"items": inputs.items, "several": inputs.several}


class Ten(Uncached):
    class Output(BaseModel):
        items: list[int]
        one: int

    def execute(self, inputs: Any) -> dict[str, Any]:
        return {"items": [10, 11], "one": 10}


def test_b5_one_edge_a_port_unless_it_collects() -> None:
    graph = graph_of(Ten(id="a"), Ten(id="b"), Lists(id="c", defaults={"items": [1]}))
    graph.add_dataflow("a", "items", "c", "items")
    with pytest.raises(DuplicateDataflowError):
        graph.add_dataflow("b", "items", "c", "items")
    graph.add_dataflow("a", "one", "c", "several")
    graph.add_dataflow("b", "one", "c", "several")
    assert run_in_memory_sync(graph).outputs == {"items": [10, 11], "several": [10, 10]}


def test_b12_two_runs_at_a_time_do_not_mix() -> None:
    graph = graph_of(Slow(id="s", sleep=0.02))

    async def both() -> list[object]:
        runs = await asyncio.gather(*(run_in_memory(graph, {"input": number}) for number in (1, 2)))
        return [run.outputs["output"] for run in runs]

    assert asyncio.run(both()) == [2, 4]


def test_b13_inputs_are_forgotten() -> None:
    graph = graph_of(Dbl)
    assert run_in_memory_sync(graph, {"input": 5}).outputs == {"output": 10}
    assert run_in_memory_sync(graph).outputs == {"output": 0}


class Delayed(Uncached):
    class Config(BaseModel):
        x: int
        turns: int

    class Output(BaseModel):
        x: int

    async def execute(self, inputs: Any) -> dict[str, Any]:
        for _ in range(self.config["turns"]):
            await asyncio.sleep(0)
        return {"x": self.config["x"]}


@pytest.mark.parametrize("turns", [(0, 3), (3, 0), (1, 1)])
def test_b19_outputs_keep_the_order_of_definition(turns: tuple[int, int]) -> None:
    graph = graph_of(Delayed(id="a", x=1, turns=turns[0]), Delayed(id="b", x=2, turns=turns[1]))
    assert run_in_memory_sync(graph).outputs == {"x": [1, 2]}


def test_b22_a_chain_of_a_thousand_runs() -> None:
    graph = TaskGraph()
    for number in range(1000):
        graph.add_task(Double(id=f"t{number}", defaults={} if number else {"input": 0}))
        if number:
            graph.add_dataflow(f"t{number - 1}", "output", f"t{number}", "input")
    assert run_in_memory_sync(graph).outputs == {"output": 0}


class Counting(Uncached):
    live: ClassVar[int] = 0
    most: ClassVar[int] = 0
    Input = Open

    async def execute(self, inputs: Any) -> dict[str, Any]:
        kind = type(self)
        kind.live += 1
        kind.most = max(kind.most, kind.live)
        await asyncio.sleep(0)
        kind.live -= 1
        return {}


def test_b22_a_map_keeps_its_limit() -> None:
    task = MapTask(graph_of(Counting), id="map", max_iterations="unbounded", concurrency=8)
    run = run_in_memory_sync(graph_of(task), {"n": list(range(10_000))})
    assert run.status == "completed"
    assert Counting.most == 8


class Wrong(Uncached):
    class Output(BaseModel):
        v: float

    def execute(self, inputs: Any) -> dict[str, Any]:
        return {"v": "x"}


def test_b23_outputs_are_checked() -> None:
    with pytest.raises(TaskOutputError, match=r"'t' \(Wrong\): output 'v'"):
        run_in_memory_sync(graph_of(Wrong(id="t")))


@pytest.mark.parametrize("kind", ["task_started", "task_progress", "task_completed"])
def test_a_listener_that_raises_ends_the_run_with_its_own_error(kind: str) -> None:
    def listener(event: Event) -> None:
        if event.kind == kind:
            raise LookupError("the listener's own")

    graph = graph_of(EventTest(id="t", progress=0.5), Slow(id="s", sleep=5))
    with pytest.raises(LookupError, match="the listener's own"):
        run_in_memory_sync(graph, on_event=listener)


class BrokenCache(TaskOutputRepository):
    """A repository that cannot save."""

    def read(self, key: bytes) -> None: ...

    def write(self, stored: object) -> None:
        raise OSError("the disk is gone")

    def entries(self) -> list[Any]:
        return []

    def remove(self, keys: object) -> None: ...


@pytest.mark.parametrize("kind", [Slow, Double])
def test_a_cache_that_raises_ends_the_run(kind: Any) -> None:
    with pytest.raises(OSError, match="the disk is gone"):
        run_in_memory_sync(graph_of(kind(cache=True, defaults={"input": 1})), output_cache=BrokenCache())


class Noted(Uncached):
    ran: ClassVar[list[bool]] = []

    def execute(self, inputs: Any) -> dict[str, Any]:
        self.ran.append(True)
        return {}


def test_b2_what_was_to_begin_together_with_it_is_not_executed(project: Project) -> None:
    Noted.ran.clear()
    graph = graph_of(GraphAsTask(graph_of(AlwaysFail(id="a"), Noted(id="b")), id="group"), Recovery(id="handler"))
    graph.add_dataflow("group", "[error]", "handler", "*")
    run = project.run_sync(graph)
    assert run.outputs == {"output": -1}
    assert Noted.ran == []
    assert run.tasks["group/b"].status == "aborted"


class Silent(Uncached):
    def execute(self, inputs: Any) -> dict[str, Any]:
        return {}


class Backwards(Uncached):
    async def execute(self, inputs: Any, context: Any) -> dict[str, Any]:
        for fraction in (0.5, -1.0, 0.2, 7.0, 0.9):
            context.progress(fraction)
            await asyncio.sleep(0)
        return {}


def test_b20_progress_stays_between_nothing_and_all() -> None:
    events: list[Event] = []
    run_in_memory_sync(graph_of(Backwards(id="b"), Silent(id="s")), on_event=events.append)
    fractions = [event.data[0] for event in events if event.kind == "task_progress" and event.path == "b"]
    assert fractions
    assert all(0 <= fraction <= 1 for fraction in fractions)
    assert fractions == sorted(fractions)


class Mute(Silent):
    Input = Open


def test_b20_progress_is_full_even_if_nobody_inside_reports_any() -> None:
    events: list[Event] = []
    each = MapTask(graph_of(Mute(id="m")), id="each", max_iterations="unbounded")
    run_in_memory_sync(graph_of(each), {"n": [1, 2, 3]}, on_event=events.append)
    fractions = [event.data[0] for event in events if event.kind == "task_progress" and event.path == "each"]
    assert fractions == pytest.approx([1 / 3, 2 / 3, 1])


class Broken(Uncached):
    def execute_preview(self, inputs: Any) -> dict[str, Any]:
        raise ValueError("cannot be shown")


def test_b21_an_error_of_a_preview_is_in_its_result() -> None:
    preview = graph_of(Broken(id="t")).preview()
    assert str(preview.errors["t"]) == "Task 't' failed: ValueError: cannot be shown"
    assert preview.tasks["t"].state == "failed"
    assert preview.tasks["t"].error is preview.errors["t"]


def test_b17_a_loop_and_a_merge_come_back_and_unknown_formats_are_refused() -> None:
    registry = TaskRegistry([Double])
    graph = graph_of(
        ForEachTask(graph_of(Double(id="d")), id="each", max_iterations="unbounded"),
        GraphAsTask(_merged(), id="group"),
    )
    data = graph.to_json()
    again = TaskGraph.from_json(data, registry)
    assert again.to_json() == data
    assert isinstance(again.tasks["each"], ForEachTask)
    assert again.tasks["group"].subgraph.merge == "GRAPH_RESULT_ARRAY"  # type: ignore[attr-defined]
    assert data["format"]
    with pytest.raises(GraphFormatError, match=r"\$\.format"):
        TaskGraph.from_json({**data, "format": "workglow/99"}, registry)


def _merged() -> TaskGraph:
    graph = TaskGraph(merge="GRAPH_RESULT_ARRAY")
    for id in "ab":
        graph.add_task(Double(id=id))
    return graph
