"""Tasks that wait, in runs that are kept nowhere, and how the builder connects them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from workglow import DelayTask, HumanApprovalTask, TaskGraph, WaitForEventTask, WaitUntilTask, Workflow, task
from workglow.errors import AutoConnectError, RunStateError
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.testing import FakeClock


@task(name="waiting_make", output="text")
def make(topic: str) -> str:
    return f"about {topic}"


@task(name="waiting_use", output="length", inline=True)
def use(text: str) -> int:
    return len(text)


def edges(flow: Workflow) -> list[str]:
    return [edge.id for edge in flow.to_graph().dataflows()]


def on(clock: FakeClock, step: float) -> Any:
    def listener(event: Event) -> None:
        if event.kind == "task_waiting":
            asyncio.get_running_loop().call_soon(clock.advance, step)

    return listener


@pytest.mark.parametrize(("passes", "status"), [(89.9, "waiting"), (90, "completed")])
def test_a_delay_takes_its_time_and_no_longer(clock: FakeClock, passes: float, status: str) -> None:
    graph = Workflow().then(DelayTask(id="d", seconds=90)).then(use).to_graph()
    seen: list[str] = []

    async def go() -> None:
        from workglow.graph.launch import run_in_memory

        listen = on(clock, passes)
        running = asyncio.ensure_future(run_in_memory(graph, {"text": "abc"}, clock=clock, on_event=listen))
        for _ in range(20):
            await asyncio.sleep(0)
        seen.append("completed" if running.done() else "waiting")
        clock.advance(90)
        assert (await running).outputs == {"length": 3}

    asyncio.run(go())
    assert seen == [status]


def test_a_hundred_delays_pass_together(clock: FakeClock) -> None:
    flow = Workflow().map(Workflow().then(DelayTask(id="d", seconds=10)).then(use), max_iterations=200, concurrency=200)
    begun = clock.now()
    run = run_in_memory_sync(
        flow.to_graph(), {"text": ["x" * n for n in range(100)]}, clock=clock, on_event=on(clock, 0.1)
    )
    assert run.outputs == {"length": list(range(100))}
    assert clock.now() - begun <= 10_100


def test_the_other_tasks_of_a_limited_run_go_on(clock: FakeClock) -> None:
    graph = TaskGraph()
    graph.add_task(DelayTask(id="d", seconds=10))
    graph.add_task(use, id="u", text="abc")
    order: list[str] = []

    def listen(event: Event) -> None:
        order.append(f"{event.path} {event.kind}")
        if event.path == "u" and event.kind == "task_completed":
            asyncio.get_running_loop().call_soon(clock.advance, 10)

    from workglow.graph.options import RunOptions

    run_in_memory_sync(graph, clock=clock, on_event=listen, options=RunOptions(concurrency=1))
    assert order.index("u task_completed") < order.index("d task_completed")


@pytest.mark.parametrize("waiting", [WaitForEventTask(event="e"), HumanApprovalTask(message="?")])
def test_what_nobody_can_bring_is_refused_at_once(waiting: Any) -> None:
    graph = TaskGraph()
    graph.add_task(waiting, id="w")
    with pytest.raises(RunStateError, match="kept nowhere"):
        run_in_memory_sync(graph)


@pytest.mark.parametrize(
    "waiting",
    [
        DelayTask(id="w", seconds=1),
        WaitUntilTask(id="w", at="2030-01-01T00:00Z"),
        WaitForEventTask(id="w", event="e"),
        HumanApprovalTask(id="w", message="?"),
    ],
)
def test_what_passes_through_is_connected_through(waiting: Any) -> None:
    flow = Workflow().then(make, id="make").then(waiting).then(use, id="use")
    assert edges(flow) == ["make[text] ==> w[text]", "w[text] ==> use[text]"]
    flow = Workflow().then(make, id="make").then(waiting).then(DelayTask(id="d", seconds=1)).then(use, id="use")
    assert edges(flow)[-1] == "d[text] ==> use[text]"


def test_a_wait_at_the_beginning_passes_the_graphs_inputs_on(clock: FakeClock) -> None:
    flow = Workflow().then(DelayTask(id="w", seconds=1)).then(make, id="make")
    assert edges(flow) == ["w[topic] ==> make[topic]"]
    assert run_in_memory_sync(flow.to_graph(), {"topic": "x"}, clock=clock, on_event=on(clock, 1)).outputs == {
        "text": "about x"
    }


def test_what_needs_nothing_of_a_wait_still_comes_behind_it() -> None:
    flow = Workflow().then(DelayTask(id="w", seconds=1)).then(make, id="make", topic="x")
    assert edges(flow) == ["w[*] ==> make[*]"]


def test_types_are_looked_at_through_what_passes_them_on() -> None:
    @task(name="waiting_number", output="text")
    def number(topic: str) -> int:
        return 3

    with pytest.raises(AutoConnectError, match="text"):
        Workflow().then(number).then(DelayTask(seconds=1)).then(use)


def test_tasks_that_wait_are_methods_of_a_workflow() -> None:
    flow = Workflow().delay(seconds=2).human_approval(message="?", timeout=3).wait_for_event(event="e")
    assert [task.type for task in flow.to_graph().tasks.values()] == [
        "DelayTask",
        "HumanApprovalTask",
        "WaitForEventTask",
    ]


def test_a_long_chain_of_them_is_built_quickly() -> None:
    flow = Workflow().then(make, id="make")
    for number in range(300):
        flow = flow.then(DelayTask(id=f"d{number}", seconds=1))
    assert edges(flow.then(use, id="use"))[-1] == "d299[text] ==> use[text]"
