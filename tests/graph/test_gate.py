"""No task begins that needs what was not granted: before a run, and just before each task."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import workglow as wg
from workglow import Entitlement, EntitlementRequest, MapTask, Retry, TaskContext, TaskGraph, Workflow, task
from workglow.errors import TaskConfigurationError, TaskEntitlementError, WorkglowError
from workglow.graph.json.dependency_codec import graph_from_dependency_json, graph_to_dependency_json
from workglow.tasks import Task

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


@task(name="gate_plain", output="path", inline=True, cache=False)
def plain(path: str) -> str:
    ran.append(path)
    return path


@task(name="gate_paths", output="paths", inline=True, cache=False)
def paths(paths: list[str]) -> list[str]:
    return paths


@task(name="gate_read", output="text", inline=True, cache=False, entitlements=("files:read={path}",))
def read(path: str) -> str:
    ran.append(path)
    return f"text of {path}"


@task(name="gate_fetch", output="text", entitlements=(Entitlement("network", reason="to fetch the page"),))
async def fetch(path: str) -> str:
    ran.append(path)
    return path


@task(name="gate_careful", inline=True, cache=False, entitlements=(Entitlement("network", optional=True),))
def careful(path: str, context: TaskContext) -> bool:
    ran.append(path)
    return context.is_allowed("network", "example.com")


def graph_of(*steps: Any) -> TaskGraph:
    """A graph of tasks, one after the other."""
    graph = TaskGraph()
    made = [graph.add_task(step) for step in steps]
    for before, after in pairwise(made):
        graph.add_dataflow(before.id, next(iter(before.outputs)), after.id, next(iter(after.inputs)))
    return graph


def loaded(graph: TaskGraph) -> TaskGraph:
    return TaskGraph.from_json(graph.to_json())


def refused(graph: Any, inputs: Mapping[str, object], **rights: Any) -> TaskEntitlementError:
    with pytest.raises(TaskEntitlementError) as caught:
        graph.run_sync(inputs, **rights)
    return caught.value


# ---------------------------------------------------------------------- whose graph it is


def test_a_graph_that_the_program_made_may_do_everything() -> None:
    assert graph_of(read).run_sync({"path": "/etc/x"}).outputs == {"text": "text of /etc/x"}
    assert Workflow().then(read).run_sync({"path": "a"}).status == "completed"


def test_a_graph_from_json_may_do_nothing_until_it_is_granted() -> None:
    graph = loaded(graph_of(plain, read))
    error = refused(graph, {"path": "/data/a"})
    assert ran == []
    assert "files:read for 'gate_read' (gate_read) (no matching grant)" in str(error)
    assert "entitlements=['files:read'], or --allow files:read on the command line" in str(error)
    assert graph.run_sync({"path": "/data/a"}, entitlements=["files:read=/data"]).status == "completed"


def test_a_task_that_needs_nothing_runs_whoever_wrote_the_graph() -> None:
    assert loaded(graph_of(plain)).run_sync({"path": "a"}, entitlements=[]).status == "completed"


def forms(graph: TaskGraph) -> dict[str, Any]:
    """The ways from a graph that was read to one that runs."""
    read_back = loaded(graph)
    holder, taken = TaskGraph(), TaskGraph()
    holder.add_task(read_back, id="inside")
    for one in read_back.tasks.values():
        taken.add_task(one.replace(title="Mine"))
    return {
        "itself": read_back,
        "a copy": read_back.copy(),
        "a part": read_back.subgraph_from("gate_read"),
        "a workflow": Workflow.from_json(graph.to_json()),
        "a workflow's graph": Workflow.from_json(graph.to_json()).to_graph(),
        "from dependencies": graph_from_dependency_json(graph_to_dependency_json(graph)),
        "inside another": holder,
        "inside a workflow": Workflow().then(read_back),
        "in a loop": Workflow().then(MapTask(read_back, max_iterations="unbounded", iterate=("path",))),
        "task by task": taken,
    }


@pytest.mark.parametrize("form", forms(graph_of(read)))
def test_no_way_to_run_it_makes_data_a_program(form: str) -> None:
    path: Any = ["a"] if form == "in a loop" else "a"
    error = refused(forms(graph_of(read))[form], {"path": path})
    assert "files:read" in str(error)
    assert ran == []
    assert forms(graph_of(read))[form].run_sync({"path": path}, entitlements=["files:read"]).status == "completed"


def test_json_cannot_grant_anything() -> None:
    data = graph_of(read).to_json()
    data["tasks"][0]["entitlements"] = {"entitlements": []}
    assert "files:read" in str(refused(TaskGraph.from_json(data), {"path": "a"}))
    for key in ("entitlements", "grants", "from_data"):
        with pytest.raises(WorkglowError):
            TaskGraph.from_json({**data, key: ["*"]})
    data["tasks"][0]["config"] = {"entitlements": ["*"]}
    with pytest.raises(WorkglowError):
        TaskGraph.from_json(data)


def test_what_a_task_needs_is_in_the_json() -> None:
    first, second = graph_of(fetch, read).to_json()["tasks"]
    assert first["entitlements"] == {"entitlements": [{"id": "network", "reason": "to fetch the page"}]}
    assert second["entitlements"] == {"entitlements": [{"id": "files:read"}]}


def test_given_entitlements_are_all_that_the_program_s_own_graph_may_do() -> None:
    graph = graph_of(read)
    assert "files:read" in str(refused(graph, {"path": "/data/a"}, entitlements=[]))
    assert "/data/a" in str(refused(graph, {"path": "/data/a"}, entitlements=["files:read=/other"]))
    assert graph.run_sync({"path": "/data/a"}, entitlements=["files:read=/data"]).status == "completed"


def test_a_deny_holds_for_the_program_s_own_graph_too() -> None:
    graph = graph_of(plain, read)
    assert "denied by rule files:read" in str(refused(graph, {"path": "a"}, deny=["files:read"]))
    assert ran == []
    error = refused(graph, {"path": "/etc/passwd"}, deny=["files:read=/etc"], entitlements=["*"])
    assert "What is denied by a rule" in str(error)
    assert ran == ["/etc/passwd"]  # of the task before: the path was not known earlier
    assert graph.run_sync({"path": "/tmp/x"}, deny=["files:read=/etc"]).status == "completed"


def test_what_is_no_entitlement_is_refused_where_it_is_given() -> None:
    with pytest.raises(TaskConfigurationError, match="'no thing' is no entitlement"):
        graph_of(read).run_sync({"path": "a"}, entitlements=["no thing"])


# ---------------------------------------------------------------------- before a run, and before a task


def test_everything_that_is_missing_is_named_at_once_with_the_tasks_that_want_it() -> None:
    graph = TaskGraph()
    body = graph_of(fetch)
    for name in ("one", "two"):
        graph.add_task(read, id=name, path=f"/data/{name}")
    graph.add_task(MapTask(body, id="each", max_iterations="unbounded", iterate=("path",)), path=["a"])
    error = refused(loaded(graph), {})
    assert [(one.task, str(one.entitlement)) for one in error.missing if isinstance(one, EntitlementRequest)] == [
        ("one", "files:read=/data/one"),
        ("two", "files:read=/data/two"),
        ("each/gate_fetch", "network"),
    ]
    assert "network for 'each/gate_fetch' (gate_fetch): to fetch the page" in str(error)
    assert "--allow files:read=/data/one --allow files:read=/data/two --allow network" in str(error)


def test_inputs_that_are_known_are_looked_at_before_anything_runs() -> None:
    graph = TaskGraph()
    graph.add_task(plain, id="first")
    graph.add_task(read, id="second", path="/etc/passwd")
    graph.name_input("start", "first", "path")
    error = refused(loaded(graph), {"start": "/data"}, entitlements=["files:read=/data"])
    assert "/etc/passwd" in str(error)
    assert ran == []


def test_inputs_that_come_from_a_task_are_looked_at_before_the_next_one_begins() -> None:
    graph = loaded(graph_of(plain, read))
    error = refused(graph, {"path": "/etc/passwd"}, entitlements=["files:read=/data"])
    assert "files:read=/etc/passwd for 'gate_read'" in str(error)
    assert ran == ["/etc/passwd"]
    assert error.run is not None
    assert error.run.tasks["gate_read"].attempt == 0  # pyright: ignore


def test_tasks_inside_loops_are_looked_at_one_by_one() -> None:
    graph = TaskGraph()
    graph.add_task(paths)
    graph.add_task(MapTask(graph_of(read), id="each", max_iterations="unbounded", iterate=("path",), concurrency=1))
    graph.add_dataflow("gate_paths", "paths", "each", "path")
    given = {"paths": ["/data/a", "/data/../etc/b", "/data/c"]}
    error = refused(loaded(graph), given, entitlements=["files:read=/data"])
    assert "files:read=/etc/b for 'each[1]/gate_read'" in str(error)
    assert ran == ["/data/a"]


def test_a_task_that_says_for_itself_what_it_needs_is_asked_with_its_inputs() -> None:
    class Reader(Task):
        type = "gate_reader"
        inline = True

        def required_entitlements(self, inputs: Mapping[str, object] | None = None) -> tuple[Entitlement, ...]:
            if inputs is None:
                return (Entitlement("files:read"),)
            return (Entitlement("files:read", (f"/data/{inputs['name']}",)),)

        def execute(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
            return {"read": inputs["name"]}

        inputs = wg.tasks.Ports.from_names("name")  # pyright: ignore

    graph = graph_of(plain, Reader)
    assert graph.run_sync({"path": "a"}, entitlements=["files:read=/data"]).outputs == {"read": "a"}
    assert "/etc/a" in str(refused(graph, {"path": "../etc/a"}, entitlements=["files:read=/data"]))


def test_no_retry_is_wasted_on_what_is_not_granted() -> None:
    @task(name="gate_stubborn", inline=True, retry=Retry(attempts=3), entitlements=("files:read={path}",), cache=False)
    def stubborn(path: str) -> str:
        return path

    events: list[str] = []
    graph = loaded(graph_of(plain, stubborn))
    with pytest.raises(TaskEntitlementError):
        graph.run_sync(
            {"path": "/x"}, entitlements=["files:read=/data"], on_event=lambda event: events.append(event.kind)
        )
    assert "task_retried" not in events


def test_an_error_edge_carries_a_refusal_like_any_failure() -> None:
    @task(name="gate_handler", output="said", inline=True)
    def handler(error: str) -> str:
        return error

    graph = graph_of(plain, read)
    graph.add_task(handler, id="handler")
    graph.add_dataflow("gate_read", "[error]", "handler", "*")
    outputs = loaded(graph).run_sync({"path": "/etc/x"}, entitlements=["files:read=/data"]).outputs
    assert "Denied entitlements: files:read=/etc/x" in outputs["said"]


def test_a_cached_output_is_not_given_to_whoever_may_not_compute_it() -> None:
    @task(name="gate_cached", output="text", inline=True, entitlements=("files:read={path}",))
    def cached(path: str) -> str:
        return f"text of {path}"

    with wg.open(":memory:") as project:
        project.run_sync(graph_of(cached), {"path": "/etc/x"})
        again = project.run_sync(graph_of(cached), {"path": "/etc/x"})
        assert again.usage["cached"] == 1
        for graph, inputs in ((graph_of(cached), {"path": "/etc/x"}), (graph_of(plain, cached), {"path": "/etc/x"})):
            with pytest.raises(TaskEntitlementError):
                project.run_sync(loaded(graph), inputs, entitlements=["files:read=/data"])


# ---------------------------------------------------------------------- doing without, and asking


def test_a_task_does_without_an_optional_entitlement_and_can_tell() -> None:
    graph = graph_of(careful)
    for subject, rights, allowed in (
        (graph, {}, True),
        (loaded(graph), {}, False),
        (loaded(graph), {"entitlements": ["network=example.com"]}, True),
        (loaded(graph), {"entitlements": ["network=other.org"]}, False),
        (graph, {"deny": ["network"]}, False),
    ):
        assert subject.run_sync({"path": "a"}, **rights).outputs == {"output": allowed}  # pyright: ignore


def test_whoever_is_asked_decides_and_is_asked_once() -> None:
    asked: list[str] = []

    def yes(request: EntitlementRequest) -> str:
        asked.append(f"{request.task} {request.entitlement}")
        return "once"

    graph = loaded(graph_of(plain, read))
    assert graph.run_sync({"path": "/data/a"}, on_entitlement=yes).status == "completed"
    assert asked == ["gate_read files:read"]


def test_no_is_no_and_a_deny_is_never_asked_about() -> None:
    graph = loaded(graph_of(fetch))
    assert "network" in str(refused(graph, {"path": "a"}, on_entitlement=lambda _: "no"))
    assert "network" in str(refused(graph, {"path": "a"}, on_entitlement=lambda _: "nonsense"))

    def never(_: object) -> str:
        raise AssertionError("asked about what is denied")

    assert "denied by rule" in str(refused(graph, {"path": "a"}, deny=["network"], on_entitlement=never))
    assert ran == []


def test_a_person_is_told_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").symlink_to("/etc/passwd")
    asked: list[str] = []

    def no(request: EntitlementRequest) -> str:
        asked.append(str(request.entitlement))
        return "no"

    error = refused(loaded(graph_of(read)), {"path": str(tmp_path / "notes.txt")}, on_entitlement=no)
    assert asked == ["files:read=/etc/passwd"]
    assert "files:read=/etc/passwd for 'gate_read'" in str(error)


def test_a_no_is_not_asked_for_again() -> None:
    asked: list[str] = []

    def no(request: EntitlementRequest) -> str:
        asked.append(request.task)
        return "no"

    graph = TaskGraph()
    graph.add_task(fetch, id="one")
    graph.add_task(fetch, id="two")
    error = refused(loaded(graph), {"path": "a"}, on_entitlement=no)
    assert "network for 'one' (gate_fetch), 'two' (gate_fetch)" in str(error)
    assert asked == ["one"]


def test_what_turns_up_in_the_middle_of_a_run_is_asked_about_too() -> None:
    asked: list[str] = []

    def only_data(request: EntitlementRequest) -> str:
        asked.append(str(request.entitlement))
        return "once" if request.entitlement.resources == ("/data/b",) else "no"

    graph = loaded(graph_of(plain, read))
    rights: dict[str, Any] = {"entitlements": ["files:read=/data/a"], "on_entitlement": only_data}
    assert graph.run_sync({"path": "/data/a"}, **rights).status == "completed"
    assert asked == []
    assert graph.run_sync({"path": "/data/b"}, **rights).status == "completed"
    assert "/data/c" in str(refused(graph, {"path": "/data/c"}, **rights))
    assert asked == ["files:read=/data/b", "files:read=/data/c"]


# ---------------------------------------------------------------------- looking


def test_a_graph_says_what_it_needs_and_which_tasks_do() -> None:
    graph = graph_of(plain, read)
    graph.add_task(graph_of(fetch), id="group")
    graph.add_task(careful, id="careful")
    found = {one.entitlement.id: one for one in graph.entitlements()}
    assert found["files:read"].tasks == ("gate_read",)
    assert found["network"].tasks == ("group/gate_fetch", "careful")
    assert found["network"].entitlement == Entitlement("network", (), "to fetch the page")
    assert graph_of(plain).entitlements() == []


def test_a_task_from_data_that_needs_something_gives_no_preview() -> None:
    class Peek(Task):
        """Look at a file."""

        type = "gate_peek"
        entitlements = ("files:read",)

        def execute_preview(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
            ran.append("peeked")
            return {"text": "…"}

    wg.task_registry.register(Peek)
    graph = graph_of(Peek)
    assert graph.preview().tasks["gate_peek"].outputs == {"text": "…"}
    silent = loaded(graph).preview().tasks["gate_peek"]
    assert (silent.state, silent.outputs) == ("unknown", {})
    assert "entitlement" in silent.reason
    assert ran == ["peeked"]


@pytest.mark.parametrize("graph", [graph_of(read), graph_of(plain, read)])
def test_a_path_that_is_none_is_refused_like_any_other(graph: TaskGraph) -> None:
    error = refused(loaded(graph), {"path": "a\0b"}, entitlements=["files:read=docs"])
    assert "files:read=a\0b for 'gate_read'" in str(error)
    assert "denied" in str(refused(graph, {"path": "a\0b"}, deny=["files:read=docs"]))


def test_a_rule_about_a_path_that_is_none_is_refused_where_it_is_given() -> None:
    with pytest.raises(TaskConfigurationError, match="is no path"):
        loaded(graph_of(read)).run_sync({"path": "a"}, entitlements=["files:read=a\0b"])
