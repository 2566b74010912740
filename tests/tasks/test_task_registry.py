"""A5: a name in a graph means a registered task, or nothing."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from workglow.errors import TaskConfigurationError, UnknownTaskTypeError
from workglow.tasks import Task, TaskRegistry, task, task_registry


class First(Task):
    type = "X"


class Second(Task):
    type = "X"


def test_a5_registering() -> None:
    registry = TaskRegistry()
    registry.register(First)
    assert registry.register(First) is First
    with pytest.raises(
        TaskConfigurationError, match=r'Task type "X" is already registered\. Unregister it first to replace\.'
    ):
        registry.register(Second)
    assert registry.get("X") is First
    assert registry.unregister("X")
    registry.register(Second)
    assert registry.get("X") is Second
    assert not registry.unregister("Y")


def test_an_unknown_type_is_refused_with_the_nearest_names() -> None:
    registry = TaskRegistry([First])
    assert "X" in registry
    assert "Y" not in registry
    registry.register(type("TextEmbeddingTask", (Task,), {}))
    with pytest.raises(UnknownTaskTypeError, match=r"Did you mean TextEmbeddingTask"):
        registry.get("TextEmbedingTask")
    with pytest.raises(UnknownTaskTypeError, match=r'"os\.system" is not registered\. Import the module'):
        registry.get("os.system")
    assert registry.names() == list(registry) == ["TextEmbeddingTask", "X"]
    assert len(registry) == 2


def test_a_copy_is_changed_on_its_own() -> None:
    registry = TaskRegistry([First])
    copy = registry.copy()
    copy.unregister("X")
    assert "X" in registry


def run_cell(code: str, module: str) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": module}
    exec(f"from workglow.tasks import task\n{code}", space)
    return space


def test_a_notebook_cell_that_is_run_again_replaces_its_task() -> None:
    cell = "@task\ndef cell_clean(text: str) -> str:\n    return text{}\n"
    first = run_cell(cell.format(""), "__main__")["cell_clean"]
    second = run_cell(cell.format(".strip()"), "__main__")["cell_clean"]
    assert first.task_type is not second.task_type
    assert task_registry.get("cell_clean") is second.task_type
    with pytest.raises(TaskConfigurationError, match=r"__main__\.cell_clean.*other\.cell_clean.*@task\(name="):
        run_cell(cell.format(""), "other")
    assert task_registry.unregister("cell_clean")


def test_functions_inside_functions_replace_each_other() -> None:
    def make(amount: int) -> Any:
        @task
        def shift(n: int) -> int:
            return n + amount

        return shift

    make(1)
    latest = make(2)
    assert task_registry.get("shift") is latest.task_type
    other = run_cell("def outer():\n    @task\n    def shift(n: int) -> int: ...\n    return shift\n", "elsewhere")[
        "outer"
    ]()
    assert task_registry.get("shift") is other.task_type


def test_a_module_that_is_reloaded_replaces_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("reloaded")
    monkeypatch.setitem(sys.modules, "reloaded", module)
    code = "from workglow.tasks import Task\nclass Reloaded(Task):\n    pass\n"
    registry = TaskRegistry()
    for _ in range(2):
        exec(code, module.__dict__)
        registry.register(module.Reloaded)
    assert registry.get("Reloaded") is module.Reloaded
