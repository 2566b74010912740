"""Orders: the one that is kept while a graph grows, and those that are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow.errors import CycleError
from workglow.graph.dataflow import Dataflow
from workglow.graph.ordering import TopologicalOrder, definition_order, dependency_layers, reachable


class CountedList(list[Dataflow]):
    """A list of edges that counts how many were looked at."""

    looked_at = 0

    def __iter__(self) -> Iterator[Dataflow]:
        for edge in super().__iter__():
            CountedList.looked_at += 1
            yield edge


class Growing:
    """A graph of ids and edges only."""

    def __init__(self, ids: Sequence[str]) -> None:
        self.order = TopologicalOrder()
        self.incoming: dict[str, list[Dataflow]] = {}
        self.outgoing: dict[str, list[Dataflow]] = {}
        for task_id in ids:
            self.order.append(task_id)
            self.incoming[task_id], self.outgoing[task_id] = CountedList(), CountedList()

    def connect(self, source: str, target: str) -> None:
        if self.order.ranks[source] >= self.order.ranks[target]:
            self.order.admit(source, target, self.incoming, self.outgoing)
        edge = Dataflow(source, "x", target, "y")
        self.outgoing[source].append(edge)
        self.incoming[target].append(edge)

    def sorted(self) -> list[str]:
        return definition_order(self.incoming, self.incoming, self.outgoing)


edges_of_dag = st.integers(2, 12).flatmap(
    lambda size: st.tuples(
        st.permutations(range(size)),
        st.lists(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] != pair[1])),
    )
)


@settings(deadline=None)
@given(edges_of_dag)
def test_every_edge_climbs_and_exactly_the_closing_edge_of_a_cycle_is_refused(
    drawn: tuple[list[int], list[tuple[int, int]]],
):
    ids, pairs = drawn
    graph = Growing([str(number) for number in ids])
    for source, target in ((str(a), str(b)) for a, b in pairs):
        closes = source in reachable(target, graph.outgoing)
        if closes:
            with pytest.raises(CycleError):
                graph.connect(source, target)
        else:
            graph.connect(source, target)
    ranks = graph.order.ranks
    assert sorted(set(ranks.values())) == sorted(ranks.values())
    assert all(ranks[edge.source] < ranks[edge.target] for edges in graph.outgoing.values() for edge in list(edges))
    order = graph.sorted()
    assert sorted(order) == sorted(ranks)
    done: set[str] = set()
    for task_id in order:  # each is the first defined of those that could go
        free = (
            each for each in ranks if each not in done and all(edge.source in done for edge in graph.incoming[each])
        )
        assert task_id == next(free)
        done.add(task_id)


def test_free_tasks_are_taken_in_the_order_of_definition():
    graph = Growing("ABC")
    graph.connect("A", "C")
    graph.connect("C", "B")
    assert graph.sorted() == ["A", "C", "B"]


def test_more_tasks_keep_a_valid_order():
    graph = Growing("ABCDE")
    for source, target in ("AC", "CB", "AD", "BE"):
        graph.connect(source, target)
    order = graph.sorted()
    assert order[0] == "A"
    assert order[-1] == "E"


def test_a_cycle_is_named_from_its_source_and_back():
    graph = Growing("abcd")
    for source, target in ("ab", "bc", "cd"):
        graph.connect(source, target)
    with pytest.raises(CycleError, match="The edge from 'd' to 'b' would close a cycle: d → b → c → d"):
        graph.connect("d", "b")
    with pytest.raises(CycleError, match="from 'a' to itself"):
        graph.connect("a", "a")


def test_a_long_cycle_is_named_by_its_ends():
    ids = [f"t{number}" for number in range(1000)]
    graph = Growing(ids)
    for source, target in pairwise(ids):
        graph.connect(source, target)
    with pytest.raises(CycleError, match=r"t999 → t0 → t1 → .* … → t997 → t998 → t999|t999 → t0 → .* → … → .* → t999"):
        graph.connect("t999", "t0")


def test_a_cycle_in_finished_edges_is_found_and_named():
    graph = Growing("xab")
    for source, target in ("ab", "ba", "xa"):
        edge = Dataflow(source, "o", target, "i")
        graph.outgoing[source].append(edge)
        graph.incoming[target].append(edge)
    with pytest.raises(CycleError, match=r"The graph has a cycle: (a → b → a|b → a → b)"):
        graph.sorted()


def test_layers_hold_what_can_run_side_by_side():
    graph = Growing("abcde")
    for source, target in ("ab", "ac", "bd", "cd"):
        graph.connect(source, target)
    assert dependency_layers(graph.sorted(), graph.incoming) == [["a", "e"], ["b", "c"], ["d"]]
    assert reachable("a", graph.outgoing) == {"b", "c", "d"}
    assert reachable("e", graph.outgoing) == set()


def chain(count: int, *, forwards: bool, from_the_end: bool) -> int:
    """Build a chain, and return how many edges were looked at to keep its order."""
    graph = Growing([f"t{number}" for number in range(count)])
    steps = range(count - 1)
    CountedList.looked_at = 0
    for step in reversed(steps) if from_the_end else steps:
        ends = (f"t{step}", f"t{step + 1}")
        graph.connect(*(ends if forwards else reversed(ends)))
    return CountedList.looked_at


@pytest.mark.parametrize("forwards", [True, False])
@pytest.mark.parametrize("from_the_end", [True, False])
def test_a_chain_costs_nothing_in_whatever_direction_it_is_built(forwards: bool, from_the_end: bool):
    assert chain(2000, forwards=forwards, from_the_end=from_the_end) == 0


def test_a_ladder_of_diamonds_is_not_searched_over_and_over():
    ids = [f"{side}{layer}" for layer in range(30) for side in "ab"]
    graph = Growing(ids)
    CountedList.looked_at = 0
    for layer in range(29):
        for source in "ab":
            for target in "ab":
                graph.connect(f"{source}{layer}", f"{target}{layer + 1}")
    assert CountedList.looked_at == 0
    with pytest.raises(CycleError):
        graph.connect("a29", "a0")
    assert CountedList.looked_at <= 4 * 30
