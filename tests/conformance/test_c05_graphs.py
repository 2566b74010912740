"""C05: graphs, joins, cycles and order."""

from __future__ import annotations

import pytest
from fixture_runs import graph_of, kinds
from fixture_tasks import IO, Add, Double, ProcessItem, Refine, Square

from workglow.errors import CycleError, DuplicateDataflowError, UnknownTaskError
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.graph.launch import run_in_memory_sync


def three() -> TaskGraph:
    return graph_of(
        IO(id="task0"), Square(id="task1", defaults={"input": 5}), Double(id="task2", defaults={"input": 5})
    )


def test_c05_1_tasks_side_by_side_and_joined() -> None:
    graph = three()
    run = run_in_memory_sync(graph)
    assert run.tasks["task1"].outputs == {"output": 25}
    assert run.tasks["task2"].outputs == {"output": 10}
    graph.add_task(Add(id="task3"))
    graph.add_dataflow("task1", "output", "task3", "a")
    graph.add_dataflow("task2", "output", "task3", "b")
    assert run_in_memory_sync(graph).tasks["task3"].outputs == {"output": 35}


def test_c05_2_edges_are_found_by_their_id() -> None:
    graph = three()
    first = graph.add_dataflow("task1", "output", "task2", "input")
    graph.add_dataflow("task0", "key", graph.add_task(IO(id="task4")).id, "key")
    assert first.id == "task1[output] ==> task2[input]"
    assert graph.dataflow("task1[output] ==> task2[input]") is first
    assert (len(graph.tasks), len(graph.dataflows())) == (4, 2)


def test_c05_3_a_cycle_is_refused_at_once() -> None:
    graph = graph_of(ProcessItem(id="a"), ProcessItem(id="b"))
    graph.add_dataflow("a", "processed", "b", "item")
    with pytest.raises(CycleError):
        graph.add_dataflow("b", "processed", "a", "item")
    assert graph.order() == ["a", "b"]
    body = graph_of(Refine(id="a"), Refine(id="b"))
    body.add_dataflow("a", "value", "b", "value")
    with pytest.raises(CycleError):
        body.add_dataflow("b", "value", "a", "value")


def test_c05_3_a_cycle_is_refused_after_a_task_came_back() -> None:
    graph = graph_of(ProcessItem(id="a"), ProcessItem(id="b"), ProcessItem(id="c"))
    graph.add_dataflow("a", "processed", "b", "item")
    graph.add_dataflow("b", "processed", "c", "item")
    graph.remove_dataflow("b[processed] ==> c[item]")
    graph.add_dataflow("b", "processed", "c", "item")
    with pytest.raises(CycleError):
        graph.add_dataflow("c", "processed", "a", "item")


def test_c05_4_an_edge_needs_both_its_tasks() -> None:
    graph = graph_of(ProcessItem(id="a"))
    with pytest.raises(UnknownTaskError):
        graph.add_dataflow("a", "processed", "zz", "item")
    with pytest.raises(UnknownTaskError):
        graph.add_dataflow("zz", "processed", "a", "item")


def test_c05_5_topological_order() -> None:
    graph = graph_of(ProcessItem(id="A"), ProcessItem(id="B"), ProcessItem(id="C"))
    graph.add_dataflow("A", "processed", "C", "item")
    graph.add_dataflow("C", "processed", "B", "item")
    assert graph.order() == ["A", "C", "B"]
    graph.add_task(ProcessItem(id="D"))
    graph.add_task(ProcessItem(id="E"))
    graph.add_dataflow("A", "processed", "D", "item")
    graph.add_dataflow("B", "processed", "E", "item")
    order = graph.order()
    assert (order[0], order[-1]) == ("A", "E")
    assert order.index("C") < order.index("B")


def test_c05_6_a_graph_from_one_task_on() -> None:
    graph = graph_of(*(ProcessItem(id=id) for id in "ABCD"))
    for source, target in ("AB", "BC", "BD"):
        graph.add_dataflow(source, "processed", target, "item")
    assert set(graph.subgraph_from("A").tasks) == set("ABCD")
    assert "D" in graph.descendants("A")
    assert "D" not in graph.descendants("C")


def test_c05_7_a_subscription_sees_later_tasks_until_it_ends() -> None:
    # A: an edge has no status of its own; what it did is what its target did
    graph = graph_of(IO(id="early"))
    events: list[Event] = []
    end = graph.events.subscribe(events.append)
    graph.add_task(ConditionalTask(id="c", branches=[{"id": "never"}]))
    graph.add_task(IO(id="late"))
    graph.add_task(IO(id="untaken"))
    graph.add_dataflow("early", "key", "late", "key")
    graph.add_dataflow("c", "never", "untaken", "key")
    run_in_memory_sync(graph)
    assert kinds(events, "early") == kinds(events, "late") == ["started", "completed"]
    assert kinds(events, "untaken") == ["disabled"]
    end()
    before = len(events)
    run_in_memory_sync(graph)
    assert len(events) == before


def test_c05_8_a_ladder_of_diamonds_is_built_quickly() -> None:
    """Whoever follows each of its ways is not done before the time is out: there are 2³⁰."""
    graph = TaskGraph()
    for layer in range(30):
        graph.add_task(Add(id=f"l{layer}"))
        graph.add_task(Add(id=f"r{layer}"))
        if layer:
            for target in "lr":
                graph.add_dataflow(f"l{layer - 1}", "output", f"{target}{layer}", "a")
                graph.add_dataflow(f"r{layer - 1}", "output", f"{target}{layer}", "b")
    assert len(graph.dataflows()) == 29 * 4


def test_c05_8_the_same_edge_twice_is_refused() -> None:
    graph = three()
    graph.add_dataflow("task1", "output", "task2", "input")
    with pytest.raises(DuplicateDataflowError):
        graph.add_dataflow("task1", "output", "task2", "input")
