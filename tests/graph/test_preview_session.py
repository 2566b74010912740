"""A preview that stays open: what a change reaches is asked again, and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from workglow.errors import GraphError, TaskConfigurationError, TaskFailedError, TaskInputError, UnknownTaskError
from workglow.graph.building.workflow import Workflow
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.graph import TaskGraph
from workglow.graph.previews.preview import Preview
from workglow.graph.previews.scope import PreviewScope
from workglow.tasks import MISSING, Task, task


class Mix(Task):
    """Mixes its inputs; odd totals have no preview when it is shy, and those that 7 divides fail when it is brittle."""

    asked: ClassVar[list[str]] = []

    class Input(BaseModel):
        a: int = 0
        b: int = 0
        anything: Any = None

    class Output(BaseModel):
        total: int
        parity: int
        all: Any = None

    class Config(BaseModel):
        shy: bool = False
        brittle: bool = False

    def execute_preview(self, inputs: Input, context: Any) -> dict[str, Any] | None:
        self.asked.append(context.path)
        total = (3 * inputs.a + inputs.b + sum(map(ord, repr(inputs.anything)))) % 64
        if self.config["brittle"] and total % 7 == 0:
            raise ValueError("seven")
        if self.config["shy"] and total % 2:
            return None
        return {"total": total, "parity": total % 2}


def chain(size: int) -> TaskGraph:
    graph = TaskGraph()
    for number in range(size):
        graph.add_task(Mix(id=f"t{number}"))
        if number:
            graph.add_dataflow(f"t{number - 1}", "total", f"t{number}", "a")
    return graph


def seen(preview: Preview) -> dict[str, Any]:
    return {
        path: (task.state, dict(task.outputs), task.reason, type(task.error)) for path, task in preview.tasks.items()
    }


@pytest.fixture(autouse=True)
def _nobody_was_asked() -> None:
    Mix.asked.clear()


def test_only_what_hangs_on_a_change_is_asked_again() -> None:
    graph = chain(4)
    graph.add_task(Mix(id="beside"))
    preview = graph.preview({"b": 1})
    Mix.asked.clear()
    changed = preview.set(defaults={"t2": {"b": 5}})
    assert Mix.asked == list(changed) == ["t2", "t3"]
    assert changed["t3"].outputs == preview.tasks["t3"].outputs


def test_an_answer_as_before_goes_no_further() -> None:
    graph = chain(1)
    graph.add_task(Mix(id="odd"))
    graph.add_dataflow("t0", "parity", "odd", "a")
    preview = graph.preview({"a": 1})
    Mix.asked.clear()
    assert list(preview.set({"a": 3})) == ["t0"]
    assert Mix.asked == ["t0"]


def test_nothing_changed_asks_nobody() -> None:
    preview = chain(3).preview({"anything": {"deep": [1.5, None]}})
    Mix.asked.clear()
    assert preview.set({"anything": {"deep": [1.5, None]}}) == preview.refresh() == {}
    assert Mix.asked == []


def test_an_input_changed_in_place_is_another_input() -> None:
    items = [1]
    preview = chain(1).preview({"anything": items})
    items.append(2)
    assert list(preview.set({"anything": items})) == ["t0"]
    assert preview.inputs == {"anything": [1, 2]}


def test_minus_zero_is_written_otherwise() -> None:
    preview = chain(1).preview({"anything": 0.0})
    assert list(preview.set({"anything": -0.0})) == ["t0"]


def test_an_input_is_taken_away() -> None:
    preview = chain(2).preview({"a": 5})
    preview.set({"a": MISSING})
    assert preview.inputs == {}
    assert seen(preview) == seen(chain(2).preview())


def test_what_is_refused_changes_nothing() -> None:
    preview = chain(2).preview({"a": 1})
    before = seen(preview)
    with pytest.raises(TaskInputError, match="aa"):
        preview.set({"aa": 1})
    with pytest.raises(TaskInputError, match="default 'a'"):
        preview.set({"a": 9}, defaults={"t1": {"b": 1}, "t0": {"a": "x"}})
    with pytest.raises(UnknownTaskError, match="no task 't7'"):
        preview.set(defaults={"t7": {}})
    assert (seen(preview), preview.inputs, preview.refresh()) == (before, {"a": 1}, {})
    assert not preview.graph.tasks["t1"].defaults


def test_the_graph_that_was_given_stays_as_it_is() -> None:
    graph = chain(2)
    preview = graph.preview()
    preview.set(defaults={"t0": {"a": 5}})
    preview.graph.remove_task("t1")
    preview.refresh()
    assert (list(preview.tasks), list(graph.tasks), dict(graph.tasks["t0"].defaults)) == (["t0"], ["t0", "t1"], {})


def test_edits_of_the_graph_count_without_a_refresh_too() -> None:
    preview = chain(2).preview({"a": 1})
    preview.graph.add_task(Mix(id="new"))
    preview.graph.add_dataflow("t1", "total", "new", "a")
    changed = preview.set({"a": 2}, defaults={"new": {"b": 1}})
    assert list(changed) == ["t0", "t1", "new"]
    assert seen(preview) == seen(preview.graph.preview({"a": 2}))


def test_reasons_are_said() -> None:
    graph = chain(2)
    graph.add_task(Mix(id="shy", shy=True, defaults={"a": 1}))
    graph.add_task(Mix(id="brittle", brittle=True, defaults={"b": 5}))
    graph.add_dataflow("shy", "total", "t0", "a")
    graph.add_task(Mix(id="after"))
    graph.add_dataflow("brittle", "total", "after", "a")
    preview = graph.preview()
    tasks = preview.tasks
    assert (tasks["shy"].state, tasks["shy"].reason) == ("unknown", "Mix gives no preview.")
    assert tasks["t0"].reason == "'t0' waits: 'shy' has no preview."
    assert tasks["t1"].reason == "'t1' waits: 't0' has no preview."
    assert (tasks["brittle"].state, tasks["after"].reason) == ("failed", "'after' waits: 'brittle' failed.")
    assert isinstance(preview.errors["brittle"], TaskFailedError)
    assert list(preview.errors) == ["brittle"]
    assert repr(preview) == "Preview(4 unknown, 1 failed)"
    assert "brittle" not in preview.outputs


def test_an_optional_port_fed_by_the_unknown_does_not_fall_back_to_its_default() -> None:
    graph = chain(2)
    preview = Preview(_with(graph, "t0", Mix(id="t0", shy=True, defaults={"b": 1})))
    assert {path: task.state for path, task in preview.tasks.items()} == {"t0": "unknown", "t1": "unknown"}


def _with(graph: TaskGraph, id: str, task: Task) -> TaskGraph:
    graph.replace_task(id, task)
    return graph


class TestGroups:
    @staticmethod
    def group() -> TaskGraph:
        inner = chain(2)
        inner.add_task(Mix(id="other"))
        graph = TaskGraph()
        graph.add_task(GraphAsTask(inner, id="group"))
        graph.add_task(Mix(id="after"))
        graph.add_dataflow("group", "total", "after", "anything")
        return graph

    def test_a_literal_inside_asks_what_hangs_on_it(self) -> None:
        preview = self.group().preview({"a": 1, "b": 1, "anything": 1})
        Mix.asked.clear()
        changed = preview.set(defaults={"group/t1": {"b": 30}})
        assert Mix.asked == ["group/t1", "after"]
        assert list(changed) == ["group/t1", "group", "after"]

    def test_a_list_that_lacks_members_is_not_shown(self) -> None:
        graph = self.group()
        inner = cast("GraphAsTask", graph.tasks["group"]).subgraph.copy()
        inner.replace_task("other", Mix(shy=True))
        graph.replace_task("group", GraphAsTask(inner))
        preview = graph.preview({"a": 1})
        states = {path: task.state for path, task in preview.tasks.items()}
        assert (states["group/t1"], states["group/other"]) == ("previewed", "unknown")
        assert (states["group"], states["after"]) == ("unknown", "unknown")
        assert preview.tasks["group"].reason == "'group' waits: 'group/other' has no preview."


class TestBranches:
    @staticmethod
    def graph() -> TaskGraph:
        graph = TaskGraph()
        condition = {"field": "a", "operator": "greater_than", "value": 5}
        graph.add_task(ConditionalTask(id="if", branches=[{"id": "yes", "condition": condition}, {"id": "no"}]))
        graph.add_task(Mix(id="then"))
        graph.add_task(Mix(id="after"))
        graph.add_dataflow("then", "total", "after", "a")
        return graph

    def test_a_port_that_is_off_says_so_to_an_edge_drawn_later(self) -> None:
        preview = self.graph().preview({"a": 1})
        preview.graph.add_dataflow("if", "yes", "then", "*")
        preview.refresh()
        assert preview.tasks["then"].state == "disabled"
        assert preview.tasks["after"].reason == "Its branch is not taken."

    def test_from_unknown_to_off_and_to_failed(self) -> None:
        graph = self.graph()
        graph.replace_task("then", Mix(brittle=True, defaults={"b": 5}))
        graph.add_dataflow("if", "yes", "then", "*")
        preview = graph.preview({"a": 6, "b": 1})
        states: list[tuple[str, str]] = []
        for a in (6, 7, 1, 33, 6):
            preview.set({"a": a})
            states.append((preview.tasks["then"].state, preview.tasks["after"].state))
            assert seen(preview) == seen(graph.preview({"a": a, "b": 1}))
        assert ("disabled", "disabled") in states

    @pytest.mark.parametrize(("one", "other"), [("shy", "brittle"), ("brittle", "shy"), ("shy", "off"), ("off", "shy")])
    def test_why_it_is_not_known_is_passed_on(self, one: str, other: str) -> None:
        graph = self.graph()
        graph.add_dataflow("if", "yes", "then", "b", [{"id": "pick", "params": {"path": "b"}}])
        kinds: dict[str, Any] = {
            "shy": Mix(shy=True, defaults={"a": 1}),  # 3 + 2 + 400, which is odd
            "brittle": Mix(brittle=True, defaults={"a": 1, "anything": "AA"}),
            "off": Mix(),
        }
        preview = graph.preview({"a": 6, "b": 2})
        for kind in (one, other):
            preview.graph.replace_task("then", kinds[kind])
            preview.set({"a": 1 if kind == "off" else 6})
            preview.refresh()
            assert seen(preview) == seen(preview.graph.preview({"a": 1 if kind == "off" else 6, "b": 2}))


class Coroutine(Mix):
    async def execute_preview(self, inputs: Mix.Input, context: Any) -> dict[str, Any] | None:  # type: ignore[override]
        import asyncio

        await asyncio.sleep(0)
        if inputs.b == 7:
            raise ValueError("seven")
        return super().execute_preview(inputs, context)  # type: ignore[misc]


def test_coroutines_are_awaited_and_their_errors_kept() -> None:
    graph = chain(3)
    graph.replace_task("t1", Coroutine(defaults={"b": 7}))
    preview = graph.preview({"a": 0, "anything": None})
    assert preview.tasks["t1"].state == "failed"
    assert isinstance(preview.errors["t1"].__cause__, ValueError)
    assert list(preview.set(defaults={"t1": {"b": 1}})) == ["t1", "t2"]
    assert preview.errors == {}
    graph.replace_task("t1", Mix(defaults={"b": 1}))
    assert seen(preview) == seen(graph.preview({"a": 0, "anything": None}))


def test_what_is_interrupted_at_its_end_is_passed_on_later(monkeypatch: pytest.MonkeyPatch) -> None:
    preview = chain(3).preview({"a": 1})
    show = PreviewScope._show  # pyright: ignore[reportPrivateUsage]

    def interrupt(self: PreviewScope, run: Any, answer: object) -> None:
        show(self, run, answer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PreviewScope, "_show", interrupt)
        with pytest.raises(KeyboardInterrupt):
            preview.set({"a": 2})
    preview.refresh()
    assert seen(preview) == seen(chain(3).preview({"a": 2}))


def test_what_is_interrupted_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    preview = chain(3).preview({"a": 1})

    def interrupt(self: Task, inputs: Any, context: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Mix, "preview", interrupt)
        with pytest.raises(KeyboardInterrupt):
            preview.set({"a": 2})
    preview.refresh()
    assert seen(preview) == seen(chain(3).preview({"a": 2}))


def test_functions_that_are_their_own_preview() -> None:
    @task(name="preview_quick", output="text", preview=True)
    def quick(text: str) -> str:
        return text.upper()

    @task(name="preview_async", output="text", preview=True)
    async def asynchronous(text: str) -> str:
        return text + "!"

    @task(name="preview_other", output="text", preview=lambda text: text[:2] if text else None)
    def slow(text: str) -> str:
        raise AssertionError("a preview runs nothing")

    @task(name="preview_none", output="text")
    def hidden(text: str) -> str:
        raise AssertionError("a preview runs nothing")

    preview = Workflow().then(quick).then(asynchronous).then(slow).preview({"text": "abc"})
    assert [dict(one.outputs) for one in preview.tasks.values()] == [{"text": "ABC"}, {"text": "ABC!"}, {"text": "AB"}]
    assert Workflow().then(slow).preview({"text": ""}).tasks["preview_other"].state == "unknown"
    assert Workflow().then(hidden).preview({"text": ""}).tasks["preview_none"].state == "unknown"
    assert [one.task_type.has_preview() for one in (quick, asynchronous, slow, hidden)] == [True, True, True, False]
    with pytest.raises(TaskConfigurationError, match="cannot be its own preview"):
        task(name="preview_pay", side_effects=True, preview=True)(lambda text: text)


class Owned:
    closed = 0

    def close(self) -> None:
        Owned.closed += 1


class Owner(Mix):
    def execute_preview(self, inputs: Mix.Input, context: Any) -> dict[str, Any] | None:
        context.own(Owned())
        return super().execute_preview(inputs, context)  # type: ignore[misc]


def test_what_a_preview_owns_is_released() -> None:
    Owned.closed = 0
    preview = _with(chain(1), "t0", Owner(brittle=True, defaults={"b": 5})).preview()
    assert preview.tasks["t0"].state == "failed"
    assert Owned.closed == 1


def test_a_workflow() -> None:
    workflow = Workflow().then(Mix, id="one").then(Mix, id="two")
    assert workflow.preview({"a": 1}).outputs == workflow.graph.preview({"a": 1}).outputs != {}
    with pytest.raises(GraphError, match="waits for a task"):
        workflow.rename("total", "a").preview()


# ---------------------------------------------------------------------- random edits

PORTS = ("total", "parity", "all", "*", "[error]")
IDS = ("a", "b", "c", "d", "e", "group", "if")


def make(kind: str, id: str, values: tuple[int, bool, bool]) -> Task:
    number, shy, brittle = values
    if kind == "group":
        inner = chain(2)
        inner.add_task(Mix(id="tail", shy=shy, brittle=brittle))
        inner.add_dataflow("t0", "parity", "tail", "b")
        return GraphAsTask(inner, id=id)
    if kind == "if":
        condition = {"field": "a", "operator": "greater_than", "value": number}
        return ConditionalTask(
            id=id, branches=[{"id": "yes", "condition": condition}, {"id": "no"}], default_branch="no"
        )
    return Mix(id=id, shy=shy, brittle=brittle, defaults={"b": number} if number % 3 else {})


SETTINGS = st.tuples(st.integers(0, 20), st.booleans(), st.booleans())
EDITS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(["a", "b", "anything"]), st.integers(0, 3)),
    st.tuples(st.just("unset"), st.sampled_from(["a", "b", "anything"])),
    st.tuples(st.just("default"), st.sampled_from([*IDS[:5], "group/t1"]), st.sampled_from("ab"), st.integers(0, 9)),
    st.tuples(st.just("connect"), st.sampled_from(IDS), st.sampled_from([*PORTS, "yes", "no"]), st.sampled_from(IDS),
              st.sampled_from(["a", "b", "anything", "*"])),
    st.tuples(st.just("cut"), st.integers(0, 30)),
    st.tuples(st.just("task"), st.sampled_from(IDS), SETTINGS),
    st.tuples(st.just("remove"), st.sampled_from(IDS)),
)  # fmt: skip


def edit(preview: Preview, step: tuple[Any, ...]) -> None:
    """Do one edit, or none when the graph refuses it."""
    graph = preview.graph
    match step:
        case "set", name, value:
            preview.set({name: value})
        case "unset", name:
            preview.set({name: MISSING})
        case "default", path, port, value:
            preview.set(defaults={path: {port: value}})
        case "connect", source, source_port, target, target_port:
            graph.add_dataflow(source, source_port, target, target_port)
        case "cut", number:
            edges = graph.dataflows()
            if edges:
                graph.remove_dataflow(edges[number % len(edges)])
        case "task", id, values:
            if id in graph.tasks:
                graph.replace_task(id, make(id, id, values))
            else:
                graph.add_task(make(id, id, values))
        case "remove", id:
            graph.remove_task(id)
        case _:
            raise AssertionError(step)
    preview.refresh()


@settings(deadline=None, max_examples=150)
@given(start=st.lists(SETTINGS, min_size=7, max_size=7), steps=st.lists(EDITS, max_size=25))
def test_after_any_edits_it_shows_what_a_new_preview_shows(start: list[Any], steps: list[Any]) -> None:
    graph = TaskGraph()
    for id, values in zip(IDS, start, strict=True):
        graph.add_task(make(id, id, values))
    preview = graph.preview()
    for step in steps:
        before, known = seen(preview), dict(preview.inputs)
        Mix.asked.clear()
        try:
            edit(preview, step)
        except (GraphError, TaskInputError):
            preview.set(dict.fromkeys(known, MISSING))  # an input that nothing takes any more
            preview.refresh()
            continue
        asked = list(Mix.asked)
        assert len(asked) == len(set(asked))
        Mix.asked.clear()
        anew = preview.graph.preview(preview.inputs)
        assert seen(preview) == seen(anew)
        assert preview.outputs == anew.outputs
        if step[0] == "default" and "/" not in step[1]:
            reached = {step[1], *preview.graph.descendants(step[1])}
            assert {path.partition("/")[0] for path in asked} <= reached
            changed = {path for path, state in seen(preview).items() if state != before.get(path)}
            assert {path.partition("/")[0] for path in changed} <= reached
