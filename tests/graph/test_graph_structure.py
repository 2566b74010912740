"""TaskGraph: what joins it, what is refused, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, TypedDict

import pytest

from workglow.errors import (
    CycleError,
    DuplicateDataflowError,
    DuplicateTaskError,
    GraphError,
    IncompatiblePortsError,
    UnknownPortError,
    UnknownTaskError,
)
from workglow.graph.building.workflow import Workflow
from workglow.graph.dataflow import Transform
from workglow.graph.graph import TaskGraph
from workglow.tasks import Collect, Ports, Task
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, **options)


@task(output="value")
def double(value: int) -> int:
    return value * 2


@task(output="value")
def half(value: float) -> float:
    return value / 2


@task(output="text")
def shout(text: str) -> str:
    return text.upper()


@task(output="total")
def gather(values: Collect[int]) -> int:
    return sum(values)


@task(output="total")
def add(a: int = 0, b: int = 0) -> int:
    return a + b


class Pair(TypedDict):
    a: int
    b: int


@task()
def split(value: int) -> Pair:
    return {"a": value, "b": value}


class Anything(Task):
    inputs = Ports(open=True)
    outputs = Ports(open=True)


def chain(*ids: str) -> TaskGraph:
    graph = TaskGraph()
    for task_id in ids:
        graph.add_task(double, id=task_id)
    for source, target in pairwise(ids):
        graph.add_dataflow(source, "value", target, "value")
    return graph


# ---------------------------------------------------------------------- tasks


def test_a_task_without_an_id_is_called_after_its_type():
    graph = TaskGraph()
    assert [graph.add_task(double).id for _ in range(3)] == ["double", "double_2", "double_3"]
    assert graph.add_task(Anything).id == "anything"

    class TextToHTMLTask(Task):
        pass

    assert graph.add_task(TextToHTMLTask).id == "text_to_html"
    assert graph.add_task(lambda value: value).id == "lambda"
    assert graph.add_task(double, id="double_4").id == "double_4"
    assert graph.add_task(double).id == "double_5"


def test_a_free_id_is_used_again_after_its_task_is_gone():
    graph = TaskGraph()
    graph.add_task(double)
    graph.remove_task("double")
    assert graph.add_task(double).id == "double"


def test_literals_become_defaults():
    graph = TaskGraph()
    assert dict(graph.add_task(add, a=3).defaults) == {"a": 3}
    assert dict(graph.add_task(add.task(a=1), b=2).defaults) == {"a": 1, "b": 2}


def test_a_graph_as_a_task_is_a_copy_of_it():
    inner = chain("a", "b")
    graph = TaskGraph()
    made = graph.add_task(inner, id="inner")
    inner.remove_task("b")
    assert list(made.subgraph.tasks) == ["a", "b"]  # type: ignore[attr-defined]


def test_an_id_is_taken_once():
    graph = chain("a")
    with pytest.raises(DuplicateTaskError, match="'a' already"):
        graph.add_task(double, id="a")
    assert list(graph.tasks) == ["a"]


@pytest.mark.parametrize("task_id", ["a[0]", "a/b", "a ==> b", "a\nb"])
def test_an_id_that_a_path_or_an_edge_could_not_hold_is_refused(task_id: str):
    with pytest.raises(GraphError, match="cannot be a task's id"):
        TaskGraph().add_task(double, id=task_id)


def test_a_removed_task_takes_its_edges_and_names_along():
    graph = chain("a", "b", "c")
    graph.name_input("start", "a", "value")
    graph.name_output("middle", "b", "value")
    graph.remove_task("b")
    assert graph.dataflows() == []
    assert graph.outputs == {}
    assert graph.inputs == {"start": [("a", "value")]}
    graph.remove_task("a")
    assert graph.inputs == {}
    graph.add_dataflow("c", "value", graph.add_task(double, id="a").id, "value")
    assert graph.order() == ["c", "a"]


def test_a_replaced_task_keeps_id_place_and_edges():
    graph = chain("a", "b", "c")
    graph.replace_task("b", half)
    assert list(graph.tasks) == ["a", "b", "c"]
    assert graph.tasks["b"].type == "half"
    assert [edge.id for edge in graph.dataflows()] == ["a[value] ==> b[value]", "b[value] ==> c[value]"]


def test_a_replacement_that_does_not_fit_its_edges_changes_nothing():
    graph = chain("a", "b")
    with pytest.raises(UnknownPortError, match=r"has no input 'value'. Its inputs are text"):
        graph.replace_task("b", shout)
    assert graph.tasks["b"].type == "double"


# ---------------------------------------------------------------------- edges


def test_edges_are_found_by_id_and_counted():
    graph = TaskGraph()
    for task_id in ("task1", "task2", "task3"):
        graph.add_task(double, id=task_id)
    edge = graph.add_dataflow("task1", "value", "task2", "value")
    graph.connect("task2", "value", "task3", "value")
    assert graph.dataflow("task1[value] ==> task2[value]") is edge
    assert (len(graph.tasks), len(graph.dataflows())) == (3, 2)
    with pytest.raises(GraphError, match="has no dataflow"):
        graph.dataflow("task1[value] ==> task3[value]")


def test_an_edge_to_or_from_nowhere_names_the_nearest_task():
    graph = chain("clean", "count")
    with pytest.raises(UnknownTaskError, match=r"has no task 'clen'. Did you mean 'clean'"):
        graph.add_dataflow("clen", "value", "count", "value")
    with pytest.raises(UnknownTaskError, match=r"has no task 'zz'.$"):
        graph.add_dataflow("clean", "value", "zz", "value")
    with pytest.raises(UnknownTaskError):
        graph.remove_task("zz")


def test_an_unknown_port_lists_those_that_there_are():
    graph = TaskGraph()
    graph.add_task(split)
    graph.add_task(add)
    with pytest.raises(UnknownPortError, match=r"Task 'split' \(split\) has no output 'c'. Its outputs are a, b."):
        graph.add_dataflow("split", "c", "add", "a")
    with pytest.raises(
        UnknownPortError, match=r"Task 'add' \(add\) has no input 'aa'. Its inputs are a, b. Did you mean 'a'"
    ):
        graph.add_dataflow("split", "a", "add", "aa")
    assert graph.dataflows() == []


def test_open_ports_take_any_name():
    graph = TaskGraph()
    graph.add_task(Anything, id="a")
    graph.add_task(Anything, id="b")
    graph.add_task(double, id="c")
    graph.add_dataflow("a", "whatever", "b", "else")
    graph.add_dataflow("b", "more", "c", "value")
    assert [edge.id for edge in graph.dataflows()] == ["a[whatever] ==> b[else]", "b[more] ==> c[value]"]


def test_ports_that_can_never_fit_are_refused_with_their_types():
    graph = TaskGraph()
    graph.add_task(shout)
    graph.add_task(half)
    expected = r"shout\[text\] ==> half\[value\] can never work: shout gives string, but half takes number"
    for _ in range(2):  # a verdict that is remembered is the same
        with pytest.raises(IncompatiblePortsError, match=expected):
            graph.add_dataflow("shout", "text", "half", "value")
    assert graph.dataflows() == []


def test_an_integer_fits_a_number():
    graph = TaskGraph()
    graph.add_task(double)
    graph.add_task(half)
    graph.add_dataflow("double", "value", "half", "value")


def test_whole_objects_are_judged_by_all_ports():
    graph = TaskGraph()
    graph.add_task(split)
    graph.add_task(add)
    graph.add_task(double)
    graph.add_dataflow("split", "*", "add", "*")
    with pytest.raises(IncompatiblePortsError):
        graph.add_dataflow("split", "*", "double", "*")
    graph.replace_task("double", double.task(value=3))
    with pytest.raises(IncompatiblePortsError, match="object with a, b, but double takes object with value"):
        graph.add_dataflow("split", "*", "double", "*")


def test_a_literal_of_one_task_says_nothing_of_the_next():
    @task(output="value")
    def pair(a: int, value: int) -> int:
        return a + value

    graph = TaskGraph()
    graph.add_task(double)
    graph.add_task(pair.task(a=1, id="given"))
    graph.add_task(pair, id="bare")
    graph.add_dataflow("double", "*", "given", "*")
    with pytest.raises(IncompatiblePortsError):
        graph.add_dataflow("double", "*", "bare", "*")


def test_a_failure_fits_any_handler():
    graph = chain("a")
    graph.add_task(shout)
    assert graph.add_dataflow("a", "[error]", "shout", "*").id == "a[[error]] ==> shout[*]"
    with pytest.raises(UnknownPortError, match="no input"):
        graph.add_dataflow("a", "value", "shout", "[error]")


def test_the_same_edge_twice_is_refused():
    graph = chain("a", "b")
    with pytest.raises(DuplicateDataflowError, match=r"has the dataflow a\[value\] ==> b\[value\] already"):
        graph.add_dataflow("a", "value", "b", "value")


def test_a_port_takes_one_edge_unless_it_collects():
    graph = chain("a", "c")
    graph.add_task(double, id="b")
    graph.add_task(gather)
    with pytest.raises(DuplicateDataflowError, match=r"c\[value\] takes one edge and has a\[value\] ==> c\[value\]"):
        graph.add_dataflow("b", "value", "c", "value")
    graph.add_dataflow("a", "value", "gather", "values")
    graph.add_dataflow("b", "value", "gather", "values")
    with pytest.raises(DuplicateDataflowError):
        graph.add_dataflow("b", "value", "gather", "values")
    assert [edge.source for edge in graph.incoming["gather"]] == ["a", "b"]


def test_several_objects_may_be_spread_over_one_task():
    graph = TaskGraph()
    for task_id in "ab":
        graph.add_task(Anything, id=task_id)
    graph.add_task(Anything, id="join")
    graph.add_dataflow("a", "*", "join", "*")
    graph.add_dataflow("b", "*", "join", "*")


def test_transforms_are_judged_by_what_they_make():
    graph = TaskGraph()
    graph.add_task(half)
    graph.add_task(shout)
    edge = graph.add_dataflow("half", "value", "shout", "text", ["numberToString"])
    assert edge.transforms == (Transform("numberToString"),)
    graph.remove_dataflow(edge)
    with pytest.raises(IncompatiblePortsError):
        graph.add_dataflow("half", "value", "shout", "text", ["toBoolean"])
    graph.add_task(half, id="other")
    graph.add_dataflow("half", "value", "other", "value")
    graph.add_task(half, id="third")
    with pytest.raises(IncompatiblePortsError):  # although these ports fit without a transform
        graph.add_dataflow("half", "value", "third", "value", ["numberToString"])
    with pytest.raises(GraphError, match="no transform 'upercase'"):
        graph.add_dataflow("shout", "text", "half", "value", ["upercase"])


def test_a_removed_edge_is_gone_and_can_come_back():
    graph = chain("a", "b", "c")
    graph.remove_dataflow("a[value] ==> b[value]")
    assert graph.sources() == ["a", "b"]
    graph.add_dataflow("a", "value", "b", "value")
    with pytest.raises(CycleError):
        graph.add_dataflow("c", "value", "a", "value")


def test_a_cycle_is_refused_at_once_and_named():
    graph = chain("a", "b", "c")
    with pytest.raises(CycleError, match="from 'c' to 'a' would close a cycle: c → a → b → c"):
        graph.add_dataflow("c", "value", "a", "value")
    assert graph.order() == ["a", "b", "c"]
    assert len(graph.dataflows()) == 2


def test_many_edges_join_all_or_none():
    whole = chain("a", "b", "c")
    graph = TaskGraph()
    for task_id in "cba":
        graph.add_task(double, id=task_id)
    with pytest.raises(UnknownTaskError):
        graph.add_dataflows([*whole.dataflows(), whole.dataflows()[0].__class__("a", "value", "zz", "value")])
    assert graph.dataflows() == []
    graph.add_dataflows(whole.dataflows())
    assert graph.order() == ["a", "b", "c"]
    with pytest.raises(CycleError):
        graph.add_dataflow("c", "value", "a", "value")


def test_many_edges_with_a_cycle_leave_nothing_behind():
    graph = chain("a", "b")
    closing = type(graph.dataflows()[0])("b", "value", "a", "value")
    with pytest.raises(CycleError, match=r"a → b → a|b → a → b"):
        graph.add_dataflows([closing])
    assert len(graph.dataflows()) == 1


# ---------------------------------------------------------------------- looking


def test_sources_leaves_order_and_layers():
    graph = TaskGraph()
    for task_id in "ABC":
        graph.add_task(add, id=task_id)
    graph.add_dataflow("A", "total", "C", "a")
    graph.add_dataflow("C", "total", "B", "a")
    assert graph.order() == ["A", "C", "B"]
    assert graph.sources() == ["A"]
    assert graph.leaves() == ["B"]
    assert graph.layers() == [["A"], ["C"], ["B"]]


def test_a_task_whose_only_edge_is_its_error_is_a_leaf():
    graph = chain("a", "b")
    graph.add_task(Anything, id="handler")
    graph.add_dataflow("b", "[error]", "handler", "*")
    assert graph.leaves() == ["b", "handler"]


def test_what_depends_on_a_task_is_a_graph_of_its_own():
    graph = TaskGraph()
    for task_id in "ABCD":
        graph.add_task(add, id=task_id)
    for source, target in ("AB", "BC", "BD"):
        graph.add_dataflow(source, "total", target, "a")
    assert set(graph.subgraph_from("A").tasks) == set("ABCD")
    part = graph.subgraph_from("B")
    assert list(part.tasks) == ["B", "C", "D"]
    assert [edge.id for edge in part.dataflows()] == ["B[total] ==> C[a]", "B[total] ==> D[a]"]
    assert graph.descendants("A") == {"B", "C", "D"}
    assert "D" not in graph.descendants("C")


def test_a_copy_changes_on_its_own():
    graph = chain("a", "b")
    graph.name_output("end", "b", "value")
    twin = graph.copy()
    twin.add_task(double, id="c")
    twin.add_dataflow("b", "value", "c", "value")
    twin.name_output("more", "c", "value")
    assert (list(graph.tasks), len(graph.dataflows()), list(graph.outputs)) == (["a", "b"], 1, ["end"])
    with pytest.raises(CycleError):
        twin.add_dataflow("c", "value", "a", "value")
    twin.remove_task("b")
    assert [edge.id for edge in graph.dataflows()] == ["a[value] ==> b[value]"]
    graph.add_dataflow("b", "value", graph.add_task(double, id="d").id, "value")


def test_what_is_derived_holds_until_the_graph_changes():
    graph = chain("a", "b")
    computed: list[int] = []

    def count(graph: TaskGraph) -> int:
        computed.append(len(graph.tasks))
        return len(graph.tasks)

    assert [graph.derive("count", count) for _ in range(3)] == [2, 2, 2]
    assert computed == [2]
    graph.add_task(double, id="c")
    assert graph.derive("count", count) == 3
    graph.add_dataflow("b", "value", "c", "value")
    graph.derive("count", count)
    graph.outputs["direct"] = ("a", "value")
    graph.derive("count", count)
    graph.derive("count", count)
    assert computed == [2, 3, 3, 3]


def test_schemas_are_asked_for_once_for_tasks_of_one_type(monkeypatch: pytest.MonkeyPatch):
    import workglow.graph.admission as admission

    asked: list[object] = []
    real = admission.compatibility
    monkeypatch.setattr(admission, "compatibility", lambda *ends: asked.append(ends) or real(*ends))
    chain(*(f"t{number}" for number in range(100)))
    assert len(asked) == 1


@pytest.mark.parametrize(
    "made",
    [
        lambda merge: TaskGraph(merge=merge),
        lambda merge: setattr(TaskGraph(), "merge", merge),
        lambda merge: Workflow().parallel([double, half], merge=merge),
        lambda merge: Workflow().group(merge=merge),
    ],
)
def test_an_unknown_merge_is_refused_where_it_is_given(made: Callable[[Any], object]):
    with pytest.raises(GraphError, match="merge is 'ARRAYS'; give 'PROPERTY_ARRAY' or 'GRAPH_RESULT_ARRAY'"):
        made("ARRAYS")
