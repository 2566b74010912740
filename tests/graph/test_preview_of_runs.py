"""The preview of a run: what completed shows what it gave, until something that it reads is another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import workglow as wg
from workglow.errors import GraphError, TaskFailedError, TaskInputError
from workglow.graph.control.compound import GraphAsTask
from workglow.graph.control.map import MapTask
from workglow.graph.dataflow import Dataflow
from workglow.graph.graph import TaskGraph
from workglow.graph.previews.preview import Preview
from workglow.graph.run import Run
from workglow.project import Project
from workglow.tasks import MISSING, Task, TaskRegistry


class Slow(Task):
    """Takes long, so it has no preview."""

    ran: ClassVar[list[str]] = []
    cacheable = False

    class Input(BaseModel):
        x: int = 0

    class Output(BaseModel):
        x: int
        sign: int

    def execute(self, inputs: Input, context: Any) -> dict[str, Any]:
        self.ran.append(context.path)
        if inputs.x == 13:
            raise ValueError("thirteen")
        return {"x": inputs.x + 100, "sign": (inputs.x > 0) - (inputs.x < 0)}


class Quick(Slow):
    def execute_preview(self, inputs: Slow.Input, context: Any) -> dict[str, Any]:
        return {"x": inputs.x + 1, "sign": (inputs.x > 0) - (inputs.x < 0)}


class Handler(Task):
    cacheable = False

    class Output(BaseModel):
        x: int

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {"x": -1}


@pytest.fixture
def project(project_path: Path) -> Iterator[Project]:
    Slow.ran.clear()
    with wg.open(project_path, registry=TaskRegistry([Slow, Quick, Handler])) as project:
        yield project


def graph_of(*tasks: Task, edges: str = "") -> TaskGraph:
    graph = TaskGraph()
    for task in tasks:
        graph.add_task(task)
    for edge in edges.split():
        source, port, target = edge.split(".")
        graph.add_dataflow(source, port, target, "x" if port != "[error]" else "*")
    return graph


def states(preview: Preview) -> dict[str, str]:
    return {path: task.state for path, task in preview.tasks.items()}


def test_completed_tasks_show_their_output_and_nothing_runs(project: Project) -> None:
    graph = graph_of(Slow(id="a"), Quick(id="b"), Slow(id="c"), edges="a.x.b b.x.c")
    run = project.run_sync(graph, {"x": 1})
    before = len(project.runs()), project.get(run.id).events
    Slow.ran.clear()
    preview = project.preview(run.id)
    assert states(preview) == dict.fromkeys("abc", "completed")
    assert preview.outputs == run.outputs
    changed = preview.set({"x": 2})
    assert {path: task.state for path, task in changed.items()} == {"a": "unknown", "b": "unknown", "c": "unknown"}
    assert preview.tasks["a"].reason == "What 'a' reads has changed since the run, and Slow gives no preview."
    assert list(preview.set({"x": 1})) == ["a", "b", "c"]
    assert preview.outputs == run.outputs
    assert Slow.ran == []
    assert (len(project.runs()), project.get(run.id).events) == before


def test_only_what_is_behind_a_change_is_previewed(project: Project) -> None:
    graph = graph_of(Slow(id="a"), Quick(id="b"), Quick(id="c"), edges="a.x.b b.x.c")
    run = project.run_sync(graph, {"x": 1})
    preview = project.preview(run.id)
    preview.graph.remove_dataflow("a[x] ==> b[x]")
    preview.graph.add_dataflow("a", "sign", "b", "x")
    preview.refresh()
    assert states(preview) == {"a": "completed", "b": "previewed", "c": "previewed"}
    assert preview.outputs == {"x": 3, "sign": 1}


def test_a_change_that_brings_the_same_keeps_what_completed(project: Project) -> None:
    graph = graph_of(Quick(id="a"), Slow(id="b"), edges="a.sign.b")
    run = project.run_sync(graph, {"x": 1})
    preview = project.preview(run.id, {"x": 5})
    assert states(preview) == {"a": "previewed", "b": "completed"}
    assert states(project.preview(run.id, {"x": -5})) == {"a": "previewed", "b": "unknown"}


def test_what_failed_is_previewed_and_what_handled_it_stands(project: Project) -> None:
    graph = graph_of(Quick(id="a"), Handler(id="h"), GraphAsTask(graph_of(Handler(id="i")), id="g"),
                     edges="a.[error].h a.[error].g")  # fmt: skip
    run = project.run_sync(graph, {"x": 13})
    preview = project.preview(run.id)
    assert states(preview) == {"a": "previewed", "h": "completed", "g": "completed"}
    preview.set({"x": 1})
    assert states(preview) == {"a": "previewed", "h": "disabled", "g": "disabled"}


def test_a_run_that_stopped_half_way(project: Project) -> None:
    graph = graph_of(Slow(id="a"), Slow(id="b"), Quick(id="c"), edges="a.x.b b.x.c")
    with pytest.raises(TaskFailedError) as caught:
        project.run_sync(graph, {"x": -87})
    assert isinstance(caught.value.run, Run)
    preview = project.preview(caught.value.run.id)
    assert states(preview) == {"a": "completed", "b": "unknown", "c": "unknown"}
    assert preview.tasks["a"].outputs == {"x": 13, "sign": -1}


def test_groups_and_loops(project: Project) -> None:
    inner = graph_of(Slow(id="s"), Quick(id="q"))
    inner.name_input("one", "s", "x")
    inner.name_input("two", "q", "x")
    loop = MapTask(graph_of(Slow(id="s")), id="m", max_iterations="unbounded")
    graph = graph_of(GraphAsTask(inner, id="g"), loop)
    run = project.run_sync(graph, {"one": 1, "two": 2, "x": [1, 2]})
    preview = project.preview(run.id)
    assert states(preview) == dict.fromkeys(["g", "g/s", "g/q", "m"], "completed")
    preview.set({"two": 3})
    assert states(preview) == {"g": "previewed", "g/s": "completed", "g/q": "previewed", "m": "completed"}
    assert preview.tasks["g"].outputs["x"] == [101, 4]
    preview.set({"x": [1]})
    assert preview.tasks["m"].state == "unknown"
    preview.set({"x": [1, 2], "two": 2})
    assert states(preview) == dict.fromkeys(["g", "g/s", "g/q", "m"], "completed")


def test_other_code_is_another_task(project: Project) -> None:
    run = project.run_sync(graph_of(Slow(id="a"), Quick(id="b"), edges="a.x.b"), {"x": 1})
    newer = type("Slow", (Slow,), {"version": "another", "type": "Slow", "execute": Slow.execute})
    registry = TaskRegistry([newer, Quick])
    with_newer = Project(project.file, registry=registry)
    assert states(with_newer.preview(run.id)) == {"a": "unknown", "b": "unknown"}


def test_a_literal_and_back(project: Project) -> None:
    graph = graph_of(Slow(id="a", defaults={"x": 3}), Quick(id="b"), edges="a.x.b")
    run = project.run_sync(graph)
    preview = project.preview(run.id)
    preview.set(defaults={"b": {}})
    assert states(preview) == {"a": "completed", "b": "completed"}
    preview.set(defaults={"a": {"x": MISSING}})
    assert states(preview) == {"a": "unknown", "b": "unknown"}
    preview.set(defaults={"a": {"x": 3}})
    assert states(preview) == {"a": "completed", "b": "completed"}


def test_a_literal_inside_a_group_and_back(project: Project) -> None:
    graph = graph_of(GraphAsTask(graph_of(Slow(id="s", defaults={"x": 3}), Quick(id="q")), id="g"))
    run = project.run_sync(graph, {"x": 1})
    preview = project.preview(run.id)
    preview.set(defaults={"g/q": {"x": 4}})
    assert states(preview) == {"g": "previewed", "g/s": "completed", "g/q": "previewed"}
    preview.set(defaults={"g/q": {"x": MISSING}})
    assert states(preview) == {"g": "completed", "g/s": "completed", "g/q": "completed"}
    preview.graph.replace_task("g", GraphAsTask(graph_of(Slow(id="s", defaults={"x": 3}))))
    preview.refresh()
    assert states(preview) == {"g": "previewed", "g/s": "completed"}


EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("input"), st.sampled_from([1, 5, -5, 13, -87])),
        st.tuples(st.just("literal"), st.sampled_from(["a", "b", "g/s", "g/q"]), st.sampled_from([0, 13, MISSING])),
        st.tuples(st.just("cut"), st.sampled_from(["a[x] ==> b[x]", "b[sign] ==> g[x]"])),
        st.tuples(st.just("join"), st.sampled_from(["a[x] ==> b[x]", "b[sign] ==> g[x]", "a[sign] ==> b[x]"])),
    ),
    max_size=8,
)  # fmt: skip


def edit(preview: Preview, kind: str, *what: Any) -> None:
    if kind == "input":
        preview.set({"x": what[0]})
    elif kind == "literal":
        preview.set(defaults={what[0]: {"x": what[1]}})
    elif kind == "cut":
        preview.graph.remove_dataflow(what[0])
    else:
        edge = Dataflow.parse(what[0])
        preview.graph.add_dataflow(edge.source, edge.source_port, edge.target, edge.target_port)
    preview.refresh()


@settings(deadline=None, max_examples=60)
@given(x=st.sampled_from([1, 13, -87]), edits=EDITS)
def test_after_any_edits_it_shows_what_a_new_preview_of_the_run_shows(x: int, edits: list[Any]) -> None:
    inner = graph_of(Slow(id="s"), Quick(id="q"), edges="s.sign.q")
    graph = graph_of(Quick(id="a"), Slow(id="b"), GraphAsTask(inner, id="g"), Handler(id="h"),
                     edges="a.x.b b.sign.g b.[error].h")  # fmt: skip
    with wg.open(":memory:", registry=TaskRegistry([Slow, Quick, Handler])) as project:
        with suppress(TaskFailedError):  # 13 fails where nothing handles it
            project.run_sync(graph, {"x": x})
        run = project.runs()[-1]
        preview = project.preview(run.id)
        for step in edits:
            with suppress(GraphError, TaskInputError):
                edit(preview, *step)
        anew = project.preview(run.id)
        anew.graph = preview.graph.copy()
        anew.set(preview.inputs)
    assert states(preview) == states(anew)
    outputs = [{path: dict(task.outputs) for path, task in one.tasks.items()} for one in (preview, anew)]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize(("x", "y"), list(product((1, 5, 13), repeat=2)))
def test_the_order_of_changes_does_not_matter(project: Project, x: int, y: int) -> None:
    graph = graph_of(Quick(id="a"), Slow(id="b"), Quick(id="c"), Slow(id="d"), edges="a.x.b b.x.c c.sign.d")
    run = project.run_sync(graph, {"x": 1})
    preview = project.preview(run.id)
    preview.set({"x": x})
    preview.set({"x": y})
    anew = project.preview(run.id, {"x": y})
    assert states(preview) == states(anew)
    assert preview.outputs == anew.outputs
