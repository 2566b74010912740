"""Building bodies and branches: as blocks and as chains, what is connected, and what is refused."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from workglow import Condition, TaskGraph, Workflow
from workglow.errors import (
    AutoConnectError,
    GraphError,
    TaskAbortedError,
    TaskConfigurationError,
    UnknownPortError,
    WorkglowError,
)
from workglow.graph.dataflow import Transform
from workglow.tasks import Entitlement, Ports, Task, TaskContext, TaskRegistry
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


@task(output="text", inline=True)
def whisper(text: str, mark: str = "") -> str:
    return text.lower() + mark


@task(output="size", inline=True)
def count(text: str, factor: int = 1) -> int:
    return len(text) * factor


@task(output="question", inline=True)
def ask(text: str) -> str:
    return f"{text}?"


@task(output="answer", inline=True)
def answer(text: str, question: str) -> str:
    return f"{question} {text}"


@task(output="accumulator", inline=True)
def add(accumulator: int, size: int) -> int:
    return accumulator + size


@task(output="value", inline=True)
def double(value: int) -> int:
    return value * 2


@task(output="value", inline=True)
def broken(value: int) -> int:
    raise ValueError("no luck")


@task(output="value")
async def endless(value: int, context: TaskContext) -> int:
    await asyncio.Event().wait()
    return value


KNOWN = TaskRegistry([kind.task_type for kind in (clean, shout, whisper, count)])
LONG = Condition(field="text", operator="contains", value="long")


def edges(graph: Any) -> list[str]:
    return [edge.id for edge in getattr(graph, "graph", graph).dataflows()]


def outputs(workflow: Workflow, **inputs: object) -> dict[str, object]:
    return dict(workflow.run_sync(inputs).outputs)


# ---------------------------------------------------------------------- loops


def test_a_block_and_a_chain_build_the_same() -> None:
    chain = Workflow().then(shout).map(max_iterations=3, id="each").then(clean).then(count, factor=2).end_map()
    block = Workflow().then(shout)
    with block.map(max_iterations=3, id="each") as body:
        body.then(clean).then(count, factor=2)
    assert chain.graph.tasks["each"].subgraph.content_hash() == block.graph.tasks["each"].subgraph.content_hash()  # type: ignore[attr-defined]
    assert edges(chain) == edges(block)


def test_every_kind_of_body_runs() -> None:
    assert outputs(Workflow().map().then(double).end_map(), value=[1, 2]) == {"value": [2, 4]}
    assert outputs(Workflow().for_each().then(double).end_for_each(), value=[1, 2]) == {}
    assert outputs(Workflow().group().then(double).then(double, id="b").end_group(), value=1) == {"value": 4}
    counted = Workflow().reduce(initial_value=0).then(count).then(add).end_reduce()
    assert outputs(counted, text=["a", "bb"]) == {"accumulator": 3}
    small = Condition(field="value", operator="less_than", value=50)
    assert outputs(Workflow().while_(small).then(double).end_while(), value=3) == {"value": 96}
    assert outputs(Workflow().fallback().then(broken).then(double).end_fallback(), value=4) == {"value": 8}
    tried = Workflow().fallback_with([{"value": 7}]).then(double).end_fallback_with()
    assert outputs(tried, value=1) == {"value": 14}


def test_every_kind_of_body_may_be_given() -> None:
    assert outputs(Workflow().for_each(double, max_iterations=2), value=[1]) == {}
    assert outputs(Workflow().group(Workflow().then(double)), value=1) == {"value": 2}
    assert outputs(Workflow().while_(lambda given: given["value"] < 9, double), value=1) == {"value": 16}
    assert outputs(Workflow().fallback_with([{"value": 1}], double), value=3) == {"value": 2}


def test_alternatives_are_not_connected() -> None:
    with Workflow().then(clean).fallback() as body:
        body.then(shout).then(whisper)
        assert edges(body) == []


def test_end_closes_whatever_is_open() -> None:
    assert outputs(Workflow().map().group().then(double).end().end(), value=[1]) == {"value": [2]}
    with pytest.raises(GraphError, match=r"This is the body of map\(\); close it with end_map\(\)"):
        Workflow().map().then(double).end_group()
    with pytest.raises(GraphError, match="this workflow is none"):
        Workflow().end()


def test_nothing_is_added_around_an_open_body() -> None:
    workflow = Workflow().then(clean)
    body = workflow.map()
    for call in (lambda: workflow.then(count), workflow.to_json, workflow.pop, workflow.reset, workflow.redo):
        with pytest.raises(GraphError, match=r"map\(\) is still open. Close it with end_map\(\), or discard"):
            call()
    workflow.undo()
    assert list(workflow.then(count).graph.tasks) == ["clean", "count"]
    with pytest.raises(GraphError, match="is closed"):
        body.then(count)


def test_a_block_that_raises_leaves_the_workflow_as_it_was() -> None:
    workflow = Workflow().then(clean)
    before = workflow.graph.to_json()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), workflow.map() as body:
        body.then(count).pipe(*[fail() for _ in "a"])
    with pytest.raises(ZeroDivisionError), workflow.if_(LONG) as branch:
        branch.then(shout).map().then(count, factor=fail())
    with pytest.raises(TaskConfigurationError, match="no tasks"), workflow.map():
        pass
    assert workflow.graph.to_json() == before
    assert workflow.then(count).undo().graph.to_json() == before


def test_a_body_that_does_not_fit_stays_open() -> None:
    body = Workflow().then(double).map().then(clean)
    with pytest.raises(AutoConnectError, match=r"\[text\] of MapTask"):
        body.end_map()
    assert list(body.then(count).graph.tasks) == ["clean", "count"]


def test_only_bodies_are_blocks() -> None:
    with pytest.raises(GraphError, match="needs no block"), Workflow():
        pass


# ---------------------------------------------------------------------- conditions


def test_both_arms_feed_what_follows() -> None:
    workflow = Workflow().then(clean).if_(LONG).then(shout).else_(whisper).end_if().then(count)
    assert edges(workflow) == [
        "clean[text] ==> if[text]",
        "if[then] ==> shout[*]",
        "if[else] ==> whisper[*]",
        "shout[text] ==> count[text]",
        "whisper[text] ==> count[text]",
    ]
    run = workflow.run_sync({"text": "a  long"})
    assert run.outputs == {"size": 6}
    assert [run.tasks[name].status for name in ("shout", "whisper", "count")] == ["completed", "disabled", "completed"]
    assert TaskGraph.from_json(workflow.graph.to_json(), KNOWN).to_json() == workflow.graph.to_json()


def test_without_else_the_values_pass() -> None:
    workflow = Workflow().then(clean).if_(LONG).then(shout).end_if().then(answer, question="?")
    assert outputs(workflow, text="a  long") == {"answer": "? A LONG"}
    assert outputs(workflow, text="A  b") == {"answer": "? A b"}
    first = Workflow().if_(LONG).then(shout).end_if().then(count)
    assert outputs(first, text="abc") == {"size": 3}


def test_arms_take_what_they_need_from_before_through_the_condition() -> None:
    workflow = Workflow().input().then(ask).then(clean).if_(LONG).then(shout).then(answer)
    assert "ask[question] ==> if[question]" in edges(workflow)
    workflow = workflow.else_(answer, id="other").end_if()
    assert outputs(workflow, text="a  long") == {"answer": "a  long? A LONG"}
    assert outputs(workflow, text="why") == {"answer": "why? why"}
    nested = Workflow().input().then(ask).then(clean).if_(LONG).then(shout)
    inner = nested.if_(Condition(field="text", operator="is_not_empty")).then(answer)
    assert outputs(inner.end_if().end_if(), text="long") == {"answer": "long? LONG"}


def test_an_arm_keeps_literals_and_renames() -> None:
    workflow = Workflow().then(clean).if_(LONG)
    workflow = workflow.rename("text", "question").then(answer, text="mine").end_if()
    picked = Transform("pick", {"path": "text"})
    (edge,) = workflow.graph.incoming["answer"]
    assert (edge.source_port, edge.target_port, edge.transforms) == ("then", "question", (picked,))
    assert outputs(workflow, text="a  long") == {"answer": "a long mine"}


def test_arms_may_end_in_arms() -> None:
    marked = Condition(field="text", operator="contains", value="X")
    workflow = Workflow().then(clean).if_(LONG).then(shout).if_(marked).then(whisper, mark="!").end_if().end_if()
    workflow.then(count)
    assert [outputs(workflow, text=text)["size"] for text in ("a long X", "a long", "a")] == [9, 6, 1]


def test_behind_a_merge_earlier_outputs_of_both_arms_count() -> None:
    workflow = Workflow().then(clean).if_(LONG).then(shout).else_(whisper).end_if().then(ask).then(answer)
    assert sorted(edges(workflow)[-3:]) == [
        "ask[question] ==> answer[question]",
        "shout[text] ==> answer[text]",
        "whisper[text] ==> answer[text]",
    ]


def test_an_output_of_one_arm_alone_is_not_enough() -> None:
    workflow = Workflow().then(clean).if_(LONG).then(ask).else_(whisper).end_if()
    with pytest.raises(
        AutoConnectError, match=r"'question' of answer comes out of one branch of 'if', but 'else' gives"
    ):
        workflow.then(answer, text="a")
    assert list(workflow.graph.tasks) == ["clean", "if", "ask", "whisper"]


def test_a_condition_needs_something_to_do() -> None:
    workflow = Workflow().then(clean)
    with pytest.raises(GraphError, match=r"end_if\(\) called without a prior then"):
        workflow.if_(LONG).end_if()
    workflow.undo()
    assert list(workflow.graph.tasks) == ["clean"]
    with pytest.raises(GraphError, match=r"else_\(\) belongs behind if_\(\)"):
        workflow.else_(shout)
    arms = workflow.if_(LONG).then(shout).else_(whisper)
    with pytest.raises(GraphError, match="only once"):
        arms.else_()
    with pytest.raises(AutoConnectError, match="required inputs"):
        arms.then(double)
    arms.end_if()


def test_a_function_decides_too_and_one_that_raises_does_not_hold() -> None:
    workflow = Workflow().if_(lambda given: given["missing"]).then(shout).else_(whisper).end_if()
    assert outputs(workflow, text="Ab") == {"text": "ab"}


def test_two_edges_share_a_port_only_when_they_come_from_different_arms() -> None:
    graph = Workflow().then(clean).if_(LONG).then(shout).else_(whisper).end_if().then(count).to_graph()
    with pytest.raises(GraphError, match="different branches of one condition"):
        graph.connect("clean", "text", "count", "text")
    rescued = Workflow().then(double).on_error(double, id="rescue", value=0).then(double, id="last")
    rescued.connect("rescue", "value", "last", "value")
    assert len(rescued.graph.incoming["last"]) == 2
    shuffled = graph.to_json()
    shuffled["dataflows"].reverse()
    assert len(TaskGraph.from_json(shuffled, KNOWN).incoming["count"]) == 2


# ---------------------------------------------------------------------- undo and redo


def test_every_call_is_one_step() -> None:
    workflow = Workflow()
    graphs = [workflow.graph.to_json()]
    for call in (
        workflow.input,
        lambda: workflow.then(clean),
        lambda: workflow.if_(LONG).then(shout).else_(whisper).end_if(),
        lambda: workflow.map(count),
        lambda: workflow.on_error(ask, text="x"),
        workflow.pop,
        lambda: workflow.pipe(count, double),
        workflow.output,
        lambda: workflow.connect("input", "factor", "count", "factor"),
        workflow.reset,
        lambda: workflow.then(double),
    ):
        call()
        graphs.append(workflow.graph.to_json())
    for before in graphs[-2::-1]:
        assert workflow.undo().graph.to_json() == before
    with pytest.raises(GraphError, match="nothing to undo"):
        workflow.undo()
    for after in graphs[1:]:
        assert workflow.redo().graph.to_json() == after


def test_steps_inside_an_arm_are_undone_with_the_condition() -> None:
    workflow = Workflow().then(clean)
    arm = workflow.if_(LONG).then(shout).then(whisper, id="gone").undo().then(count).undo().redo()
    built = arm.else_(whisper).end_if().graph.to_json()
    assert list(workflow.undo().graph.tasks) == ["clean"]
    assert workflow.redo().graph.to_json() == built
    nested = workflow.if_(LONG).then(double, value=1).if_(LONG).then(double, value=2)
    nested.undo()
    workflow.undo()
    assert workflow.graph.to_json() == built


def test_a_new_call_ends_what_could_be_done_again() -> None:
    workflow = Workflow().then(double).then(double).undo().then(double, id="other")
    with pytest.raises(GraphError, match="nothing to redo"):
        workflow.redo()
    assert list(workflow.undo().undo().redo().then(double).graph.tasks) == ["double", "double_2"]


def test_a_pipe_that_breaks_changes_nothing() -> None:
    workflow = Workflow().then(clean)
    with pytest.raises(AutoConnectError):
        workflow.pipe(shout, lambda a, b: a)
    assert list(workflow.graph.tasks) == ["clean"]
    assert list(workflow.undo().graph.tasks) == []


def test_listeners_stay_whatever_happens_to_the_graph() -> None:
    workflow, seen = Workflow().then(double), list[str]()
    workflow.events.on("task_completed", lambda event: seen.append(event.path))
    workflow.reset().undo().pop().undo()
    workflow.graph = TaskGraph.from_json(Workflow().graph.to_json())
    workflow.then(double).run_sync({"value": 1})
    assert seen == ["double"]


def test_a_graph_that_is_put_in_goes_on_from_its_last_task() -> None:
    workflow = Workflow()
    workflow.graph = Workflow().then(clean).graph
    assert edges(workflow.then(count)) == ["clean[text] ==> count[text]"]
    assert workflow.undo().undo().graph.tasks == {}


# ---------------------------------------------------------------------- the rest of the table


def test_a_task_may_be_added_without_being_connected() -> None:
    workflow = Workflow().then(clean).add_task_to_graph(count, id="n", factor=2)
    assert edges(workflow) == []
    assert edges(workflow.rename("size", "text", transforms=["numberToString"]).then(shout)) == [
        "n[size] ==> shout[text]"
    ]


def test_a_workflow_as_a_task() -> None:
    made = Workflow().then(double).to_task(id="twice", title="Twice", timeout=3)
    assert (made.id, made.title, made.timeout) == ("twice", "Twice", 3)
    assert outputs(Workflow().then(made), value=2) == {"value": 4}


def test_what_a_workflow_has_to_be_allowed() -> None:
    class Fetch(Task):
        entitlements = ("network",)
        inputs = outputs = Ports(open=True)

    workflow = Workflow().then(Fetch).map(Workflow().then(Fetch))
    (needed,) = workflow.entitlements()
    assert needed.entitlement == Entitlement("network")
    assert len(needed.tasks) == 2


def test_a_preview_of_a_workflow() -> None:
    class Quick(Task):
        inputs = outputs = Ports.from_schema({"properties": {"value": {"type": "integer"}}})

        def execute_preview(self, inputs: dict[str, Any]) -> dict[str, Any]:
            return {"value": inputs["value"] + 1}

    workflow = Workflow().then(Quick)
    assert workflow.run_preview({"value": 1}) == {"value": 2}


def test_a_run_can_be_aborted() -> None:
    workflow = Workflow().then(endless)

    async def begin() -> None:
        workflow.events.on("task_started", lambda event: workflow.abort("enough"))
        with pytest.raises(TaskAbortedError, match="enough"):
            await workflow.run({"value": 1})

    asyncio.run(begin())
    workflow.abort()  # nothing runs


def test_an_error_names_what_was_tried_and_what_comes_near() -> None:
    with pytest.raises(AutoConnectError) as caught:
        Workflow().then(ask).then(count)
    assert str(caught.value).endswith(
        "The input 'text' takes string; the nearest outputs are ask[question] (string). "
        "Say rename('question', 'text') before adding it, or give it a literal."
    )
    with pytest.raises(UnknownPortError, match="no output 'size'"):
        Workflow().then(clean).if_(LONG).then(count).else_(whisper).end_if().rename("size", "value")


def test_refused_calls_leave_no_trace() -> None:
    workflow = Workflow().input().then(clean)
    before = workflow.graph.to_json()
    for call in (
        lambda: workflow.then(double, wrong=1),
        lambda: workflow.on_error(clean, id="clean"),
        lambda: workflow.connect("input", "zz", "clean", "nope"),
        lambda: workflow.output(id="input"),
        lambda: workflow.if_(LONG, id="clean"),
        lambda: workflow.add_task_to_graph(count, nope=1),
    ):
        with pytest.raises(WorkglowError):
            call()
        assert workflow.graph.to_json() == before
    assert workflow.undo().undo().graph.tasks == {}
