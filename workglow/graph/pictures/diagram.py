"""Graphs as pictures: a Mermaid flowchart, and what a notebook shows."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from workglow.graph.dataflow import ALL_PORTS, ERROR_PORT, Dataflow
from workglow.graph.json.codec import DEEPEST_GRAPH

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = ["mime_bundle", "to_mermaid"]

_MOST_SHOWN = 200
"""Tasks that a notebook draws; more are only counted."""

# Mermaid reads these inside quoted labels; the hash comes first because it begins every escape.
_ESCAPES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\\": "#92;", "&": "#amp;"}


def to_mermaid(graph: TaskGraph) -> str:
    """Draw a graph as a Mermaid flowchart; graphs inside tasks are drawn inside them, `[error]` edges are dotted.

    The same graph always gives the same text.
    """
    lines = ["flowchart TD"]
    _draw(graph, lines, prefix="n", indent="  ", depth=0)
    return "\n".join(lines) + "\n"


def _draw(graph: TaskGraph, lines: list[str], *, prefix: str, indent: str, depth: int) -> None:
    keys = {task_id: f"{prefix}{number}" for number, task_id in enumerate(graph.tasks)}
    for task_id, task in graph.tasks.items():
        inner: TaskGraph | None = getattr(task, "subgraph", None)
        if inner is not None and depth < DEEPEST_GRAPH:
            lines.append(f'{indent}subgraph {keys[task_id]}["{_label(task)}"]')
            _draw(inner, lines, prefix=f"{keys[task_id]}_", indent=indent + "  ", depth=depth + 1)
            lines.append(f"{indent}end")
        else:
            lines.append(f"{indent}{keys[task_id]}{_box(task)}")
    for edge in graph.dataflows():
        lines.append(f"{indent}{keys[edge.source]} {_arrow(edge)} {keys[edge.target]}")


def _box(task: Task) -> str:
    if task.type in ("InputTask", "OutputTask"):
        return f'(["{_label(task)}"])'
    if getattr(task, "exclusive_ports", ()):
        return f'{{"{_label(task)}"}}'
    return f'["{_label(task)}"]'


def _label(task: Task) -> str:
    title = vars(task).get("title") or task.type
    return _escaped(task.id) if title == task.id else f"{_escaped(task.id)}<br/>{_escaped(title)}"


def _arrow(edge: Dataflow) -> str:
    names = [edge.source_port, *(step.id for step in edge.transforms), edge.target_port]
    if edge.source_port == ERROR_PORT:
        names[0] = "error"
    shown = [name for number, name in enumerate(names) if name != ALL_PORTS and name not in names[:number]]
    label = _escaped(" → ".join(shown))
    if edge.source_port == ERROR_PORT:
        return f'-. "{label}" .->'
    return f'-- "{label}" -->' if label else "-->"


def _escaped(text: str) -> str:
    plain = "".join(_ESCAPES.get(character, character) for character in text)
    return " ".join(plain.split())


def mime_bundle(graph: TaskGraph) -> dict[str, str]:
    """Return what a notebook shows for a graph: a line of text, a table, and the flowchart as Markdown."""
    edges = sum(map(len, graph.outgoing.values()))
    summary = f"{len(graph.tasks)} tasks, {edges} dataflows"
    bundle = {"text/plain": f"TaskGraph({summary})", "text/html": f"<p>{summary}</p>"}
    if 0 < len(graph.tasks) <= _MOST_SHOWN:
        bundle["text/html"] = _table(graph, summary)
        bundle["text/markdown"] = f"```mermaid\n{to_mermaid(graph)}```\n"
    return bundle


def _table(graph: TaskGraph, summary: str) -> str:
    rows: list[str] = []
    for task_id, task in graph.tasks.items():
        takes = [f"{edge.target_port} ← {edge.source}[{edge.source_port}]" for edge in graph.incoming[task_id]]
        cells = (html.escape(text) for text in (task_id, task.type, ", ".join(takes)))
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "<tr><th>task</th><th>type</th><th>takes</th></tr>"
    return f"<table><caption>{summary}</caption><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"
