"""What a builder says when it finds no output for an input: what the input takes, and which outputs come nearest.

An output is near when its name resembles the input's, or when an edge between the two would be allowed.  Those with
both come first, then those whose types fit, then those of the newer tasks.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from workglow.graph.admission import describe_schema, edge_schema
from workglow.tasks.compatibility import compatibility

if TYPE_CHECKING:
    from workglow.graph.graph import TaskGraph
    from workglow.tasks import Task

__all__ = ["nearest_outputs"]

_MOST_SHOWN = 3
_MOST_COMPARED = 200
"""Tasks looked at: enough for any program that a person wrote."""


def nearest_outputs(graph: TaskGraph, tried: Sequence[str], target: Task, names: Iterable[str]) -> str:
    """Return a sentence for each input, with a space before it; nothing when no output comes near."""
    text = ""
    for name in names:
        taken = edge_schema(target.inputs.schema["properties"][name])
        found = _candidates(graph, tried[:_MOST_COMPARED], name, taken)
        if found:
            others = ", ".join(f"{task_id}[{port}] ({describe_schema(schema)})" for _, task_id, port, schema in found)
            fits, _, port, _ = found[0]
            remedy = f"Say rename({port!r}, {name!r}) before adding it, or give it a literal."
            if not fits:
                remedy = "Put a task in between, or give it a literal."
            text += f" The input {name!r} takes {describe_schema(taken)}; the nearest outputs are {others}. {remedy}"
    return text


def _candidates(graph: TaskGraph, tried: Iterable[str], name: str, taken: Any) -> list[tuple[bool, str, str, Any]]:
    ranked: list[tuple[bool, bool, int, tuple[bool, str, str, Any]]] = []
    for age, task_id in enumerate(dict.fromkeys(tried)):
        outputs = cast("dict[str, Any]", graph.tasks[task_id].outputs.schema["properties"])
        for port, schema in outputs.items():
            fits = compatibility(schema, taken) != "incompatible"
            resembles = bool(difflib.get_close_matches(name, [port]))
            if fits or resembles:
                ranked.append((not (fits and resembles), not fits, age, (fits, task_id, port, schema)))
    return [candidate for *_, candidate in sorted(ranked, key=lambda one: one[:3])[:_MOST_SHOWN]]
