"""workglow: task graphs, runs, outputs and embeddings in one SQLite file.  Every run is resumable.

Everything public is here; each name is loaded when it is first used, so importing workglow costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workglow.errors import WorkglowError
    from workglow.graph.compound import GraphAsTask
    from workglow.graph.conditional import ConditionalTask
    from workglow.graph.conditions import Condition
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.events import Event
    from workglow.graph.fallback import FallbackTask
    from workglow.graph.graph import TaskGraph
    from workglow.graph.map import ForEachTask, MapTask
    from workglow.graph.options import RunOptions
    from workglow.graph.reduce import ReduceTask
    from workglow.graph.run import Run, TaskResult
    from workglow.graph.streams import StreamChunk
    from workglow.graph.switch import SwitchTask
    from workglow.graph.while_task import WhileTask
    from workglow.graph.workflow import Workflow
    from workglow.project import Project, open
    from workglow.retry import Retry
    from workglow.tasks import Collect, Task, TaskContext, TaskRegistry, task, task_registry
    from workglow.values import Secret, value_types

__all__ = [
    "Collect",
    "Condition",
    "ConditionalTask",
    "Dataflow",
    "Event",
    "FallbackTask",
    "ForEachTask",
    "GraphAsTask",
    "MapTask",
    "Project",
    "ReduceTask",
    "Retry",
    "Run",
    "RunOptions",
    "Secret",
    "StreamChunk",
    "SwitchTask",
    "Task",
    "TaskContext",
    "TaskGraph",
    "TaskRegistry",
    "TaskResult",
    "WhileTask",
    "Workflow",
    "WorkglowError",
    "__version__",
    "open",
    "task",
    "task_registry",
    "value_types",
]

__version__ = "0.1.0"

_HOMES = {
    "Collect": "tasks",
    "Condition": "graph.conditions",
    "ConditionalTask": "graph.conditional",
    "Dataflow": "graph.dataflow",
    "Event": "graph.events",
    "FallbackTask": "graph.fallback",
    "ForEachTask": "graph.map",
    "GraphAsTask": "graph.compound",
    "MapTask": "graph.map",
    "Project": "project",
    "ReduceTask": "graph.reduce",
    "Retry": "retry",
    "Run": "graph.run",
    "RunOptions": "graph.options",
    "Secret": "values",
    "StreamChunk": "graph.streams",
    "SwitchTask": "graph.switch",
    "Task": "tasks",
    "TaskContext": "tasks",
    "TaskGraph": "graph.graph",
    "TaskRegistry": "tasks",
    "TaskResult": "graph.run",
    "WhileTask": "graph.while_task",
    "Workflow": "graph.workflow",
    "WorkglowError": "errors",
    "open": "project",
    "task": "tasks",
    "task_registry": "tasks",
    "value_types": "values",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'workglow' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(f"workglow.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
