"""Writes the typed task methods: `python tests/house/task_methods.py > workglow/graph/building/shipped.pyi`."""

from __future__ import annotations

import inspect
import keyword
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from workglow.errors import TaskConfigurationError
from workglow.graph.building.adaptive import ADAPTIVE
from workglow.graph.building.branching import BranchingBuilder
from workglow.graph.naming import method_name
from workglow.tasks import Ports
from workglow.tasks.registry import _SHIPPED, TaskRegistry

_HEAD = '''\
"""Made by tests/house/task_methods.py; change the tasks instead."""

from collections.abc import Mapping
from typing import Any, Literal, Self, TypedDict, Unpack

{imports}from workglow.retry import Retry

__all__ = ["ShippedTasks"]

class TaskOptions(TypedDict, total=False):
    """What every task takes."""

    id: str | None
    title: str
    description: str
    extras: Mapping[str, Any]
    timeout: float
    retry: Retry
    queue: str
    cache: bool

class ShippedTasks:
    """Has a method for each task type that comes with workglow."""
'''
_OPTIONS = frozenset({"id", "title", "description", "extras", "timeout", "retry", "queue", "cache"})


def stub() -> str:
    """Return the whole stub."""
    writer = _Writer()
    methods = "".join(writer.method(name, kind) for name, kind in shipped())
    methods += "".join(writer.adaptive(name, *kinds) for name, kinds in adaptive())
    imports = "".join(
        f"from {module} import {', '.join(sorted(names))}\n" for module, names in sorted(writer.imports.items())
    )
    return _HEAD.format(imports=imports) + methods


def shipped() -> Iterator[tuple[str, Any]]:
    """Yield the method and the class of each type that a workflow can add by name."""
    registry = TaskRegistry(shipped=_SHIPPED)
    for type_name in registry.names():
        kind: Any = registry.get(type_name)
        name = method_name(type_name)
        needs_graph = hasattr(kind, "from_subgraph") and not hasattr(kind, "of_values")
        if not needs_graph and not hasattr(BranchingBuilder, name):
            yield name, kind


def adaptive() -> Iterator[tuple[str, list[Any]]]:
    """Yield the methods that stand for a task on numbers or on vectors, with both classes."""
    registry = TaskRegistry(shipped=_SHIPPED)
    for name, type_names in ADAPTIVE.items():
        yield name, [registry.get(type_name) for type_name in type_names]


class _Writer:
    def __init__(self) -> None:
        self.imports: dict[str, set[str]] = {}

    def method(self, name: str, kind: Any) -> str:
        parameters = dict(self._parameters(kind))
        lines = [f"        {name}: {annotation} = ...,\n" for name, annotation in parameters.items()]
        if self._ports(kind).open:  # whatever comes next to the options
            lines = [*lines, "        id: str | None = None,\n", "        **inputs: Any,\n"]
        else:
            lines.append("        **options: Unpack[TaskOptions],\n")
        star = "        *,\n" if len(lines) > 1 else ""
        head = f"    def {name}(\n        self,\n{star}{''.join(lines)}    ) -> Self:\n"
        if not star:
            head = f"    def {name}(self, {lines[0].strip().rstrip(',')}) -> Self:\n"
        summary = inspect.cleandoc(kind.description or kind.title or kind.type).partition("\n")[0]
        return f'{head}        """{summary}"""\n\n'

    def adaptive(self, name: str, scalar: Any, vector: Any) -> str:
        """Return a method that takes what either class takes."""
        parameters = {**dict(self._parameters(scalar)), **dict(self._parameters(vector))}
        lines = "".join(f"        {name}: {annotation} = ...,\n" for name, annotation in parameters.items())
        summary = f"Add a {scalar.type}, or a {vector.type} when vectors come in."
        lines += "        **options: Unpack[TaskOptions],\n"
        head = f"    def {name}(\n        self,\n        *,\n{lines}    ) -> Self:\n"
        return f'{head}        """{summary}"""\n\n'

    def _ports(self, kind: Any) -> Any:
        if hasattr(kind.inputs, "check"):
            return kind.inputs
        try:
            return kind().inputs
        except TaskConfigurationError:  # its ports depend on how it is configured
            return Ports(open=True)

    def _parameters(self, kind: Any) -> Iterator[tuple[str, str]]:
        for name, port in self._ports(kind).items():
            if _is_name(name):
                yield name, self._written(port.annotation)
        for name, field in (kind.Config.model_fields if kind.Config is not None else {}).items():
            if _is_name(name):
                yield name, self._written(field.annotation)

    def _written(self, annotation: Any) -> str:
        """Return the annotation as the stub has it; `Any` for what cannot be named there."""
        origin, arguments = get_origin(annotation), get_args(annotation)
        if annotation is None or annotation is types.NoneType:
            return "None"
        if origin is Annotated:
            return self._written(arguments[0])
        if origin in (Union, types.UnionType):
            members = dict.fromkeys(map(self._written, arguments))
            return "Any" if "Any" in members else " | ".join(members)
        if origin is Literal:
            return f"Literal[{', '.join(_quoted(value) for value in arguments)}]"
        if origin in (list, dict, tuple, set, frozenset):
            written = ["..." if part is Ellipsis else self._written(part) for part in arguments]
            return f"{origin.__name__}[{', '.join(written)}]"
        if inspect.isclass(annotation) and not arguments and annotation.__qualname__.isidentifier():
            return self._class(annotation)
        return "Any"

    def _class(self, kind: Any) -> str:
        if kind.__module__ == "builtins":
            return f"{kind.__name__}[Any]" if kind in (list, set, frozenset) else _WITH_ITEMS.get(kind, kind.__name__)
        module = kind.__module__
        if module.partition(".")[0] != "workglow" or kind.__name__.startswith("_"):
            return "Any"
        self.imports.setdefault(module, set()).add(kind.__name__)
        return kind.__name__


_WITH_ITEMS = {dict: "dict[str, Any]", tuple: "tuple[Any, ...]"}


def _is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name) and name not in _OPTIONS


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    print(stub().rstrip("\n"))
