"""workglow: task graphs, runs, outputs and embeddings in one SQLite file.  Every run is resumable.

Everything public is here; each name is loaded when it is first used, so importing workglow costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workglow.errors import WorkglowError
    from workglow.graph.compound import GraphAsTask
    from workglow.graph.conditional import ConditionalTask
    from workglow.graph.dataflow import Dataflow
    from workglow.graph.events import Event
    from workglow.graph.graph import TaskGraph
    from workglow.graph.map import ForEachTask, MapTask
    from workglow.graph.named import FolderTaskGraphRepository, MemoryTaskGraphRepository, TaskGraphRepository
    from workglow.graph.options import RunOptions
    from workglow.graph.run import Run, TaskResult
    from workglow.graph.streams import StreamChunk
    from workglow.graph.workflow import Workflow
    from workglow.project import Project, open
    from workglow.retry import Retry
    from workglow.storage.folder import FolderTaskOutputRepository
    from workglow.storage.memory import MemoryTaskOutputRepository
    from workglow.storage.outputs import CacheEntry, OutputEvent, StoredOutput, TaskOutputRepository
    from workglow.storage.policies import AnyOf, CachePolicy, KeepLast, MaxAge, MaxSize, OnlyModels, OnlyTasks
    from workglow.storage.protocols import GraphStore
    from workglow.storage.records import GraphVersion
    from workglow.tasks import Collect, Task, TaskContext, TaskRegistry, task, task_registry
    from workglow.values import Secret, value_types

__all__ = [
    "AnyOf",
    "CacheEntry",
    "CachePolicy",
    "Collect",
    "ConditionalTask",
    "Dataflow",
    "Event",
    "FolderTaskGraphRepository",
    "FolderTaskOutputRepository",
    "ForEachTask",
    "GraphAsTask",
    "GraphStore",
    "GraphVersion",
    "KeepLast",
    "MapTask",
    "MaxAge",
    "MaxSize",
    "MemoryTaskGraphRepository",
    "MemoryTaskOutputRepository",
    "OnlyModels",
    "OnlyTasks",
    "OutputEvent",
    "Project",
    "Retry",
    "Run",
    "RunOptions",
    "Secret",
    "StoredOutput",
    "StreamChunk",
    "Task",
    "TaskContext",
    "TaskGraph",
    "TaskGraphRepository",
    "TaskOutputRepository",
    "TaskRegistry",
    "TaskResult",
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
    "AnyOf": "storage.policies",
    "CacheEntry": "storage.outputs",
    "CachePolicy": "storage.policies",
    "Collect": "tasks",
    "ConditionalTask": "graph.conditional",
    "Dataflow": "graph.dataflow",
    "Event": "graph.events",
    "FolderTaskGraphRepository": "graph.named",
    "FolderTaskOutputRepository": "storage.folder",
    "ForEachTask": "graph.map",
    "GraphAsTask": "graph.compound",
    "GraphStore": "storage.protocols",
    "GraphVersion": "storage.records",
    "KeepLast": "storage.policies",
    "MapTask": "graph.map",
    "MaxAge": "storage.policies",
    "MaxSize": "storage.policies",
    "MemoryTaskGraphRepository": "graph.named",
    "MemoryTaskOutputRepository": "storage.memory",
    "OnlyModels": "storage.policies",
    "OnlyTasks": "storage.policies",
    "OutputEvent": "storage.outputs",
    "Project": "project",
    "Retry": "retry",
    "Run": "graph.run",
    "RunOptions": "graph.options",
    "Secret": "values",
    "StoredOutput": "storage.outputs",
    "StreamChunk": "graph.streams",
    "Task": "tasks",
    "TaskContext": "tasks",
    "TaskGraph": "graph.graph",
    "TaskGraphRepository": "graph.named",
    "TaskOutputRepository": "storage.outputs",
    "TaskRegistry": "tasks",
    "TaskResult": "graph.run",
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
