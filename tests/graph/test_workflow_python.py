"""Graphs as Python: what is written, that it makes an equal graph, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workglow import Condition, GraphAsTask, MapTask, Retry, TaskGraph, Workflow, task, task_registry
from workglow.errors import GraphError, TaskSerializationError, WorkglowError
from workglow.graph.schemas import GRAPH_RESULT_ARRAY
from workglow.tasks import Collect, Ports, Task


@task(name="wp_clean", output="text", inline=True)
def clean(text: str) -> str:
    return " ".join(text.split())


@task(name="wp_shout", output="text", inline=True)
def shout(text: str, mark: str = "!") -> str:
    return text.upper() + mark


@task(name="wp_count", output="size", inline=True)
def count(text: str, factor: int = 1) -> int:
    return len(text) * factor


@task(name="wp_both", output="text", inline=True)
def both(text: str, size: int = 0) -> str:
    return text * size


@task(name="wp_gather", output="size", inline=True)
def gather(sizes: Collect[int]) -> int:
    return sum(sizes)


@task(name="wp_add", output="accumulator", inline=True)
def add(accumulator: int, size: int) -> int:
    return accumulator + size


@task(name="wp_odd", output="text", inline=True)
def odd(id: str, title: str = "", defaults: int = 0) -> str:
    return f"{id}{title}{defaults}"


@task_registry.register
class WpAnything(Task):
    """Takes and gives anything."""

    inputs = Ports(open=True)
    outputs = Ports(open=True)

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return inputs


LONG = Condition(field="text", operator="contains", value="long")


def written(workflow: Workflow) -> str:
    """The program without its imports; it makes an equal graph, and formatters leave it alone."""
    text = workflow.to_python()
    same(text, workflow.graph)
    return text.partition("\n\n")[2]


def same(text: str, graph: TaskGraph) -> None:
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["workflow"].graph.to_json() == graph.to_json()


def formatted(text: str) -> str:
    ruff = ["ruff", "--isolated", "-"]
    done = subprocess.run([ruff[0], "format", *ruff[1:]], input=text, capture_output=True, text=True, check=True)
    return done.stdout


# ---------------------------------------------------------------------- what is written


def test_a_chain_on_one_line() -> None:
    assert written(Workflow().then(clean).then(count, factor=2)) == (
        "workflow = Workflow().then(clean).then(count, factor=2)\n"
    )


def test_a_chain_over_several_lines() -> None:
    workflow = (
        Workflow().then(clean).then(shout, id="loud", timeout=2.5).rename("text", "text", -2).then(count, title="Count")
    )
    assert written(workflow) == (
        "workflow = (\n"
        "    Workflow()\n"
        "    .then(clean)\n"
        '    .then(shout, id="loud", timeout=2.5)\n'
        '    .rename("text", "text", index=-2)\n'
        '    .then(count, title="Count")\n'
        ")\n"
    )


def test_shipped_tasks_are_methods() -> None:
    workflow = Workflow().then(clean).text_embedding(model="local:wordllama")
    assert written(workflow) == 'workflow = Workflow().then(clean).text_embedding(model="local:wordllama")\n'


def test_a_condition_with_both_arms() -> None:
    workflow = Workflow().then(clean).if_(LONG).then(shout).else_(shout, id="low", mark=".").end_if().then(count)
    assert '    .else_(shout, id="low", mark=".")\n    .end_if()\n    .then(count)\n' in written(workflow)


def test_loops_are_blocks() -> None:
    workflow = Workflow()
    with workflow.map(max_iterations=9) as body:
        body.then(clean)
        with body.if_(LONG) as branch:
            branch.map(count, id="each")
            branch.else_().then(shout)
    assert written(workflow) == (
        "workflow = Workflow()\n"
        "with workflow.map(max_iterations=9) as body:\n"
        "    body.then(clean)\n"
        '    with body.if_(Condition(field="text", operator="contains", value="long")) as branch:\n'
        '        branch.map(count, id="each")\n'
        "        branch.else_()\n"
        "        branch.then(shout)\n"
    )


def test_a_loop_with_one_task_is_a_call() -> None:
    assert written(Workflow().map(clean, concurrency=3)) == "workflow = Workflow().map(clean, concurrency=3)\n"
    workflow = Workflow().while_(Condition(field="text", operator="is_empty"), shout, max_iterations=2)
    text = written(workflow)
    assert 'while_(\n    Condition(field="text", operator="is_empty"),\n    shout,\n    max_iterations=2,\n)\n' in text


def test_every_loop_comes_back() -> None:
    workflow = Workflow().input().for_each(clean).group(Workflow().then(clean).then(count), merge=GRAPH_RESULT_ARRAY)
    workflow.fallback().then(clean).then(shout).end_fallback()
    workflow.fallback_with([{"mark": "a"}, {"mark": "b"}]).then(shout).end_fallback_with()
    workflow.reduce(initial_value=0).then(count).then(add).end_reduce().output()
    text = written(workflow)
    for word in ("for_each(clean)", "as body:", 'fallback_with([{"mark": "a"}, {"mark": "b"}], shout)', ".output()"):
        assert word in text


def test_what_auto_connect_would_not_find_is_connected_by_hand() -> None:
    graph = TaskGraph()
    for name, kind in (("b", count), ("a", clean), ("c", count)):
        graph.add_task(kind, id=name)
    graph.connect("a", "text", "b", "text", ["lowercase"])
    assert written(Workflow.from_json(graph.to_json())) == (
        "workflow = (\n"
        "    Workflow()\n"
        '    .then(count, id="b")\n'
        '    .add_task_to_graph(clean, id="a")\n'
        '    .add_task_to_graph(count, id="c")\n'
        '    .connect("a", "text", "b", "text", transforms=["lowercase"])\n'
        ")\n"
    )


def test_error_handlers_and_several_edges() -> None:
    workflow = Workflow().then(clean).on_error(WpAnything, id="rescue").then(count)
    assert '.on_error(WpAnything, id="rescue")' in written(workflow)
    graph = TaskGraph()
    for name in ("a", "b"):
        graph.add_task(count, id=name)
    graph.add_task(gather, id="sum")
    for name in ("b", "a"):
        graph.connect(name, "size", "sum", "sizes")
    assert '.rename("size", "sizes")\n    .rename("size", "sizes", index=-2)\n' in graph.to_python()
    same(graph.to_python(), graph)


def test_names_and_merge_of_the_graph() -> None:
    graph = TaskGraph(merge=GRAPH_RESULT_ARRAY)
    graph.add_task(clean)
    graph.add_task(count)
    graph.name_input("page", "wp_clean", "text")
    graph.name_output("letters", "wp_count", "size")
    text = graph.to_python()
    assert 'workflow.graph.name_input("page", "wp_clean", "text")\n' in text
    same(text, graph)


def test_boundary_tasks_with_schemas_of_their_own() -> None:
    workflow = Workflow().then(clean).map(count)
    drawn = TaskGraph.from_json(workflow.to_json())  # with boundary nodes, also inside the loop
    text = drawn.to_python()
    assert "graph = TaskGraph()" in text
    same(text, drawn)
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": False}
    assert ".input(" in written(Workflow().input(schema).then(clean).output())


def test_ports_that_are_named_like_options() -> None:
    workflow = Workflow().then(odd.task_type(id="x", defaults={"id": "port", "title": "T", "defaults": 3}))
    assert "odd.task_type(" in written(workflow)


def test_the_variable_can_be_named() -> None:
    assert Workflow().then(clean).to_python(variable="clean").endswith("\nclean = Workflow().then(clean_2)\n")


VALUES = [
    None, True, -3, 2.5, float("inf"), 10**30, "it's", 'say "hi"', "a\nb\\", "ü", b"\x00\xff'", [], {}, (), (1,),
    (1, [2, {"a": (3,)}]), {1, 2}, frozenset({"a"}), frozenset(), {"$value": 1}, {1: "one"},
    datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), date(2024, 1, 2), timedelta(days=1, seconds=2), Decimal("1.50"),
    Path("notes/a.txt"), np.arange(6, dtype="float32").reshape(2, 3), np.zeros((0, 3)), np.float32(1.5),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_literals_of_every_kind(value: object) -> None:
    written(
        Workflow().then(
            WpAnything, x=value, retry=Retry(attempts=5, delay=0.5, jitter=True), extras={"position": [1, 2]}
        )
    )


# ---------------------------------------------------------------------- what is refused


def test_a_lambda_is_named() -> None:
    with pytest.raises(TaskSerializationError, match="<lambda>"):
        Workflow().then(lambda a: a, id="odd_one").to_python()
    with pytest.raises(TaskSerializationError, match="task 'if'"):
        Workflow().then(clean).if_(lambda inputs: True).then(shout).end_if().to_python()


def test_a_function_that_is_not_registered_is_named() -> None:
    def plain(a: int) -> int:
        return a

    with pytest.raises(TaskSerializationError, match=r"'plain'.*is not registered.*@task"):
        Workflow().then(plain).to_python()
    with pytest.raises(TaskSerializationError, match=r"Task 'plain'"):
        Workflow().map(Workflow().map(plain)).to_python()


def test_a_function_that_no_import_leads_to_is_named() -> None:
    @task(name="wp_hidden", output="text")
    def hidden(text: str) -> str:
        return text

    with pytest.raises(TaskSerializationError, match=r"wp_hidden.*cannot be imported"):
        Workflow().then(hidden).to_python()


def test_two_edges_into_one_port_are_written_after_what_keeps_them_apart() -> None:
    graph = TaskGraph()
    for id in ("last", "middle", "first"):
        graph.add_task(clean, id=id)
    graph.connect("first", "text", "middle", "text")
    graph.connect("first", "[error]", "last", "text", ["stringify"])
    graph.connect("middle", "text", "last", "text")
    same(graph.to_python(), graph)


# ---------------------------------------------------------------------- for any graph

LITERALS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.floats(-5, 5), st.text(max_size=4), st.binary(max_size=3)
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)
KINDS = (clean, shout, count, both, gather, add, odd, WpAnything)


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> TaskGraph:
    """Tasks in any order, whatever edges fit, with names, transforms, literals and graphs inside."""
    graph = TaskGraph(
        merge=draw(st.sampled_from(["PROPERTY_ARRAY", "GRAPH_RESULT_ARRAY"])) if depth == 2 else "PROPERTY_ARRAY"
    )
    for number in range(draw(st.integers(1, 5))):
        id = draw(st.sampled_from([None, f"t{number}"]))
        if depth and draw(st.integers(0, 4)) == 0:
            inner = draw(graphs(depth - 1))
            options: dict[str, Any] = {"title": "Inner"} if draw(st.booleans()) else {}
            name = id or graph.free_id("map")
            if draw(st.booleans()):
                graph.add_task(
                    MapTask(inner, id=name, max_iterations=draw(st.sampled_from([3, "unbounded"])), **options)
                )
            else:
                graph.add_task(GraphAsTask(inner, id=name, **options))
            continue
        kind = draw(st.sampled_from(KINDS))
        literals = {"x": draw(LITERALS)} if kind is WpAnything and draw(st.booleans()) else {}
        graph.add_task(kind, id=id, **literals)
    for _ in range(draw(st.integers(0, 6))):
        source, target = (draw(st.sampled_from(list(graph.tasks))) for _ in range(2))
        ports = [*graph.tasks[source].outputs, "*", "[error]"]
        port = draw(st.sampled_from(ports))
        into = draw(st.sampled_from([*graph.tasks[target].inputs, "*"]))
        transforms = ["stringify"] if draw(st.integers(0, 5)) == 0 else []
        try:
            graph.connect(source, port, target, into, transforms)
        except GraphError:
            continue
    if draw(st.integers(0, 3)) == 0:
        last = list(graph.tasks)[-1]
        for port in list(graph.tasks[last].outputs)[:1]:
            graph.name_output("result", last, port)
    return graph


@settings(max_examples=150, deadline=None)
@given(graphs())
def test_json_and_python_are_the_identity_for_any_graph(graph: TaskGraph) -> None:
    assert TaskGraph.from_json(graph.to_json()).to_json() == graph.to_json()
    text = graph.to_python()
    same(text, graph)
    assert graph.to_python() == text


NAMES = ["clean", "shout", "count", "both", "anything", "if", "else", "map", "while", "group", "end", "error", "rename"]
CALLS = st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=14)


def built(calls: list[tuple[str, bool]]) -> Workflow:
    """Make every call that is not refused."""
    root = here = Workflow()
    depth = 0
    for name, flag in calls:
        options: dict[str, Any] = {"id": f"named{len(here.graph.tasks)}"} if flag else {}
        try:
            match name:
                case "if":
                    here, depth = here.if_(LONG, **options), depth + 1
                case "else":
                    here.else_()
                case "map" | "group":
                    here, depth = getattr(here, name)(**options), depth + 1
                case "while":
                    here, depth = here.while_(LONG, max_iterations=3 if flag else None), depth + 1
                case "end":
                    here, depth = here.end(), depth - 1
                case "error":
                    here.on_error(WpAnything, **options)
                case "rename":
                    here.rename("text", "text", -1, transforms=["uppercase"] if flag else ()).then(shout)
                case "anything":
                    here.then(WpAnything, **options)
                case _:
                    here.then({"clean": clean, "shout": shout, "count": count, "both": both}[name], **options)
        except WorkglowError:
            while here.state.renames:
                here.undo()
    while depth:
        try:
            here = here.end()
        except WorkglowError:
            parent: Any = here._opening
            here = parent.parent.undo()
        depth -= 1
    return root


@settings(max_examples=150, deadline=None)
@given(CALLS)
def test_json_and_python_are_the_identity_for_any_program(calls: list[tuple[str, bool]]) -> None:
    workflow = built(calls)
    graph = workflow.graph
    assert TaskGraph.from_json(graph.to_json()).to_json() == graph.to_json()
    text = graph.to_python()
    same(text, graph)
    assert "TaskGraph" not in text
    if shutil.which("ruff") and len(calls) > 5:
        assert formatted(text) == text


def test_what_is_built_first_is_laid_out_for_the_place_where_it_stands() -> None:
    calls = ["map", "if", "rename", "else", "map", "clean"]
    text = built([*((name, False) for name in calls), ("clean", True), ("anything", True)]).graph.to_python()
    assert "    inner = (\n        Workflow()" in text
    assert max(map(len, text.splitlines())) <= 88


@settings(max_examples=100, deadline=None)
@given(CALLS)
def test_undo_and_redo_go_through_every_graph_that_was(calls: list[tuple[str, bool]]) -> None:
    workflow = built(calls)
    seen = [workflow.graph.to_json()]
    while True:
        try:
            workflow.undo()
        except GraphError:
            break
        seen.append(workflow.graph.to_json())
    assert seen[-1]["tasks"] == []
    for before in reversed(seen[:-1]):
        workflow.redo()
        assert workflow.graph.to_json() == before
    with pytest.raises(GraphError, match="nothing to redo"):
        workflow.redo()
