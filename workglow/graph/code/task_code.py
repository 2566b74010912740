"""One task as Python: by which name it is reached, and with which arguments a builder makes an equal one."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from workglow.errors import TaskSerializationError, WorkglowError
from workglow.graph.boundary import BoundaryTask
from workglow.graph.code.expressions import Atom, Brackets, Expression, call
from workglow.graph.json.codec import task_to_json
from workglow.graph.naming import method_name, snake_name
from workglow.graph.tasklike import make_task
from workglow.tasks import task_registry
from workglow.tasks.function import FunctionTask

if TYPE_CHECKING:
    from workglow.graph.code.value_code import Imports, ValueWriter
    from workglow.retry import Retry
    from workglow.tasks import Task

__all__ = ["TaskCode", "TaskWriter", "default_id", "same_task"]

_OPTIONS = ("title", "description", "timeout", "retry", "queue", "extras")


class TaskCode(NamedTuple):
    """How a task is written: the method that adds it (None: `then`), what that is given, and its literals by name."""

    method: str | None
    source: Any
    reference: Expression | None
    keywords: Mapping[str, Any]


class TaskWriter:
    """Writes tasks as arguments of a builder's methods."""

    def __init__(self, imports: Imports, values: ValueWriter) -> None:
        self._imports = imports
        self._values = values

    def code(self, task: Task) -> TaskCode | None:
        """Return how to write a task with keyword arguments alone; None when that makes no equal one."""
        from workglow.graph.building.branching import BranchingBuilder

        keywords = self._keywords(task)
        if keywords is None:
            return None
        kind: Any = type(task)
        source = kind
        try:
            made = make_task(source, task.id, keywords)
            if not same_task(made, task):
                return None
        except (WorkglowError, TypeError):
            return None
        name = method_name(kind.type)
        if (
            task_registry.ships(kind.type)
            and task_registry.get(kind.type) is kind
            and not hasattr(BranchingBuilder, name)
        ):
            return TaskCode(name, source, None, keywords)
        return TaskCode(None, source, Atom(self.reference(task)), keywords)

    def added(self, method: str, task: Task, id: str | None) -> Brackets | None:
        """Return the call of a method that is given the task's name and keyword arguments, if these say it all."""
        code = self.code(task)
        return None if code is None else self.written(method, task, code, id)

    def written(self, method: str, task: Task, code: TaskCode, id: str | None) -> Brackets:
        """Return the call of a method for a task."""
        own = code.method if method == "then" else None
        arguments = [] if own else [code.reference or Atom(self.reference(task))]
        names = [("id", self._values.write(id, ""))] if id else []
        names += [(name, self.value(task, name, value)) for name, value in code.keywords.items()]
        return call(own or method, arguments, names)

    def imported(self, name: str) -> str:
        """Import a name from workglow."""
        return self._imports.name("workglow", name)

    def reference(self, task: Task) -> str:
        """Import a task's function or class; TaskSerializationError names a task that no import leads to."""
        kind: Any = type(task)
        where = f"Task {task.id!r} ({kind.type})"
        if isinstance(task, FunctionTask):
            registered = kind.type in task_registry and task_registry.get(kind.type) is kind
            if not registered:
                raise TaskSerializationError(
                    f"{where} cannot be written as Python: its function is not registered. Put @task on "
                    f"{kind.__qualname__!r} of {kind.__module__}, at the top of the module."
                )
        return self._values.reference(kind, where)

    def constructed(self, task: Task, *before: Expression) -> Brackets:
        """Return the call of the task's class that makes an equal task; `before` are arguments by position."""
        name = self.reference(task)
        name = f"{name}.task_type" if isinstance(task, FunctionTask) else name
        where = f"Task {task.id!r}"
        parts: list[tuple[str, Expression]] = [("id", self._values.write(task.id, where))]
        config = self.config(task)
        if task.has_defaults:
            parts.append(("defaults", self._values.write(dict(task.defaults), f"{where}: the literals")))
        for key, value in {**config, **self.options(task)}.items():
            parts.append((key, self.value(task, key, value)))
        return call(name, before, parts)

    def value(self, task: Task, key: str, value: Any) -> Expression:
        """Return a literal or a setting of a task as an expression."""
        from workglow.retry import Retry

        if isinstance(value, Retry):
            return call(self._imports.name("workglow", "Retry"), keywords=self._retry(value))
        return self._values.write(value, f"Task {task.id!r} ({task.type}): {key!r}")

    def config(self, task: Task) -> dict[str, Any]:
        """Return the settings of the task's class that differ from their defaults."""
        if isinstance(task, BoundaryTask):
            return {"output_schema": task.config["output_schema"]}
        model = task.Config
        if model is None:
            return {}
        settings: dict[str, Any] = {}
        for name, value in task.config.items():
            field = model.model_fields.get(name)
            if field is None or field.is_required():
                settings[name] = value
                continue
            default = field.get_default(call_default_factory=True, validated_data={})
            if not _equal(default, value):
                settings[name] = value
        return settings

    def options(self, task: Task) -> dict[str, Any]:
        """Return the options, known to every task, that were given to this one."""
        own = vars(task)
        options = {name: own[name] for name in _OPTIONS if name in own}
        if "cacheable" in own:
            options["cache"] = own["cacheable"]
        return options

    def _keywords(self, task: Task) -> dict[str, Any] | None:
        keywords: dict[str, Any] = {}
        for part in (task.defaults, self.config(task), self.options(task)):
            for name, value in part.items():
                if name in keywords or name == "id" or not name.isidentifier() or keyword.iskeyword(name):
                    return None
                keywords[name] = value
        return keywords

    def _retry(self, retry: Retry) -> list[tuple[str, Expression]]:
        from workglow.retry import Retry

        plain = Retry()
        names = ("attempts", "delay", "factor", "maximum", "jitter")
        return [
            (name, Atom(repr(getattr(retry, name)))) for name in names if getattr(retry, name) != getattr(plain, name)
        ]


def same_task(one: Task, other: Task) -> bool:
    """Say whether two tasks have the same JSON."""
    return task_to_json(one) == task_to_json(other)


def default_id(task: Task) -> str:
    """Return what a graph calls a task of this type that is given no id."""
    return snake_name(task.type)


def _equal(one: object, other: object) -> bool:
    try:
        return type(one) is type(other) and bool(one == other)
    except ValueError:  # arrays, which do not say whether they are equal
        return False
