"""One door for everything that may stand for a task."""

from __future__ import annotations

import inspect
from typing import Any, cast

from workglow.errors import TaskConfigurationError
from workglow.tasks.configuration import config_names
from workglow.tasks.function import TaskFunction, task_function
from workglow.tasks.task import Task

__all__ = ["as_task"]

_OPTIONS = ("title", "description", "defaults", "extras", "timeout", "retry", "queue", "cache")


def as_task(source: Any, *, id: str | None = None, **values: Any) -> Task:
    """Return a task for a task, a task class, a function under `@task`, or any function.

    Each value goes to the input port of that name, else to the class's configuration, else to the options that
    every task has (`title`, `timeout`, `queue`, …).  Raises TaskConfigurationError for a name that is none of these.
    """
    if isinstance(source, Task):
        return _changed(source, id, values) if values or id is not None else source
    if isinstance(source, TaskFunction):
        kind: type[Task] = source.task_type
    elif inspect.isclass(source) and issubclass(source, Task):
        kind = source
    elif callable(source) and not inspect.isclass(source):
        kind = _wrapped(source).task_type
    else:
        raise TaskConfigurationError(f"{source!r} is no task; give a function, a Task, or a class that inherits Task.")
    of_values = getattr(kind, "of_values", None)
    if of_values is not None:
        return of_values(id=id, **values)
    if not values:
        return kind(id=id)
    ports = kind.inputs if hasattr(kind.inputs, "check") else kind(id=id).inputs
    return kind(id=id, **_sorted(kind, ports, values))


def _changed(task: Task, id: str | None, values: dict[str, Any]) -> Task:
    options = _sorted(type(task), task.inputs, values)
    if "defaults" in options:
        options["defaults"] = {**task.defaults, **options["defaults"]}
    return task.replace(id=id, **options)


def _sorted(kind: type[Task], ports: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Split values into defaults, configuration and options."""
    configured = config_names(kind.Config) if kind.Config is not None else {}
    options: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    for name, value in values.items():
        if name in ports:
            defaults[name] = value
        elif name in configured or (name in _OPTIONS and name != "defaults"):
            options[name] = value
        elif name == "defaults":
            defaults.update(value)
        else:
            defaults[name] = value  # an open port, or a name that the task refuses with its own words
    if defaults:
        options["defaults"] = defaults
    return options


def _wrapped(function: Any) -> TaskFunction[..., Any]:
    """Wrap a plain function once, so that a graph that uses it a thousand times has one task type."""
    kept = getattr(function, "__dict__", {}).get("__workglow_task__")
    if isinstance(kept, TaskFunction):
        return cast("TaskFunction[..., Any]", kept)
    made = task_function(function, register=False)
    if inspect.isfunction(function):
        function.__dict__["__workglow_task__"] = made
    return made
