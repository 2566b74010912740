"""What a graph gives that ends in the arms of a condition: the same as a Python function that ends in an `if`."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias, TypedDict

from hypothesis import given, settings
from hypothesis import strategies as st

from workglow import Condition, MapTask, Project, TaskGraph, Workflow
from workglow.tasks import TaskRegistry
from workglow.tasks.function import task_function


def task(**options: Any) -> Any:
    """`@task` without an entry in the registry that all tests share."""
    return partial(task_function, register=False, cache=False, inline=True, **options)


class Marked(TypedDict):
    text: str
    mark: int


@task(output="text")
def shout(text: str) -> str:
    return text.upper() + "s"


@task()
def mark(text: str) -> Marked:
    return {"text": text + "m", "mark": len(text)}


@task(output="size")
def measure(text: str) -> int:
    return len(text)


@task(output="text")
def fail(text: str) -> str:
    raise ValueError(text)


@task(output="said")
def rescue(error: str, errorType: str) -> str:
    return f"{errorType}: {error}"


KNOWN = TaskRegistry([kind.task_type for kind in (shout, mark, measure)])
TASKS: dict[str, Any] = {"shout": shout, "mark": mark, "measure": measure}
LONG = Condition(field="text", operator="contains", value="long")


def outputs(workflow: Workflow, **inputs: object) -> dict[str, object]:
    return dict(workflow.run_sync(inputs).outputs)


def test_without_else_the_values_are_the_result() -> None:
    workflow = Workflow().then(mark).if_(LONG).then(shout).end_if()
    assert outputs(workflow, text="long") == {"text": "LONGMs"}
    assert outputs(workflow, text="b") == {"text": "bm"}


def test_each_name_is_what_the_arm_gives_or_else_what_came_in() -> None:
    workflow = Workflow().if_(LONG).then(mark).else_(measure).end_if()
    assert outputs(workflow, text="long", other=1) == {"text": "longm", "mark": 4}
    assert outputs(workflow, text="b", mark=9) == {"text": "b", "mark": 9, "size": 1}


def test_every_kind_of_body_may_end_in_arms() -> None:
    def arms(body: Workflow) -> Workflow:
        return body.if_(LONG).then(shout).end_if().end()

    assert outputs(arms(Workflow().map()), text=["long", "b"]) == {"text": ["LONGs", "b"]}
    assert outputs(arms(Workflow().group()).then(measure), text="b") == {"size": 1}
    grows = Condition(field="text", operator="not_equals", value="longss")
    small = Condition(field="text", operator="contains", value="g")
    loop = Workflow().while_(grows, max_iterations=4).if_(small).then(shout).end_if().end_while()
    assert outputs(loop, text="b") == {"text": "b"}
    given = Workflow().map(Workflow().if_(LONG).then(shout).end_if())
    assert outputs(given, text=["long", "b"]) == {"text": ["LONGs", "b"]}


def test_a_second_condition_is_given_what_passes_the_first() -> None:
    marked = Condition(field="text", operator="contains", value="b")
    workflow = Workflow().if_(LONG).then(shout).end_if().if_(marked).then(mark).end_if()
    assert [outputs(workflow, text=text)["text"] for text in ("long", "b", "x")] == ["LONGs", "bm", "x"]
    drawn = Workflow().if_(LONG).then(shout).end_if().output()
    assert [outputs(drawn, text=text) for text in ("long", "x")] == [{"text": "LONGs"}, {"text": "x"}]


def test_what_follows_takes_the_place_of_what_came_in() -> None:
    workflow = Workflow().then(shout).if_(LONG).then(shout).end_if().then(measure)
    assert outputs(workflow, text="b") == {"size": 2}
    beside = Workflow().then(shout).if_(LONG).then(shout).end_if().add_task_to_graph(measure)
    assert outputs(beside, text="b") == {"size": [1]}


def test_an_arm_that_failed_does_not_pass_what_came_in(project: Project) -> None:
    workflow = Workflow().if_(LONG).then(fail).end_if()
    run = project.run_sync(workflow, {"text": "long"}, continue_on_error=True)
    assert (run.status, run.outputs) == ("failed", {})
    rescued = Workflow().if_(LONG).then(fail).on_error(rescue).end_if()
    assert outputs(rescued, text="long") == {"said": "ValueError: long"}


def test_a_preview_does_not_pass_what_an_arm_will_change() -> None:
    assert Workflow().if_(LONG).then(shout).end_if().run_preview({"text": "long"}) == {}
    assert Workflow().if_(LONG).then(shout).end_if().run_preview({"text": "b"}) == {"text": "b"}


def test_a_result_of_two_kinds_says_so() -> None:
    workflow = Workflow().then(measure).rename("size", "text").if_(LONG)
    schema = workflow.then(shout, text="literal").end_if().graph.output_schema()
    assert schema["properties"] == {"text": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}


# ---------------------------------------------------------------------- for any program

Steps: TypeAlias = "list[Any]"
CONDITIONS = {
    name: Condition(field="text", operator="contains", value=name) for name in ("s", "m", "a")
}  # asked of the text, which each task changes


@st.composite
def programs(draw: st.DrawFn, depth: int = 2, *, is_last: bool = True) -> Steps:
    """Tasks one after the other; an `if` stands at the beginning or behind a task, and what follows it needs a text."""
    program: Steps = draw(st.lists(st.sampled_from(["shout", "mark"]), min_size=not depth, max_size=2))
    if not depth:
        return program
    if draw(st.booleans()):
        program += [draw(forks(depth, is_last=False)), "shout"]
    end = draw(st.sampled_from(["shout", "measure", "if", "if"]))
    if end == "if":
        return [*program, draw(forks(depth, is_last=is_last))]
    return [*program, end if is_last else "mark"]


@st.composite
def forks(draw: st.DrawFn, depth: int, *, is_last: bool) -> Any:
    arm = programs(depth - 1, is_last=is_last)
    return draw(st.sampled_from(sorted(CONDITIONS))), draw(arm), draw(st.none() | arm)


def build(workflow: Workflow, program: Steps) -> Workflow:
    for step in program:
        if isinstance(step, str):
            workflow = workflow.then(TASKS[step])
            continue
        condition, then, otherwise = step
        workflow = build(workflow.if_(CONDITIONS[condition]), then)
        workflow = (workflow if otherwise is None else build(workflow.else_(), otherwise)).end_if()
    return workflow


def names(program: Steps) -> set[str]:
    last = program[-1]
    if isinstance(last, str):
        return {"mark": {"text", "mark"}, "measure": {"size"}}.get(last, {"text"})
    return names(last[1]) | names(last[2] or last[1])


def meant(program: Steps, values: dict[str, Any]) -> dict[str, Any]:
    """Run it in Python: a task's outputs take the place of all before, and an arm's are laid over what came in."""
    for step in program:
        if isinstance(step, str):
            result: Any = TASKS[step](values["text"])
            values = result if step == "mark" else {"size" if step == "measure" else "text": result}
            continue
        condition, then, otherwise = step
        taken = then if condition in values["text"].lower() else otherwise
        values = {**values, **(meant(taken, values) if taken is not None else {})}
    return values


TEXTS = st.sampled_from(["a", "b", "ab", "s", "m", "x"])


@settings(max_examples=200, deadline=None)
@given(programs(), TEXTS, st.booleans())
def test_a_program_gives_what_python_gives(program: Steps, text: str, marked: bool) -> None:
    inputs: dict[str, Any] = {"text": text, "mark": 7} if marked and not isinstance(program[0], str) else {"text": text}
    workflow = build(Workflow(), program)
    expected = {name: value for name, value in meant(program, inputs).items() if name in names(program)}
    assert outputs(workflow, **inputs) == expected
    read = Workflow.from_json(workflow.to_json(), KNOWN)
    assert outputs(read, **inputs) == expected
    assert expected.keys() <= workflow.graph.output_schema()["properties"].keys()
    several = TaskGraph()
    several.add_task(MapTask(workflow.to_graph(), id="map", max_iterations="unbounded"))
    lists = {name: [value, value] for name, value in inputs.items()}
    mapped: Any = several.run_sync(lists).outputs
    assert {name: values for name, values in mapped.items() if values != [None, None]} == {
        name: [value, value] for name, value in expected.items()
    }
