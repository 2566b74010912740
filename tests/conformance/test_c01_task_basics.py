"""C01: tasks, their defaults, and that a run leaves them as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fixture_runs import graph_of, run_task
from fixture_tasks import IO, SimpleProcessing

from workglow.errors import TaskConfigurationError
from workglow.graph.events import Event
from workglow.graph.launch import run_in_memory_sync
from workglow.graph.previews.preview import Preview
from workglow.tasks import Task
from workglow.tasks.clone import clone

FULL = {"key": "full", "previewOnly": False, "all": True}


def test_c01_1_literals_go_in_and_stay_as_they_were() -> None:
    task = IO(defaults={"key": "value"})
    assert run_task(task).outputs == FULL
    assert task.defaults == {"key": "value"}


def test_c01_2_a_default_of_the_schema_is_applied() -> None:
    graph = graph_of(IO(id="io"))
    assert run_in_memory_sync(graph).outputs == FULL
    assert Preview(graph).outputs["key"] == "default"


@pytest.mark.parametrize(
    ("task", "inputs", "key"),
    [
        (IO(id="io"), {}, "default"),
        (IO(id="io", defaults={"key": "givendefault"}), {}, "givendefault"),
        (IO(id="io").replace(defaults={"key": "setvalue"}), {}, "setvalue"),  # A: a changed task is another task
        (IO(id="io"), {"key": "valueparams"}, "valueparams"),
    ],
)
def test_c01_3_a_preview_echoes_its_input(task: Task, inputs: dict[str, str], key: str) -> None:
    assert Preview(graph_of(task), inputs).outputs == {"key": key, "previewOnly": True, "all": False}


def test_c01_4_a_run_has_a_status_and_times() -> None:
    # A: the state is the run's; the definition has none
    result = run_task(SimpleProcessing(defaults={"value": "default"}))
    assert result.status == "completed"
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.outputs == {"processed": True, "result": "Processed: default"}
    preview = Preview(graph_of(SimpleProcessing))
    assert preview.outputs == {"processed": False, "result": "Preview: default"}


def test_c01_5_changing_an_input_leaves_the_original_alone() -> None:
    task = IO(defaults={"key": "default"})
    changed = task.replace(defaults={"key": "modified"})  # A: instead of setting and resetting
    assert changed.defaults == {"key": "modified"}
    assert task.defaults == {"key": "default"}


def test_c01_6_a_task_keeps_its_id_title_and_defaults() -> None:
    task = Task(id="test-id", title="Test Task", defaults={"testKey": "testValue"})
    assert (task.id, task.title, task.defaults) == ("test-id", "Test Task", {"testKey": "testValue"})
    assert graph_of(IO()).order() != [""]  # A: the graph gives the id


def test_c01_7_a_task_is_running_before_it_is_completed() -> None:
    seen: list[str] = []

    def listener(event: Event) -> None:
        if event.path:
            seen.append(event.kind)

    run_in_memory_sync(graph_of(IO), on_event=listener)
    assert seen == ["task_started", "task_completed"]


class Thing:
    pass


def test_c01_8_values_are_cloned() -> None:
    thing = Thing()
    array = np.array([1.0, 2.0])
    shared = {"x": [1]}
    value: dict[str, Any] = {"a": shared, "b": shared, "thing": thing, "array": array, "none": None, "n": 1}
    copy = clone(value)
    assert copy["a"] == shared
    assert copy["a"] is not shared
    assert copy["a"]["x"] is not shared["x"]
    assert copy["a"] is not copy["b"]
    assert copy["thing"] is thing
    assert copy["array"] is not array
    assert copy["array"].tolist() == [1.0, 2.0]
    assert (copy["none"], copy["n"]) == (None, 1)


def circles() -> list[Any]:
    itself: dict[str, Any] = {}
    itself["self"] = itself
    nested: dict[str, Any] = {"a": {"b": {}}}
    nested["a"]["b"]["back"] = nested
    items: list[Any] = []
    items.append(items)
    one, two, three = {}, {}, {}  # type: ignore[var-annotated]
    one["next"], two["next"], three["next"] = two, three, one
    return [itself, nested, items, one]


@pytest.mark.parametrize("value", circles(), ids=["self", "nested", "list", "three"])
def test_c01_8_a_circle_is_refused(value: object) -> None:
    with pytest.raises(TaskConfigurationError, match="Circular reference detected in input data"):
        clone(value)
