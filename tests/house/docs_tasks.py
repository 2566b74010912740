"""Writes docs/tasks.md from the task types themselves: `python tests/house/docs_tasks.py > docs/tasks.md`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from itertools import groupby
from typing import Any

from pydantic_core import PydanticUndefined

from workglow.errors import TaskConfigurationError
from workglow.tasks import Ports, Task
from workglow.tasks.registry import _SHIPPED, task_registry
from workglow.tasks.schema import json_schema

_HEAD = """\
# Tasks

<!-- Made by tests/house/docs_tasks.py; edit the tasks instead. -->

The task types that come with workglow.  Each is a method of `Workflow` in lower case (`ScalarAddTask` is
`scalar_add`), a type that graphs in JSON may name, and a class that `task_registry.get("ScalarAddTask")` returns.
Groups, loops, branches and alternatives are in [Control flow](control-flow.md), and `InputTask` and `OutputTask` in
[Graphs and code](graph-and-code.md).  How tasks wait is in [Human in the loop](human-in-the-loop.md), what search does
in [Search](search.md); how the tasks on files and databases are kept in bounds, and what a script may do, in
[Files, databases and scripts](sources.md).

A port without a default is required.  Settings are given when a task is made, and ports by an edge, as an input of the
run, or when the task is made.
"""


def reference() -> str:
    """Return the whole page."""
    kinds = sorted((task_registry.get(name) for name in _SHIPPED), key=lambda kind: (kind.category, kind.type))
    sections = groupby(kinds, key=lambda kind: kind.category)
    return _HEAD + "".join(
        f"\n## {category}\n" + "".join(_section(kind) for kind in members) for category, members in sections
    )


def _section(kind: type[Task]) -> str:
    lines = [f"\n### {kind.type}\n", cleandoc(kind.description).replace("\n\n", "\n").replace("\n", " "), ""]
    facts = list(_facts(kind))
    if facts:
        lines += [f"{'; '.join(facts)}.".capitalize(), ""]
    lines += ["| | name | type | default | |", "|---|---|---|---|---|"]
    inputs, outputs = _ports(kind)
    lines += _rows("input", inputs)
    lines += _rows("output", outputs)
    lines += [_row("setting", *setting) for setting in _settings(kind)]
    return "\n".join(lines) + "\n"


def _facts(kind: type[Task]) -> Iterator[str]:
    if hasattr(kind, "execute_preview"):
        yield "has a preview"
    if not kind.cacheable or kind.side_effects:
        yield "has side effects, so is never cached" if kind.side_effects else "not cached"
    if kind.entitlements:
        yield f"needs `{'`, `'.join(kind.entitlements)}`"


def _ports(kind: type[Task]) -> tuple[Ports, Ports]:
    try:
        task = kind(id="t")
    except (TaskConfigurationError, TypeError):  # it has settings that must be given, or a graph
        return tuple(Ports() if model is None else Ports.from_model(model) for model in (kind.Input, kind.Output))  # type: ignore[return-value]
    return task.inputs, task.outputs


def _rows(what: str, ports: Ports) -> list[str]:
    rows = []
    for name, part in ports.schema["properties"].items():
        default = "" if ports[name].required else _shown(part.get("default")) if "default" in part else "(none)"
        rows.append(_row(what, name, _type(part), default if what == "input" else "", part.get("description", "")))
    return rows + ([_row(what, "*", "any", "", "any others")] if ports.open else [])


def _settings(kind: type[Task]) -> Iterator[tuple[str, str, str, str]]:
    for name, field in (kind.Config.model_fields if kind.Config is not None else {}).items():
        default = field.get_default(call_default_factory=True, validated_data={})
        shown = "" if default is PydanticUndefined else _shown(default)
        yield field.alias or name, _type(json_schema(field.annotation)), shown, field.description or ""


def _row(what: str, name: str, kind: str, default: str, meaning: str) -> str:
    cells = [cell.replace("|", "\\|") for cell in (what, f"`{name}`", kind, default, _first_line(meaning))]
    return f"| {' | '.join(cells)} |"


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip(".")


def _shown(value: object) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(schema: Mapping[str, Any]) -> str:
    """Say in a word or two what a JSON Schema allows."""
    if schema.get("format") == "image":
        return "image"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        members = dict.fromkeys(_type(member) for member in schema["anyOf"])
        return " or ".join(name for name in members if name != "integer" or "number" not in members)
    kind = schema.get("type")
    if kind == "array":
        if str(schema.get("format", "")).startswith("TypedArray"):
            return "numpy array"
        inner = _type(schema.get("items") or {})
        return "list" if inner == "any" else f"list of {inner}"
    if kind == "string" and schema.get("format") == "binary":
        return "bytes"
    return "mapping" if kind == "object" else str(kind or "any")


if __name__ == "__main__":
    print(reference(), end="")
