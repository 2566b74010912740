"""Edges from different branches share a port only as long as one of them delivers; whatever changes that is refused."""

from __future__ import annotations

import pytest

from workglow import ConditionalTask, TaskGraph, task
from workglow.errors import DuplicateDataflowError
from workglow.graph.dataflow import Dataflow


@task(name="apart_pass", output="value")
def through(value: int = 0, other: int = 0) -> int:
    return value


def branching() -> TaskGraph:
    graph = TaskGraph()
    branches = [{"id": name, "condition": lambda _: True, "outputPort": name} for name in ("low", "high")]
    graph.add_task(ConditionalTask(id="which", branches=branches, exclusive=True))
    for name in ("low", "high"):
        graph.add_task(through, id=f"take_{name}")
        graph.connect("which", name, f"take_{name}", "*")
    graph.add_task(through, id="join")
    graph.connect("take_low", "value", "join", "value")
    graph.connect("take_high", "value", "join", "value")
    graph.add_task(through, id="outside")
    return graph


@pytest.mark.parametrize("in_bulk", [False, True])
def test_an_edge_into_an_arm_that_makes_both_arms_run_is_refused(in_bulk: bool) -> None:
    graph = branching()
    before = [edge.id for edge in graph.dataflows()]
    edge = Dataflow("outside", "value", "take_low", "other")
    add = (
        (lambda: graph.add_dataflows([edge]))
        if in_bulk
        else (lambda: graph.connect("outside", "value", "take_low", "other"))
    )
    with pytest.raises(DuplicateDataflowError) as caught:
        add()
    for named in ("take_low[value] ==> join[value]", "take_high[value] ==> join[value]"):
        assert named in str(caught.value)
    assert in_bulk or edge.id in str(caught.value)
    assert [one.id for one in graph.dataflows()] == before
    graph.connect("outside", "value", "join", "other")  # behind the place where the branches meet, it may go in
    graph.connect("outside", "value", "which", "value")
    assert len(graph.dataflows()) == len(before) + 2


def test_an_edge_along_the_same_arm_is_not_refused() -> None:
    graph = branching()
    graph.add_task(through, id="more")
    graph.connect("which", "low", "more", "*")
    graph.connect("more", "value", "take_low", "other")
    with pytest.raises(DuplicateDataflowError):
        graph.connect("take_high", "value", "more", "other")


def test_a_copy_knows_what_is_to_stay_apart() -> None:
    other = TaskGraph()
    other.become(branching())
    for graph in (branching().copy(), other):
        with pytest.raises(DuplicateDataflowError):
            graph.connect("outside", "value", "take_low", "other")


def test_branches_that_a_removed_edge_has_brought_together_are_refused_when_the_graph_runs() -> None:
    graph = branching()
    graph.remove_dataflow("which[low] ==> take_low[*]")
    with pytest.raises(DuplicateDataflowError, match=r"join\[value\] takes one value"):
        graph.run_sync({"value": 1})
    graph.remove_dataflow("take_high[value] ==> join[value]")
    assert graph.run_sync({"value": 1}).status == "completed"


def test_edges_stay_cheap_where_branches_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    from workglow.graph import branches

    made: list[object] = []
    place = branches.Branches._place

    def count(self: branches.Branches, task_id: str) -> object:
        made.append(task_id)
        return place(self, task_id)

    monkeypatch.setattr(branches.Branches, "_place", count)
    graph = branching()
    for number in range(200):
        graph.add_task(through, id=f"t{number}")
    made.clear()
    for number in range(199):  # from the end, so that each target has edges out of it
        graph.connect(f"t{198 - number}", "value", f"t{199 - number}", "value")
    for number in range(199):
        graph.connect("outside", "value", f"t{number}", "other")
    assert len(made) <= 2 * len(graph.tasks)


@task(name="apart_tell", output="text")
def tell(text: str = "") -> str:
    return text


@pytest.mark.parametrize("ports", [("text", "[error]"), ("[error]", "text")])
def test_what_a_task_gives_and_what_it_fails_with_share_a_port_in_either_order(ports: tuple[str, str]) -> None:
    graph = TaskGraph()
    graph.add_task(tell, id="first")
    graph.add_task(tell, id="last")
    for port in ports:
        graph.connect("first", port, "last", "text", ["stringify"])
    assert [edge.source_port for edge in graph.dataflows()] == list(ports)


def test_the_failure_of_another_task_does_not_share_a_port() -> None:
    graph = TaskGraph()
    for name in ("one", "other", "last"):
        graph.add_task(tell, id=name)
    graph.connect("one", "text", "last", "text")
    with pytest.raises(DuplicateDataflowError, match=r"has one\[text\] ==> last\[text\]"):
        graph.connect("other", "[error]", "last", "text", ["stringify"])
    assert [edge.id for edge in graph.dataflows()] == ["one[text] ==> last[text]"]
    graph.connect("one", "[error]", "last", "text", ["stringify"])
    assert len(graph.dataflows()) == 2
