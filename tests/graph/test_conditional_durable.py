"""A run that is kept goes the same way when it goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import workglow as wg
from workglow.errors import TaskFailedError
from workglow.graph.control.conditional import ConditionalTask
from workglow.graph.events import Event
from workglow.graph.graph import TaskGraph
from workglow.tasks import task

raises: list[BaseException] = []
ran: list[str] = []


@task(output="text", name="conditional_durable_say", inline=True, cache=False)
def say(text: str, word: str = "") -> str:
    ran.append(word)
    if raises:
        raise raises.pop()
    return f"{text} {word}"


def routed(*ports: str) -> TaskGraph:
    begins = {"field": "text", "operator": "starts_with", "value": "h"}
    graph = TaskGraph()
    graph.add_task(ConditionalTask(id="if", branches=[{"id": ports[0], "condition": begins}, {"id": ports[1]}]))
    for port in ports:
        graph.add_task(say, id=port, word=port)
        graph.add_dataflow("if", port, port, "text", [{"id": "pick", "params": {"path": "text"}}])
    return graph


@pytest.fixture(autouse=True)
def _whole() -> Iterator[None]:
    ran.clear()
    yield
    raises.clear()


def test_a_stored_run_is_routed(project: wg.Project) -> None:
    run = project.run_sync(routed("one", "two"), {"text": "hello"})
    assert run.outputs == {"text": "hello one"}
    assert {path: result.status for path, result in run.tasks.items()} == {
        "if": "completed",
        "one": "completed",
        "two": "disabled",
    }


def test_a_resumed_run_does_not_ask_the_conditions_again(project: wg.Project) -> None:
    raises.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        project.run_sync(routed("one", "two"), {"text": "hello"})
    events: list[Event] = []
    run = project.resume_sync(on_event=events.append)
    assert run.outputs == {"text": "hello one"}
    assert run.tasks["two"].status == "disabled"
    assert "if" not in {event.path for event in events}
    assert ran == ["one", "one"]


def test_a_joined_task_is_resumed_with_the_arm_that_was_taken(project: wg.Project) -> None:
    graph = routed("one", "two")
    graph.add_task(say, id="both", word="both")
    graph.add_dataflow("one", "text", "both", "text")
    graph.add_dataflow("if", "two", "both", "word", [{"id": "pick", "params": {"path": "text"}}])
    raises.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        project.run_sync(graph, {"text": "hello"})
    assert project.resume_sync().outputs == {"text": ["hello one both"]}  # "two" is an end too


def test_after_a_restart_a_port_is_still_off(project: wg.Project) -> None:
    graph = routed("one", "two")
    graph.add_task(say, id="neither", word="neither")
    graph.add_dataflow("if", "two", "neither", "text", [{"id": "stringify"}])
    graph.add_dataflow("one", "[error]", "neither", "word", [{"id": "stringify"}])
    raises.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        project.run_sync(graph, {"text": "hello"})
    assert project.resume_sync().tasks["neither"].status == "disabled"


def rerun(project: wg.Project, graph: TaskGraph) -> wg.Run:
    raises.append(TaskFailedError("not yet"))
    with pytest.raises(TaskFailedError) as caught:
        project.run_sync(graph, {"text": "hello"})
    return project.rerun_failed_sync(caught.value.run.id)  # type: ignore[union-attr]


def test_a_run_that_failed_is_run_again_on_the_same_way(project: wg.Project) -> None:
    assert rerun(project, routed("one", "two")).outputs == {"text": "hello one"}
    assert ran == ["one", "one"]


def test_a_port_may_have_any_name(project: wg.Project) -> None:
    assert rerun(project, routed("inactive", "two")).outputs == {"text": "hello inactive"}
