"""What an editor needs to know about a task type before there is a task of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workglow.errors import TaskConfigurationError
from workglow.tasks.ports import Ports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workglow.tasks.task import Task

__all__ = ["task_facts"]


def task_facts(kind: type[Task]) -> dict[str, Any]:
    """Return all of it as plain JSON.

    `inputs`, `outputs` and `config` are JSON Schemas of type object, with the names that a graph's JSON has; each port
    tells its title, description, format and default.  They are empty where they follow from the graph or the settings
    that a task is given.  `holds_graph` is true for groups and loops.
    """
    holds_graph = hasattr(kind, "from_subgraph")
    return {
        "type": kind.type,
        "title": kind.title or kind.type,
        "description": kind.description,
        "category": kind.category,
        "inputs": _ports(kind, "inputs"),
        "outputs": _ports(kind, "outputs"),
        "config": _config(kind),
        "side_effects": kind.side_effects,
        "cacheable": kind.cacheable and not kind.side_effects,
        "entitlements": [name if isinstance(name, str) else name.id for name in kind.entitlements],
        "has_preview": kind.has_preview(),
        "streaming": getattr(kind, "mode", None) == "stream",
        "holds_graph": holds_graph,
    }


def _config(kind: type[Task]) -> dict[str, Any]:
    if kind.Config is None:
        return {}
    from workglow.tasks.adapter import schema_generator  # says something of functions too, which JSON cannot hold

    return kind.Config.model_json_schema(by_alias=True, schema_generator=schema_generator())


def _ports(kind: type[Task], side: str) -> Mapping[str, Any]:
    if hasattr(kind, "from_subgraph"):  # what goes in and out is that of its graph, unless it says so itself
        model = kind.Input if side == "inputs" else kind.Output
        return {} if model is None else Ports.from_model(model).schema
    ports: object = getattr(kind, side)
    if not isinstance(ports, Ports):  # a property: asked of a task without settings, if there can be one
        try:
            ports = getattr(kind(), side)
        except TaskConfigurationError:
            return {}
    return ports.schema if isinstance(ports, Ports) else {}
